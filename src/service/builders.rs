//! Builders: of managers, of tasks, of child services.

use super::start::{manage, start_child};
use super::{Context, MAX_CHILDREN, Manager, Service};
use crate::error::{LifecycleError, Result, SpawnError};
use crate::task::cell::{Held, fits};
use crate::task::kind;
use crate::tree::handle::Task;
use crate::tree::spawn;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// Configures a [`Manager`]. Made by [`Manager::builder`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use taskgrove::{Manager, service_fn};
/// let manager = Manager::builder(service_fn("app", async |_| Ok(())))
///     .name("app-2")
///     .max_children(10_000)
///     .grace(Duration::from_secs(5))
///     .build()?;
/// assert_eq!(manager.name(), "app-2");
/// # Ok::<(), taskgrove::LifecycleError>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct ManagerBuilder {
    make: Box<dyn FnOnce(Options) -> Result<Manager, LifecycleError> + Send>,
    options: Options,
}

pub(crate) struct Options {
    pub(crate) name: Option<String>,
    pub(crate) max_children: usize,
    pub(crate) grace: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            name: None,
            max_children: MAX_CHILDREN,
            grace: None,
        }
    }
}

impl ManagerBuilder {
    pub(crate) fn new<S: Service>(service: Arc<S>) -> Self {
        ManagerBuilder {
            make: Box::new(move |options| Manager::with(service, options)),
            options: Options::default(),
        }
    }

    /// Names the service; by default what [`Service::name`] says.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// How many live supervised children the service, and each of its tasks, may have; by default
    /// 1,000. With 0 it cannot schedule anything.
    pub fn max_children(mut self, limit: usize) -> Self {
        self.options.max_children = limit;
        self
    }

    /// How long after cancellation was asked for the service, and everything below it that sets
    /// no grace of its own, goes on before its turn ends it. Counted once for all.
    pub fn grace(mut self, period: Duration) -> Self {
        self.options.grace = Some(period);
        self
    }

    /// Makes the manager.
    ///
    /// # Errors
    ///
    /// As [`Manager::new`].
    pub fn build(self) -> Result<Manager, LifecycleError> {
        (self.make)(self.options)
    }
}

impl std::fmt::Debug for ManagerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagerBuilder")
            .field("name", &self.options.name)
            .field("max_children", &self.options.max_children)
            .field("grace", &self.options.grace)
            .finish_non_exhaustive()
    }
}

/// Configures a task of a service. Made by [`Context::task`].
#[must_use = "the task is not scheduled until `spawn` is called"]
pub struct TaskBuilder<'a, F> {
    context: &'a Context,
    future: Held<F>,
    options: spawn::Options,
}

impl<'a, F> TaskBuilder<'a, F> {
    pub(crate) fn new(context: &'a Context, future: Held<F>) -> Self {
        TaskBuilder {
            context,
            future,
            options: spawn::Options::default(),
        }
    }

    /// Names the task, in paths, errors and snapshots; by default after the function it runs.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into().into_boxed_str());
        self
    }

    /// Makes it a daemon; see [`Context::run_daemon_task`].
    pub fn daemon(mut self) -> Self {
        self.options.kind |= kind::DAEMON;
        self
    }

    /// How long after cancellation was asked for the task goes on before its turn ends it; zero
    /// opts out of a grace from above. Inherited by everything below that sets none.
    pub fn grace(mut self, period: Duration) -> Self {
        self.options.grace = Some(period);
        self
    }

    /// Schedules the task.
    ///
    /// # Errors
    ///
    /// As [`Context::run_task`].
    #[track_caller]
    pub fn spawn<T>(self) -> Result<Task<T>, SpawnError>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let (context, options, location) = (self.context, self.options, Location::caller());
        if const { fits::<F>() } {
            spawn_named::<F, _, T>(context, self.future.take(), options, location)
        } else {
            spawn_named::<F, _, T>(context, self.future.into_pin(), options, location)
        }
    }
}

/// Schedules a task that is named after `N`, with a future that fits a slot.
pub(crate) fn spawn_named<N, F, T>(
    context: &Context,
    future: F,
    mut options: spawn::Options,
    location: &'static Location<'static>,
) -> Result<Task<T>, SpawnError>
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let place = context.place()?;
    options.limit = Some(place.limit);
    options.refuse = place.closing;
    let joined =
        spawn::supervised::<N, _, _>(place.shared(), place.parent, future, options, location)?;
    Ok(Task::new(joined, place.parent))
}

impl<F> std::fmt::Debug for TaskBuilder<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("name", &self.options.name)
            .field("daemon", &(self.options.kind & kind::DAEMON != 0))
            .field("grace", &self.options.grace)
            .finish_non_exhaustive()
    }
}

/// Configures a child service. Made by [`Context::child_service`].
#[must_use = "the service is not started until `spawn` is called"]
pub struct ChildServiceBuilder<'a, S> {
    context: &'a Context,
    service: Arc<S>,
    options: Options,
    daemon: bool,
}

impl<'a, S: Service> ChildServiceBuilder<'a, S> {
    pub(crate) fn new(context: &'a Context, service: Arc<S>) -> Self {
        ChildServiceBuilder {
            context,
            service,
            options: Options::default(),
            daemon: false,
        }
    }

    /// As [`ManagerBuilder::name`].
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// Makes it a daemon; see [`Context::run_daemon_child_service`].
    pub fn daemon(mut self) -> Self {
        self.daemon = true;
        self
    }

    /// As [`ManagerBuilder::grace`]; zero opts out of a grace from above.
    pub fn grace(mut self, period: Duration) -> Self {
        self.options.grace = Some(period);
        self
    }

    /// As [`ManagerBuilder::max_children`].
    pub fn max_children(mut self, limit: usize) -> Self {
        self.options.max_children = limit;
        self
    }

    /// Starts the service.
    ///
    /// # Errors
    ///
    /// As [`Context::run_child_service`].
    #[track_caller]
    pub fn spawn(self) -> Result<Manager, SpawnError> {
        self.spawn_at(Location::caller())
    }

    pub(crate) fn spawn_at(
        self,
        location: &'static Location<'static>,
    ) -> Result<Manager, SpawnError> {
        let place = self.context.place()?;
        let records = manage(&*self.service, self.options);
        start_child(records, self.service, &place, self.daemon, location)
    }
}

impl<S> std::fmt::Debug for ChildServiceBuilder<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChildServiceBuilder")
            .field("name", &self.options.name)
            .field("daemon", &self.daemon)
            .field("grace", &self.options.grace)
            .finish_non_exhaustive()
    }
}
