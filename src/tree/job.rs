//! Running a job: what a worker does that is not a task's poll.

use super::cancel::Cancel;
use super::settle::settle;
use crate::task::raw::Next;
use crate::task::{Job, Walk};

/// Runs a job. Returns a walk that is not at its end, for the caller to queue.
pub(crate) fn run(job: Job) -> Option<Job> {
    let rest = match job {
        Job::Close(task) => {
            settle(Next::Close(task));
            None
        }
        Job::Finish(task) => {
            settle(Next::Finish(task));
            None
        }
        Job::Cancel(cancellation) => Box::new(Cancel::new(*cancellation)).step(),
        Job::Walk(walk) => walk.step(),
    };
    rest.map(Job::Walk)
}
