//! Whether what is scheduled in a service that is being cancelled still runs.

use super::{grace, requested};
use crate::protect::child;
use crate::task::raw::Parent;
use crate::task::record::Record;
use crate::task::{Live, current, kind};

/// Whether a child that the calling code schedules under `parent` runs, although the service with this record
/// is being cancelled: the calling code is inside protection, or below what was spawned inside protection, or
/// its grace period runs, and the child does not opt out of it (`opts_out`); unless a kill is under way. The
/// parent's state word has the last word.
#[cold]
pub(crate) fn runs(parent: Parent<'_>, record: &Record, opts_out: bool) -> bool {
    may_run(parent, record, opts_out)
        && current::with(|task| task.is_some_and(|task| !requested::is_killed(task)))
}

fn may_run(parent: Parent<'_>, record: &Record, opts_out: bool) -> bool {
    child::cover_of(parent.task()).is_some()
        || current::with(|task| {
            task.is_some_and(|task| {
                if task.borrowed() == parent.task() {
                    !opts_out && grace::runs(task, task.word()) || is_covered(task, record)
                } else {
                    !opts_out && task.word().in_grace() && parent.task().word().in_grace()
                }
            })
        })
}

/// Whether a child that the calling code schedules under `parent` is refused, because that is being cancelled
/// or is done, whether or not there is room. `opts_out`: the child has a grace period of zero.
pub(crate) fn is_refused(parent: Parent<'_>, opts_out: bool) -> bool {
    let word = parent.task().word();
    let closing = word.is_closing() && (opts_out || !word.in_grace());
    word.is_done() || closing && (word.is_killed() || child::cover_of(parent.task()).is_none())
}

/// Whether the task is below the task of the service with this record, and a protection in between keeps the
/// cancellation of that service away from it.
fn is_covered(task: Live<'_>, record: &Record) -> bool {
    if !task.is(kind::COVERED) {
        return false;
    }
    let open = (task.upward()).take_while(|task| !task.word().is_closing());
    for task in open {
        if task.is(kind::SERVICE) && task.is_of(record) {
            return false;
        }
        if task.is_covered() {
            return true;
        }
    }
    false
}
