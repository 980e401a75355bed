//! Starting a service: its node goes into the tree.

use super::context::{Context, SpawnPoint};
use super::interface::Service;
use super::launcher::{Launch, LaunchSite, Launcher, Starting};
use super::manager::Manager;
use super::slot::ManagerSlot;
use crate::arena::counted::Counted;
use crate::error::{BoxError, LifecycleError, ServiceError, SpawnError};
use crate::handle::cancel_guard::CancelGuard;
use crate::handle::settings::Settings;
use crate::handle::{Handle, current_shared_for};
use crate::panics::quietly;
use crate::protect::checkpoint;
use crate::protect::last_poll::poll_to_its_end;
use crate::sync::atomic::Ordering;
use crate::task::raw::Parent;
use crate::task::raw::fits;
use crate::task::record::Record;
use crate::task::{Shared, arced, current, kind};
use crate::tree::{full, spawn};
use std::borrow::Cow;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::sync::{Arc, Weak};

impl<S: Service> Launch for Arc<S> {
    fn launch(self: Box<Self>, at: LaunchSite<'_>) -> Result<(), spawn::Refusal> {
        launch(*self, at)
    }
}

/// Gives a service its record, with `N` counts; its slot is yet to be filled.
#[inline]
pub(crate) fn manage<S: Service, const N: usize>(
    service: &S,
    settings: Settings,
) -> [Counted<Record>; N] {
    let own = service.name();
    let name = settings.name.map_or(own, Cow::Owned);
    Counted::several(Record::new(name, settings.max_children, settings.grace))
}

/// The slot to fill when this service is given a manager.
fn slot_of<S: Service>(service: &S) -> Option<&ManagerSlot> {
    service
        .manager_slot()
        .filter(|slot| !slot.is_private_to::<S>())
}

/// Puts a service's node into the tree.
#[inline]
fn launch<S: Service>(service: Arc<S>, at: LaunchSite<'_>) -> Result<(), spawn::Refusal> {
    let LaunchSite {
        record,
        counts: [for_context, for_node],
        parent,
        options,
        location,
    } = at;
    let independent = options.kind & kind::SUPERVISED == 0;
    record.independent.store(independent, Ordering::Relaxed);
    // Without what could start it: that could hold the service, and this is the service.
    let context = Context::new(Manager::new_with(for_context, None));
    let run = move || service.run(context);
    launch_run::<S, _, _>(run, parent, record, for_node, &options, location)
}

/// `run` is called by the first poll, as code of the task. Its future comes to lie where it is polled,
/// without a copy on the stack if it is large.
#[inline]
fn launch_run<N, R, F>(
    run: R,
    parent: Parent<'_>,
    record: &Record,
    own: Counted<Record>,
    options: &spawn::Options,
    location: &'static Location<'static>,
) -> Result<(), spawn::Refusal>
where
    R: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    if const { fits::<F>() } {
        let make = move || async move {
            let mut run = pin!(Some(run()));
            poll_fn(|cx| poll_to_its_end(run.as_mut(), cx)).await
        };
        place::<N, _>(make, parent, record, own, options, location)
    } else {
        let make = move || async move {
            let mut run = pin!(run());
            poll_fn(|cx| run.as_mut().poll(cx)).await
        };
        place::<N, _>(make, parent, record, own, options, location)
    }
}

/// As [`spawn::service`], with a future that is boxed as soon as it is made if it does not fit.
#[inline]
fn place<N, F>(
    make: impl FnOnce() -> F,
    parent: Parent<'_>,
    record: &Record,
    own: Counted<Record>,
    options: &spawn::Options,
    location: &'static Location<'static>,
) -> Result<(), spawn::Refusal>
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    if const { fits::<F>() } {
        spawn::service::<N, _>(parent, make(), record, own, options, location)
    } else {
        let future = Box::pin(make());
        spawn::service::<N, _>(parent, future, record, own, options, location)
    }
}

