//! The arena's face, and its magazines: each thread's own small stock of free slots.
//!
//! There is one stack a class; taking and giving a slot is a pop or push of four bytes. An empty
//! magazine is filled with [`BATCH`] slots from the depot; a full one gives back the [`BATCH`] that
//! have lain longest, so that what is used next is what the cache still holds. A thread that only
//! takes or only gives goes to the depot, and takes its lock, once in at least 64 times.
//!
//! A thread's magazines serve one arena, the one it used last; using another flushes them. They are
//! flushed when the thread ends; what the destructors of other thread-locals free after that goes
//! to the depot slot by slot. The magazines are safe code.

#[cfg(all(debug_assertions, not(taskgrove_loom)))]
mod audit;

use std::cell::{Cell, OnceCell};
use std::ptr::{self, NonNull};

use super::depot::Depot;
use super::page::Pages;
use super::{CLASSES, Class, Slot, SlotIndex};
use crate::sync::Mutex;

/// How many slots move between a magazine and the depot at a time.
const BATCH: usize = if cfg!(taskgrove_loom) { 2 } else { 128 };
/// How many slots a magazine holds.
const CAPACITY: usize = 2 * BATCH;

/// One depot and its lock, apart from the others' cache lines.
#[repr(align(64))]
pub(super) struct Shelf(pub(super) Mutex<Option<Box<Depot>>>);

/// An allocator of slots; see the module's documentation. All zero until it is used.
pub(crate) struct Arena {
    pub(super) pages: Pages,
    pub(super) shelves: [Shelf; CLASSES],
}

impl Arena {
    /// An arena without pages.
    #[cfg(not(taskgrove_loom))]
    pub(crate) const fn new() -> Arena {
        Arena {
            pages: Pages::new(),
            shelves: [const { Shelf(Mutex::new(None)) }; CLASSES],
        }
    }

    #[cfg(taskgrove_loom)]
    pub(crate) fn new() -> Arena {
        Arena {
            pages: Pages::new(),
            shelves: std::array::from_fn(|_| Shelf(Mutex::new(None))),
        }
    }

    /// Allocates a slot of at least `bytes`, aligned to 8 and not initialised.
    ///
    /// # Panics
    ///
    /// If `bytes` is more than [`MAX_SLOT`](super::MAX_SLOT). When memory is out, the process
    /// ends by `handle_alloc_error`.
    #[inline]
    pub(crate) fn alloc(&'static self, bytes: usize) -> Slot {
        let class = Class::of(bytes).expect("no slot is that large");
        let taken = take(self, class);
        let index = SlotIndex::from_u32(taken).expect("page numbers start at 1");
        // SAFETY: rule 2: the slot has just become ours.
        let ptr = unsafe { self.address(index) };
        Slot { ptr, index }
    }

    /// Frees a slot, from any thread, also while its thread-locals are being destroyed.
    ///
    /// # Safety
    ///
    /// Rule 2. Nothing uses the slot or its index afterwards.
    #[inline]
    pub(crate) unsafe fn free(&'static self, index: SlotIndex) {
        // SAFETY: rule 2, which the caller keeps.
        let (_, class) = unsafe { self.pages.locate(index) };
        give(self, class, index.get());
    }

    /// The address of a live slot: two dependent loads, no lock.
    ///
    /// # Safety
    ///
    /// Rule 2.
    #[inline]
    pub(crate) unsafe fn address(&self, index: SlotIndex) -> NonNull<u8> {
        // SAFETY: rule 2, which the caller keeps.
        unsafe { self.pages.locate(index) }.0
    }

    /// Fetches a slot into the cache, for whoever may use it soon. The index need not be live.
    #[cfg(not(taskgrove_loom))]
    #[inline]
    pub(crate) fn prefetch(&self, index: SlotIndex) {
        self.pages.prefetch(index);
    }

    /// How many pages exist, those kept as a class's spare among them.
    #[allow(dead_code, reason = "for tests")]
    pub(crate) fn live_pages(&self) -> usize {
        self.pages.live()
    }

    /// Gives the free slots in the calling thread's magazines back to the depots.
    #[allow(dead_code, reason = "for tests")]
    pub(crate) fn flush_thread(&'static self) {
        // Without magazines there is nothing in them.
        let _ = MAGAZINES.try_with(|own| {
            if own.arena.get().is_some_and(|own| ptr::eq(own, self)) {
                own.flush();
            }
        });
    }

    /// Moves free slots from the depot into `out`; says how many, at least one.
    fn take(&self, class: Class, out: &mut [u32]) -> usize {
        #[cfg(all(unix, not(taskgrove_loom)))]
        super::fork::watch();
        let taken = self.with_depot(class, |depot| depot.take(&self.pages, out));
        taken.unwrap_or_else(|error| error.raise())
    }

    /// Moves free slots into the depot, and ends the pages that have become superfluous.
    fn give(&self, class: Class, slots: impl Iterator<Item = u32>) {
        let mut retired = Vec::new();
        let trim = self.with_depot(class, |depot| depot.give(&self.pages, slots, &mut retired));
        if !retired.is_empty() {
            self.pages.retire(&retired);
        }
        if trim {
            self.trim(class);
        }
    }

    /// Gives the system what is free inside the pages of a class.
    #[cold]
    fn trim(&self, class: Class) {
        loop {
            let found = self.with_depot(class, Depot::find_idle);
            if found.is_empty() {
                return;
            }
            for found in &found {
                // SAFETY: the depot has put the page aside, so it exists, and no slot of a unit that
                // is free is handed out until the page is taken back, below.
                unsafe { self.pages.discard(found.number, found.units) }
            }
            let mut retired = Vec::new();
            self.with_depot(class, |depot| depot.gave_up(found, &mut retired));
            if !retired.is_empty() {
                self.pages.retire(&retired);
            }
        }
    }

