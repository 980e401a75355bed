//! Starting a service: its node goes into the tree.

use super::builders::Options;
use super::context::Place;
use super::manager::Manager;
use super::{Context, Service};
use crate::arena::Counted;
use crate::error::{BoxError, LifecycleError, SpawnError};
use crate::handle::current_hub_for;
use crate::panics::quietly;
use crate::protect::shield::poll_to_its_end;
use crate::sync::Mutex;
use crate::sync::atomic::Ordering;
use crate::task::cell::fits;
use crate::task::record::Record;
use crate::task::state::Level;
use crate::task::{Node, Shared, current, kind};
use crate::tree::{cancel, full, spawn};
use std::borrow::Cow;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
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
    shared: &'a Shared,
    parent: Node,
    options: spawn::Options,
    location: &'static Location<'static>,
}

impl<S: Service> Launch for Arc<S> {
    fn launch(self: Box<Self>, launching: Launching<'_>) -> Result<(), spawn::Refusal> {
        launch(*self, launching)
    }
}

/// A service that has a manager and may be started later. The managers share it; with the last of
/// them the service is dropped, and is finished without having been started.
pub(crate) struct Seed {
    pub(super) service: Mutex<Option<Box<dyn Launch>>>,
    record: Counted<Record>,
}

impl Seed {
    pub(super) fn new(record: Counted<Record>) -> Self {
        Seed {
            service: Mutex::new(None),
            record,
        }
    }

    fn take(&self) -> Option<Box<dyn Launch>> {
        self.service.lock().take()
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        let _starting = Starting(&self.record);
        let service = self.take();
        drop(service);
    }
}

/// A start that has not succeeded yet. If it never does, for whatever reason, the service is
/// cancelled and finished without having been started.
struct Starting<'a>(&'a Record);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let record = self.0;
        if !record.is_started() {
            record.close(true);
            record.finish(false);
            record.waiters().wake_all();
        }
    }
}

/// Gives a service its record, with `N` counts; its slot is yet to be filled.
#[inline]
pub(crate) fn manage<S: Service, const N: usize>(
    service: &S,
    options: Options,
) -> [Counted<Record>; N] {
    let own = service.name();
    let name = options.name.map_or(own, Cow::Owned);
    Counted::several(Record::new(name, options.max_children, options.grace))
}

/// Puts a service's node into the tree.
#[inline]
fn launch<S: Service>(service: Arc<S>, launching: Launching<'_>) -> Result<(), spawn::Refusal> {
    let Launching {
        record,
        counts: [for_context, for_node],
        shared,
        parent,
        options,
        location,
    } = launching;
    let independent = options.kind & kind::SUPERVISED == 0;
    record.independent.store(independent, Ordering::Relaxed);
    // Without what could start it: that could hold the service, and this is the service.
    let context = Context::new(Manager::from_parts(for_context, None));
    let run = move || service.run(context);
    launch_run::<S, _, _>(run, shared, parent, record, for_node, &options, location)
}

/// `run` is called by the first poll, as code of the task. Its future comes to lie where it is polled,
/// without a copy on the stack if it is large.
#[inline]
fn launch_run<N, R, F>(
    run: R,
    shared: &Shared,
    parent: Node,
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
        place::<N, _>(make, shared, parent, record, own, options, location)
    } else {
        let make = move || async move {
            let mut run = pin!(run());
            poll_fn(|cx| run.as_mut().poll(cx)).await
        };
        place::<N, _>(make, shared, parent, record, own, options, location)
    }
}

/// As [`spawn::service`], with a future that is boxed as soon as it is made if it does not fit.
#[inline]
fn place<N, F>(
    make: impl FnOnce() -> F,
    shared: &Shared,
    parent: Node,
    record: &Record,
    own: Counted<Record>,
    options: &spawn::Options,
    location: &'static Location<'static>,
) -> Result<(), spawn::Refusal>
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    if const { fits::<F>() } {
        spawn::service::<N, _>(shared, parent, make(), record, own, options, location)
    } else {
        let future = Box::pin(make());
        spawn::service::<N, _>(shared, parent, future, record, own, options, location)
    }
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
    let starting = Starting(&record);
    if place.closing {
        // Dropped here, as code of the caller.
        quietly(|| drop(service));
        drop(starting);
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
        shared: place.shared(),
        parent: place.parent,
        options,
        location,
    };
    let launched = launch(service, launching);
    drop(starting);
    match launched {
        Ok(()) if known => record.waiters().wake_all(),
        Ok(()) | Err(spawn::Refusal::Closing) => {}
        Err(spawn::Refusal::Limit) => {
            return Err(full::too_many(place.parent, place.limit).into());
        }
    }
    Ok(Manager::from_parts(record, None))
}

impl Manager {
    /// Whether the service was not started and cannot be any more.
    fn is_too_late(&self) -> bool {
        match self.seed {
            Some(_) => self.record.was_never_started(),
            None => !self.is_started(),
        }
    }

    fn launch(
        &self,
        shared: &Shared,
        parent: Node,
        location: &'static Location<'static>,
    ) -> Result<(), LifecycleError> {
        let Some(service) = self.seed.as_ref().and_then(|seed| seed.take()) else {
            if self.is_too_late() {
                return Err(self.not_running());
            }
            let service = self.name().to_owned();
            return Err(LifecycleError::AlreadyStarted { service });
        };
        let starting = Starting(&self.record);
        let launched = service.launch(Launching {
            record: &self.record,
            counts: [self.record.clone(), self.record.clone()],
            shared,
            parent,
            options: spawn::Options::default(),
            location,
        });
        drop(starting);
        launched.map_err(|_| self.not_running())?;
        self.record.waiters().wake_all();
        Ok(())
    }

    pub(crate) fn not_running(&self) -> LifecycleError {
        LifecycleError::NotRunning {
            service: self.name().to_owned(),
        }
    }

    /// As a root.
    pub(crate) fn start_root(
        &self,
        shared: &Shared,
        location: &'static Location<'static>,
    ) -> Result<(), LifecycleError> {
        self.launch(shared, shared.home(), location)
    }

    /// Below the calling task, for which alone its end is of interest; or as a root. The location
    /// is that of the call whose future does this when it is polled.
    pub(crate) fn start_here(
        &self,
        location: &'static Location<'static>,
    ) -> Result<(), LifecycleError> {
        match current::node() {
            Some(parent) => self.launch(parent.shared(), parent, location),
            None => self.start_root(&current_hub_for(location), location),
        }
    }

    /// Asks for the cancellation of a service that was started.
    pub(crate) fn request_cancel(&self) {
        if let Some(node) = self.record.node()
            && !self.is_finished()
        {
            // Before anything else, so that whoever sees it end sees why.
            self.record.set_cancelled();
            cancel::request_and(node, Level::Cancel, || self.record.close(true));
        }
    }
}
