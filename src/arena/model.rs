//! An arena of pages for loom's models. Each run of a model has its own, with eight slots in a
//! page, magazines of four and batches of two.

#![allow(missing_docs, missing_debug_implementations)]

use super::Arena;
use super::class::{Class, MAX_SLOT};
use super::slot::SlotIndex;

/// An arena. It lives until [`Slots::end`].
#[derive(Clone, Copy)]
pub struct Slots(&'static Arena);

/// A live slot, owned.
#[derive(Debug)]
pub struct LiveSlot(SlotIndex);

impl LiveSlot {
    /// The slot's index. It identifies the slot while the slot is live.
    pub fn number(&self) -> u32 {
        self.0.get()
    }
}

impl Slots {
    /// The number of slots in a page.
    pub const PAGE: usize = 8;

    #[allow(clippy::new_without_default, reason = "it has to be ended")]
    pub fn new() -> Slots {
        Slots(Box::leak(Box::new(Arena::new())))
    }

    /// Allocates a slot.
    pub fn alloc(&self) -> LiveSlot {
        let slot = self.0.alloc(MAX_SLOT);
        // SAFETY: rule 2: the slot was allocated just now, so it may be written and located.
        unsafe {
            slot.ptr.write_bytes(0xA5, MAX_SLOT);
            assert_eq!(self.0.address(slot.index), slot.ptr);
        }
        LiveSlot(slot.index)
    }

    /// Frees a slot.
    pub fn free(&self, held: LiveSlot) {
        // SAFETY: rule 2: the slot is live, and `held` was its only owner.
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
        // SAFETY: `new` leaked the arena, and no other thread uses it any more.
        drop(unsafe { Box::from_raw((&raw const *self.0).cast_mut()) });
    }
}
