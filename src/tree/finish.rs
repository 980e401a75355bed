//! Running a task, and what its end entails, upward, in a loop.
//!
//! The step that takes a child off its parent's state word decides in the same operation what
//! follows for the parent; unless it made the parent this thread's business, the parent is not
//! touched after it: another worker may be finishing and freeing it. Siblings that end one after
//! another on a worker are taken off together, see [`super::batch`].

use super::asked;
use super::batch::Batch;
use super::cancel;
use super::fail;
use super::later::later;
pub(crate) use super::later::{release_later, run_job, settle_later};
use super::links::{self, Children};
use crate::error::{FailureKind, JoinError, Panic};
use crate::panics::quietly;
use crate::sync::atomic::Ordering;
use crate::task::cell::Polled;
use crate::task::cleanups::Cleanup;
use crate::task::cold::Cold;
use crate::task::current::{self, InTask, Running};
use crate::task::state::{Action, Snapshot, Start};
use crate::task::{Node, kind, wakes};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// Tasks that are ended upward, one after another, before other work goes first.
pub(super) const UPWARD: usize = if cfg!(taskgrove_loom) { 3 } else { 1000 };

/// Counts a task that is about to be done: in the record of the service that it is a task of, and
/// with `ended` among the live ones. A child service is in that record when it has finished.
#[inline]
fn count(node: Node, ended: impl Fn()) {
    ended();
    count_in_record(node, 1);
}

#[cold]
fn uncount(node: Node) {
    if node.is(kind::SENTINEL) {
        return;
    }
    node.shared().schedule().undo_done();
    count_in_record(node, u64::MAX);
}

#[inline]
fn count_in_record(node: Node, change: u64) {
    if node.kind & (kind::SUPERVISED | kind::SERVICE) == kind::SUPERVISED
        && let Some(record) = node.record()
    {
        record.done.fetch_add(change, Ordering::Release);
    }
}

fn ended(node: Node) {
    node.shared().schedule().on_done();
}

/// Takes children or holds off a task, of which the caller has so many.
#[inline]
pub(crate) fn release(node: Node, holds: u64) -> (Snapshot, Action) {
    let count = || {
        if !node.is(kind::SENTINEL) {
            count(node, || ended(node));
        }
    };
    node.state.release(holds, count, || uncount(node))
}

/// Runs a task that was taken from a queue, until it suspends or ends. If that makes it done, its
/// parent hears of it when `done` is flushed; `ended`: see [`count`]; `submit` does what
/// [`Node::submit`] does.
#[inline]
pub(crate) fn run(node: Node, done: &mut Batch, ended: impl Fn(), submit: impl FnOnce(Node)) {
    let (before, start) = node.state.start();
    if start != Start::Poll && !is_polled(node, start, done) {
        return;
    }
    let polls = node.polls.load(Ordering::Relaxed);
    node.polls.store(polls + 1, Ordering::Relaxed);
    let (before, action) = {
        let _running = Running::begin(node, before);
        poll(node, before, ended)
    };
    if action == Action::Submit {
        submit(node);
    } else if action == Action::Finish {
        done.add(node, before);
    } else if action == Action::Close {
        settle(node, before, action);
    }
}

/// What few tasks begin with: says whether a poll follows. A protected task is polled at its turn:
/// every scope of protection in it is, too, in whatever set of futures.
#[cold]
fn is_polled(node: Node, start: Start, done: &mut Batch) -> bool {
    match start {
        Start::Poll => true,
        Start::PollAtTurn => {
            if let Some(cold) = node.cold() {
                cold.announce();
            }
            true
        }
        Start::Skip => false,
        Start::Close => {
            let (before, action) = close(node);
            match action {
                Action::Finish => done.add(node, before),
                _ => settle(node, before, action),
            }
            false
        }
    }
}

#[inline]
fn poll(node: Node, before: Snapshot, ended: impl Fn()) -> (Snapshot, Action) {
    if node.shared().track_busy || before.has_ended() {
        return poll_measured(node, before, ended);
    }
    let pending = poll_future(node);
    match node.cold() {
        Some(cold) => polled_with(node, cold, before, pending, ended),
        None if pending => (before, node.state.suspend(false, current::was_woken())),
        None => end(node, false, ended),
    }
}

