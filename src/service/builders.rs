//! Builders of managers and of child services.

use super::context::Context;
use super::interface::Service;
use super::manager::Manager;
use super::readiness::ReadyWithChildren;
use super::start::start_child;
use crate::error::{LifecycleError, SpawnError};
use crate::handle::Handle;
use crate::handle::local::TaskLocal;
use crate::handle::settings::Settings;
use crate::task::arced;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

impl Manager {
    /// Returns a builder of a manager for a service.
    pub fn builder<S: Service>(service: S) -> ManagerBuilder {
        ManagerBuilder::new(arced!(service, S))
    }
}

impl Context {
    /// Starts a child service. Its failures fail this service, too.
    ///
    /// Dropping the manager that is returned stops nothing. While this service is being cancelled, the
    /// child service is dropped here without having been started; see [`Context`].
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`run_task`](Context::run_task), and
    /// [`AlreadyManaged`](LifecycleError::AlreadyManaged) if the slot of the child service is taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Context, Runtime, service_fn};
    /// let app = service_fn("app", async |ctx: Context| {
    ///     let db = ctx.run_child_service(service_fn("db", async |ctx: Context| {
    ///         ctx.set_ready();
    ///         Ok(())
    ///     }))?;
    ///     db.wait_ready().await?;
    ///     Ok(())
    /// });
    /// Runtime::new()?.run(app)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn run_child_service<S: Service>(&self, service: S) -> Result<Manager, SpawnError> {
        let builder = ChildServiceBuilder::new(self, arced!(service, S));
        builder.spawn_at(Location::caller())
    }

    /// Starts a child service that has to live as long as this one: if it finishes while this service
    /// is not being cancelled, this service fails with
    /// [`DaemonExit`](crate::FailureKind::DaemonExit).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`run_child_service`](Context::run_child_service).
    #[track_caller]
    pub fn run_daemon_child_service<S: Service>(&self, service: S) -> Result<Manager, SpawnError> {
        let builder = ChildServiceBuilder::new(self, arced!(service, S));
        builder.daemon().spawn_at(Location::caller())
    }

    /// Returns a builder of a child service.
    pub fn child_service<S: Service>(&self, service: S) -> ChildServiceBuilder<'_, S> {
        ChildServiceBuilder::new(self, arced!(service, S))
    }
}

/// Configures a service and makes a [`Manager`] for it. [`Manager::builder`] makes one.
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
#[must_use = "a builder does nothing until `build` or `start` is called"]
pub struct ManagerBuilder {
    make: Box<dyn FnOnce(Settings) -> Result<Manager, LifecycleError> + Send>,
    settings: Settings,
}

impl ManagerBuilder {
    fn new<S: Service>(service: Arc<S>) -> Self {
        ManagerBuilder {
            make: Box::new(move |settings| {
                if settings.ready_with_children {
                    let service = Arc::new(ReadyWithChildren::new(service));
                    Manager::manage(service, settings)
                } else {
                    Manager::manage(service, settings)
                }
            }),
            settings: Settings::default(),
        }
    }

