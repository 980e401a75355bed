//! The arena: a process-wide allocator of small slots that are addressed by pointer and by index.
//!
//! Every task lives in a slot. What points at tasks from outside (wakers, queues, handles) holds
//! the slot's address; the links of the tree hold its 32-bit [`SlotIndex`]. Slots never move.
//!
//! - page: 64 KiB of slots of one *class* (64 bytes, multiples of 8 up to 256, of 16 up to
//!   [`MAX_SLOT`]). The index of a slot is its page's number, which is not 0, and its place in the
//!   page; a two-level table leads from the number to the memory.
//! - depot: one per class, behind a lock: the free slots of its pages, which are handed out fullest
//!   page first and given back page by page.
//! - magazine: each thread's stock of free slots, so that an allocation is a pop and a free a push.
//!
//! A slot may be freed on any thread. It then lies in that thread's magazine: at most 256 slots a
//! class and thread are free without the depot knowing, and a page is not given back while one of
//! its slots lies so. Beyond that, an arena without live slots keeps one page for each class it has
//! ever used and 4 MiB of blocks for whatever comes next; the rest has gone back to the global
//! allocator.
//!
//! With `cfg(taskgrove_malloc)`, and under loom, each slot is an allocation of its own and no index
//! is used twice, so that sanitizers and valgrind see a use after free.
//!
//! # Rules for the unsafe code
//!
//! 1. Between its allocation and its free a slot belongs to the caller alone. The arena never reads
//!    or writes the memory of a slot, live or free: what it knows lies elsewhere.
//! 2. An index is passed to [`Arena::address`] or [`Arena::free`] only while its slot is live, in
//!    the arena it came from, and the allocation happens before the call (the index came through a
//!    lock, a channel or an acquire load). `free` comes once, and every other use of the slot and
//!    its index happens before it.
//! 3. A chunk of the page table is published once, initialised, with a release store, and is
//!    neither moved nor freed; it is only ever shared.
//! 4. The table entry of a page is written before the page's first slot is handed out, and again
//!    only after the depot has got every one of them back and has dropped its record of the page.
//!    Both are ordered with the uses between by the depot's lock and the directory's. So the entry
//!    of a live slot's page is that page's, although numbers and blocks are used again.
//! 5. The slots handed out of a page are those below its class's capacity, so they lie inside the
//!    block: capacity times size is at most what a block has from its first slot on.
//! 6. The first slot of a page is aligned to 64, so the low six bits of its address are free for
//!    the class's number; sizes are multiples of 8, so every slot is aligned to 8.
//! 7. A block has one owner, a page or the pool, and goes back to the system with the layout it
//!    came with.
//!
//! Locks: a depot's comes before the directory's; under either no caller's code runs.

#![allow(
    unsafe_code,
    reason = "the arena hands out raw memory; see the rules above"
)]

#[cfg(not(any(taskgrove_malloc, taskgrove_loom)))]
mod depot;
#[cfg(not(any(taskgrove_malloc, taskgrove_loom)))]
mod magazine;
#[cfg(not(any(taskgrove_malloc, taskgrove_loom)))]
mod page;

use std::num::NonZeroU32;
use std::ptr::NonNull;

#[cfg(not(any(taskgrove_malloc, taskgrove_loom)))]
pub(crate) use magazine::Arena;
#[cfg(any(taskgrove_malloc, taskgrove_loom))]
pub(crate) use single::Arena;
#[cfg(taskgrove_loom)]
pub(crate) use single::end_model;

/// The process's arena.
pub(crate) static ARENA: Arena = Arena::new();

/// The largest slot in bytes. Every slot is aligned to 8.
pub(crate) const MAX_SLOT: usize = 512;

/// The size in bytes of the slot that `bytes` gets; `None` if it is more than [`MAX_SLOT`].
#[cfg(test)]
pub(crate) const fn class_size(bytes: usize) -> Option<usize> {
    match Class::of(bytes) {
        Some(class) => Some(class.size()),
        None => None,
    }
}

/// A slot just allocated, uninitialised.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Its address, valid for reads and writes of the class's size until it is freed.
    pub(crate) ptr: NonNull<u8>,
    /// Its index.
    pub(crate) index: SlotIndex,
}

