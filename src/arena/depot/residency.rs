//! [`Residency`]: decides when a depot is trimmed.

use crate::arena::class::Class;

/// How far the memory of free slots, in bytes, has to rise before a depot is trimmed.
const STEP: usize = if cfg!(taskgrove_loom) {
    3 * 512
} else {
    4 * 1024 * 1024
};

/// How many of a depot's free slots may be resident.
#[derive(Debug)]
pub(super) struct Residency {
    /// Free slots whose memory may be resident.
    resident: usize,
    /// The lowest `resident` since the last trim.
    low: usize,
    /// Whether a thread is trimming the depot.
    trimming: bool,
}

impl Residency {
    pub(super) const NEW: Residency = Residency {
        resident: 0,
        low: 0,
        trimming: false,
    };

    /// Records that a page, which had `before` resident free slots, has `now`.
    pub(super) fn change(&mut self, before: u32, now: u32) {
        self.resident = self.resident + now as usize - before as usize;
        self.low = self.low.min(self.resident);
    }

    /// Records one more resident free slot.
    pub(super) fn rise(&mut self) {
        self.resident += 1;
    }

    /// Returns whether it is time to trim the depot, which has this many `slots`. The caller then
    /// does so.
    pub(super) fn begin_trim(&mut self, class: Class, slots: usize) -> bool {
        let step = (STEP / class.size()).max(slots / 16);
        if self.trimming || self.resident < self.low + step {
            return false;
        }
        self.trimming = true;
        true
    }

    /// Records that the trim is over.
    pub(super) fn end_trim(&mut self) {
        self.trimming = false;
        self.low = self.resident;
    }

    /// Panics unless this many free slots may be resident.
    pub(super) fn check(&self, class: Class, resident: usize) {
        assert_eq!(resident, self.resident, "{class:?}: resident slots");
        assert!(self.low <= self.resident);
    }
}