    /// Sets the service's name in paths, errors and snapshots. By default it is what
    /// [`Service::name`] returns.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.set_name(name);
        self
    }

    /// Sets how many live supervised children the service's task, and each other task of the service,
    /// may have. By default they may have up to 1,000. With 0 the service can schedule nothing.
    pub fn max_children(mut self, limit: usize) -> Self {
        self.settings.max_children = limit;
        self
    }

    /// Sets the service's grace period: how long after a cancellation was asked for its tasks may go
    /// on.
    ///
    /// During that time they are polled as before, and are not dropped. Tasks and services below that
    /// set no period have the same one. For all of them it counts from the request, so a shutdown lasts
    /// as long as the longest period, not as long as their sum. What they spawn during that time is being
    /// cancelled from its birth, and ends with the same period.
    pub fn grace(mut self, period: Duration) -> Self {
        self.settings.grace = Some(period);
        self
    }

    /// Makes the service ready when all of its child services are.
    ///
    /// It is ready at the first moment at which its `run` is suspended or has returned, and all child services
    /// that it has scheduled are ready or have finished. While `run` is suspended, there has to be one at
    /// least. If `run` waits in between for something other than the readiness of its child services, it may
    /// be found ready before it has scheduled the others. The service may call
    /// [`set_ready`](Context::set_ready) as well, which makes it ready at once.
    ///
    /// A wait for the readiness ends with an error if the service fails before, for instance because a child
    /// service has failed; [`Manager::result`] then has the failures.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Context, Manager, Runtime, service_fn};
    /// let app = service_fn("app", async |ctx: Context| {
    ///     for name in ["db", "web"] {
    ///         ctx.run_child_service(service_fn(name, async |ctx: Context| {
    ///             ctx.set_ready();
    ///             std::future::pending().await
    ///         }))?;
    ///     }
    ///     Ok(())
    /// });
    /// let runtime = Runtime::new()?;
    /// let app = Manager::builder(app).ready_with_children().start(&runtime)?;
    /// runtime.block_on(app.wait_ready())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ready_with_children(mut self) -> Self {
        self.settings.ready_with_children = true;
        self
    }

    /// Sets the value of a [`TaskLocal`] for the service and everything below it. A value that was set for
    /// the key before is dropped.
    pub fn local<T: Send + Sync + 'static>(mut self, key: &'static TaskLocal<T>, value: T) -> Self {
        self.settings.set_local(key, value);
        self
    }

    /// Makes the manager.
    ///
    /// # Errors
    ///
    /// Returns [`AlreadyManaged`](LifecycleError::AlreadyManaged) if the service's slot is taken.
    pub fn build(self) -> Result<Manager, LifecycleError> {
        (self.make)(self.settings)
    }

    /// Makes the manager and starts the service as a root of a runtime: [`build`](ManagerBuilder::build), then
    /// [`Manager::start`].
    ///
    /// # Errors
    ///
    /// Returns [`AlreadyManaged`](LifecycleError::AlreadyManaged) if the service's slot is taken, and
    /// [`NotRunning`](LifecycleError::NotRunning) if the runtime has shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Manager, Runtime, service_fn};
    /// let runtime = Runtime::new()?;
    /// let app = service_fn("app", async |_| Ok(()));
    /// let manager = Manager::builder(app).max_children(20_000).start(&runtime)?;
    /// runtime.block_on(manager.wait_finished());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn start(self, on: &Handle) -> Result<Manager, LifecycleError> {
        let manager = self.build()?;
        manager.start_root(on.shared(), Location::caller())?;
        Ok(manager)
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

/// Configures a child service before it is started. [`Context::child_service`] makes one.
///
/// # Examples
///
/// ```
/// use taskgrove::{Context, Runtime, service_fn};
/// let app = service_fn("app", async |ctx: Context| {
///     let db = service_fn("db", async |_| Ok(()));
///     let db = ctx.child_service(db).name("db-2").max_children(10).spawn()?;
///     assert_eq!(db.name(), "db-2");
///     Ok(())
/// });
/// Runtime::new()?.run(app)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

    /// Sets the service's name; see [`ManagerBuilder::name`].
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.set_name(name);
        self
    }

    /// Makes the service a daemon; see [`Context::run_daemon_child_service`].
    pub fn daemon(mut self) -> Self {
        self.settings.daemon = true;
        self
    }

    /// Sets the service's grace period; see [`ManagerBuilder::grace`]. A period of zero opts out of one
    /// that was set above.
    pub fn grace(mut self, period: Duration) -> Self {
        self.settings.grace = Some(period);
        self
    }

    /// Sets how many live supervised children a task of the service may have; see
    /// [`ManagerBuilder::max_children`].
    pub fn max_children(mut self, limit: usize) -> Self {
        self.settings.max_children = limit;
        self
    }

    /// Makes the service ready when all of its child services are; see
    /// [`ManagerBuilder::ready_with_children`].
    pub fn ready_with_children(mut self) -> Self {
        self.settings.ready_with_children = true;
        self
    }

    /// Sets the value of a [`TaskLocal`] for the service and everything below it. A value that was set for
    /// the key before is dropped.
    pub fn local<T: Send + Sync + 'static>(mut self, key: &'static TaskLocal<T>, value: T) -> Self {
        self.settings.set_local(key, value);
        self
    }

    /// Starts the service.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`Context::run_child_service`].
    #[track_caller]
    pub fn spawn(self) -> Result<Manager, SpawnError> {
        self.spawn_at(Location::caller())
    }

    fn spawn_at(self, location: &'static Location<'static>) -> Result<Manager, SpawnError> {
        let context = self.context;
        context.with_spawn_point(self.settings.opts_out(), |at| {
            if self.settings.ready_with_children {
                let service = Arc::new(ReadyWithChildren::new(self.service));
                start_child(service, self.settings, &at, location)
            } else {
                start_child(self.service, self.settings, &at, location)
            }
        })?
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
