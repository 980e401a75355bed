//! What a caller of the arena receives: a slot's address and its index.

use std::num::NonZeroU32;
use std::ptr::NonNull;

/// A slot that has just been allocated. Its memory is not initialised.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The address, valid for reads and writes of the class's size until the slot is freed.
    pub(crate) ptr: NonNull<u8>,
    /// The index.
    pub(crate) index: SlotIndex,
}

/// Identifies a live slot within its arena. `Option<SlotIndex>` has the same size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct SlotIndex(NonZeroU32);

impl SlotIndex {
    /// The index as a number, which is not 0.
    #[inline]
    pub(crate) const fn get(self) -> u32 {
        self.0.get()
    }

    /// The index with this number, or `None` for 0.
    #[inline]
    pub(crate) const fn from_u32(number: u32) -> Option<SlotIndex> {
        match NonZeroU32::new(number) {
            Some(number) => Some(SlotIndex(number)),
            None => None,
        }
    }
}

/// Prefetches the cache lines of a slot's first 104 bytes, which is what a walk over tasks reads.
#[inline(always)]
pub(crate) fn prefetch(slot: *const u8) {
    #[cfg(target_arch = "x86_64")]
    for offset in [0, 64, 103] {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint and may be given for any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(slot.wrapping_add(offset).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slot;
}
