//! [`Handle`]: spawning, starting and looking at a runtime, from anywhere.

pub(crate) mod cancel_guard;
pub(crate) mod defer;
pub(crate) mod settings;
pub(crate) mod task;

use crate::arena::slot_box::SlotBox;
use crate::handle::task::Task;
use crate::id::TaskId;
use crate::protect::checkpoint;
use crate::snapshot::Snapshot;
use crate::sync::Arc;
use crate::task::raw::fits;
use crate::task::{Shared, current, fitting, held};
use crate::tree::{look, spawn};
use settings::Settings;
use std::future::poll_fn;
use std::panic::Location;
use std::task::{Context, Poll};

/// A cloneable handle to a [`Runtime`](crate::Runtime).
///
/// It keeps nothing running, and may outlive the runtime: [`spawn`](Handle::spawn) then gives a
/// task that is already cancelled, [`start`](Handle::start) fails with
/// [`NotRunning`](crate::LifecycleError::NotRunning), and [`snapshot`](Handle::snapshot) is empty.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// Configures a root task. Made by [`Handle::task`].
#[must_use = "the task is not spawned until `spawn` is called"]
pub struct RootBuilder<'a, F> {
    handle: &'a Handle,
    future: SlotBox<F>,
    settings: Settings,
}

/// Numbers of a runtime, as of one moment. Each is exact by itself; they are not read in one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Worker threads.
    pub workers: usize,
    /// Tasks that are not done, services included.
    pub live_tasks: usize,
    /// Polls (and drops of cancelled tasks that were queued) so far.
    pub polls: u64,
    /// Tasks that one worker took from another's queue so far.
    pub steals: u64,
    /// Times a worker went to sleep so far.
    pub parks: u64,
    /// Timers that have not fired.
    pub timers: usize,
}

const OUTSIDE: &str = "there is no taskgrove runtime here: call this from a task or inside `Runtime::block_on`, or use a `Handle` of the runtime";

/// The runtime the calling thread is in, or a panic that says what to do.
#[track_caller]
pub(crate) fn current_shared() -> Arc<Shared> {
    match current::shared() {
        Some(shared) => shared,
        None => panic!("{OUTSIDE}"),
    }
}

/// As [`current_shared`], for a future that was made there and is polled elsewhere.
pub(crate) fn current_shared_for(location: &Location<'_>) -> Arc<Shared> {
    match current::shared() {
        Some(shared) => shared,
        None => panic!("{OUTSIDE}; this is about a future that was made at {location}"),
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Handle { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The handle of the runtime the calling code runs in.
    ///
    /// # Panics
    ///
    /// Outside a runtime: neither in a task nor in [`Runtime::block_on`](crate::Runtime::block_on).
    #[track_caller]
    pub fn current() -> Handle {
        Handle::new(current_shared())
    }

    /// As [`current`](Handle::current), and `None` outside a runtime.
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

    /// Spawns a root task. On a runtime that has ended the task is cancelled before it ran.
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

    /// A root that is named after `N`, with a future that fits a slot.
    fn spawn_plain<N, F>(&self, future: F, location: &'static Location<'static>) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let home = current::home(&self.shared).as_parent();
        Task::new(spawn::plain::<N, _>(home, future, location), home)
    }

    /// The same, with options.
    fn spawn_named<N, F>(
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

    /// Configures a root task.
    pub fn task<F>(&self, future: F) -> RootBuilder<'_, F> {
        RootBuilder {
            handle: self,
            future: held!(future: F),
            settings: Settings::default(),
        }
    }

    /// A picture of all tasks. Walks the tree; see [`Snapshot`].
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

    /// The runtime's numbers.
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
    /// Names the task, in paths and snapshots; by default after the function it runs.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.set_name(name);
        self
    }

    /// Spawns it.
    #[track_caller]
    pub fn spawn(self) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (handle, options, location) =
            (self.handle, self.settings.into_task(), Location::caller());
        if const { fits::<F>() } {
            handle.spawn_named::<F, _>(self.future.take(), options, location)
        } else {
            handle.spawn_named::<F, _>(self.future.into_pin(), options, location)
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

/// Spawns a child of the task that calls it, or a root when called inside
/// [`Runtime::block_on`](crate::Runtime::block_on).
///
/// The child is cancelled with its parent, and its parent is not done before it. Inside a service
/// it is a raw task: in the tree, but unsupervised; a panic goes only to the handle. Under a
/// parent that is being cancelled, the child is cancelled before it ran.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::new()?;
/// runtime.block_on(async {
///     let outer = taskgrove::spawn(async {
///         let inner = taskgrove::spawn(async { 7 });
///         assert_eq!(inner.parent(), taskgrove::TaskId::current());
///         inner.await
///     });
///     assert_eq!(outer.await??, 7);
///     Ok::<(), taskgrove::JoinError>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let location = Location::caller();
    fitting!(future: F => spawn_here::<F, _>(future, location))
}

/// As [`spawn()`], of a future that fits a slot; `N` names the task.
#[inline]
#[track_caller]
fn spawn_here<N, F>(future: F, location: &'static Location<'static>) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if current::with(|task| task.is_none()) {
        return Handle::current().spawn_plain::<N, _>(future, location);
    }
    current::with(move |task| {
        let parent = task.expect("there is one").as_parent();
        Task::new(spawn::plain::<N, _>(parent, future, location), parent)
    })
}

/// Lets other tasks run: suspends once, at the end of the queue.
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::new()?;
/// runtime.block_on(async {
///     let task = taskgrove::spawn(async {});
///     while !task.is_done() {
///         taskgrove::yield_now().await;
///     }
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn yield_now() {
    let mut yielded = false;
    let mut poll = |cx: &mut Context<'_>| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    };
    poll_fn(|cx| checkpoint::poll(cx, || None, &mut poll)).await;
}

impl TaskId {
    /// The task that the calling code is part of: in its poll, or in the drop of its future.
    /// `None` elsewhere, also inside [`Runtime::block_on`](crate::Runtime::block_on).
    pub fn current() -> Option<TaskId> {
        current::with(|task| task.map(|task| task.id()))
    }
}
