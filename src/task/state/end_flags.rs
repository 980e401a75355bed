//! [`EndFlags`]: the flags of the state word that a finisher needs.

use super::{JOIN_INTEREST, JOIN_WAKER, WAITERS, Word};

/// The flags for a task's end as they were just before it was made done: three bits.
#[derive(Clone, Copy)]
pub(crate) struct EndFlags(u8);

impl EndFlags {
    const SHIFT: u32 = JOIN_INTEREST.trailing_zeros();

    /// The flags as a number below 8.
    #[inline]
    pub(crate) fn bits(self) -> usize {
        self.0.into()
    }

    /// Restores the flags from the low three bits of a number.
    #[inline]
    pub(crate) fn from_bits(bits: usize) -> EndFlags {
        EndFlags(bits as u8 & 7)
    }

    fn has(self, flag: u64) -> bool {
        u64::from(self.0) << Self::SHIFT & flag != 0
    }

    /// Whether a handle existed, which owns the output.
    #[inline]
    pub(crate) fn has_join_interest(self) -> bool {
        self.has(JOIN_INTEREST)
    }

    /// Whether the join waker was set.
    #[inline]
    pub(crate) fn has_join_waker(self) -> bool {
        self.has(JOIN_WAKER)
    }

    /// Whether the wait list was in use.
    #[inline]
    pub(crate) fn has_waiters(self) -> bool {
        self.has(WAITERS)
    }
}

const _: () = assert!(JOIN_WAKER == JOIN_INTEREST << 1 && WAITERS == JOIN_INTEREST << 2);

impl Word {
    /// The flags for the task's end.
    #[inline]
    pub(crate) fn end_flags(self) -> EndFlags {
        EndFlags::from_bits((self.0 >> EndFlags::SHIFT) as usize)
    }
}
