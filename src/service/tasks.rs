//! Scheduling tasks through a [`Context`], and [`TaskBuilder`].

use super::context::{Context, SpawnPoint};
use super::when_room::WhenRoom;
use crate::arena::slot_box::SlotBox;
use crate::error::{Result, SpawnError};
use crate::handle::local::TaskLocal;
use crate::handle::settings::Settings;
use crate::handle::task::Task;
use crate::protect::checkpoint;
use crate::task::raw::fits;
use crate::task::{fitting, held, kind};
use crate::tree::room::Ticket;
use crate::tree::spawn;
use std::future::poll_fn;
use std::panic::Location;
use std::task::Context as TaskContext;
use std::time::Duration;

impl Context {
    /// Schedules a task. An error that it returns, or its panic, fails the service.
    ///
    /// Dropping the handle that is returned detaches the task and cancels nothing. While the service is
    /// being cancelled the future is dropped here; see [`Context`].
    ///
    /// # Errors
    ///
    /// Returns [`NotRunning`](crate::LifecycleError::NotRunning) before the start and after the end of
    /// the service, and [`TooManyChildren`](crate::TooManyChildren) if the parent has as many live
    /// supervised children as it may have.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Context, Runtime, service_fn};
    /// let service = service_fn("app", async |ctx: Context| {
    ///     let task = ctx.run_task(async { Ok(()) })?;
    ///     task.await?;
    ///     Ok(())
    /// });
    /// Runtime::new()?.run(service)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn run_task<F>(&self, f: F) -> Result<Task<()>, SpawnError>
    where
        F: Future<Output = Result> + Send + 'static,
    {
        let location = Location::caller();
        let options = spawn::Options::default();
        fitting!(f: F => spawn_named::<F, _, _>(self, f, options, location))
    }

    /// Schedules a daemon: a task that has to live as long as the service.
    ///
    /// If its future returns while the service is not being cancelled, the service fails with
    /// [`DaemonExit`](crate::FailureKind::DaemonExit), or with the error that the future returned. A
    /// service with a live daemon never finishes by itself.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`run_task`](Context::run_task).
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Context, FailureKind, Runtime, ServiceError, service_fn};
    /// let service = service_fn("app", async |ctx: Context| {
    ///     ctx.run_daemon_task(async { Ok(()) })?;
    ///     Ok(())
    /// });
    /// let Err(ServiceError::Failed(failures)) = Runtime::new()?.run(service) else {
    ///     panic!("the daemon goes on")
    /// };
    /// assert!(matches!(failures[0].kind(), FailureKind::DaemonExit));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn run_daemon_task<F>(&self, f: F) -> Result<Task<()>, SpawnError>
    where
        F: Future<Output = Result> + Send + 'static,
    {
        let location = Location::caller();
        let options = spawn::Options {
            kind: kind::DAEMON,
            ..spawn::Options::default()
        };
        fitting!(f: F => spawn_named::<F, _, _>(self, f, options, location))
    }

    /// Returns a builder of a task. Unlike [`run_task`](Context::run_task), the task may return a value
    /// of any type.
    pub fn task<F, T>(&self, f: F) -> TaskBuilder<'_, F>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        TaskBuilder::new(self, held!(f: F))
    }
}

/// Configures a task of a service before it is scheduled. [`Context::task`] makes one.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use taskgrove::{Context, Runtime, service_fn};
/// let service = service_fn("app", async |ctx: Context| {
///     let task = ctx.task(async { Ok(6 * 7) });
///     let task = task.name("answer").grace(Duration::from_secs(1)).spawn()?;
///     assert_eq!(task.name(), "answer");
///     assert_eq!(task.await?, 42);
///     Ok(())
/// });
/// Runtime::new()?.run(service)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the task is not scheduled until `spawn` is called"]
pub struct TaskBuilder<'a, F> {
    context: &'a Context,
    future: SlotBox<F>,
    settings: Settings,
}

impl<'a, F> TaskBuilder<'a, F> {
    fn new(context: &'a Context, future: SlotBox<F>) -> Self {
        TaskBuilder {
            context,
            future,
            settings: Settings::default(),
        }
    }

    /// Sets the task's name in paths, errors and snapshots. By default it is that of the function that
    /// made the future, without its path.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.set_name(name);
        self
    }

    /// Makes the task a daemon; see [`Context::run_daemon_task`].
    pub fn daemon(mut self) -> Self {
        self.settings.daemon = true;
        self
    }

    /// Sets the task's grace period: how long after a cancellation was asked for the task may go on.
    ///
    /// During that time the task is polled as before, and is not dropped. Tasks and services below it
    /// that set no period have the same one. For all of them it counts from the request. By default the
    /// period is that of the parent; a period of zero opts out of it.
    ///
    /// What the task spawns during that time is being cancelled from its birth, and is dropped when that same
    /// period ends, at the latest: a period of its own is not in force, and one of zero means that it never
    /// runs.
    pub fn grace(mut self, period: Duration) -> Self {
        self.settings.grace = Some(period);
        self
    }

    /// Sets the value of a [`TaskLocal`] for the task and everything below it. A value that was set for
    /// the key before is dropped.
    pub fn local<V: Send + Sync + 'static>(mut self, key: &'static TaskLocal<V>, value: V) -> Self {
        self.settings.set_local(key, value);
        self
    }

    /// Makes the error or the panic of the task its handle's alone: it is no failure of the service.
    ///
    /// In all else the task is as any other: it is named, counted and limited, has its grace, and is
    /// cancelled with the service. What it has left below is cancelled when it fails. The failures of
    /// tasks and services that it schedules through the context are failures of the service. If it is a
    /// daemon, too, its end is no failure either.
    pub fn isolated(mut self) -> Self {
        self.settings.isolated = true;
        self
    }

    /// Schedules the task.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`Context::run_task`].
    #[track_caller]
    pub fn spawn<T>(self) -> Result<Task<T>, SpawnError>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let (context, location) = (self.context, Location::caller());
        let opts_out = self.settings.opts_out();
        context.with_spawn_point(opts_out, move |at| self.spawn_there(&at, None, location))?
    }
}

