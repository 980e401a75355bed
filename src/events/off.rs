//! No events.

use crate::error::TaskFailure;
use crate::id::TaskId;
use crate::snapshot::stall::Stall;

/// Whether a subscriber may want to know.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    false
}

pub(crate) fn cancelled(_path: &str, _id: TaskId, _kill: bool, _cause: Option<&str>) {}

#[inline(always)]
pub(crate) fn failed(_failure: &TaskFailure) {}

#[inline(always)]
pub(crate) fn restarted(_supervisor: &str, _child: &str, _restarts: u64) {}

#[inline(always)]
pub(crate) fn stalled(_stall: &Stall) {}
