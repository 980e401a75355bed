//! Does what follows from a step, upward in the tree, in a loop.

use super::close::close;
use super::finish::{finish, is_quiet};
use crate::task::Job;
use crate::task::raw::{Next, hand_over};

/// The number of tasks that are ended one after another before other work runs.
const UPWARD: usize = if cfg!(taskgrove_loom) {
    3
} else if cfg!(taskgrove_short_steps) {
    1
} else {
    1000
};

/// Does what a step has asked for, and what follows from that, up the tree. After [`UPWARD`] tasks it leaves
/// the rest to a job. This may run user code, so the caller holds nothing that tasks other than the ancestors wait for.
pub(crate) fn settle(mut next: Next) {
    for _ in 0..UPWARD {
        next = match next {
            Next::Nothing => return,
            Next::Submit(task) => return task.submit(),
            Next::Close(task) => close(task),
            Next::Finish(task) => finish(task),
        };
    }
    offer(next);
}

/// As [`settle`], for a thread that has something in hand: what may run user code is left to a job.
#[inline]
pub(crate) fn settle_quietly(next: Next) {
    if !matches!(next, Next::Nothing) {
        settle_something_quietly(next);
    }
}

#[inline(never)]
fn settle_something_quietly(mut next: Next) {
    for _ in 0..UPWARD {
        next = match next {
            Next::Finish(task) if is_quiet(&task) => finish(task),
            _ => break,
        };
    }
    offer(next);
}

/// Queues what a step has asked for.
fn offer(next: Next) {
    match next {
        Next::Nothing => {}
        Next::Submit(task) => task.submit(),
        Next::Close(task) => hand_over(task, |shared, task| {
            shared.schedule().offer(Job::Close(task));
        }),
        Next::Finish(task) => hand_over(task, |shared, task| {
            shared.schedule().offer(Job::Finish(task));
        }),
    }
}
