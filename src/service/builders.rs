//! Builders of managers and of child services.

use super::context::Context;
use super::interface::Service;
use super::manager::Manager;
use super::start::start_child;
use crate::error::{LifecycleError, SpawnError};
use crate::handle::settings::Settings;
use crate::task::arced;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

impl Manager {
    /// Manages a service with options.
    pub fn builder<S: Service>(service: S) -> ManagerBuilder {
        ManagerBuilder::new(arced!(service, S))
    }
}

impl Context {
    /// Starts a child service. Its failures are this service's, too.
    ///
    /// # Errors
    ///
    /// As [`run_task`](Context::run_task), and
    /// [`AlreadyManaged`](LifecycleError::AlreadyManaged).
    #[track_caller]
    pub fn run_child_service<S: Service>(&self, service: S) -> Result<Manager, SpawnError> {
        let builder = ChildServiceBuilder::new(self, arced!(service, S));
        builder.spawn_at(Location::caller())
    }

    /// Starts a child service that has to live as long as this one.
    ///
    /// # Errors
    ///
    /// As [`run_child_service`](Context::run_child_service).
    #[track_caller]
    pub fn run_daemon_child_service<S: Service>(&self, service: S) -> Result<Manager, SpawnError> {
        let builder = ChildServiceBuilder::new(self, arced!(service, S));
        builder.daemon().spawn_at(Location::caller())
    }

    /// Configures a child service.
    pub fn child_service<S: Service>(&self, service: S) -> ChildServiceBuilder<'_, S> {
        ChildServiceBuilder::new(self, arced!(service, S))
    }
}

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
    make: Box<dyn FnOnce(Settings) -> Result<Manager, LifecycleError> + Send>,
    settings: Settings,
}

impl ManagerBuilder {
    fn new<S: Service>(service: Arc<S>) -> Self {
        ManagerBuilder {
            make: Box::new(move |settings| Manager::with(service, settings)),
            settings: Settings::default(),
        }
    }

    /// Names the service; by default what [`Service::name`] says.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.set_name(name);
        self
    }

    /// How many live supervised children the service, and each of its tasks, may have; by default
    /// 1,000. With 0 it cannot schedule anything.
    pub fn max_children(mut self, limit: usize) -> Self {
        self.settings.max_children = limit;
        self
    }

    /// How long after cancellation was asked for the service, and everything below it that sets
    /// no grace of its own, goes on before its turn ends it. Counted once for all.
    pub fn grace(mut self, period: Duration) -> Self {
        self.settings.grace = Some(period);
        self
    }

    /// Makes the manager.
    ///
    /// # Errors
    ///
    /// As [`Manager::new`].
    pub fn build(self) -> Result<Manager, LifecycleError> {
        (self.make)(self.settings)
    }
}

impl std::fmt::Debug for ManagerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagerBuilder")
            .field("name", &self.settings.name)
            .field("max_children", &self.settings.max_children)
            .field("grace", &self.settings.grace)
            .finish_non_exhaustive()
    }
}

/// Configures a child service. Made by [`Context::child_service`].
#[must_use = "the service is not started until `spawn` is called"]
pub struct ChildServiceBuilder<'a, S> {
    context: &'a Context,
    service: Arc<S>,
    settings: Settings,
}

impl<'a, S: Service> ChildServiceBuilder<'a, S> {
    fn new(context: &'a Context, service: Arc<S>) -> Self {
        ChildServiceBuilder {
            context,
            service,
            settings: Settings::default(),
        }
    }

    /// As [`ManagerBuilder::name`].
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.set_name(name);
        self
    }

    /// Makes it a daemon; see [`Context::run_daemon_child_service`].
    pub fn daemon(mut self) -> Self {
        self.settings.daemon = true;
        self
    }

    /// As [`ManagerBuilder::grace`]; zero opts out of a grace from above.
    pub fn grace(mut self, period: Duration) -> Self {
        self.settings.grace = Some(period);
        self
    }

    /// As [`ManagerBuilder::max_children`].
    pub fn max_children(mut self, limit: usize) -> Self {
        self.settings.max_children = limit;
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

    fn spawn_at(self, location: &'static Location<'static>) -> Result<Manager, SpawnError> {
        let context = self.context;
        context.with_spawn_point(|at| start_child(self.service, self.settings, &at, location))?
    }
}

impl<S> std::fmt::Debug for ChildServiceBuilder<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChildServiceBuilder")
            .field("name", &self.settings.name)
            .field("daemon", &self.settings.daemon)
            .field("grace", &self.settings.grace)
            .finish_non_exhaustive()
    }
}
