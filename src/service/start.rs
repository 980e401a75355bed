//! Starting services: as a child of a task, as a root, or for later.

use super::context::SpawnPoint;
use super::interface::Service;
use super::launch::{launch, make_record, slot_to_fill};
use super::launcher::{LaunchSite, Launcher, Starting};
use super::manager::Manager;
use super::readiness;
use crate::error::{LifecycleError, ServiceError, SpawnError};
use crate::handle::cancel_guard::CancelGuard;
use crate::handle::settings::Settings;
use crate::handle::{Handle, current_shared_for};
use crate::panics::quietly;
use crate::protect::checkpoint;
use crate::task::raw::Parent;
use crate::task::{Shared, arced, current, kind};
use crate::tree::{full, spawn};
use std::panic::Location;
use std::sync::{Arc, Weak};

/// Starts a service as a supervised child of a task of another service.
#[inline]
pub(super) fn start_child<S: Service>(
    service: Arc<S>,
    settings: Settings,
    at: &SpawnPoint<'_>,
    location: &'static Location<'static>,
) -> Result<Manager, SpawnError> {
    let daemon = settings.daemon;
    let [record, counts @ ..]: [_; 3] = make_record(&*service, settings);
    // Only code that finds the record in a slot can wait for the start by now.
    let is_known = match slot_to_fill(&*service) {
        None => false,
        Some(slot) => slot.fill(&record, Weak::new()).map(|()| true)?,
    };
    let starting = Starting(&record);
    if at.closing {
        // The service is dropped here, as code of the caller.
        quietly(|| drop(service));
        drop(starting);
        return Ok(Manager::from_parts(record, None));
    }
    let options = spawn::ServiceOptions {
        kind: kind::SUPERVISED | if daemon { kind::DAEMON } else { 0 },
        limit: Some(at.limit),
    };
    let site = LaunchSite {
        record: &record,
        parent: at.parent,
        options,
        location,
    };
    let launched = launch(service, counts, &site);
    drop(starting);
    if launched.is_ok()
        && let Some(children) = &at.record.ready_children
        && !at.record.is_ready()
    {
        readiness::enter(children, &record);
        at.record.waiters().wake_all();
    }
    match launched {
        Ok(()) if is_known => record.waiters().wake_all(),
        Ok(()) | Err(spawn::Refusal::Closing) => {}
        Err(spawn::Refusal::Limit) => {
            return Err(full::too_many(at.parent, at.limit).into());
        }
    }
    Ok(Manager::from_parts(record, None))
}

impl Manager {
    /// Manages a service that may be started later.
    pub(super) fn manage<S: Service>(
        service: Arc<S>,
        settings: Settings,
    ) -> Result<Manager, LifecycleError> {
        let [record, for_launcher] = make_record(&*service, settings);
        let launcher = Arc::new(Launcher::new(for_launcher));
        let slot = slot_to_fill(&*service);
        // Locked before the slot is filled: code that finds the launcher there waits until the
        // service is in it.
        let mut waiting = launcher.service.lock();
        if let Some(slot) = slot {
            slot.fill(&record, Arc::downgrade(&launcher))?;
        }
        *waiting = Some(Box::new(service));
        drop(waiting);
        Ok(Self::from_parts(record, Some(launcher)))
    }

    /// Makes a manager for a service, which is to be started by [`run`](Manager::run).
    ///
    /// This needs no runtime. The service is named after its type, or as
    /// [`Service::name`] says.
    ///
    /// # Errors
    ///
    /// Returns [`AlreadyManaged`](LifecycleError::AlreadyManaged) if the service has a
    /// [`ManagerSlot`](crate::ManagerSlot) that is taken.
    pub fn new<S: Service>(service: S) -> Result<Manager, LifecycleError> {
        Self::manage(arced!(service, S), Settings::default())
    }

