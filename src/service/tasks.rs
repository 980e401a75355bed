//! Scheduling tasks through a [`Context`], and [`TaskBuilder`].

use super::context::Context;
use crate::arena::slot_box::SlotBox;
use crate::error::{Result, SpawnError};
use crate::handle::settings::Settings;
use crate::handle::task::Task;
use crate::task::raw::fits;
use crate::task::{fitting, held, kind};
use crate::tree::spawn;
use std::panic::Location;
use std::time::Duration;

impl Context {
    /// Schedules a task. Its error or panic fails the service.
    ///
    /// # Errors
    ///
    /// [`NotRunning`](LifecycleError::NotRunning) before the start and after the end;
    /// [`TooManyChildren`](crate::TooManyChildren) at the parent's limit.
    #[track_caller]
    pub fn run_task<F>(&self, f: F) -> Result<Task<()>, SpawnError>
    where
        F: Future<Output = Result> + Send + 'static,
    {
        let location = Location::caller();
        let options = spawn::Options::default();
        fitting!(f: F => spawn_named::<F, _, _>(self, f, options, location))
    }

    /// Schedules a task that has to live as long as the service: that it ends is a failure
    /// ([`DaemonExit`](crate::FailureKind::DaemonExit)), unless the service is being cancelled.
    ///
    /// # Errors
    ///
    /// As [`run_task`](Context::run_task).
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

    /// Configures a task, which may also have a value.
    pub fn task<F, T>(&self, f: F) -> TaskBuilder<'_, F>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        TaskBuilder::new(self, held!(f: F))
    }
}

/// Configures a task of a service. Made by [`Context::task`].
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

    /// Names the task, in paths, errors and snapshots; by default after the function it runs.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.set_name(name);
        self
    }

    /// Makes it a daemon; see [`Context::run_daemon_task`].
    pub fn daemon(mut self) -> Self {
        self.settings.daemon = true;
        self
    }

    /// How long after cancellation was asked for the task goes on before its turn ends it; zero
    /// opts out of a grace from above. Inherited by everything below that sets none.
    pub fn grace(mut self, period: Duration) -> Self {
        self.settings.grace = Some(period);
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
        let (context, options, location) =
            (self.context, self.settings.into_task(), Location::caller());
        if const { fits::<F>() } {
            spawn_named::<F, _, T>(context, self.future.take(), options, location)
        } else {
            spawn_named::<F, _, T>(context, self.future.into_pin(), options, location)
        }
    }
}

/// Schedules a task that is named after `N`, with a future that fits a slot.
fn spawn_named<N, F, T>(
    context: &Context,
    future: F,
    mut options: spawn::Options,
    location: &'static Location<'static>,
) -> Result<Task<T>, SpawnError>
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    context.with_spawn_point(move |at| {
        options.limit = Some(at.limit);
        options.refuse = at.closing;
        let joined = spawn::supervised::<N, _, _>(at.parent, future, options, location)?;
        Ok(Task::new(joined, at.parent))
    })?
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