/// The name of a live slot in its arena. `Option<SlotIndex>` has the same size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct SlotIndex(NonZeroU32);

impl SlotIndex {
    /// The index as a number, which is not 0.
    #[inline]
    pub(crate) const fn get(self) -> u32 {
        self.0.get()
    }

    /// The index with this number; `None` for 0.
    #[inline]
    pub(crate) const fn from_u32(number: u32) -> Option<SlotIndex> {
        match NonZeroU32::new(number) {
            Some(number) => Some(SlotIndex(number)),
            None => None,
        }
    }
}

/// How many class numbers there are, with those that no class has.
#[cfg(not(any(taskgrove_malloc, taskgrove_loom)))]
const CLASSES: usize = 64;
const SMALLEST: usize = 64;

/// A size class, by number: eights of bytes above the smallest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Class(u8);

impl Class {
    /// The class for `bytes`; `None` above [`MAX_SLOT`].
    #[inline]
    const fn of(bytes: usize) -> Option<Class> {
        let size = if bytes <= SMALLEST {
            SMALLEST
        } else if bytes <= 256 {
            bytes.next_multiple_of(8)
        } else if bytes <= MAX_SLOT {
            bytes.next_multiple_of(16)
        } else {
            return None;
        };
        Some(Class(((size - SMALLEST) / 8) as u8))
    }

    /// The size of its slots in bytes.
    #[inline]
    const fn size(self) -> usize {
        SMALLEST + self.0 as usize * 8
    }
}

#[cfg(not(any(taskgrove_malloc, taskgrove_loom)))]
impl Class {
    /// Every class number, in order.
    fn all() -> impl Iterator<Item = Class> {
        (0..CLASSES as u8).map(Class)
    }

    /// The class whose number is the tag of a table entry.
    #[inline]
    const fn from_tag(tag: usize) -> Class {
        Class(tag as u8)
    }

    #[inline]
    const fn number(self) -> u8 {
        self.0
    }

    /// The number as a place in an array of [`CLASSES`].
    #[inline]
    const fn place(self) -> usize {
        self.0 as usize % CLASSES
    }

    /// How many slots a page of this class has.
    const fn capacity(self) -> u32 {
        (page::SLOT_BYTES / self.size()) as u32
    }
}

/// Each slot an allocation, for tools that watch allocations.
#[cfg(any(taskgrove_malloc, taskgrove_loom))]
mod single {
    use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
    use std::collections::BTreeMap;

    // Not `crate::sync`'s: like malloc's own lock this one is no part of what loom explores, and a
    // static needs it to be made by a `const fn`.
    use parking_lot::Mutex;

    use super::{Class, NonNull, Slot, SlotIndex};

    /// A slot's memory and layout.
    struct Allocation(NonNull<u8>, Layout);

