//! What is left to a job: where no code of the user's may run, or with something in hand.

use super::finish::{UPWARD, ends_quietly, release, settle, take_off};
use crate::task::state::{Action, Snapshot};
use crate::task::{Job, Node};

/// As [`settle`], for a thread that has something in hand: what runs code of the user's is left to a
/// job.
pub(crate) fn settle_later(mut node: Node, mut before: Snapshot, mut action: Action) {
    for _ in 0..UPWARD {
        if action != Action::Finish || !ends_quietly(node, before) {
            break;
        }
        match take_off(node, before) {
            Some(above) => (node, before, action) = above,
            None => return,
        }
    }
    later(node, before, action);
}

/// Leaves to a job what a transition of `node` asked for.
pub(super) fn later(node: Node, before: Snapshot, action: Action) {
    match action {
        Action::Nothing => {}
        Action::Submit => node.submit(),
        Action::Close => node.with_shared(|shared| shared.schedule().offer(Job::Close(node))),
        Action::Finish => {
            node.with_shared(|shared| shared.schedule().offer(Job::Finish(node, before)))
        }
    }
}

/// Takes one hold off on a thread, or at a place, where no user code may run: what follows is left
/// to the workers.
pub(crate) fn release_later(node: Node) {
    // After the release nothing keeps the task, or its runtime, alive.
    node.with_shared(|shared| {
        let (before, action) = release(node, 1);
        match action {
            Action::Nothing => {}
            Action::Submit => shared.schedule().push(node),
            Action::Close => shared.schedule().job(Job::Close(node)),
            Action::Finish => shared.schedule().job(Job::Finish(node, before)),
        }
    });
}

/// Runs a worker's job; a walk that is not at its end comes back.
pub(crate) fn run_job(job: Job) -> Option<Job> {
    match job {
        Job::Close(node) => settle(node, node.state.load(), Action::Close),
        Job::Finish(node, before) => settle(node, before, Action::Finish),
        Job::Walk(walk) => return walk.step().map(Job::Walk),
    }
    None
}
