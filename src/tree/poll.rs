//! Polling: a worker runs a task that it has taken from a queue until it suspends or ends.

use super::batch::Batch;
use super::close::{close, kept_panic};
use super::fail;
use super::settle::settle;
use crate::events;
use crate::sync::atomic::Ordering;
use crate::task::awaited;
use crate::task::cleanups::Cleanup;
use crate::task::cold::Cold;
use crate::task::current;
use crate::task::raw::{
    Claimed, Next, Payload, Polled, Polling, Queued, Running, Start, StartRarely,
};
use crate::task::state::Word;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// How a poll ended. `woken`: the task's own code has woken it.
enum Ended {
    /// The future, or a cleanup after it, is pending. `protected`: protection is active.
    Suspended { protected: bool, woken: bool },
    /// The future is gone. `cleanups`: deferred cleanups are left.
    Gone { cleanups: bool, woken: bool },
}

impl Ended {
    /// Whether nothing of the task is polled any more.
    fn is_over(&self) -> bool {
        let Ended::Gone { cleanups, .. } = self else {
            return false;
        };
        !cleanups
    }
}

/// Runs a task that was taken from a queue, until it suspends or ends. If it is done then, it is added to
/// `done`, and unlinked from its parent when that is flushed. `on_done` counts it as done, as
/// [`Schedule::on_done`](crate::task::Schedule::on_done) does; `submit` queues it again, as
/// [`Queued::submit`] does.
#[inline]
pub(crate) fn run(task: Queued, done: &mut Batch, on_done: impl Fn(), submit: impl FnOnce(Queued)) {
    let (mut task, before) = match task.start() {
        Ok(running) => running,
        Err(start) => match start_rarely(start, done) {
            Some(running) => running,
            None => return,
        },
    };
    task.count_poll();
    let ended = current::run_as(&mut task, |task| poll(task, before));
    // Each step has its own match, which costs less than one for both.
    match ended {
        Ended::Suspended { protected, woken } => match task.suspend(protected, woken) {
            Next::Nothing => {}
            Next::Submit(task) => submit(task),
            Next::Close(task) => settle_closed(task),
            Next::Finish(task) => done.add(task),
        },
        Ended::Gone { cleanups, woken } => match task.end(cleanups, woken, on_done) {
            Next::Nothing => {}
            Next::Submit(task) => submit(task),
            Next::Close(task) => settle_closed(task),
            Next::Finish(task) => done.add(task),
        },
    }
}

/// Starts a task in the rare cases; returns it if it is to be polled. If its turn has come, this wakes
/// everything in it that registered for the turn, so that a set of futures polls it.
#[cold]
fn start_rarely(start: Start, done: &mut Batch) -> Option<(Running, Word)> {
    match start.decide() {
        StartRarely::PollAtTurn(task, before) => {
            if let Some(scopes) = task.live().cold().and_then(Cold::known_scopes) {
                scopes.wake_all();
            }
            Some((task, before))
        }
        StartRarely::Close(task) => {
            match close(task) {
                Next::Finish(task) => done.add(task),
                next => settle(next),
            }
            None
        }
        StartRarely::Skip => None,
    }
}

#[cold]
fn settle_closed(task: Claimed) {
    settle(Next::Close(task));
}

#[inline(always)]
fn poll(mut task: Polling<'_>, before: Word) -> Ended {
    if task.live().shared().is_watched || before.has_ended() || events::is_on() {
        return poll_watched(task, before);
    }
    let pending = poll_future(task.again());
    if task.live().cold().is_some() {
        poll_rest(task, before, pending)
    } else if pending {
        Ended::Suspended {
            protected: false,
            woken: current::was_woken(),
        }
    } else {
        Ended::Gone {
            cleanups: false,
            woken: false,
        }
    }
}

/// As [`poll`], of a task whose future is gone, or in a runtime that observes polls.
#[inline(never)]
fn poll_watched(task: Polling<'_>, before: Word) -> Ended {
    let live = task.live();
    let shared = live.shared();
    let watch = &shared.watch;
    // A thread that is no worker runs a closure that blocks: it has no window, and is no stall.
    let window = watch.window(current::worker(shared.serial));
    if window.is_none() && !watch.busy {
        return poll_in_span(task, before);
    }
    let began = shared.clock.now_ns();
    let poll = || poll_in_span(task, before);
    let ended = match window {
        Some(window) => window.show(live, began, poll),
        None => poll(),
    };
    if watch.busy {
        let busy = shared.clock.now_ns().saturating_sub(began);
        (live.cold_or_new().busy_ns).fetch_add(busy, Ordering::Relaxed);
    }
    ended
}

