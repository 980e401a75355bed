//! Starting a service: its node goes into the tree.

use super::manager::{Manager, Shared};
use super::{Context, Service};
use crate::error::{LifecycleError, ServiceError, SpawnError};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::task::state::Level;
use crate::task::{Hub, Node, current, kind};
use crate::tree::{cancel, spawn};
use std::panic::Location;

/// A service that waits for its start.
pub(crate) trait Launch: Send {
    /// Puts the service's node under `parent`; the manager is what its context derefs to.
    fn launch(self: Box<Self>, launch: Launching<'_>) -> Result<(), spawn::Refusal>;
}

pub(crate) struct Launching<'a> {
    manager: &'a Manager,
    hub: &'a Arc<Hub>,
    parent: Node,
    options: spawn::Options,
    location: &'static Location<'static>,
}

pub(crate) struct Launcher<S>(pub(crate) std::sync::Arc<S>);

impl<S: Service> Launch for Launcher<S> {
    fn launch(self: Box<Self>, launch: Launching<'_>) -> Result<(), spawn::Refusal> {
        let shared = &launch.manager.shared;
        let service = self.0;
        // Not the manager as it is: that could hold the service, and this is the service.
        let context = Context::new(Manager::from_parts(shared.clone(), None));
        let future = async move { service.run(context).await };
        spawn::service(
            launch.hub,
            launch.parent,
            future,
            &shared.record,
            launch.options,
            launch.location,
            |node| {
                let set = shared.node.set((node, launch.hub.clone()));
                assert!(set.is_ok(), "a service is launched once");
                shared.record.start();
            },
        )
    }
}

impl Manager {
    fn launch(
        &self,
        hub: &Arc<Hub>,
        parent: Node,
        mut options: spawn::Options,
        location: &'static Location<'static>,
    ) -> Result<Result<(), spawn::Refusal>, LifecycleError> {
        let seed = self.seed.as_ref().and_then(|seed| seed.lock().take());
        let Some(seed) = seed else {
            let service = self.name().to_owned();
            return Err(LifecycleError::AlreadyStarted { service });
        };
        let Shared { record, grace, .. } = &*self.shared;
        let independent = options.kind & kind::SUPERVISED == 0;
        record.independent.store(independent, Ordering::Relaxed);
        options.name = Some(record.name.clone());
        options.grace = *grace;
        let launched = seed.launch(Launching {
            manager: self,
            hub,
            parent,
            options,
            location,
        });
        if launched.is_ok() {
            record.waiters.wake_all();
        }
        Ok(launched)
    }

    /// Cancelled and finished without having been started.
    fn never_start(&self) {
        let record = &self.shared.record;
        record.close(true);
        record.finish();
        record.waiters.wake_all();
    }

    pub(crate) fn not_running(&self) -> LifecycleError {
        LifecycleError::NotRunning {
            service: self.name().to_owned(),
        }
    }

    /// As a root.
    pub(crate) fn start_root(
        &self,
        hub: &Arc<Hub>,
        location: &'static Location<'static>,
    ) -> Result<(), LifecycleError> {
        match self.launch(hub, hub.home(), spawn::Options::default(), location)? {
            Ok(()) => Ok(()),
            Err(_) => {
                self.never_start();
                Err(self.not_running())
            }
        }
    }

    /// Below the calling task, for which alone its end is of interest; or as a root.
    pub(crate) fn start_here(
        &self,
        location: &'static Location<'static>,
    ) -> Result<(), ServiceError> {
        let Some(parent) = current::node() else {
            let hub = crate::handle::current_hub();
            return Ok(self.start_root(&hub, location)?);
        };
        let options = spawn::Options::default();
        if self
            .launch(&parent.hub_arc(), parent, options, location)?
            .is_err()
        {
            self.never_start();
        }
        Ok(())
    }

    /// As a supervised child of one of the service's tasks.
    pub(crate) fn start_child(
        &self,
        place: &super::context::Place<'_>,
        daemon: bool,
        location: &'static Location<'static>,
    ) -> Result<(), SpawnError> {
        if place.closing {
            // Dropped here, as code of the caller.
            let seed = self.seed.as_ref().and_then(|seed| seed.lock().take());
            crate::wait::quietly(|| drop(seed));
            self.never_start();
            return Ok(());
        }
        let options = spawn::Options {
            kind: kind::SUPERVISED | if daemon { kind::DAEMON } else { 0 },
            limit: Some(place.limit),
            ..spawn::Options::default()
        };
        match self.launch(place.hub, place.parent, options, location)? {
            Ok(()) => Ok(()),
            Err(spawn::Refusal::Closing) => {
                self.never_start();
                Ok(())
            }
            Err(spawn::Refusal::Limit) => {
                self.never_start();
                Err(spawn::too_many(place.parent, place.limit).into())
            }
        }
    }

    /// Asks for the cancellation of a service that was started.
    pub(crate) fn request_cancel(&self) {
        if let Some((node, _)) = self.shared.node.get()
            && !self.is_finished()
        {
            self.shared.record.close(true);
            cancel::request(**node, Level::Cancel);
        }
    }
}
