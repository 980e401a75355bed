//! [`Driver`]: a thread in `block_on` that is the worker of a runtime without threads.
//!
//! The pool of such a runtime has one core, and `core_taken` says whether a thread has it. All its
//! accesses are an acquire, a release or both: the thread that takes the core sees everything that
//! the one before did with it (`Pool::release_core` is the release).

use crate::schedule::pool::Pool;
use crate::schedule::worker::Worker;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Parker};
use crate::task::Shared;
use crate::task::current::inside::InRuntime;
use crate::task::wakes;
use std::cell::Cell;
use std::task::Waker;

/// Wakes another thread in `block_on` when this one leaves and the core is free. This thread may be
/// the one that was woken to take it.
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

/// What a thread that may run the tasks sleeps with, and how it is woken.
pub(super) struct Bed {
    pub(super) parker: Arc<Parker>,
    /// Whether the waker was woken. Its Release store pairs with the Acquire of the thread that reads this,
    /// which then sees what happened before the wake.
    pub(super) woken: Arc<AtomicBool>,
    /// Sets `woken` and unparks the thread.
    pub(super) waker: Waker,
}

std::thread_local! {
    /// That of the last call, for the next one.
    static LAST: Cell<Option<Bed>> = const { Cell::new(None) };
}

impl Bed {
    /// One whose waker counts as woken: that of the thread's last call, so that a call allocates nothing. A
    /// waker that is left of that call may wake this one in vain, which costs a poll.
    pub(super) fn made() -> Bed {
        // Under loom, nothing outlives a run of a model.
        let last = LAST.try_with(Cell::take).ok().flatten();
        let Some(bed) = last.filter(|_| !cfg!(taskgrove_loom)) else {
            return Bed::new(true);
        };
        bed.woken.store(true, Ordering::Relaxed);
        bed
    }

    /// One whose waker counts as woken, or does not.
    pub(super) fn new(is_woken: bool) -> Bed {
        let parker = Arc::new(Parker::new());
        let woken = Arc::new(AtomicBool::new(is_woken));
        let waker = {
            let (parker, woken) = (parker.clone(), woken.clone());
            waker_fn::waker_fn(move || {
                woken.store(true, Ordering::Release);
                parker.unpark();
            })
        };
        wakes::know(&waker);
        Bed {
            parker,
            woken,
            waker,
        }
    }

    /// Keeps it for the thread's next call.
    pub(super) fn leave(self) {
        if !cfg!(taskgrove_loom) {
            let _ = LAST.try_with(|last| last.set(Some(self)));
        }
    }
}

/// Makes the calling thread the only worker of a runtime without threads, until it is dropped.
pub(super) struct Driver<'a> {
    /// Its drop may still put a task into the core's queue, so it goes before the core.
    worker: Worker<'a>,
    _in_runtime: InRuntime,
    /// Goes last: another thread may have the core then.
    _core: TakenCore<'a>,
}

/// The core of a pool without threads, which is given back when this is dropped.
struct TakenCore<'a>(&'a Pool);

impl<'a> TakenCore<'a> {
    /// Returns `None` if another thread has the core.
    fn take(pool: &'a Pool) -> Option<Self> {
        // Made only when it is taken: its drop gives the core back.
        pool.take_core().then(|| TakenCore(pool))
    }
}

impl Drop for TakenCore<'_> {
    fn drop(&mut self) {
        self.0.release_core();
    }
}

impl<'a> Driver<'a> {
    /// Returns `None` if another thread has the core.
    pub(super) fn take(
        pool: &'a Pool,
        shared: &'a Arc<Shared>,
        parker: &Arc<Parker>,
    ) -> Option<Self> {
        TakenCore::take(pool).map(|core| {
            let in_runtime = InRuntime::enter(shared.clone(), Some(0));
            Driver {
                worker: Worker::new(pool, shared, parker.clone()),
                _in_runtime: in_runtime,
                _core: core,
            }
        })
    }

    /// Works for up to 64 steps, or parks if there is no work. Returns after the current step once
    /// `stop` is true. At least one step is done in any case, so that a future that is always ready
    /// does not starve the tasks.
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

    /// As [`run`](Driver::run), for a future that has woken itself: it goes behind the tasks that are ready, as a
    /// task that yields does. One step for each of them is done.
    pub(super) fn run_queued(&mut self) {
        for _ in 0..self.worker.queued().max(1) {
            if !self.worker.tick() {
                return self.worker.park(|| true);
            }
        }
        self.worker.flush();
    }

    /// Does what is left in a runtime that has ended.
    pub(super) fn finish(&mut self) {
        while self.worker.tick() {}
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        self.worker.stop_searching();
    }
}
