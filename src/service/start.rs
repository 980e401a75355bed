//! Starting a service: its node goes into the tree.

use super::builders::Options;
use super::context::Place;
use super::manager::Manager;
use super::{Context, Service};
use crate::arena::Counted;
use crate::error::{LifecycleError, ServiceError, SpawnError};
use crate::record::Record;
use crate::sync::atomic::Ordering;
use crate::task::state::Level;
use crate::task::{Hub, Node, current, kind};
use crate::tree::{cancel, spawn};
use std::borrow::Cow;
use std::panic::Location;
use std::sync::{Arc, Weak};

/// A service that waits for its start.
pub(crate) trait Launch: Send {
    /// See [`launch`].
    fn launch(self: Box<Self>, launching: Launching<'_>) -> Result<(), spawn::Refusal>;
}

/// Where and as what a service is started.
pub(crate) struct Launching<'a> {
    record: &'a Record,
    /// For its context and its node.
    counts: [Counted<Record>; 2],
    hub: &'a Hub,
    parent: Node,
    options: spawn::Options,
    location: &'static Location<'static>,
}

impl<S: Service> Launch for Arc<S> {
    fn launch(self: Box<Self>, launching: Launching<'_>) -> Result<(), spawn::Refusal> {
        launch(*self, launching)
    }
}

/// Gives a service its record, with `N` counts; its slot is yet to be filled.
#[inline]
pub(crate) fn manage<S: Service, const N: usize>(
    service: S,
    options: Options,
) -> ([Counted<Record>; N], Arc<S>) {
    let own = service.name();
    let name = options.name.map_or(own, Cow::Owned);
    let records = Counted::several(Record::new(name, options.max_children, options.grace));
    (records, Arc::new(service))
}

/// Puts a service's node into the tree.
#[inline]
fn launch<S: Service>(service: Arc<S>, launching: Launching<'_>) -> Result<(), spawn::Refusal> {
    let Launching {
        record,
        counts: [for_context, for_node],
        hub,
        parent,
        options,
        location,
    } = launching;
    let independent = options.kind & kind::SUPERVISED == 0;
    record.independent.store(independent, Ordering::Relaxed);
    // Without what could start it: that could hold the service, and this is the service.
    let context = Context::new(Manager::from_parts(for_context, None));
    let future = async move { service.run(context).await };
    spawn::service(hub, parent, future, record, for_node, &options, location)
}

/// Cancelled and finished without having been started.
fn never_start(record: &Record) {
    record.close(true);
    record.finish();
    record.waiters().wake_all();
}

/// Starts a service as a supervised child of one of another service's tasks.
#[inline]
pub(crate) fn start_child<S: Service>(
    records: [Counted<Record>; 3],
    service: Arc<S>,
    place: &Place<'_>,
    daemon: bool,
    location: &'static Location<'static>,
) -> Result<Manager, SpawnError> {
    let [record, counts @ ..] = records;
    // In no slot, nobody can wait for the start yet.
    let known = match S::shared_slot(&service) {
        None => false,
        Some(slot) => slot.fill(&record, Weak::new()).map(|()| true)?,
    };
    if place.closing {
        // Dropped here, as code of the caller.
        crate::wait::quietly(|| drop(service));
        never_start(&record);
        return Ok(Manager::from_parts(record, None));
    }
    let options = spawn::Options {
        kind: kind::SUPERVISED | if daemon { kind::DAEMON } else { 0 },
        limit: Some(place.limit),
        ..spawn::Options::default()
    };
    let launching = Launching {
        record: &record,
        counts,
        hub: place.hub(),
        parent: place.parent,
        options,
        location,
    };
    match launch(service, launching) {
        Ok(()) => {
            if known {
                record.waiters().wake_all();
            }
        }
        Err(spawn::Refusal::Closing) => never_start(&record),
        Err(spawn::Refusal::Limit) => {
            never_start(&record);
            return Err(spawn::too_many(place.parent, place.limit).into());
        }
    }
    Ok(Manager::from_parts(record, None))
}

impl Manager {
    fn launch(
        &self,
        hub: &Hub,
        parent: Node,
        location: &'static Location<'static>,
    ) -> Result<Result<(), spawn::Refusal>, LifecycleError> {
        let seed = self.seed.as_ref().and_then(|seed| seed.lock().take());
        let Some(seed) = seed else {
            let service = self.name().to_owned();
            return Err(LifecycleError::AlreadyStarted { service });
        };
        let launched = seed.launch(Launching {
            record: &self.record,
            counts: [self.record.clone(), self.record.clone()],
            hub,
            parent,
            options: spawn::Options::default(),
            location,
        });
        match launched {
            Ok(()) => self.record.waiters().wake_all(),
            Err(_) => never_start(&self.record),
        }
        Ok(launched)
    }

    pub(crate) fn not_running(&self) -> LifecycleError {
        LifecycleError::NotRunning {
            service: self.name().to_owned(),
        }
    }

    /// As a root.
    pub(crate) fn start_root(
        &self,
        hub: &Hub,
        location: &'static Location<'static>,
    ) -> Result<(), LifecycleError> {
        self.launch(hub, hub.home(), location)?
            .map_err(|_| self.not_running())
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
        // Refused, it is finished at once.
        let _ = self.launch(parent.hub(), parent, location)?;
        Ok(())
    }

    /// Asks for the cancellation of a service that was started.
    pub(crate) fn request_cancel(&self) {
        if let Some(node) = self.record.node()
            && !self.is_finished()
        {
            self.record.close(true);
            cancel::request(node, Level::Cancel);
        }
    }
}
