//! [`Moment`]: the order in which failures happen.

use crate::sync::process::{AtomicU64, Ordering};
use std::num::NonZeroU64;

/// Counts the moments that were drawn. One counter serves the whole process, because a task may pass
/// on the error of a service of another runtime.
///
/// Every thread that records a failure, or might have to, writes it, and each access is the
/// read-modify-write in [`Moment::next`]. They are `AcqRel` and pair with each other: the thread that
/// draws the later of two moments sees everything that the other thread did before its draw.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The time of a failure, in the order of all failures of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Moment(NonZeroU64);

impl Moment {
    /// Draws a moment for a failure that happens now, or for an event that may turn out to be a
    /// failure later.
    pub(crate) fn next() -> Moment {
        let before = COUNT.fetch_add(1, Ordering::AcqRel);
        Moment(NonZeroU64::MIN.saturating_add(before))
    }
}
