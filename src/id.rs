//! [`TaskId`]: the number that identifies a task in logs and snapshots.
//!
//! The room guards that an id is compact and never 0. It does not hand ids out: a runtime does.

use std::fmt;
use std::num::NonZeroU64;

/// Identifies a task within its runtime.
///
/// A runtime never uses an id twice, so an id in a log still identifies the same task after that task
/// has ended. Ids do not tell which task is older: workers draw them in blocks, so the older of two
/// tasks may have the larger id. They are ordered so that they can be keys of a sorted map.
///
/// # Examples
///
/// ```
/// # fn show(id: taskgrove::TaskId) {
/// println!("{id}"); // #17
/// println!("{id:?}"); // TaskId(17)
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TaskId(NonZeroU64);

impl TaskId {
    /// Makes the id with this number.
    pub(crate) const fn from_raw(raw: NonZeroU64) -> TaskId {
        TaskId(raw)
    }

    /// Returns the number of this id.
    pub(crate) fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(raw: u64) -> TaskId {
        TaskId::from_raw(NonZeroU64::new(raw).expect("ids are not zero"))
    }

    #[test]
    fn is_short_in_logs() {
        assert_eq!(format!("{}", id(17)), "#17");
        assert_eq!(format!("{:?}", id(17)), "TaskId(17)");
    }

    #[test]
    fn keeps_its_number() {
        assert_eq!(id(u64::MAX).get(), u64::MAX);
        assert!(id(2) < id(10));
    }

    #[test]
    fn optional_ids_cost_nothing_extra() {
        assert_eq!(size_of::<Option<TaskId>>(), size_of::<u64>());
    }
}