/// As [`poll`], of a task whose future is gone, or in a runtime that measures polls.
#[inline(never)]
fn poll_measured(node: Node, before: Snapshot, ended: impl Fn()) -> (Snapshot, Action) {
    let began = node
        .shared()
        .track_busy
        .then(|| node.shared().clock.now_ns());
    let pending = !before.has_ended() && poll_future(node);
    let cleanups = node
        .cold()
        .is_some_and(|cold| poll_beside(node, cold, pending));
    if let Some(began) = began {
        let busy = node.shared().clock.now_ns().saturating_sub(began);
        let total = &node.cold_or_new().busy_ns;
        total.fetch_add(busy, Ordering::Relaxed);
    }
    polled(node, before, pending, cleanups, ended)
}

/// As the second half of [`poll`], for a task with a cold data.
#[inline(never)]
fn polled_with(
    node: Node,
    cold: &Cold,
    before: Snapshot,
    pending: bool,
    ended: impl Fn(),
) -> (Snapshot, Action) {
    let cleanups = poll_beside(node, cold, pending);
    polled(node, before, pending, cleanups, ended)
}

/// What is beside a task's future: panics that were noted, and deferred cleanups. `true` if one of
/// those is left.
#[inline]
fn poll_beside(node: Node, cold: &Cold, pending: bool) -> bool {
    if cold.has_noted() {
        fail::count_noted(node, cold);
    }
    poll_cleanups(node, cold)
        || !pending && replace_outcome(node, cold) && poll_cleanups(node, cold)
}

/// The step that ends a poll.
#[inline]
fn polled(
    node: Node,
    before: Snapshot,
    pending: bool,
    cleanups: bool,
    ended: impl Fn(),
) -> (Snapshot, Action) {
    if pending || before.has_ended() && cleanups {
        let protected = pending && node.cold().is_some_and(Cold::is_protected);
        (before, node.state.suspend(protected, current::was_woken()))
    } else {
        end(node, cleanups, ended)
    }
}

/// Polls the future; `false` if it is gone.
#[inline(always)]
fn poll_future(node: Node) -> bool {
    // In the common ones there is nothing to drop.
    let polled = ManuallyDrop::new(node.poll());
    match *polled {
        Polled::Pending => return true,
        Polled::Value => fail::returned(node),
        _ => fail::broke(node, ManuallyDrop::into_inner(polled)),
    }
    false
}

/// The future is gone, and its outcome written.
#[inline]
fn end(node: Node, cleanups: bool, ended: impl Fn()) -> (Snapshot, Action) {
    let count = || count(node, &ended);
    let woken = cleanups && current::was_woken();
    node.state.end(cleanups, woken, count, || uncount(node))
}

/// Makes a cleanup's panic the outcome; `true` if it replaced one, whose drop may have left another
/// cleanup.
fn replace_outcome(node: Node, cold: &Cold) -> bool {
    let Some(panic) = cold.take_panic() else {
        return false;
    };
    node.store_error(JoinError::Panicked(Panic::new(panic)));
    true
}

/// Polls the task's deferred cleanups, one after another; `true` if one is left.
#[inline]
fn poll_cleanups(node: Node, cold: &Cold) -> bool {
    cold.has_cleanups() && poll_all_cleanups(node, cold)
}

#[cold]
fn poll_all_cleanups(node: Node, cold: &Cold) -> bool {
    let mut at = 0;
    while let Some(mut cleanup) = cold.take_cleanup(at) {
        let poll = || node.with_waker(|cx| cleanup.future.as_mut().poll(cx));
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => {
                cold.return_cleanup(cleanup);
                at += 1;
            }
            Ok(Poll::Ready(())) => finish_cleanup(node, cold, cleanup),
            Err(panic) => {
                fail::panicked_beside(node, cold, panic);
                finish_cleanup(node, cold, cleanup);
            }
        }
    }
    cold.has_cleanups()
}

fn finish_cleanup(node: Node, cold: &Cold, cleanup: Cleanup) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(cleanup)));
    cold.finish_cleanup();
    if let Err(panic) = dropped {
        fail::panicked_beside(node, cold, panic);
    }
}

/// Drops the future of a task that was claimed, as code of that task.
pub(crate) fn close(node: Node) -> (Snapshot, Action) {
    let _running = Running::begin(node, Snapshot::NONE);
    let state = node.state.load();
    match catch_unwind(AssertUnwindSafe(|| node.drop_future())) {
        Err(payload) => fail::panicked(node, payload),
        // What had ended before has its outcome, and only cleanups to lose.
        Ok(()) if state.has_ended() => {}
        // Without a handle nobody asks; and none comes back.
        Ok(()) if !state.has_join_interest() => {}
        Ok(()) => node.store_error(JoinError::Cancelled),
    }
    let Some(cold) = node.cold() else {
        return end(node, false, || ended(node));
    };
    if cold.has_noted() {
        fail::count_noted(node, cold);
    }
    let mut cleanups = cold.has_cleanups();
    if cleanups && node.state.load().is_killed() {
        while let Some(cleanup) = cold.pop_cleanup() {
            quietly(|| drop(cleanup));
        }
        cleanups = false;
    }
    if !cleanups {
        replace_outcome(node, cold);
    } else {
        // It was cancelled without a walk, perhaps, and its cleanups may take their time.
        let _none = InTask::enter(None);
        cancel::notify(node);
    }
    end(node, cleanups, || ended(node))
}

