//! [`Runtime`], and blocking on a future.

use super::watchdog::Watchdog;
use crate::error::ServiceError;
use crate::handle::Handle;
use crate::handle::block_on::drive;
use crate::schedule::pool::Pool;
use crate::service::{Manager, Service};
use crate::sync::Arc;
use crate::task::{arced, fitting};
use std::ops::Deref;
use std::panic::Location;
use std::pin::pin;
use std::thread::JoinHandle;

/// Owns worker threads, timers, and the tree of the tasks that run on them.
///
/// A runtime derefs to its [`Handle`], which spawns tasks, starts services and takes snapshots.
///
/// # Shutdown
///
/// Dropping the runtime drops every future, leaves first, each after its current poll. It waits for
/// no shield, cleanup or grace period, and then joins the workers. So a task that is stuck in a poll
/// holds up the drop. [`shutdown_timeout`](Runtime::shutdown_timeout) first lets protected tasks end,
/// and leaves a stuck thread behind. A runtime that is dropped on one of its own workers, or in a blocking
/// closure of its own, stops everything without joining the threads.
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
    /// Whether [`Runtime::shutdown_timeout`] has done what the drop would do.
    pub(super) is_shut_down: bool,
    /// Dropped last, after the workers have ended.
    pub(super) watchdog: Option<Watchdog>,
}

impl Runtime {
    /// Returns the runtime's handle, which can be cloned and may outlive the runtime.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs a future to its end on the calling thread, while the workers run the tasks.
    ///
    /// The future need be neither `Send` nor `'static`. It is not a task: its children are roots, and
    /// [`shielded`](crate::shielded) changes nothing in it. Several threads may call this at once. If
    /// the runtime has no workers, one of them runs the tasks, too.
    ///
    /// A future that wakes itself in its poll goes behind the tasks that are ready, as far as this thread runs the
    /// tasks. So `runtime.block_on(taskgrove::yield_now())` gives them a turn, from a loop that exists.
    ///
    /// # Panics
    ///
    /// Panics on a worker of this runtime, where it would block the tasks that it waits for, and with a
    /// panic of the future.
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
        // Not by `Handle::block_on`: the future would be copied once more.
        let shared = self.handle.shared();
        fitting!(future: F => drive(shared, pin!(Some(future))))
    }

    /// Runs a service to its end: [`Manager::run_service`] for synchronous code.
    ///
    /// # Errors
    ///
    /// Returns the service's failures, or
    /// [`AlreadyManaged`](crate::LifecycleError::AlreadyManaged) if the service's slot is taken.
    ///
    /// # Panics
    ///
    /// Panics on a worker of this runtime, as [`block_on`](Runtime::block_on) does.
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
