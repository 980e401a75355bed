//! [`Cold`]: rarely used state of a task, allocated on demand and reached through the header. That of a
//! service's task is embedded in the record.

use super::cleanups::{Cleanup, Cleanups};
use super::cover::Cover;
use super::locals::{Locals, Value};
use super::raw::record_address::RecordAddress;
use super::room::Room;
use crate::error::CancelCause;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, OnceLock};
use crate::timer_queue::TimerKey;
use crate::wait_list::WaitList;
use std::any::Any;
use std::time::Duration;

/// Rarely used state of a task.
pub(crate) struct Cold {
    /// The record of the service that the task belongs to.
    pub(super) record: RecordAddress,
    /// The name that the caller gave. `None`: the task is named after its function, or its service.
    pub(crate) name: Option<Box<str>>,
    /// The grace period that was set for the task. [`Cold::own_grace`] says whether it is in force.
    pub(crate) grace: Option<Duration>,
    /// The task was spawned in the grace of its parent. Written before the task is linked, under the lock
    /// that links it, and read under that lock, or by code of the task and of those below: Relaxed.
    pub(in crate::task) in_parents_grace: AtomicBool,
    /// The cover that the task was spawned in. Written before the task is linked.
    pub(crate) cover: OnceLock<Arc<Cover>>,
    /// The number of covered children. Under the lock of the task's children: Relaxed.
    pub(in crate::task) covered: AtomicU32,
    /// The waits for room under the task, once there was one.
    pub(crate) room: OnceLock<Arc<Room>>,
    /// Scopes of `shielded` and `finally` that are active in the task. Counted by the threads that
    /// poll or drop them (AcqRel); the worker that ends a poll loads it (Acquire), so that it sees
    /// what was done inside a scope that another thread has left.
    pub(crate) protection: AtomicU32,
    /// The waits for the cancellation or the end of the task or its service.
    pub(crate) waiters: WaitList,
    /// The number of deferred cleanups. Written and read by the thread that runs the task or has
    /// claimed it, which the state word orders: Relaxed suffices, as for the three flags below.
    cleanups_pending: AtomicU32,
    has_panic: AtomicBool,
    /// The task's outcome is a panic already.
    panicked: AtomicBool,
    has_noted: AtomicBool,
    /// Written by the walk that pins the task, read by its finisher after the pin was given back:
    /// the state word orders the two, so Relaxed suffices.
    has_timer: AtomicBool,
    /// Whether the children were many when they were last counted: see [`super::crowd`].
    pub(super) crowded: AtomicBool,
    /// Whether there are values that the task was spawned with. Written before the task is known to other
    /// threads, and by its finisher: Relaxed.
    has_locals: AtomicBool,
    /// Nanoseconds in polls. Written by the worker that polls, read for statistics: Relaxed.
    pub(crate) busy_ns: AtomicU64,
    /// The number of the first request to cancel this task; 0: none. Written before the mark (AcqRel);
    /// a task below that looks whether the request covers it acquires it.
    pub(crate) asked: AtomicU64,
    /// The grace that the task has from above, once it was looked up; 0: not known. Each thread
    /// that looks writes the same value, so Relaxed suffices.
    pub(crate) inherited: AtomicU64,
    rare: Mutex<Option<Box<Rare>>>,
}

/// What a task waits for. [`awaited`](super::awaited) knows the type: it refers to tasks, which this file may
/// not.
pub(crate) type AwaitedRecord = Box<dyn Any + Send>;

/// The least used part, behind a lock. Flags beside it say whether to look.
#[derive(Default)]
struct Rare {
    cleanups: Cleanups,
    /// The first panic of a cleanup: the task's outcome when it is done.
    panic: Option<Box<dyn Any + Send>>,
    /// Panics of this poll besides what it has returned.
    noted: Vec<Box<dyn Any + Send>>,
    /// The next end of a grace period of the cancellation that began here.
    timer: Option<TimerKey>,
    /// The cause of the first request that has more to say than its origin.
    cause: Option<CancelCause>,
    /// What the task was spawned with.
    locals: Option<Box<Locals>>,
    /// The wakers that are woken at the turn.
    scopes: Option<Arc<WaitList>>,
    /// The span of the task, between two polls.
    #[cfg(feature = "tracing")]
    span: Option<crate::events::Span>,
    /// What the last poll was left waiting for, if the runtime records that.
    awaited: Option<AwaitedRecord>,
}