impl<F> TaskBuilder<'_, F> {
    /// Schedules the task as [`spawn`](TaskBuilder::spawn) does, but waits while the parent has as many live
    /// supervised children as it may have.
    ///
    /// Places are given out in the order in which the waits have begun, which they do at their first polls. As
    /// long as a task waits, nothing that comes later gets a place, neither by this nor by
    /// [`spawn`](TaskBuilder::spawn) and the like. A place that a wait has got is kept for it until it is polled the
    /// next time, or dropped.
    ///
    /// The parent is that of a task that the polling code schedules; see [`Context`]. A wait that goes on in
    /// another task, and so has another parent, begins anew when it is polled there. Until then it is in the line of
    /// the parent before, also inside a set of futures that polls only what was woken.
    ///
    /// When cancellation of the service or of the parent is asked for, all waits go on, and each returns a
    /// task that never runs. A wait whose task would run nevertheless, because it is scheduled inside
    /// protection or in a grace period, goes on waiting until that ends.
    ///
    /// Dropping the future drops the task that was to be scheduled, and gives its place to the next wait.
    ///
    /// # Errors
    ///
    /// Returns [`NotRunning`](crate::LifecycleError::NotRunning) before the start and after the end of the
    /// service, also if that ends during the wait. Returns [`TooManyChildren`](crate::TooManyChildren) if the
    /// limit is zero, since there will never be room.
    ///
    /// # Examples
    ///
    /// A service that serves two connections at once, and takes the next one when it has room:
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskgrove::{Context, Manager, Runtime, service_fn, time};
    /// async fn serve(connection: u32) -> taskgrove::Result {
    ///     time::sleep(Duration::from_millis(1)).await;
    ///     println!("served {connection}");
    ///     Ok(())
    /// }
    /// let server = service_fn("server", async |ctx: Context| {
    ///     for connection in 0..10 {
    ///         ctx.task(serve(connection)).spawn_when_room().await?;
    ///         assert!(ctx.stats().tasks.pending_count() <= 2);
    ///     }
    ///     Ok(())
    /// });
    /// let runtime = Runtime::new()?;
    /// let server = Manager::builder(server).max_children(2).build()?;
    /// runtime.block_on(server.run())?;
    /// assert_eq!(server.stats().tasks.finished_count, 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn_when_room<T>(self) -> impl Future<Output = Result<Task<T>, SpawnError>> + Send
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_when_room_from(Location::caller())
    }

    async fn spawn_when_room_from<T>(
        self,
        location: &'static Location<'static>,
    ) -> Result<Task<T>, SpawnError>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let context = self.context;
        let opts_out = self.settings.opts_out();
        let mut wait = WhenRoom::new(context);
        let mut builder = Some(self);
        let mut spawn = |at: SpawnPoint<'_>, permit: Option<&mut Ticket>| {
            let builder = builder.take().expect("it is scheduled once");
            builder.spawn_there(&at, permit, location)
        };
        let awaited = || (context.with_spawn_point(opts_out, |at| at.awaited_room())).ok();
        let mut poll = |cx: &mut TaskContext<'_>| wait.poll(cx, opts_out, &mut spawn);
        poll_fn(|cx| checkpoint::poll(cx, awaited, &mut poll)).await
    }

    fn spawn_there<T>(
        self,
        at: &SpawnPoint<'_>,
        permit: Option<&mut Ticket>,
        location: &'static Location<'static>,
    ) -> Result<Task<T>, SpawnError>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let options = self.settings.into_task();
        if const { fits::<F>() } {
            spawn_at::<F, _, T>(at, self.future.take(), options, permit, location)
        } else {
            spawn_at::<F, _, T>(at, self.future.into_pin(), options, permit, location)
        }
    }
}

/// Schedules a task that is named after `N`, with a future that fits a slot.
pub(super) fn spawn_named<N, F, T>(
    context: &Context,
    future: F,
    options: spawn::Options,
    location: &'static Location<'static>,
) -> Result<Task<T>, SpawnError>
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let spawn = move |at: SpawnPoint<'_>| spawn_at::<N, _, _>(&at, future, options, None, location);
    context.with_spawn_point(false, spawn)?
}

/// As [`spawn_named`], where the calling code schedules, and with a permit if there is one.
fn spawn_at<N, F, T>(
    at: &SpawnPoint<'_>,
    future: F,
    mut options: spawn::Options,
    permit: Option<&mut Ticket>,
    location: &'static Location<'static>,
) -> Result<Task<T>, SpawnError>
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    options.limit = Some(at.limit);
    options.refuse = at.closing;
    let joined = match permit {
        None => spawn::supervised::<N, _, _>(at.parent, future, options, location)?,
        Some(permit) => {
            spawn::supervised_in::<N, _, _>(permit, at.parent, future, options, location)?
        }
    };
    Ok(Task::new(joined, at.parent))
}

impl<F> std::fmt::Debug for TaskBuilder<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("name", &self.settings.name)
            .field("daemon", &self.settings.daemon)
            .field("grace", &self.settings.grace)
            .finish_non_exhaustive()
    }
}