    /// Makes a manager for a service and runs the service: [`new`](Manager::new), then
    /// [`run`](Manager::run).
    ///
    /// Dropping the future cancels the service.
    ///
    /// # Errors
    ///
    /// Returns [`AlreadyManaged`](LifecycleError::AlreadyManaged) if the service's slot is taken, and
    /// what [`run`](Manager::run) returns.
    ///
    /// # Panics
    ///
    /// Panics if it is first polled outside a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Manager, Runtime, ServiceError, service_fn};
    /// let runtime = Runtime::new()?;
    /// let failed = runtime.block_on(Manager::run_service(service_fn("job", async |_| {
    ///     Err("no disk".into())
    /// })));
    /// let Err(ServiceError::Failed(failures)) = failed else { panic!("it did not fail") };
    /// assert_eq!(failures[0].path(), "job");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn run_service<S: Service>(service: S) -> impl Future<Output = Result<(), ServiceError>> {
        Self::run_shared(arced!(service, S), Location::caller())
    }

    pub(crate) async fn run_shared<S: Service>(
        service: Arc<S>,
        location: &'static Location<'static>,
    ) -> Result<(), ServiceError> {
        match Self::manage(service, Settings::default()) {
            Ok(manager) => manager.run_from(location).await,
            Err(error) => checkpoint::refused(error.into()).await,
        }
    }

    /// Runs the service: the first poll starts it as a child of the calling task, and the future
    /// resolves when it is finished.
    ///
    /// The service is in the subtree of the calling task and is cancelled with it. It counts in no
    /// stats and no limit of the services above it, and its failure is reported only by the error
    /// returned here. Called from the future of [`block_on`](crate::Runtime::block_on), it is a root.
    /// Dropping the future cancels the service.
    ///
    /// # Errors
    ///
    /// Returns [`Failed`](ServiceError::Failed) with the service's failures,
    /// [`AlreadyStarted`](LifecycleError::AlreadyStarted) the second time, and
    /// [`NotRunning`](LifecycleError::NotRunning) if the service can no longer be started, for
    /// instance because the calling task is being cancelled.
    ///
    /// # Panics
    ///
    /// Panics if it is first polled outside a runtime.
    #[track_caller]
    pub fn run(&self) -> impl Future<Output = Result<(), ServiceError>> {
        self.run_from(Location::caller())
    }

    async fn run_from(&self, location: &'static Location<'static>) -> Result<(), ServiceError> {
        if let Err(error) = self.start_here(location) {
            return checkpoint::refused(error.into()).await;
        }
        let _cancel = CancelGuard(self);
        self.wait_finished().await;
        self.record.result()
    }

    /// Whether the calling code is a task of the service, or of one below it.
    pub(crate) fn contains_caller(&self) -> bool {
        current::view::is_within(&self.record)
    }

    /// Whether the service was not started and can no longer be.
    fn is_too_late(&self) -> bool {
        match self.launcher {
            Some(_) => self.record.was_never_started(),
            None => !self.is_started(),
        }
    }

    fn launch(
        &self,
        parent: Parent<'_>,
        location: &'static Location<'static>,
    ) -> Result<(), LifecycleError> {
        let Some(service) = self.launcher.as_ref().and_then(|launcher| launcher.take()) else {
            if self.is_too_late() {
                return Err(self.not_running());
            }
            let service = self.name().to_owned();
            return Err(LifecycleError::AlreadyStarted { service });
        };
        let starting = Starting(&self.record);
        let site = LaunchSite {
            record: &self.record,
            parent,
            options: spawn::ServiceOptions::default(),
            location,
        };
        let launched = service.launch([self.record.clone(), self.record.clone()], site);
        drop(starting);
        launched.map_err(|_| self.not_running())?;
        self.record.waiters().wake_all();
        Ok(())
    }

    /// Starts the service as a root of a runtime.
    ///
    /// The service goes on if its managers are dropped. Its failures are reported only through them.
    ///
    /// # Errors
    ///
    /// Returns [`AlreadyStarted`](LifecycleError::AlreadyStarted) the second time, and
    /// [`NotRunning`](LifecycleError::NotRunning) if the runtime has shut down; the service is then dropped and
    /// cannot be started any more.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Manager, Runtime, service_fn};
    /// let runtime = Runtime::new()?;
    /// let manager = Manager::new(service_fn("job", async |_| Ok(())))?;
    /// manager.start(&runtime)?;
    /// assert!(manager.start(&runtime).is_err(), "it runs once");
    /// runtime.block_on(manager.wait_finished());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn start(&self, on: &Handle) -> Result<(), LifecycleError> {
        self.start_root(on.shared(), Location::caller())
    }

    /// Starts the service as a root.
    pub(super) fn start_root(
        &self,
        shared: &Shared,
        location: &'static Location<'static>,
    ) -> Result<(), LifecycleError> {
        self.launch(current::home(shared).as_parent(), location)
    }

    /// Starts the service as an unsupervised child of the calling task, or as a root if the caller is
    /// no task. `location` is that of the public call whose future is being polled.
    pub(crate) fn start_here(
        &self,
        location: &'static Location<'static>,
    ) -> Result<(), LifecycleError> {
        let here = current::with(|task| {
            let parent = task?.as_parent();
            Some(self.launch(parent, location))
        });
        here.unwrap_or_else(|| self.start_root(&current_shared_for(location), location))
    }

    /// As [`Manager::start_here`], as a child service: it is cancelled with what is above it. For the
    /// children of a supervisor.
    pub(crate) fn start_child_here(
        &self,
        location: &'static Location<'static>,
    ) -> Result<(), LifecycleError> {
        self.record.set_child();
        self.start_here(location)
    }
}

impl Handle {
    /// Starts a service as a root and returns its manager.
    ///
    /// The service goes on if the manager is dropped. Its failures are reported only through the
    /// manager.
    ///
    /// # Errors
    ///
    /// Returns [`AlreadyManaged`](LifecycleError::AlreadyManaged) if the service's slot is taken, and
    /// [`NotRunning`](LifecycleError::NotRunning) if the runtime has shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::new()?;
    /// let manager = runtime.start(taskgrove::service_fn("echo", async |ctx: taskgrove::Context| {
    ///     ctx.cancelled().await;
    ///     Ok(())
    /// }))?;
    /// assert!(manager.is_running());
    /// runtime.block_on(manager.stop())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn start<S: Service>(&self, service: S) -> Result<Manager, LifecycleError> {
        let manager = Manager::manage(arced!(service, S), Settings::default())?;
        manager.start_root(self.shared(), Location::caller())?;
        Ok(manager)
    }
}
