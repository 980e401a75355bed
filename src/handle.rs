//! [`Handle`]: spawns root tasks in a runtime and observes it, from any thread.
//!
//! The room also has what concerns the calling code: which runtime it is in, which task it is, and
//! the functions [`spawn`](child::spawn) and [`yield_now`]. It passes requests on, to `tree` for tasks
//! and to the scheduler for counts, and may change neither by itself. It guards that each of these
//! functions panics outside a runtime with a message that says what to do. Services are above it.

pub(crate) mod block_on;
#[cfg(feature = "blocking")]
pub(crate) mod blocking;
mod caller;
pub(crate) mod cancel_guard;
pub(crate) mod child;
pub(crate) mod defer;
pub(crate) mod enter;
pub(crate) mod local;
mod metrics;
pub(crate) mod settings;
pub(crate) mod task;

pub use caller::{cancel_cause, yield_now};
pub(crate) use caller::{current_shared, current_shared_for};
pub use metrics::Metrics;

use crate::arena::slot_box::SlotBox;
use crate::snapshot::Snapshot;
use crate::sync::Arc;
use crate::task::raw::fits;
use crate::task::{Shared, current, fitting, held};
use crate::tree::{look, spawn};
use local::TaskLocal;
use settings::Settings;
use std::panic::Location;
use task::Task;

/// A handle of a [`Runtime`](crate::Runtime) that can be cloned and sent to other threads.
///
/// A handle keeps nothing running. It may outlive its runtime: [`spawn`](Handle::spawn) then returns
/// a task that is already cancelled, [`start`](Handle::start) fails with
/// [`NotRunning`](crate::LifecycleError::NotRunning), and [`snapshot`](Handle::snapshot) is empty.
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::new()?;
/// let handle = runtime.handle().clone();
/// let thread = std::thread::spawn(move || handle.spawn(async { "from another thread" }));
/// let task = thread.join().expect("the thread does not panic");
/// assert_eq!(runtime.block_on(task)?, "from another thread");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// Configures a root task before it is spawned. [`Handle::task`] makes one.
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::new()?;
/// let task = runtime.task(async { 1 + 1 }).name("adder").spawn();
/// assert_eq!(task.name(), "adder");
/// assert_eq!(runtime.block_on(task)?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the task is not spawned until `spawn` is called"]
pub struct RootBuilder<'a, F> {
    handle: &'a Handle,
    future: SlotBox<F>,
    settings: Settings,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Handle { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the handle of the runtime that the calling code runs in.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime, that is, neither in a task nor in
    /// [`Runtime::block_on`](crate::Runtime::block_on).
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::Handle;
    /// let runtime = taskgrove::Runtime::new()?;
    /// let root = runtime.block_on(async { Handle::current().spawn(async { 5 }).await });
    /// assert_eq!(root?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn current() -> Handle {
        Handle::new(current_shared())
    }

    /// Returns the handle of the runtime that the calling code runs in, or `None` outside a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::Handle;
    /// assert!(Handle::try_current().is_none());
    /// let runtime = taskgrove::Runtime::new()?;
    /// runtime.block_on(async { assert!(Handle::try_current().is_some()) });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_current() -> Option<Handle> {
        current::shared().map(Handle::new)
    }

    /// Spawns a root task: a task that has no parent, whichever code calls this.
    ///
    /// The task runs also if the handle that is returned is dropped. If the runtime has shut down, or
    /// is about to, the future is dropped here and the handle reads
    /// [`Cancelled`](crate::JoinError::Cancelled).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::new()?;
    /// let task = runtime.spawn(async { "done" });
    /// assert_eq!(task.parent(), None);
    /// assert_eq!(runtime.block_on(task)?, "done");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let location = Location::caller();
        fitting!(future: F => self.spawn_plain::<F, _>(future, location))
    }

    /// Spawns a root that is named after `N`, with a future that fits a slot.
    pub(super) fn spawn_plain<N, F>(
        &self,
        future: F,
        location: &'static Location<'static>,
    ) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let home = current::home(&self.shared).as_parent();
        Task::new(spawn::plain::<N, _>(home, future, location), home)
    }

    /// As [`spawn_plain`](Handle::spawn_plain), with options.
    pub(super) fn spawn_with<N, F>(
        &self,
        future: F,
        options: spawn::Options,
        location: &'static Location<'static>,
    ) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let home = current::home(&self.shared).as_parent();
        let joined = spawn::raw::<N, _>(home, future, options, location);
        Task::new(joined, home)
    }

    /// Returns a builder of a root task.
    pub fn task<F>(&self, future: F) -> RootBuilder<'_, F> {
        RootBuilder {
            handle: self,
            future: held!(future: F),
            settings: Settings::default(),
        }
    }

    /// Takes a snapshot of all tasks; see [`Snapshot`].
    ///
    /// The cost grows with the number of live tasks. Tasks go on meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::new()?;
    /// runtime.task(std::future::pending::<()>()).name("idler").spawn();
    /// assert_eq!(runtime.snapshot().nodes()[0].path, "idler");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        look::all(&self.shared)
    }

    /// Reads the runtime's counts.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::builder().workers(2).build()?;
    /// runtime.spawn(std::future::pending::<()>());
    /// let metrics = runtime.metrics();
    /// assert_eq!((metrics.workers, metrics.live_tasks), (2, 1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        let counts = self.shared.schedule().counts();
        Metrics {
            workers: counts.workers,
            live_tasks: counts.live_tasks as usize,
            polls: counts.polls,
            steals: counts.steals,
            parks: counts.parks,
            timers: self.shared.timers.len(),
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("metrics", &self.metrics())
            .finish_non_exhaustive()
    }
}

impl<F> RootBuilder<'_, F> {
    /// Sets the task's name in paths and snapshots. By default it is that of the function that made
    /// the future, without its path.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.set_name(name);
        self
    }

    /// Sets the value of a [`TaskLocal`] for the task and everything below it. A value that was set for
    /// the key before is dropped.
    pub fn local<T: Send + Sync + 'static>(mut self, key: &'static TaskLocal<T>, value: T) -> Self {
        self.settings.set_local(key, value);
        self
    }

    /// Spawns the task, as [`Handle::spawn`] does.
    #[track_caller]
    pub fn spawn(self) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (handle, options, location) =
            (self.handle, self.settings.into_task(), Location::caller());
        if const { fits::<F>() } {
            handle.spawn_with::<F, _>(self.future.take(), options, location)
        } else {
            handle.spawn_with::<F, _>(self.future.into_pin(), options, location)
        }
    }
}

impl<F> std::fmt::Debug for RootBuilder<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootBuilder")
            .field("name", &self.settings.name)
            .finish_non_exhaustive()
    }
}
