//! What few tasks need: made on demand, reached through the header's cold pointer. That of a
//! service's node is part of the service's record.

use super::cell::TaskRef;
use super::cleanups::{Cleanup, Cleanups};
use super::current;
use super::shared::Shared;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex};
use crate::task::record::Record;
use crate::timer::{Fire, TimerKey};
use crate::tree::finish;
use crate::tree::hold::Hold;
use crate::wait_list::WaitList;
use std::any::Any;
use std::ptr::null;
use std::time::Duration;

/// The extras of a task.
pub(crate) struct Cold {
    /// The record of the service this task belongs to; borrowed from the service's node, which
    /// outlives every task below it.
    record: AtomicPtr<Record>,
    /// Unless it is the function's, or that of a service.
    pub(crate) name: Option<Box<str>>,
    pub(crate) grace: Option<Duration>,
    /// Scopes of `shielded` and `finally` that are active in the task, on whatever thread.
    pub(crate) protection: AtomicU32,
    pub(crate) waiters: WaitList,
    cleanups_pending: AtomicU32,
    has_panic: AtomicBool,
    /// The task's outcome is a panic already.
    panicked: AtomicBool,
    has_noted: AtomicBool,
    has_timers: AtomicBool,
    pub(crate) busy_ns: AtomicU64,
    /// The number of the first request to cancel this task; 0: none.
    pub(crate) asked: AtomicU64,
    /// The grace that the task has from above, once somebody has looked; 0: not known.
    pub(crate) inherited: AtomicU64,
    rare: Mutex<Option<Box<Rare>>>,
}

/// What few of these few need; flags beside it say whether to look.
#[derive(Default)]
struct Rare {
    cleanups: Cleanups,
    /// The first panic of a cleanup: the task's outcome when it is done.
    panic: Option<Box<dyn Any + Send>>,
    /// Panics of this poll beside what it has returned.
    noted: Vec<Box<dyn Any + Send>>,
    /// The next end of a grace period of the cancellation that began here.
    timer: Option<TimerKey>,
    /// Scopes of protection that have to hear of the turn.
    scopes: Option<Arc<WaitList>>,
}

impl Cold {
    pub(crate) fn new(record: *const Record) -> Self {
        Self {
            record: AtomicPtr::new(record.cast_mut()),
            name: None,
            grace: None,
            protection: AtomicU32::new(0),
            waiters: WaitList::default(),
            cleanups_pending: AtomicU32::new(0),
            has_panic: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            has_noted: AtomicBool::new(false),
            has_timers: AtomicBool::new(false),
            busy_ns: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            inherited: AtomicU64::new(0),
            rare: Mutex::new(None),
        }
    }

    /// The part of a service's record that its node will have.
    pub(crate) fn of_service(grace: Option<Duration>) -> Self {
        Self {
            grace,
            ..Self::new(null())
        }
    }

    /// The record that this is a part of; before the node is known to anybody.
    pub(crate) fn set_record(&self, record: *const Record) {
        // Relaxed: the node's publication carries it.
        self.record.store(record.cast_mut(), Ordering::Relaxed);
    }

    pub(crate) fn record(&self) -> *const Record {
        self.record.load(Ordering::Relaxed)
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.protection.load(Ordering::Acquire) != 0
    }

    pub(crate) fn scopes(&self) -> Arc<WaitList> {
        self.rare(|rare| rare.scopes.get_or_insert_default().clone())
    }

    /// The turn has come: wakes the scopes of protection that have to hear of it.
    pub(crate) fn announce(&self) {
        let scopes = self.rare.lock().as_ref().and_then(|r| r.scopes.clone());
        if let Some(scopes) = scopes {
            scopes.wake_all();
        }
    }

    /// A timer that is of no use once the task is done. There is one at a time: an earlier one has
    /// fired (maybe before its key came here).
    pub(crate) fn keep_timer(&self, key: TimerKey) {
        self.rare(|rare| {
            if rare.timer.is_none_or(|other| key.is_later_than(other)) {
                rare.timer = Some(key);
            }
        });
        // Relaxed: the walk that does this holds the task, and gives the hold back before the end.
        self.has_timers.store(true, Ordering::Relaxed);
    }

