//! What follows from a step, up the tree, in a loop.

use super::close::close;
use super::finish::{finish, is_quiet};
use crate::task::Job;
use crate::task::raw::{Next, hand_over};

/// Tasks that are ended upward, one after another, before other work goes first.
const UPWARD: usize = if cfg!(taskgrove_loom) { 3 } else { 1000 };

/// Does what a step has asked for, and what follows from that, up the tree. After [`UPWARD`] tasks
/// other work goes first.
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
pub(crate) fn settle_quietly(mut next: Next) {
    for _ in 0..UPWARD {
        next = match next {
            Next::Finish(task) if is_quiet(&task) => finish(task),
            _ => break,
        };
    }
    offer(next);
}

/// Leaves to a job what a step has asked for.
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
