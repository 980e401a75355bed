//! Magazines: each thread's own free slots, one stack for each class.
//!
//! Allocating pops four bytes and freeing pushes four bytes. An empty magazine is filled with
//! [`BATCH`] slots from the depot. A full one gives the [`BATCH`] slots back that have lain
//! longest, so that the slots that are used next are still in the cache. A thread that only
//! allocates or only frees takes a depot's lock at most once in 64 times.
//!
//! The magazines of a thread serve one arena, the one that the thread used last; the use of another
//! one flushes them. They are also flushed when the thread ends. Slots that the destructors of
//! other thread-locals free after that go to the depot one by one.

use super::class::{CLASSES, Class};
use super::depot::Depots;
use std::cell::{Cell, OnceCell};
use std::ptr;

/// The number of slots that move between a magazine and a depot at a time.
const BATCH: usize = if cfg!(taskgrove_loom) { 2 } else { 128 };
/// The number of slots that fit into a magazine.
const CAPACITY: usize = 2 * BATCH;

crate::sync::dropped_thread_local! {
    static MAGAZINES: Magazines = const { Magazines::new() };
}

/// Free slots of one class, by index; the last one is used next.
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
        // The length of an empty magazine wraps around, and `get` finds nothing there.
        let last = self.len.get().wrapping_sub(1);
        let slot = self.slots.get(last)?.get();
        self.len.set(last);
        Some(slot)
    }

    #[inline(always)]
    fn push(&self, slot: u32) -> bool {
        let len = self.len.get();
        match self.slots.get(len) {
            Some(cell) => {
                cell.set(slot);
                self.len.set(len + 1);
                true
            }
            None => false,
        }
    }

    /// Gives the `count` oldest slots to the depot.
    fn flush(&self, depots: &Depots, class: Class, count: usize) {
        let (old, young) = self.slots[..self.len.get()].split_at(count);
        if old.is_empty() {
            return;
        }
        depots.give(class, old.iter().map(Cell::get));
        for (to, from) in self.slots.iter().zip(young) {
            to.set(from.get());
        }
        self.len.set(young.len());
    }
}

/// The magazines of a thread.
struct Magazines {
    /// The depots of the arena that the magazines serve.
    depots: Cell<Option<&'static Depots>>,
    /// Each is created when the thread first uses the class.
    classes: [OnceCell<Box<Magazine>>; CLASSES],
}

impl Magazines {
    const fn new() -> Magazines {
        Magazines {
            depots: Cell::new(None),
            classes: [const { OnceCell::new() }; CLASSES],
        }
    }

    /// Whether the magazines serve this arena.
    #[inline(always)]
    fn serve(&self, depots: &'static Depots) -> bool {
        self.depots.get().is_some_and(|own| ptr::eq(own, depots))
    }

    /// The magazine for `class`, if it exists and serves this arena.
    #[inline(always)]
    fn get(&self, depots: &'static Depots, class: Class) -> Option<&Magazine> {
        if !self.serve(depots) {
            return None;
        }
        Some(self.classes[class.index()].get()?)
    }

    /// The magazine for `class`. Creates it if necessary, and makes all magazines serve this arena.
    fn get_or_create(&self, depots: &'static Depots, class: Class) -> &Magazine {
        if !self.serve(depots) {
            self.flush();
            self.depots.set(Some(depots));
        }
        self.classes[class.index()].get_or_init(|| Box::new(Magazine::new()))
    }

    /// Empties all of them.
    fn flush(&self) {
        let Some(depots) = self.depots.get() else {
            return;
        };
        for (class, magazine) in Class::all().zip(&self.classes) {
            if let Some(magazine) = magazine.get() {
                magazine.flush(depots, class, magazine.len.get());
            }
        }
    }
}

impl Drop for Magazines {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Takes a free slot from the calling thread's magazine. If that has none, the caller calls
/// [`refill`].
#[inline]
pub(super) fn pop(depots: &'static Depots, class: Class) -> Option<u32> {
    let popped = MAGAZINES.try_with(|own| own.get(depots, class).and_then(Magazine::pop));
    popped.ok().flatten()
}

/// Fills the calling thread's magazine from the depot, and takes a free slot.
pub(super) fn refill(depots: &'static Depots, class: Class) -> u32 {
    let filled = MAGAZINES.try_with(|own| {
        let magazine = own.get_or_create(depots, class);
        let mut batch = [0; BATCH];
        // It has slots if it served another arena until now and was created for this class before.
        if magazine.len.get() == 0 {
            let count = depots.take(class, &mut batch);
            // The last one in is the first one out, so the lowest address of a page is used first.
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
            depots.take(class, &mut one);
            one[0]
        }
    }
}

/// Takes a slot back, into the calling thread's magazine if possible.
#[inline]
pub(super) fn give(depots: &'static Depots, class: Class, slot: u32) {
    let pushed = MAGAZINES.try_with(|own| own.get(depots, class).is_some_and(|own| own.push(slot)));
    if !matches!(pushed, Ok(true)) {
        give_slow(depots, class, slot);
    }
}

#[cold]
#[inline(never)]
fn give_slow(depots: &'static Depots, class: Class, slot: u32) {
    let pushed = MAGAZINES.try_with(|own| {
        let magazine = own.get_or_create(depots, class);
        if magazine.len.get() == CAPACITY {
            magazine.flush(depots, class, BATCH);
        }
        magazine.push(slot)
    });
    if !matches!(pushed, Ok(true)) {
        depots.give(class, std::iter::once(slot));
    }
}

/// Gives the slots in the calling thread's magazines back to the depots of this arena.
pub(super) fn flush(depots: &'static Depots) {
    // A thread whose magazines are gone has no slots in them.
    let _ = MAGAZINES.try_with(|own| {
        if own.serve(depots) {
            own.flush();
        }
    });
}

/// The slots of a class in the calling thread's magazine.
pub(super) fn contents(depots: &'static Depots, class: Class) -> Vec<u32> {
    let contents = MAGAZINES.try_with(|own| match own.get(depots, class) {
        Some(magazine) => magazine.slots[..magazine.len.get()]
            .iter()
            .map(Cell::get)
            .collect(),
        None => Vec::new(),
    });
    contents.unwrap_or_default()
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
