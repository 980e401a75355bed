//! [`Runtime`], and blocking on a future.

use super::driver::{Driver, PassOn, waker};
use crate::error::ServiceError;
use crate::handle::Handle;
use crate::protect::last_poll::poll_to_its_end;
use crate::schedule::pool::Pool;
use crate::service::{Manager, Service};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Parker};
use crate::task::arced;
use crate::task::current::{self, InRuntime};
use crate::task::raw::fits;
use std::ops::Deref;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

/// A runtime: worker threads, timers, and the tree of the tasks that run on them.
///
/// It derefs to its [`Handle`], which spawns, starts services and takes snapshots. Dropping it
/// stops everything: every future is dropped, leaves first, after its current poll; no shield,
/// cleanup or grace is waited for, and the workers are joined. So a task that is stuck in a poll
/// holds up the drop. [`shutdown_timeout`](Runtime::shutdown_timeout) first lets protected tasks
/// end, and leaves a stuck thread behind. Dropped on one of its own workers, it stops everything
/// without joining.
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::new()?;
/// let n = runtime.block_on(async {
///     let task = taskgrove::spawn(async { 21 });
///     task.await.unwrap() * 2
/// });
/// assert_eq!(n, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    pub(super) handle: Handle,
    pub(super) pool: Arc<Pool>,
    pub(super) threads: Vec<JoinHandle<()>>,
    /// [`Runtime::shutdown_timeout`] has done what the drop does.
    pub(super) is_shut_down: bool,
}

impl Runtime {
    /// The runtime's handle, which can be cloned and may outlive it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs a future to its end on the calling thread, while the workers run the tasks. The future
    /// need not be `Send` nor `'static`. It is no task: what it spawns are roots, and
    /// [`shielded`](crate::shielded) changes nothing in it. Several threads may do this at once.
    ///
    /// # Panics
    ///
    /// On a worker of this runtime: it would block the tasks it waits for. With what the future
    /// panics.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::builder().workers(0).build()?;
    /// let text = String::from("borrowed");
    /// assert_eq!(runtime.block_on(async { text.len() }), 8);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        if const { fits::<F>() } {
            self.drive(pin!(Some(future)))
        } else {
            self.drive(pin!(Some(Box::pin(future))))
        }
    }

    fn drive<F: Future>(&self, mut future: Pin<&mut Option<F>>) -> F::Output {
        let shared = self.handle.shared();
        assert!(
            !current::is_worker_of(shared),
            "`block_on` was called on a worker of the same runtime, and would block the tasks it waits for: await the future instead"
        );
        let _in_runtime = InRuntime::enter(shared.clone(), None);
        let parker = Arc::new(Parker::new());
        let woken = Arc::new(AtomicBool::new(true));
        let waker = waker(&parker, &woken);
        let mut cx = Context::from_waker(&waker);
        // Dropped after the driver: the core may have been given back to this thread.
        let _pass_on = PassOn(self.threads.is_empty().then_some(&*self.pool));
        let mut driver: Option<Driver<'_>> = None;
        loop {
            if woken.swap(false, Ordering::AcqRel)
                && let Poll::Ready(output) =
                    current::outside_tasks(|| poll_to_its_end(future.as_mut(), &mut cx))
            {
                return output;
            }
            if driver.is_none() && self.threads.is_empty() {
                driver = Driver::take(&self.pool, shared, &parker);
            }
            match &mut driver {
                Some(driver) => driver.run(|| woken.load(Ordering::Acquire)),
                None => self.pool.park_block_on_thread(shared, &parker, || {
                    let free = self.threads.is_empty() && self.pool.is_core_free();
                    free || woken.load(Ordering::Acquire)
                }),
            }
        }
    }

    /// Runs a service to its end: [`Manager::run_service`] from synchronous code.
    ///
    /// # Errors
    ///
    /// The service's failures, or [`LifecycleError::AlreadyManaged`](crate::LifecycleError).
    ///
    /// # Panics
    ///
    /// As [`block_on`](Runtime::block_on).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::new()?;
    /// runtime.run(taskgrove::service_fn("hello", async |_| {
    ///     println!("hello");
    ///     Ok(())
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn run<S: Service>(&self, service: S) -> Result<(), ServiceError> {
        let location = Location::caller();
        self.block_on(Manager::run_shared(arced!(service, S), location))
    }
}

impl Deref for Runtime {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Runtime").field(&self.handle).finish()
    }
}