    pub(super) fn with_depot<R>(&self, class: Class, f: impl FnOnce(&mut Depot) -> R) -> R {
        let mut shelf = self.shelves[class.place()].0.lock();
        f(shelf.get_or_insert_with(|| Box::new(Depot::new(class))))
    }
}

#[cfg(test)]
impl Arena {
    /// How many blocks are warm.
    pub(super) fn warm_blocks(&self) -> usize {
        self.pages.warm()
    }
}

crate::sync::dropped_thread_local! {
    static MAGAZINES: Magazines = const { Magazines::new() };
}

/// Free slots of one class; the last is used next. They are kept as indices: the address costs two
/// loads from a table that is in the cache while slots are in use.
struct Magazine {
    len: Cell<usize>,
    slots: [Cell<u32>; CAPACITY],
}

impl Magazine {
    fn new() -> Magazine {
        Magazine {
            len: Cell::new(0),
            slots: [const { Cell::new(0) }; CAPACITY],
        }
    }

    #[inline(always)]
    fn pop(&self) -> Option<u32> {
        // When empty, this wraps and misses.
        let last = self.len.get().wrapping_sub(1);
        let slot = self.slots.get(last)?.get();
        self.len.set(last);
        Some(slot)
    }

    #[inline(always)]
    fn push(&self, slot: u32) -> bool {
        let len = self.len.get();
        match self.slots.get(len) {
            Some(place) => {
                place.set(slot);
                self.len.set(len + 1);
                true
            }
            None => false,
        }
    }

    /// Gives the `count` oldest slots to the depot.
    fn flush(&self, arena: &Arena, class: Class, count: usize) {
        let (old, young) = self.slots[..self.len.get()].split_at(count);
        if old.is_empty() {
            return;
        }
        arena.give(class, old.iter().map(Cell::get));
        for (to, from) in self.slots.iter().zip(young) {
            to.set(from.get());
        }
        self.len.set(young.len());
    }
}

/// The magazines of a thread.
struct Magazines {
    arena: Cell<Option<&'static Arena>>,
    /// Made when the thread first needs the class.
    classes: [OnceCell<Box<Magazine>>; CLASSES],
}

impl Magazines {
    const fn new() -> Magazines {
        Magazines {
            arena: Cell::new(None),
            classes: [const { OnceCell::new() }; CLASSES],
        }
    }

    /// The magazine for `class`, if it is there and serves this arena.
    #[inline(always)]
    fn get(&self, arena: &'static Arena, class: Class) -> Option<&Magazine> {
        match self.arena.get() {
            Some(own) if ptr::eq(own, arena) => {}
            _ => return None,
        }
        Some(self.classes[class.place()].get()?)
    }

    /// As `get`, whatever it takes.
    fn make(&self, arena: &'static Arena, class: Class) -> &Magazine {
        if !self.arena.get().is_some_and(|own| ptr::eq(own, arena)) {
            self.flush();
            self.arena.set(Some(arena));
        }
        self.classes[class.place()].get_or_init(|| Box::new(Magazine::new()))
    }

    /// Empties all of them.
    fn flush(&self) {
        let Some(arena) = self.arena.get() else {
            return;
        };
        for (class, magazine) in Class::all().zip(&self.classes) {
            if let Some(magazine) = magazine.get() {
                magazine.flush(arena, class, magazine.len.get());
            }
        }
    }
}

impl Drop for Magazines {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A free slot of `class`, from the thread's magazine if possible.
#[inline]
fn take(arena: &'static Arena, class: Class) -> u32 {
    let popped = MAGAZINES.try_with(|own| own.get(arena, class).and_then(Magazine::pop));
    match popped {
        Ok(Some(slot)) => slot,
        _ => take_slow(arena, class),
    }
}

#[cold]
#[inline(never)]
fn take_slow(arena: &'static Arena, class: Class) -> u32 {
    let filled = MAGAZINES.try_with(|own| {
        let magazine = own.make(arena, class);
        let mut batch = [0; BATCH];
        // Empty unless it served another arena until now.
        if magazine.len.get() == 0 {
            let count = arena.take(class, &mut batch);
            // Last in, first out: the lowest address of a page comes first.
            for &slot in batch[..count].iter().rev() {
                magazine.push(slot);
            }
        }
        magazine.pop()
    });
    match filled {
        Ok(Some(slot)) => slot,
        _ => {
            let mut one = [0];
            arena.take(class, &mut one);
            one[0]
        }
    }
}

/// Takes back a slot of `class`, into the thread's magazine if possible.
#[inline]
fn give(arena: &'static Arena, class: Class, slot: u32) {
    let pushed = MAGAZINES.try_with(|own| own.get(arena, class).is_some_and(|own| own.push(slot)));
    if !matches!(pushed, Ok(true)) {
        give_slow(arena, class, slot);
    }
}

#[cold]
#[inline(never)]
fn give_slow(arena: &'static Arena, class: Class, slot: u32) {
    let pushed = MAGAZINES.try_with(|own| {
        let magazine = own.make(arena, class);
        if magazine.len.get() == CAPACITY {
            magazine.flush(arena, class, BATCH);
        }
        magazine.push(slot)
    });
    if !matches!(pushed, Ok(true)) {
        arena.give(class, std::iter::once(slot));
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