    /// By the finisher.
    #[inline]
    pub(crate) fn cancel_timers(&self, shared: &Shared) {
        if self.has_timers.load(Ordering::Relaxed) {
            self.cancel_timer(shared);
        }
    }

    #[cold]
    fn cancel_timer(&self, shared: &Shared) {
        let Some(key) = self.rare(|rare| rare.timer.take()) else {
            return;
        };
        // What waits there may have much to give back: the task is done, so it does that in steps.
        if let Some(Fire::Job(job)) = shared.timers.take(key)
            && let Some(rest) = finish::run_job(job)
        {
            shared.schedule().job(rest);
        }
    }

    #[cold]
    fn rare<R>(&self, f: impl FnOnce(&mut Rare) -> R) -> R {
        f(self.rare.lock().get_or_insert_default())
    }

    fn cleanups<R>(&self, f: impl FnOnce(&mut Cleanups) -> R) -> R {
        self.rare(|rare| {
            let result = f(&mut rare.cleanups);
            self.cleanups_pending
                .store(rare.cleanups.len() as u32, Ordering::Relaxed);
            result
        })
    }

    pub(crate) fn push_cleanup(&self, cleanup: Cleanup) {
        self.cleanups(|all| all.push(cleanup));
    }

    /// Takes the cleanup at this place out to poll it; whoever runs the task does. `None`: it is
    /// not its turn, or there is none.
    pub(crate) fn take_cleanup(&self, at: usize) -> Option<Cleanup> {
        if !self.has_cleanups() {
            return None;
        }
        self.cleanups(|all| all.take(at))
    }

    /// Puts it back after a poll that returned `Pending`.
    pub(crate) fn return_cleanup(&self, cleanup: Cleanup) {
        self.cleanups(|all| all.put_back(cleanup));
    }

    /// It is over, and has been dropped.
    pub(crate) fn finish_cleanup(&self) {
        self.cleanups(Cleanups::finish);
    }

    /// Takes any out, to drop it.
    pub(crate) fn pop_cleanup(&self) -> Option<Cleanup> {
        self.cleanups(Cleanups::pop)
    }

    /// Only whoever runs the task, or has claimed it, pushes or takes: it sees its own writes.
    pub(crate) fn has_cleanups(&self) -> bool {
        self.cleanups_pending.load(Ordering::Relaxed) != 0
    }

    /// Keeps a cleanup's panic as the task's outcome, if it is the first; else gives it back. By
    /// whoever runs the task, as [`Cold::take_panic`].
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

    /// The future has panicked: that stays the task's outcome, whatever panics later.
    pub(crate) fn set_panicked(&self) {
        self.panicked.store(true, Ordering::Relaxed);
    }

    /// Notes a panic that must not hide what the task's code has returned: it is counted when the
    /// poll has ended. By whoever runs the task, as [`Cold::take_noted`].
    pub(crate) fn note_panic(&self, panic: Box<dyn Any + Send>) {
        self.rare(|rare| rare.noted.push(panic));
        self.has_noted.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn has_noted(&self) -> bool {
        self.has_noted.load(Ordering::Relaxed)
    }

    pub(crate) fn take_noted(&self) -> Vec<Box<dyn Any + Send>> {
        self.has_noted.store(false, Ordering::Relaxed);
        self.rare(|rare| std::mem::take(&mut rare.noted))
    }

    #[inline]
    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        if self.has_panic.load(Ordering::Relaxed) {
            self.rare(|rare| rare.panic.take())
        } else {
            None
        }
    }
}

/// Uses the cold data of a task that may be over: a service's has then been given up, and of no
/// other is it of use any more.
pub(crate) fn visit(node: &TaskRef, f: impl FnOnce(&Cold)) {
    if current::node() == Some(**node) {
        f(node.cold_or_new());
    } else if let Some(held) = Hold::on(**node) {
        f(held.cold_or_new());
    }
}
