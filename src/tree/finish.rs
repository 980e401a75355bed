//! Finishes a task that is done: closes its record, wakes its waiters, and takes it off its parent.
//!
//! The step that takes a child off its parent's state word decides in the same operation what follows
//! for the parent. Unless it gives this thread a right to the parent, the parent is not touched after
//! it: another worker may be finishing and freeing it.

use super::request::notify;
use super::{fail, requested};
use crate::error::FailureKind;
use crate::sync::atomic::Ordering;
use crate::task::cover::Cover;
use crate::task::raw::{Finished, Next};
use crate::task::record::Record;
use crate::task::shared::Shared;
use crate::task::{Job, Live, current, kind, wakes};
use crate::timer_queue::fire::dispatch;
use crate::timer_queue::{Fire, TimerKey};

/// Finishes a task that is done, and takes it off its parent. Returns what follows for the parent.
#[inline]
pub(super) fn finish(mut task: Finished) -> Next {
    announce(&mut task);
    match task.take_off() {
        Some(parent) => parent.release(),
        None => Next::Nothing,
    }
}

/// Whether [`finish`] of this task runs no user code.
pub(super) fn is_quiet(task: &Finished) -> bool {
    let (live, flags) = (task.live(), task.flags());
    let plain = !live.is(kind::SERVICE | kind::SENTINEL) && live.cold().is_none();
    // Room that it leaves may be waited for with a foreign waker.
    let watched = || live.parent().is_some_and(|parent| parent.is_watched());
    plain
        && !task.has_unwanted_output()
        && !flags.has_join_waker()
        && !flags.has_waiters()
        && !watched()
}

/// Does what follows from a task's end, except taking it off its parent: closes the record, drops an outcome
/// that no handle owns, and wakes the waiters.
#[inline(always)]
pub(super) fn announce(task: &mut Finished) {
    let (live, flags) = (task.live(), task.flags());
    let mut wakes = flags.has_join_waker() || flags.has_waiters() || task.has_unwanted_output();
    if live.is(kind::SERVICE | kind::SENTINEL) || live.cold().is_some() {
        wakes |= close_record(task);
    }
    if wakes {
        wake(task);
    }
}

/// Closes what a service, a sentinel or a task with cold data has besides. Returns whether the task is a
/// service's.
fn close_record(task: &mut Finished) -> bool {
    let live = task.live();
    if let Some(cold) = live.cold() {
        drop(cold.take_locals());
        if let Some(key) = cold.take_timer() {
            cancel_timer(key, live.shared());
        }
    }
    if let Some(key) = live.cover().and_then(Cover::child_done) {
        cancel_timer(key, live.shared());
    }
    let is_service = live.is(kind::SERVICE);
    if is_service {
        finish_service(live);
    } else if live.is(kind::SENTINEL) {
        sentinel_done(task);
    }
    is_service
}

/// Counts a sentinel that is done. With the last one the runtime has ended: this closes its timers and
/// sockets, and lets its workers leave.
#[cold]
fn sentinel_done(task: &mut Finished) {
    if let Some(shared) = Shared::sentinel_done(task) {
        let mut wakers = Vec::new();
        dispatch(shared.timers.close(), |waker| wakers.push(waker), drop);
        #[cfg(feature = "net")]
        wakers.extend(shared.schedule().close_sockets());
        wakes::wake_all(wakers);
        shared.schedule().terminated();
    }
}

/// Cancels the timer of grace periods that are over for all tasks: a walk waits in it that may have much to give
/// back, which it does in steps.
#[cold]
pub(super) fn cancel_timer(key: TimerKey, shared: &Shared) {
    if let Some(Fire::Job(Job::Walk(walk))) = shared.timers.take(key)
        && let Some(rest) = walk.step()
    {
        shared.schedule().job(Job::Walk(rest));
    }
}

/// Reports the failures of a service that is done to the service around it, and closes the record.
fn finish_service(task: Live<'_>) {
    let Some(record) = task.record() else { return };
    // A cancellation that was requested above during the last poll has not marked this task, and will not:
    // the task is done.
    if !record.is_closing() && requested::is_requested(task) {
        record.mark_closing_with_tree();
    }
    if record.has_errored() || task.is(kind::DAEMON) && !record.is_closing() {
        report_failure(task, record);
    }
    // A child service is a task of the service around it. A thread that sees it counted there sees its
    // failures; one that sees it finished sees it counted.
    if task.is(kind::SUPERVISED)
        && let Some(around) = around(task)
    {
        around.done.fetch_add(1, Ordering::Release);
    }
    record.finish(task.is_swept());
}

/// Seals the failures of a service that is done, and tells its parent.
#[cold]
fn report_failure(task: Live<'_>, record: &Record) {
    let failed = match record.seal_failures() {
        Some(failures) => FailureKind::Service(failures.into()),
        None if task.is(kind::DAEMON)
            && !record.is_closing()
            && !is_service_around_requested(task) =>
        {
            FailureKind::DaemonExit
        }
        None => return,
    };
    if task.is(kind::SUPERVISED)
        && let Some(parent) = task.parent()
    {
        fail::child_failed(task, parent, failed);
    }
}

/// Whether cancellation of the service around a child service was requested. Protection of that service may keep
/// the cancellation away from the child.
fn is_service_around_requested(task: Live<'_>) -> bool {
    let around = task.parent().and_then(Live::service);
    around.is_some_and(requested::is_requested)
}

/// The record of the service around a child service.
fn around(task: Live<'_>) -> Option<&Record> {
    task.parent()?.record()
}

fn wake(task: &mut Finished) {
    // A worker finishes tasks between polls, so this is code of no task.
    debug_assert!(current::with(|task| task.is_none()));
    task.drop_unwanted_output();
    if let Some(waker) = task.take_join_waker() {
        wakes::wake(waker.into_waker());
    }
    if task.flags().has_waiters() || task.live().is(kind::SERVICE) {
        notify(task.live());
    }
}
