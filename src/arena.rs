//! The arena: a process-wide allocator of small slots that are addressed by pointer and by index.
//!
//! Every task lives in a slot, and so does the record of every service. What points at tasks from outside (wakers, queues, handles) holds
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
//! ever used and at most 5 MiB of blocks for whatever comes next; the rest has gone back. The memory is
//! the global allocator's; what is free in it for long, also beside live slots, is not resident (see
//! `blocks`, `depot::trim` and `system`).
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
//!    block: capacity times size is at most a block's size.
//! 6. The first slot of a page is aligned to 64, so the low six bits of its address are free for
//!    the class's number; sizes are multiples of 8, so every slot is aligned to 8.
//! 7. A block has one owner, a page or `Blocks`; a region goes back with the layout it came with, and
//!    only when all of its blocks are in the hands of the one who gives it back.
//! 8. Memory is given up only while no slot in it is live or can be handed out: that of a block by who
//!    owns the block, units of a page while the depot has the page aside.
//!
//! Locks: a depot's comes before the directory's; under either no caller's code runs. A thread that
//! forks holds all of them meanwhile, the depots' in the order of their classes (`fork.rs`).

#![allow(
    unsafe_code,
    reason = "the arena hands out raw memory; see the rules above"
)]

#[cfg(all(debug_assertions, not(taskgrove_loom)))]
pub mod audit;
#[cfg(not(taskgrove_malloc))]
mod blocks;
mod counted;
#[cfg(not(taskgrove_malloc))]
mod depot;
#[cfg(all(unix, not(any(taskgrove_malloc, taskgrove_loom))))]
mod fork;
#[cfg(not(taskgrove_malloc))]
mod magazine;
#[cfg(taskgrove_loom)]
pub(crate) mod model;
#[cfg(not(taskgrove_malloc))]
mod page;
mod system;

pub(crate) use counted::Counted;
use std::num::NonZeroU32;
use std::ptr::NonNull;
pub(crate) use system::give_up;

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
#[cfg(not(taskgrove_malloc))]
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

#[cfg(not(taskgrove_malloc))]
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
        (page::PAGE_BYTES / self.size()) as u32
    }
}

/// Fetches what a walk looks at in a slot into the cache: the lines its first 104 bytes are in.
#[inline(always)]
pub(crate) fn prefetch(slot: *const u8) {
    #[cfg(target_arch = "x86_64")]
    for offset in [0, 64, 103] {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which may be given for any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(slot.wrapping_add(offset).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slot;
}

#[cfg(any(taskgrove_malloc, taskgrove_loom))]
mod single;

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
