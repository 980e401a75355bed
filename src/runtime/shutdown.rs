//! Shutting a runtime down, and dropping it.

use super::driver::{Bed, Driver, PassOn};
use super::owner::Runtime;
use super::stuck::{self, Stuck};
use crate::error::{CancelCause, How, Origin, StopTimeout};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::task::Shared;
use crate::task::current;
use crate::task::current::inside::InRuntime;
use crate::task::state::Level;
use crate::timer_queue::Fire;
use crate::tree::look;
use crate::tree::request::{end_all, end_all_from, request_all};
use std::panic::Location;
use std::time::{Duration, Instant};

impl Runtime {
    /// Cancels everything and waits up to `timeout` for the tasks that are protected by a shield, a
    /// cleanup or a grace period. Then it does what dropping the runtime does, except that it leaves a
    /// thread behind that is stuck in a poll, or in a blocking closure.
    ///
    /// A thread counts as stuck when no worker has got anything done for about 100 ms. On a worker of
    /// this runtime, and in a blocking closure of it, this does not wait at all.
    ///
    /// # Errors
    ///
    /// Returns [`StopTimeout`] if any task was left when the time was over, with a snapshot of those
    /// tasks.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let runtime = taskgrove::Runtime::new()?;
    /// runtime.spawn(std::future::pending::<()>());
    /// runtime.shutdown_timeout(Duration::from_secs(5))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Result<(), StopTimeout> {
        self.is_shut_down = true;
        let shared = self.handle.shared().clone();
        let origin = Origin::at(How::Shutdown, Location::caller());
        end_all_from(&shared, Level::Cancel, origin);
        let inside = is_inside(&shared);
        if !inside {
            self.wait_done(&shared, timeout);
        }
        if self.pool.has_terminated() {
            self.join();
            return Ok(());
        }
        let remaining = look::all(&shared);
        request_all(&shared, Level::Kill);
        // A worker that is this thread ends the tasks once it goes on.
        if !inside {
            self.wait_until_stuck(&shared);
            self.join();
        } else if self.is_left_alone(&shared) {
            self.wait_until_stuck(&shared);
        }
        if remaining.is_empty() {
            return Ok(());
        }
        let cause = Some(CancelCause::new(String::new(), origin));
        Err(StopTimeout { remaining, cause })
    }

    /// Waits until the last task is done, at most for `timeout`. Runs the tasks if there are no workers
    /// and no other thread does. The calling thread is no worker of the runtime.
    fn wait_done(&self, shared: &Arc<Shared>, timeout: Duration) {
        if !self.threads.is_empty() {
            let deadline = Instant::now().checked_add(timeout);
            while !self.pool.has_terminated() && deadline.is_none_or(|at| Instant::now() < at) {
                self.pool.end.park(deadline);
            }
            return;
        }
        let _in_runtime = InRuntime::enter(shared.clone(), None);
        let Bed {
            parker,
            woken: over,
            waker,
        } = Bed::new(timeout.is_zero());
        let deadline = shared.clock.deadline(timeout);
        let timer = shared.timers.insert(deadline, Fire::Waker(waker));
        let is_over = || over.load(Ordering::Acquire) || self.pool.has_terminated();
        // Declared before the driver, so dropped after it has given the core back.
        let _pass_on = PassOn(Some(&self.pool));
        let mut driver = None;
        while !is_over() {
            if driver.is_none() {
                driver = Driver::take(&self.pool, shared, &parker);
            }
            match &mut driver {
                Some(driver) => driver.run(is_over),
                // A thread that is in `block_on` with a handle drives the tasks.
                None => self.pool.park_block_on_thread(shared, &parker, || {
                    is_over() || self.pool.is_core_free()
                }),
            }
        }
        drop(driver);
        if let Some((key, _)) = timer {
            shared.timers.remove(key);
        }
    }

    /// Waits until the last task is done, and leaves the threads behind that are stuck.
    fn wait_until_stuck(&mut self, shared: &Arc<Shared>) {
        let mut stuck = Stuck::new(self.pool.progress());
        while !self.pool.has_terminated() {
            self.wait_done(shared, stuck::LOOK);
            if stuck.look(self.pool.progress()) && !self.pool.has_terminated() {
                // Every other worker is idle. The tasks that are left wait for a poll or a drop that
                // does not end.
                self.threads.clear();
                break;
            }
        }
    }

    /// Whether no worker ends the tasks when the calling code, which is inside of the runtime, does not: it is in a
    /// closure that blocks, and there are no workers.
    fn is_left_alone(&self, shared: &Shared) -> bool {
        self.threads.is_empty() && !current::is_worker_of(shared)
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A worker catches the panics of tasks, so it ends only by returning.
            let _ = thread.join();
        }
    }
}

/// Whether the calling code is part of the runtime, which so does not end before it has returned: it is on a worker,
/// or in a closure that blocks.
fn is_inside(shared: &Shared) -> bool {
    current::is_worker_of(shared) || current::closure::is_of(shared)
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.handle.shared().forget_crowd_hook();
        if self.is_shut_down {
            return;
        }
        let shared = self.handle.shared().clone();
        end_all(&shared, Level::Kill);
        if is_inside(&shared) {
            if self.is_left_alone(&shared) {
                self.wait_until_stuck(&shared);
            }
            return;
        }
        if self.threads.is_empty() {
            self.wait_done(&shared, Duration::MAX);
        } else {
            self.join();
        }
    }
}