/// Starts a service as a supervised child of one of another service's tasks.
#[inline]
pub(crate) fn start_child<S: Service>(
    service: Arc<S>,
    settings: Settings,
    place: &SpawnPoint<'_>,
    location: &'static Location<'static>,
) -> Result<Manager, SpawnError> {
    let daemon = settings.daemon;
    let [record, counts @ ..]: [_; 3] = manage(&*service, settings);
    // In no slot, nobody can wait for the start yet.
    let known = match slot_of(&*service) {
        None => false,
        Some(slot) => slot.fill(&record, Weak::new()).map(|()| true)?,
    };
    let starting = Starting(&record);
    if place.closing {
        // Dropped here, as code of the caller.
        quietly(|| drop(service));
        drop(starting);
        return Ok(Manager::new_with(record, None));
    }
    let options = spawn::Options {
        kind: kind::SUPERVISED | if daemon { kind::DAEMON } else { 0 },
        limit: Some(place.limit),
        ..spawn::Options::default()
    };
    let at = LaunchSite {
        record: &record,
        counts,
        parent: place.parent,
        options,
        location,
    };
    let launched = launch(service, at);
    drop(starting);
    match launched {
        Ok(()) if known => record.waiters().wake_all(),
        Ok(()) | Err(spawn::Refusal::Closing) => {}
        Err(spawn::Refusal::Limit) => {
            return Err(full::too_many(place.parent, place.limit).into());
        }
    }
    Ok(Manager::new_with(record, None))
}

impl Manager {
    /// For a service that may be started later.
    pub(crate) fn with<S: Service>(
        service: Arc<S>,
        settings: Settings,
    ) -> Result<Manager, LifecycleError> {
        let [record, for_launcher] = manage(&*service, settings);
        let launcher = Arc::new(Launcher::new(for_launcher));
        let slot = slot_of(&*service);
        // Who finds the launcher in the slot waits until the service is in it.
        let mut place = launcher.service.lock();
        if let Some(slot) = slot {
            slot.fill(&record, Arc::downgrade(&launcher))?;
        }
        *place = Some(Box::new(service));
        drop(place);
        Ok(Self::new_with(record, Some(launcher)))
    }

    /// Manages a service. Needs no runtime.
    ///
    /// # Errors
    ///
    /// [`AlreadyManaged`](LifecycleError::AlreadyManaged) if the service has a slot and that is
    /// taken.
    pub fn new<S: Service>(service: S) -> Result<Manager, LifecycleError> {
        Self::with(arced!(service, S), Settings::default())
    }

    /// Manages and runs a service.
    ///
    /// # Errors
    ///
    /// As [`new`](Manager::new) and [`run`](Manager::run).
    #[track_caller]
    pub fn run_service<S: Service>(service: S) -> impl Future<Output = Result<(), ServiceError>> {
        Self::run_shared(arced!(service, S), Location::caller())
    }

    pub(crate) async fn run_shared<S: Service>(
        service: Arc<S>,
        location: &'static Location<'static>,
    ) -> Result<(), ServiceError> {
        match Self::with(service, Settings::default()) {
            Ok(manager) => manager.run_from(location).await,
            Err(error) => checkpoint::refused(error.into()).await,
        }
    }

    /// Starts the service when first polled, as a child of the task that does so, and waits for
    /// its end. It is in that task's subtree and is cancelled with it, but counts in no outer
    /// stats or limit, and its failure is only the error returned here. Dropping the future
    /// cancels the service.
    ///
    /// # Errors
    ///
    /// [`AlreadyStarted`](LifecycleError::AlreadyStarted) the second time;
    /// [`NotRunning`](LifecycleError::NotRunning) if it cannot be started any more, because the
    /// calling task is being cancelled; the service's failures.
    ///
    /// # Panics
    ///
    /// When it is first polled outside a runtime.
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

    /// Whether the service was not started and cannot be any more.
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
        let launched = service.launch(LaunchSite {
            record: &self.record,
            counts: [self.record.clone(), self.record.clone()],
            parent,
            options: spawn::Options::default(),
            location,
        });
        drop(starting);
        launched.map_err(|_| self.not_running())?;
        self.record.waiters().wake_all();
        Ok(())
    }

    /// As a root.
    pub(crate) fn start_root(
        &self,
        shared: &Shared,
        location: &'static Location<'static>,
    ) -> Result<(), LifecycleError> {
        self.launch(current::home(shared).as_parent(), location)
    }

    /// Below the calling task, for which alone its end is of interest; or as a root. The location
    /// is that of the call whose future does this when it is polled.
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
}

impl Handle {
    /// Starts a root service and returns its manager. Nobody is told of its failure but who asks
    /// the manager.
    ///
    /// # Errors
    ///
    /// [`AlreadyManaged`](LifecycleError::AlreadyManaged), or
    /// [`NotRunning`](LifecycleError::NotRunning) if the runtime has ended.
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
        let manager = Manager::with(arced!(service, S), Default::default())?;
        manager.start_root(self.shared(), Location::caller())?;
        Ok(manager)
    }
}