#[cfg(not(feature = "tracing"))]
#[inline(always)]
fn poll_in_span(task: Polling<'_>, before: Word) -> Ended {
    poll_recorded(task, before)
}

/// As [`poll`], in the span of the task.
#[cfg(feature = "tracing")]
fn poll_in_span(task: Polling<'_>, before: Word) -> Ended {
    let live = task.live();
    let known = live.cold().and_then(Cold::take_span);
    let make = || events::Span::begin(|| live.path(), live.id(), live.location());
    let is_first = live.polls() == 1 && events::is_on();
    let Some(span) = known.or_else(|| is_first.then(make).flatten()) else {
        return poll_recorded(task, before);
    };
    let ended = span.run(|| poll_recorded(task, before));
    if ended.is_over() {
        span.end();
    } else {
        live.cold_or_new().keep_span(span);
    }
    ended
}

/// As [`poll`], and keeps what the task waits for after it, if the runtime records that.
fn poll_recorded(task: Polling<'_>, before: Word) -> Ended {
    let live = task.live();
    if !live.shared().watch.awaits {
        return poll_all(task, before);
    }
    awaited::record(live, || poll_all(task, before), Ended::is_over)
}

fn poll_all(mut task: Polling<'_>, before: Word) -> Ended {
    let pending = !before.has_ended() && poll_future(task.again());
    poll_rest(task, before, pending)
}

/// The second half of [`poll_all`], and of [`poll`] for a task with cold data.
#[inline(never)]
fn poll_rest(mut task: Polling<'_>, before: Word, pending: bool) -> Ended {
    let cleanups = poll_beside(task.again(), pending);
    if pending || before.has_ended() && cleanups {
        let cold = task.live().cold();
        Ended::Suspended {
            protected: pending && cold.is_some_and(Cold::is_protected),
            woken: current::was_woken(),
        }
    } else {
        Ended::Gone {
            cleanups,
            woken: cleanups && current::was_woken(),
        }
    }
}

/// Polls the future; `false` if it is gone.
#[inline(always)]
fn poll_future(mut task: Polling<'_>) -> bool {
    // `Pending` and `Value` have nothing to drop.
    let polled = ManuallyDrop::new(task.poll());
    match *polled {
        Polled::Pending => return true,
        Polled::Value => fail::returned(task.live()),
        _ => note_broken(task, ManuallyDrop::into_inner(polled)),
    }
    false
}

#[cold]
fn note_broken(mut task: Polling<'_>, polled: Polled) {
    if let Some(error) = fail::broke(task.live(), polled) {
        task.store_error(error);
    }
}

/// Counts panics that were noted, and polls deferred cleanups; `true` if a cleanup is left.
#[inline]
fn poll_beside(mut task: Polling<'_>, pending: bool) -> bool {
    let Some(cold) = task.live().cold() else {
        return false;
    };
    fail::count_noted(task.live(), cold);
    if poll_cleanups(&task) {
        return true;
    }
    // A cleanup's panic becomes the outcome. The destructor of the outcome that it replaces may leave
    // another cleanup.
    !pending && replace_outcome(task.again()) && poll_cleanups(&task)
}

/// Makes a cleanup's panic the outcome, if there was one.
fn replace_outcome(mut task: Polling<'_>) -> bool {
    let Some(error) = task.live().cold().and_then(kept_panic) else {
        return false;
    };
    task.store_error(error);
    true
}

/// Polls the task's deferred cleanups, one after another; `true` if one is left.
#[inline]
fn poll_cleanups(task: &Polling<'_>) -> bool {
    let cold = task.live().cold();
    cold.is_some_and(|cold| cold.has_cleanups() && poll_all_cleanups(task, cold))
}

#[cold]
fn poll_all_cleanups(task: &Polling<'_>, cold: &Cold) -> bool {
    let mut at = 0;
    while let Some(mut cleanup) = cold.take_cleanup(at) {
        let poll = || task.with_waker(|cx| cleanup.future.as_mut().poll(cx));
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => {
                cold.return_cleanup(cleanup);
                at += 1;
            }
            Ok(Poll::Ready(())) => finish_cleanup(task, cold, cleanup, None),
            Err(panic) => finish_cleanup(task, cold, cleanup, Some(panic)),
        }
    }
    cold.has_cleanups()
}

/// Drops a cleanup that has ended, with this panic if it has panicked, and then counts its panics: they may cancel the
/// task, and what the cleanup has spawned is outside of protection before that.
fn finish_cleanup(task: &Polling<'_>, cold: &Cold, cleanup: Cleanup, panic: Option<Payload>) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(cleanup)));
    cold.finish_cleanup();
    for panic in panic.into_iter().chain(dropped.err()) {
        fail::panicked_beside(task.live(), cold, panic);
    }
}