impl Cold {
    /// Makes the cold data of a task that belongs to the service with this record, which may be null.
    pub(crate) fn new(record: RecordAddress) -> Self {
        Self::with_grace(record, None)
    }

    /// As [`Cold::new`], with a grace period.
    #[inline(always)]
    fn with_grace(record: RecordAddress, grace: Option<Duration>) -> Self {
        Self {
            record,
            name: None,
            grace,
            in_parents_grace: AtomicBool::new(false),
            cover: OnceLock::new(),
            covered: AtomicU32::new(0),
            room: OnceLock::new(),
            protection: AtomicU32::new(0),
            waiters: WaitList::default(),
            cleanups_pending: AtomicU32::new(0),
            has_panic: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            has_noted: AtomicBool::new(false),
            has_timer: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            has_locals: AtomicBool::new(false),
            busy_ns: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            inherited: AtomicU64::new(0),
            rare: Mutex::new(None),
        }
    }

    /// Makes the cold data of a service's task, as a part of its record.
    #[inline(always)]
    pub(crate) fn of_service(grace: Option<Duration>) -> Self {
        Self::with_grace(RecordAddress::none(), grace)
    }

    /// Whether protection is active in the task.
    pub(crate) fn is_protected(&self) -> bool {
        self.protection.load(Ordering::Acquire) != 0
    }

    /// Returns the list of wakers that are woken at the turn; makes it if there is none.
    pub(crate) fn scopes(&self) -> Arc<WaitList> {
        self.rare(|rare| rare.scopes.get_or_insert_default().clone())
    }

    /// The list of wakers that are woken at the turn, if it has been made.
    pub(crate) fn known_scopes(&self) -> Option<Arc<WaitList>> {
        self.known_rare(|rare| rare.scopes.clone())
    }

    /// Keeps a timer that is of no use once the task is done. There is one at a time: an earlier one
    /// has fired (maybe before its key came here).
    pub(crate) fn keep_timer(&self, key: TimerKey) {
        self.rare(|rare| key.put_if_latest(&mut rare.timer));
        self.has_timer.store(true, Ordering::Relaxed);
    }

    /// Takes the timer that is of no use any more, as the task is done.
    #[inline]
    pub(crate) fn take_timer(&self) -> Option<TimerKey> {
        self.rare_if(&self.has_timer, |rare| rare.timer.take())
    }

    /// Sets the values that the task is spawned with.
    pub(crate) fn set_locals(&self, locals: Box<Locals>) {
        self.rare(|rare| rare.locals = Some(locals));
        self.has_locals.store(true, Ordering::Relaxed);
    }

    /// The value of a key.
    pub(super) fn local(&self, key: usize) -> Option<Value> {
        self.rare_if(&self.has_locals, |rare| rare.locals.as_ref()?.get(key))
    }

    /// Takes the values of a task that is done, to drop them.
    #[inline]
    pub(crate) fn take_locals(&self) -> Option<Box<Locals>> {
        self.rare_if(&self.has_locals, |rare| rare.locals.take())
    }

    /// Keeps the cause of a request for cancellation, unless there is one.
    pub(crate) fn keep_cause(&self, cause: CancelCause) {
        let late = self.rare(|rare| match &rare.cause {
            None => {
                rare.cause = Some(cause);
                None
            }
            Some(_) => Some(cause),
        });
        drop(late);
    }

    /// The cause that was kept.
    pub(crate) fn kept_cause(&self) -> Option<CancelCause> {
        self.known_rare(|rare| rare.cause.clone())
    }

    #[cold]
    fn rare<R>(&self, f: impl FnOnce(&mut Rare) -> R) -> R {
        f(self.rare.lock().get_or_insert_default())
    }

    /// As [`Cold::rare`], if it has been allocated.
    fn known_rare<R>(&self, f: impl FnOnce(&mut Rare) -> Option<R>) -> Option<R> {
        f(self.rare.lock().as_mut()?)
    }

    /// As [`Cold::rare`], if the flag says that there is something to look for.
    #[inline]
    fn rare_if<R>(&self, flag: &AtomicBool, f: impl FnOnce(&mut Rare) -> Option<R>) -> Option<R> {
        if flag.load(Ordering::Relaxed) {
            self.rare(f)
        } else {
            None
        }
    }

    /// Keeps the task's span until its next poll. By the thread that polls the task.
    #[cfg(feature = "tracing")]
    pub(crate) fn keep_span(&self, span: crate::events::Span) {
        self.rare(|rare| rare.span = Some(span));
    }

