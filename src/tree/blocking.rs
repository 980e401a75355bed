//! Tasks whose future is one call of a closure that blocks: their poll runs on a thread of the `blocking` crate's pool.
//!
//! # The life of such a task
//!
//! | state | word | what a cancellation does |
//! |---|---|---|
//! | waits for a thread of the pool | idle | drops the closure, as with any idle task |
//! | the closure runs | running | takes effect at the end of the poll, which the closure's end is |
//! | the closure has returned | as after any last poll | – |
//!
//! So everything that holds for a long poll holds for the closure: nothing ends it, its value counts also if the
//! task was cancelled meanwhile, its panic is the task's, and what it spawns is below the task. The word, the
//! walks and the protection know nothing of it.
//!
//! # Why the task is idle while it waits
//!
//! A scheduled task is ended only by the thread that takes it from its queue, and the queue of the pool may be
//! long: all of its threads may be in closures that do not end. So the pool's queue has only a [`Ticket`], a
//! reference to the task. The thread that takes it wakes the task, which gives that thread the right to the poll,
//! and polls it in place. If the task was cancelled before, the wake gives nothing, and the ticket is void.
//!
//! No other waker of the task exists before its poll: its future makes none. So no worker ever polls it.

use super::batch::Batch;
use super::poll;
use crate::task::TaskRef;
use crate::task::current::closure::InClosure;
use crate::task::current::inside::InRuntime;
use crate::task::raw::{Next, Queued, StartRarely};

/// A reference to a task that waits for a thread of the pool.
struct Ticket(TaskRef);

/// Lets a new task wait for a thread of the pool.
pub(crate) fn hand_to_pool(task: Queued) {
    let ticket = Ticket(task.live().retain());
    match wait(task) {
        Next::Nothing => blocking::unblock(move || ticket.redeem()).detach(),
        // It was cancelled since it was linked.
        Next::Submit(task) => task.submit(),
        next => super::settle::settle_quietly(next),
    }
}

/// Makes a scheduled task idle, as a poll does that is pending.
fn wait(task: Queued) -> Next {
    match task.start() {
        Ok((task, _)) => task.suspend(false, false),
        Err(start) => match start.decide() {
            StartRarely::PollAtTurn(task, _) => task.suspend(false, false),
            StartRarely::Close(task) => Next::Close(task),
            StartRarely::Skip => Next::Nothing,
        },
    }
}

impl Ticket {
    /// Polls the task on the calling thread, if it still waits.
    fn redeem(self) {
        let Ticket(reference) = self;
        let Some(task) = reference.borrowed().schedule() else {
            return;
        };
        let shared = task.live().shared_arc();
        let _in_runtime = InRuntime::enter(shared.clone(), None);
        // What the end of the task leads to above it is left to the workers.
        let mut done = Batch::default();
        let in_closure = InClosure::begin(reference);
        poll::run(
            task,
            &mut done,
            || shared.schedule().on_done(),
            Queued::submit,
        );
        drop(in_closure);
        done.flush_quietly();
    }
}
