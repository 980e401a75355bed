//! An arena of pages for loom's models, of its own for each run: eight slots a page, magazines of
//! four, batches of two.

#![allow(missing_docs, missing_debug_implementations)]

use super::Arena;
use super::class::{Class, MAX_SLOT};
use super::slot::SlotIndex;

/// An arena. It lives until [`Slots::end`].
#[derive(Clone, Copy)]
pub struct Slots(&'static Arena);

/// One live slot.
#[derive(Debug)]
pub struct Held(SlotIndex);

impl Held {
    /// Its number, as long as it is live.
    pub fn number(&self) -> u32 {
        self.0.get()
    }
}

impl Slots {
    /// How many slots a page has.
    pub const PAGE: usize = 8;

    #[allow(clippy::new_without_default, reason = "it has to be ended")]
    pub fn new() -> Slots {
        Slots(Box::leak(Box::new(Arena::new())))
    }

    /// Allocates a slot.
    pub fn alloc(&self) -> Held {
        let slot = self.0.alloc(MAX_SLOT);
        // SAFETY: the slot is ours: it may be written, and found by its index.
        unsafe {
            slot.ptr.write_bytes(0xA5, MAX_SLOT);
            assert_eq!(self.0.address(slot.index), slot.ptr);
        }
        Held(slot.index)
    }

    /// Frees it.
    pub fn free(&self, held: Held) {
        // SAFETY: it is live, and this was its only name.
        unsafe { self.0.free(held.0) }
    }

    /// Empties the calling thread's magazines.
    pub fn flush(&self) {
        self.0.flush_thread();
    }

    pub fn pages(&self) -> usize {
        self.0.live_pages()
    }

    /// Checks the arena, and ends it. No other thread uses it any more, and all slots are in the
    /// depot.
    pub fn end(self) {
        let class = Class::of(MAX_SLOT).expect("the largest class");
        assert_eq!(self.0.audit_class(class, true), 0, "slots are left");
        // SAFETY: it was leaked in `new`, and nobody else uses it.
        drop(unsafe { Box::from_raw((&raw const *self.0).cast_mut()) });
    }
}