    /// Takes the task's span. The caller ends it outside of locks.
    #[cfg(feature = "tracing")]
    pub(crate) fn take_span(&self) -> Option<crate::events::Span> {
        self.known_rare(|rare| rare.span.take())
    }

    /// Keeps the record of what the task waits for. By the thread that polls it, after
    /// [`Cold::take_awaited`].
    pub(super) fn keep_awaited(&self, record: AwaitedRecord) {
        self.rare(|rare| rare.awaited = Some(record));
    }

    /// Takes that record. The caller drops it outside of locks, since that may free the slot of a task.
    pub(crate) fn take_awaited(&self) -> Option<AwaitedRecord> {
        self.known_rare(|rare| rare.awaited.take())
    }

    /// Calls `f` with that record, under a lock.
    pub(super) fn with_awaited<R>(&self, f: impl FnOnce(&AwaitedRecord) -> R) -> Option<R> {
        self.known_rare(|rare| rare.awaited.as_ref().map(f))
    }

    fn cleanups<R>(&self, f: impl FnOnce(&mut Cleanups) -> R) -> R {
        self.rare(|rare| {
            let result = f(&mut rare.cleanups);
            self.cleanups_pending
                .store(rare.cleanups.len() as u32, Ordering::Relaxed);
            result
        })
    }

    /// Adds a deferred cleanup. Like the functions below, it is called only by the thread that runs the
    /// task or has claimed it.
    pub(crate) fn push_cleanup(&self, cleanup: Cleanup) {
        self.cleanups(|all| all.push(cleanup));
    }

    /// Takes the cleanup at this position out to poll it; `None` if there is none, or an earlier one has to
    /// end first.
    pub(crate) fn take_cleanup(&self, at: usize) -> Option<Cleanup> {
        if !self.has_cleanups() {
            return None;
        }
        self.cleanups(|all| all.take(at))
    }

    /// Puts a cleanup back after a poll that returned `Pending`.
    pub(crate) fn return_cleanup(&self, cleanup: Cleanup) {
        self.cleanups(|all| all.put_back(cleanup));
    }

    /// Notes that the cleanup that was taken out has ended and was dropped.
    pub(crate) fn finish_cleanup(&self) {
        self.cleanups(Cleanups::finish);
    }

    /// Takes a cleanup out to drop it.
    pub(crate) fn pop_cleanup(&self) -> Option<Cleanup> {
        self.cleanups(Cleanups::pop)
    }

    /// Whether there are deferred cleanups.
    pub(crate) fn has_cleanups(&self) -> bool {
        self.cleanups_pending.load(Ordering::Relaxed) != 0
    }

    /// Keeps a cleanup's panic as the task's outcome. Returns it if the task has panicked before.
    pub(crate) fn keep_panic(&self, panic: Box<dyn Any + Send>) -> Option<Box<dyn Any + Send>> {
        if self.panicked.load(Ordering::Relaxed) {
            return Some(panic);
        }
        self.rare(|rare| {
            if rare.panic.is_some() {
                return Some(panic);
            }
            rare.panic = Some(panic);
            self.has_panic.store(true, Ordering::Relaxed);
            None
        })
    }

    /// Notes that the future has panicked, which stays the task's outcome: later panics do not replace it.
    pub(crate) fn set_panicked(&self) {
        self.panicked.store(true, Ordering::Relaxed);
    }

    /// Notes a panic that must not hide what the task's code has returned. It is counted when the poll has
    /// ended.
    pub(crate) fn note_panic(&self, panic: Box<dyn Any + Send>) {
        self.rare(|rare| rare.noted.push(panic));
        self.has_noted.store(true, Ordering::Relaxed);
    }

    /// Whether panics were noted in this poll.
    #[inline]
    pub(crate) fn has_noted(&self) -> bool {
        self.has_noted.load(Ordering::Relaxed)
    }

    /// Takes the panics that were noted.
    pub(crate) fn take_noted(&self) -> Vec<Box<dyn Any + Send>> {
        self.has_noted.store(false, Ordering::Relaxed);
        self.rare(|rare| std::mem::take(&mut rare.noted))
    }

    /// Takes the panic that [`Cold::keep_panic`] has kept.
    #[inline]
    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.rare_if(&self.has_panic, |rare| rare.panic.take())
    }
}
