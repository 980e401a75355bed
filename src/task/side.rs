//! What few tasks need: made on demand, reached through the header's side pointer.

use super::hub::Hub;
use crate::record::Record;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex};
use crate::timer::TimerKey;
use crate::wait::WaitList;
use std::any::Any;
use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

/// A deferred cleanup.
pub(crate) type Cleanup = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The extras of a task.
pub(crate) struct Side {
    /// The record of the service this task belongs to; borrowed from the service's node, which
    /// outlives every task below it.
    pub(crate) record: *const Record,
    /// The service's node owns it.
    pub(crate) owned: Option<Arc<Record>>,
    pub(crate) name: Option<Box<str>>,
    pub(crate) grace: Option<Duration>,
    /// Scopes of `shielded` and `finally` that are active in the task, on whatever thread.
    pub(crate) protection: AtomicU32,
    pub(crate) waiters: WaitList,
    /// Deferred cleanups, in the order of their guards' drops; the first is the one polled.
    cleanups: Mutex<VecDeque<Cleanup>>,
    cleanups_pending: AtomicU32,
    /// The first panic of a cleanup: the task's outcome when it is done.
    pub(crate) cleanup_panic: Mutex<Option<Box<dyn Any + Send>>>,
    pub(crate) busy_ns: AtomicU64,
    /// The number of the first request to cancel this task; 0: none.
    pub(crate) asked: AtomicU64,
    /// Ends of grace periods of a cancellation that began here.
    timers: Mutex<Vec<TimerKey>>,
}

impl Side {
    pub(crate) fn new(record: *const Record) -> Self {
        Self {
            record,
            owned: None,
            name: None,
            grace: None,
            protection: AtomicU32::new(0),
            waiters: WaitList::default(),
            cleanups: Mutex::new(VecDeque::new()),
            cleanups_pending: AtomicU32::new(0),
            cleanup_panic: Mutex::new(None),
            busy_ns: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            timers: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.protection.load(Ordering::Acquire) != 0
    }

    /// A timer that is of no use once the task is done.
    pub(crate) fn keep_timer(&self, key: TimerKey) {
        self.timers.lock().push(key);
    }

    pub(crate) fn cancel_timers(&self, hub: &Hub) {
        for key in std::mem::take(&mut *self.timers.lock()) {
            hub.timers.remove(key);
        }
    }

    pub(crate) fn push_cleanup(&self, cleanup: Cleanup) {
        let mut queue = self.cleanups.lock();
        queue.push_back(cleanup);
        self.cleanups_pending
            .store(queue.len() as u32, Ordering::Relaxed);
    }

    /// Takes the first cleanup out to poll it; whoever runs the task does.
    pub(crate) fn take_cleanup(&self) -> Option<Cleanup> {
        let mut queue = self.cleanups.lock();
        let first = queue.pop_front();
        self.cleanups_pending
            .store(queue.len() as u32, Ordering::Relaxed);
        first
    }

    /// Puts it back after a poll that returned `Pending`.
    pub(crate) fn return_cleanup(&self, cleanup: Cleanup) {
        let mut queue = self.cleanups.lock();
        queue.push_front(cleanup);
        self.cleanups_pending
            .store(queue.len() as u32, Ordering::Relaxed);
    }

    /// Only whoever runs the task, or has claimed it, pushes or takes: it sees its own writes.
    pub(crate) fn has_cleanups(&self) -> bool {
        self.cleanups_pending.load(Ordering::Relaxed) != 0
    }
}
