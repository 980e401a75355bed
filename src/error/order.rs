//! The order in which failures happen.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many moments there were. One count for the whole process, because a task may pass on the
/// error of a service of another runtime. Not from `crate::sync`: no model is about it. Who draws the
/// later of two moments sees what the other one did before.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// When a failure happened, in the order of all failures of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Moment(NonZeroU64);

impl Moment {
    /// The moment of a failure that happens now, or of what may turn out to be one later.
    pub(crate) fn next() -> Moment {
        let before = COUNT.fetch_add(1, Ordering::AcqRel);
        Moment(NonZeroU64::MIN.saturating_add(before))
    }
}
