//! A thread in `block_on` as the worker of a runtime without threads.

use crate::schedule::pool::Pool;
use crate::schedule::worker::Worker;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Parker};
use crate::task::Shared;
use crate::task::current::InRuntime;
use crate::task::wakes;
use std::task::Waker;

/// Passes the core of a pool without threads on, should nobody have it when this thread leaves: it
/// may be the one that was woken to take it.
pub(super) struct PassOn<'a>(pub(super) Option<&'a Pool>);

impl Drop for PassOn<'_> {
    fn drop(&mut self) {
        if let Some(pool) = self.0
            && pool.is_core_free()
        {
            pool.wake_block_on_thread();
        }
    }
}

/// A waker that says so and unparks.
pub(super) fn waker(parker: &Arc<Parker>, woken: &Arc<AtomicBool>) -> Waker {
    let (parker, woken) = (parker.clone(), woken.clone());
    let waker = waker_fn::waker_fn(move || {
        woken.store(true, Ordering::Release);
        parker.unpark();
    });
    wakes::know(&waker);
    waker
}

/// The calling thread as the one worker of a runtime that has no threads.
pub(super) struct Driver<'a> {
    worker: Worker<'a>,
    pool: &'a Pool,
    _in_runtime: InRuntime,
}

impl<'a> Driver<'a> {
    /// `None` if another thread is it.
    pub(super) fn take(
        pool: &'a Pool,
        shared: &'a Arc<Shared>,
        parker: &Arc<Parker>,
    ) -> Option<Self> {
        pool.take_core().then(|| {
            let in_runtime = InRuntime::enter(shared.clone(), Some(0));
            Driver {
                worker: Worker::new(pool, shared, parker.clone()),
                pool,
                _in_runtime: in_runtime,
            }
        })
    }

    /// Does some work (always a bit: a future that is always ready starves no task), or sleeps if
    /// there is none, and returns soon once `stop` is true.
    pub(super) fn run(&mut self, stop: impl Fn() -> bool) {
        for _ in 0..64 {
            if !self.worker.tick() {
                return self.worker.park(stop);
            }
            if stop() {
                break;
            }
        }
        self.worker.flush();
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        self.worker.stop_searching();
        self.pool.release_core();
    }
}
