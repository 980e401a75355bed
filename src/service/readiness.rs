//! [`ReadyWithChildren`]: a service that is ready when its child services are.
//!
//! The service's own task looks after each poll of `run`: so what `run` has scheduled in that poll counts. Each child
//! service that is started enters its record into the list of this service (`Record::ready_children`), and then wakes
//! the waits for this service. The task waits for the first child service, and then for one of them at a time. It is
//! woken by it together with a `run` that waits for the same child. In that poll `run` comes first, and may schedule
//! more.

use super::context::Context;
use super::interface::{BoxService, Service};
use super::slot::ManagerSlot;
use super::waits::wait;
use crate::arena::counted::Counted;
use crate::error::Result;
use crate::protect::last_poll::poll_to_its_end;
use crate::task::awaited::Event;
use crate::task::record::Record;
use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};

/// Runs a service, and calls `set_ready` for it when all of its child services are ready.
pub(super) struct ReadyWithChildren(BoxService);

impl ReadyWithChildren {
    pub(super) fn new<S: Service>(service: Arc<S>) -> Self {
        ReadyWithChildren(BoxService::new(service))
    }
}

impl Service for ReadyWithChildren {
    async fn run(self: Arc<Self>, ctx: Context) -> Result {
        let mut run = pin!(Some(Arc::new(self.0.share()).run(ctx.clone())));
        drop(self);
        let record = &ctx.manager().record;
        let (mut children, mut output) = (Children::default(), None);
        let mut said_ready = false;
        poll_fn(|cx| {
            if output.is_none()
                && let Poll::Ready(returned) = poll_to_its_end(run.as_mut(), cx)
            {
                if returned.is_err() {
                    return Poll::Ready(returned);
                }
                output = Some(returned);
            }
            if !said_ready && children.are_ready(record, output.is_some(), cx) {
                said_ready = true;
                ctx.set_ready();
            }
            match output.take_if(|_| said_ready) {
                Some(returned) => Poll::Ready(returned),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn name(&self) -> Cow<'static, str> {
        self.0.name()
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        self.0.manager_slot()
    }
}

/// What the service waits for.
#[derive(Default)]
enum Waits {
    /// To be looked at.
    #[default]
    Nothing,
    /// The first child service.
    First(Wait),
    /// One of the child services. The others are in the list of the record.
    Child(Wait),
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct Children {
    waits: Waits,
    /// Whether there was one.
    any: bool,
}

impl Children {
    /// Whether the service is ready, or is now that its child services are. `returned`: `run` schedules no more.
    fn are_ready(
        &mut self,
        record: &Counted<Record>,
        returned: bool,
        cx: &mut task::Context<'_>,
    ) -> bool {
        let list = record.ready_children.as_ref();
        loop {
            if record.is_ready() {
                self.waits = Waits::Nothing;
                return true;
            }
            match &mut self.waits {
                Waits::Nothing => {}
                Waits::Child(wait) => {
                    if wait.as_mut().poll(cx).is_pending() {
                        return false;
                    }
                }
                Waits::First(wait) => {
                    if wait.as_mut().poll(cx).is_pending() {
                        return returned;
                    }
                }
            }
            self.waits = Waits::Nothing;
            if let Some(child) = list.and_then(|list| list.lock().pop()) {
                self.any = true;
                self.waits = Waits::Child(Box::pin(async move {
                    // One that failed fails this service, too.
                    let ended_well = |child: &Record| child.is_finished() && !child.has_errored();
                    let up = |child: &Record| (child.is_ready() || ended_well(child)).then_some(());
                    wait(&child, Event::Ready, up).await;
                }));
            } else if self.any || returned {
                return true;
            } else {
                let own = record.clone();
                self.waits = Waits::First(Box::pin(async move {
                    let has_child = |own: &Record| {
                        let list = own.ready_children.as_ref()?;
                        (!list.lock().is_empty()).then_some(())
                    };
                    wait(&own, Event::Ready, has_child).await;
                }));
            }
        }
    }
}