/// Does what a transition of `node` asked for, and what follows from that, up the tree. `before`
/// is the word as the transition found it. After so many tasks other work goes first.
pub(crate) fn settle(mut node: Node, mut before: Snapshot, mut action: Action) {
    for level in 0.. {
        if level == UPWARD {
            return later(node, before, action);
        }
        match action {
            Action::Nothing => return,
            Action::Submit => return node.submit(),
            Action::Close => (before, action) = close(node),
            Action::Finish => match take_off(node, before) {
                Some(above) => (node, before, action) = above,
                None => return,
            },
        }
    }
}

/// Finishes a task that is done, and takes it off its parent: what follows for that. `None` for a
/// sentinel.
#[inline]
pub(super) fn take_off(node: Node, before: Snapshot) -> Option<(Node, Snapshot, Action)> {
    let parent = links::parent(node);
    finish_record(node);
    if let Some(parent) = parent {
        let children = Children::lock(&parent);
        children.unlink(node);
        if links::is_counted(node) {
            children.supervised(-1);
        }
    }
    wake(node, before);
    node.release_own();
    let parent = parent?;
    let (before, action) = release(parent, 1);
    Some((parent, before, action))
}

/// Whether the end of a task that is done runs no code of the user's. `flags`: as for [`wake`].
pub(super) fn ends_quietly(node: Node, flags: Snapshot) -> bool {
    let plain = !node.is(kind::SERVICE | kind::SENTINEL) && node.cold().is_none();
    let unwanted = !flags.has_join_interest() && node.has_output();
    plain && !unwanted && !flags.has_join_waker() && !flags.has_waiters()
}

/// First part of finishing, for what is more than a plain task.
#[inline]
pub(crate) fn finish_record(node: Node) {
    if node.is(kind::SERVICE | kind::SENTINEL) || node.cold().is_some() {
        finish_more(node);
    }
}

fn finish_more(node: Node) {
    if let Some(cold) = node.cold() {
        cold.cancel_timers(node.shared());
    }
    if node.is(kind::SENTINEL) {
        drop(node.shared().sentinel_done());
    } else if node.is(kind::SERVICE) {
        finish_service(node);
    }
}

/// A service is done, with everything below it: its parent hears of its failures, and its record
/// is closed.
fn finish_service(node: Node) {
    let Some(record) = node.record() else { return };
    // Asked for above in its own last poll: no mark has come, and none will.
    if !record.is_closing() && asked::is_asked(node) {
        record.close_with_tree();
    }
    let failed = match record.close_failures() {
        Some(failures) => Some(FailureKind::Service(failures.into())),
        None if node.is(kind::DAEMON) && !record.is_closing() => Some(FailureKind::DaemonExit),
        None => None,
    };
    // A child service is a task of the service around it. Who sees it counted there sees its failures;
    // who sees it finished sees it counted.
    if node.is(kind::SUPERVISED)
        && let Some(parent) = links::parent(node)
    {
        if let Some(kind) = failed {
            fail::child_failed(node, parent, kind);
        }
        if let Some(around) = parent.record() {
            around.done.fetch_add(1, Ordering::Release);
        }
    }
    record.finish(node.swept.load(Ordering::Relaxed));
}

/// Second part of finishing: the output goes if nobody wants it, and who waited is woken. `flags`:
/// the word as the step that made it done found it.
#[inline]
pub(crate) fn wake(node: Node, flags: Snapshot) {
    let unwanted = !flags.has_join_interest() && node.has_output();
    if flags.has_join_waker() || flags.has_waiters() || unwanted || node.is(kind::SERVICE) {
        wake_all(node, flags);
    }
}

fn wake_all(node: Node, flags: Snapshot) {
    // What follows from a task's end is done between polls: this is code of no task.
    debug_assert!(current::node().is_none());
    if !flags.has_join_interest() {
        node.drop_output();
    }
    if flags.has_join_waker()
        && let Some(waker) = node.take_join_waker()
    {
        wakes::wake(waker.into_waker());
    }
    if flags.has_waiters() || node.is(kind::SERVICE) {
        cancel::notify(node);
    }
}
