//! Launching: a service gets its record, and its task is put into the tree.

use super::context::Context;
use super::interface::Service;
use super::launcher::{Launch, LaunchSite};
use super::manager::Manager;
use super::slot::ManagerSlot;
use crate::arena::counted::Counted;
use crate::error::BoxError;
use crate::handle::settings::Settings;
use crate::protect::last_poll::poll_to_its_end;
use crate::task::kind;
use crate::task::raw::fits;
use crate::task::record::Record;
use crate::tree::spawn;
use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

impl<S: Service> Launch for Arc<S> {
    fn launch(
        self: Box<Self>,
        counts: [Counted<Record>; 2],
        site: LaunchSite<'_>,
    ) -> Result<(), spawn::Refusal> {
        launch(*self, counts, &site)
    }
}

/// Makes the record of a service, with `N` counts.
#[inline]
pub(super) fn make_record<S: Service, const N: usize>(
    service: &S,
    settings: Settings,
) -> [Counted<Record>; N] {
    let own = service.name();
    let name = settings.name.map_or(own, Cow::Owned);
    let ready_children = settings.ready_with_children.then(Box::default);
    let (max_children, grace) = (settings.max_children, settings.grace);
    // Nothing borrows the record before it is in its slot, so that it is written there and not copied.
    let counts = Counted::several(move || Record::new(name, max_children, grace, ready_children));
    if let (Some(locals), [record, ..]) = (settings.locals, &counts[..]) {
        record.cold.set_locals(locals);
    }
    counts
}

/// Returns the slot that has to be filled when the service is given a manager.
#[inline]
pub(super) fn slot_to_fill<S: Service>(service: &S) -> Option<&ManagerSlot> {
    service
        .manager_slot()
        .filter(|slot| !slot.is_private_to::<S>())
}

/// Puts a service's task into the tree. `counts` are those of its context and of its task.
#[inline]
pub(super) fn launch<S: Service>(
    service: Arc<S>,
    counts: [Counted<Record>; 2],
    site: &LaunchSite<'_>,
) -> Result<(), spawn::Refusal> {
    let [for_context, for_task] = counts;
    if site.options.kind & kind::SUPERVISED != 0 {
        site.record.set_child();
    }
    // Without a launcher, which would own the service: the service's future owns the context.
    let context = Context::new(Manager::from_parts(for_context, None));
    launch_run::<S, _, _>(move || service.run(context), for_task, site)
}

/// Puts a task into the tree whose first poll calls `run`, as code of the task. The future of a
/// large `run` is pinned where it is made, so that no copy of it is made on the stack.
#[inline]
fn launch_run<N, R, F>(
    run: R,
    own: Counted<Record>,
    site: &LaunchSite<'_>,
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
        spawn_made::<N, _>(make, own, site)
    } else {
        let make = move || async move {
            let mut run = pin!(run());
            poll_fn(|cx| run.as_mut().poll(cx)).await
        };
        spawn_made::<N, _>(make, own, site)
    }
}

/// Spawns the future that `make` returns as the service's task. It is made in the task's slot; one that does not
/// fit is boxed where it is made.
#[inline]
fn spawn_made<N, F>(
    make: impl FnOnce() -> F,
    own: Counted<Record>,
    site: &LaunchSite<'_>,
) -> Result<(), spawn::Refusal>
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    if const { fits::<F>() } {
        spawn_task::<N, _>(make, own, site)
    } else {
        spawn_task::<N, _>(|| Box::pin(make()), own, site)
    }
}

#[inline]
fn spawn_task<N, F>(
    make: impl FnOnce() -> F,
    own: Counted<Record>,
    site: &LaunchSite<'_>,
) -> Result<(), spawn::Refusal>
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let &LaunchSite {
        record,
        parent,
        options,
        location,
    } = site;
    spawn::service::<N, _>(parent, make, record, own, options, location)
}