    #[cfg(taskgrove_loom)]
    std::thread_local! {
        /// Freed slots of the model that runs on this thread: their memory stays as it is, so that
        /// a use after free is seen and not undefined.
        static FREED: std::cell::RefCell<Vec<Allocation>> = const { std::cell::RefCell::new(Vec::new()) };
        /// Its slots that are live.
        static LIVE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    #[cfg(taskgrove_loom)]
    impl Drop for Allocation {
        fn drop(&mut self) {
            // SAFETY: it was allocated with this layout; nothing of the model is left.
            unsafe { dealloc(self.0.as_ptr(), self.1) }
        }
    }

    /// Ends a model on the calling thread: gives the memory of its freed slots back, and says how
    /// many are live.
    #[cfg(taskgrove_loom)]
    pub(crate) fn end_model() -> usize {
        drop(FREED.take());
        LIVE.take()
    }

    // SAFETY: rule 1: an address and a size; the table that holds them never reads the memory.
    unsafe impl Send for Allocation {}

    struct Table {
        live: BTreeMap<u32, Allocation>,
        last: u32,
    }

    /// An allocator of slots with the interface of the one in pages.
    pub(crate) struct Arena(Mutex<Table>);

    impl Arena {
        /// An arena without slots.
        pub(crate) const fn new() -> Arena {
            Arena(Mutex::new(Table {
                live: BTreeMap::new(),
                last: 0,
            }))
        }

        /// Allocates a slot of at least `bytes`, aligned to 8 and not initialised. Panics above
        /// [`MAX_SLOT`](super::MAX_SLOT).
        pub(crate) fn alloc(&'static self, bytes: usize) -> Slot {
            let class = Class::of(bytes).expect("no slot is that large");
            let layout = Layout::from_size_align(class.size(), 8).expect("a small layout");
            // SAFETY: no class's size is zero.
            let Some(ptr) = NonNull::new(unsafe { alloc(layout) }) else {
                handle_alloc_error(layout)
            };
            let mut table = self.0.lock();
            let index = loop {
                table.last = table.last.wrapping_add(1);
                match SlotIndex::from_u32(table.last) {
                    Some(index) if !table.live.contains_key(&index.get()) => break index,
                    _ => {}
                }
            };
            table.live.insert(index.get(), Allocation(ptr, layout));
            #[cfg(taskgrove_loom)]
            LIVE.set(LIVE.get() + 1);
            Slot { ptr, index }
        }

        /// Frees a slot, from any thread. Panics if the index is not live.
        ///
        /// # Safety
        ///
        /// Rule 2. Nothing uses the slot or its index afterwards.
        pub(crate) unsafe fn free(&'static self, index: SlotIndex) {
            let removed = self.0.lock().live.remove(&index.get());
            let allocation = removed.expect("a slot is freed once");
            #[cfg(taskgrove_loom)]
            {
                LIVE.set(LIVE.get() - 1);
                FREED.with_borrow_mut(|freed| freed.push(allocation));
            }
            // SAFETY: it was allocated with this layout, and is freed once: it was in the table.
            #[cfg(not(taskgrove_loom))]
            unsafe {
                dealloc(allocation.0.as_ptr(), allocation.1);
            }
        }

        /// The address of a live slot. Panics if the index is not live.
        ///
        /// # Safety
        ///
        /// Rule 2.
        pub(crate) unsafe fn address(&self, index: SlotIndex) -> NonNull<u8> {
            let table = self.0.lock();
            table.live.get(&index.get()).expect("the slot is live").0
        }

        /// How many slots are live: each is its own page.
        #[allow(dead_code, reason = "for tests")]
        pub(crate) fn live_pages(&self) -> usize {
            self.0.lock().live.len()
        }

        /// Does nothing: there are no magazines.
        #[allow(dead_code, reason = "for tests")]
        pub(crate) fn flush_thread(&'static self) {}
    }
}

#[cfg(all(test, not(taskgrove_loom)))]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc;

    use super::*;

    /// A live slot, filled with its own index.
    struct Filled(SlotIndex, usize);

    impl Filled {
        fn new(arena: &'static Arena, bytes: usize) -> Filled {
            let Slot { ptr, index } = arena.alloc(bytes);
            assert!(ptr.addr().get().is_multiple_of(8));
            // SAFETY: rule 1: the slot is ours, aligned to 8 and at least as large as this.
            unsafe { Self::words(ptr, bytes).fill(index.get()) };
            Filled(index, bytes)
        }

        /// Frees it on this thread, after a look at whether it is as it was filled.
        fn free(self, arena: &'static Arena) {
            // SAFETY: rules 1 and 2: the slot is live until the call of `free`, and ours.
            unsafe {
                let words = Self::words(arena.address(self.0), self.1);
                assert!(words.iter().all(|&word| word == self.0.get()));
                words.fill(u32::MAX);
                arena.free(self.0);
            }
        }

        /// # Safety
        ///
        /// The slot is live, belongs to the caller and has at least `bytes`.
        unsafe fn words<'a>(ptr: NonNull<u8>, bytes: usize) -> &'a mut [u32] {
            // SAFETY: as the caller says; the slot is aligned to 8.
            unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr().cast(), bytes / 4) }
        }
    }

    #[test]
    fn classes_go_up_in_eights_and_then_sixteens() {
        let sizes = [0, 1, 64, 65, 72, 255, 256, 257, 272, 497, 512];
        let given = sizes.map(|bytes| class_size(bytes).unwrap());
        assert_eq!(given, [64, 64, 64, 72, 72, 256, 256, 272, 272, 512, 512]);
        assert_eq!(class_size(MAX_SLOT + 1), None);
        assert_eq!(size_of::<Option<SlotIndex>>(), 4);
        assert_eq!(SlotIndex::from_u32(0), None);
    }

    #[test]
    #[should_panic(expected = "no slot is that large")]
    fn a_slot_that_is_too_large_is_refused() {
        ARENA.alloc(MAX_SLOT + 1);
    }

    #[test]
    fn live_slots_do_not_overlap_and_are_found_by_index() {
        static ARENA: Arena = Arena::new();
        let threads: Vec<_> = (0..4)
            .map(|seed| {
                std::thread::spawn(move || {
                    (0..5_000)
                        .map(|n| Filled::new(&ARENA, (n * 37 + seed * 101) % MAX_SLOT + 1))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let slots: Vec<Filled> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        let indices: HashSet<u32> = slots.iter().map(|slot| slot.0.get()).collect();
        assert_eq!(indices.len(), slots.len());
        let mut ranges: Vec<_> = slots
            .iter()
            .map(|slot| {
                // SAFETY: rule 2: every slot is live.
                let start = unsafe { ARENA.address(slot.0) }.addr().get();
                (start, start + class_size(slot.1).unwrap())
            })
            .collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        // The threads that took them have ended; all are foreign here.
        slots.into_iter().for_each(|slot| slot.free(&ARENA));
    }

    #[test]
    fn memory_returns_after_a_peak() {
        static ARENA: Arena = Arena::new();
        let (send, receive) = mpsc::channel::<Vec<Filled>>();
        let consumer = std::thread::spawn(move || {
            for slot in receive.into_iter().flatten() {
                slot.free(&ARENA);
            }
        });
        let slots: Vec<Filled> = (0..100_000).map(|_| Filled::new(&ARENA, 128)).collect();
        let peak = ARENA.live_pages();
        assert!(peak >= 100_000 / 512);
        // Half of them, every second, elsewhere; the other half here.
        let (even, odd): (Vec<_>, Vec<_>) = slots.into_iter().partition(|s| s.0.get() % 2 == 0);
        send.send(even).unwrap();
        odd.into_iter().for_each(|slot| slot.free(&ARENA));
        drop(send);
        consumer.join().unwrap();
        ARENA.flush_thread();
        assert!(ARENA.live_pages() <= 1, "{} pages", ARENA.live_pages());
        #[cfg(not(taskgrove_malloc))]
        assert_eq!(ARENA.pooled_blocks(), page::POOLED_BLOCKS);
    }

    #[test]
    fn threads_that_pass_slots_around_lose_none() {
        const THREADS: usize = 4;
        const ROUNDS: usize = 20_000;
        static ARENA: Arena = Arena::new();
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..THREADS).map(|_| mpsc::channel::<Filled>()).unzip();
        let threads: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .map(|(me, own)| {
                let senders = senders.clone();
                std::thread::spawn(move || {
                    let mut seed = me as u64 + 1;
                    let mut held = Vec::new();
                    for _ in 0..ROUNDS {
                        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                        let random = (seed >> 33) as usize;
                        let slot = Filled::new(&ARENA, random % 200 + 1);
                        match random % 3 {
                            0 => senders[random / 3 % THREADS].send(slot).unwrap(),
                            1 => held.push(slot),
                            _ => slot.free(&ARENA),
                        }
                        own.try_iter().for_each(|slot| slot.free(&ARENA));
                        if held.len() > 500 {
                            held.drain(..).for_each(|slot| slot.free(&ARENA));
                        }
                    }
                    drop(senders);
                    held.into_iter().chain(own).for_each(|s| s.free(&ARENA));
                })
            })
            .collect();
        drop(senders);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        #[cfg(not(taskgrove_malloc))]
        for class in Class::all() {
            assert_eq!(ARENA.with_depot(class, |depot| depot.slots_out()), 0);
        }
        #[cfg(taskgrove_malloc)]
        assert_eq!(ARENA.live_pages(), 0);
    }
}
