//! [`ReadyWithChildren`]: a service that is ready when its child services are.
//!
//! The service's own task looks after each poll of `run`: so what `run` has scheduled in that poll counts. Each child
//! service that is started enters its record into the list of this service (`Record::ready_children`), and then wakes
//! the waits for this service. The task waits for the first child service, and then for one of them at a time. It is
//! woken by it together with a `run` that waits for the same child. In that poll `run` comes first, and may schedule
//! more.
//!
//! Meanwhile many child services may come and go, while one is not ready yet. So the list is cleared of those that need
//! not be waited for before it grows ([`enter`]).

use super::context::Context;
use super::interface::{BoxService, Service};
use super::slot::ManagerSlot;
use super::waits::wait;
use crate::arena::counted::Counted;
use crate::error::Result;
use crate::panics::quietly;
use crate::protect::last_poll::poll_to_its_end;
use crate::task::awaited::Event;
use crate::task::record::{ReadyChildren, Record};
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

/// Whether a child service is ready. One that has ended counts, unless it failed: then this service fails, too.
fn is_up(child: &Record) -> bool {
    child.is_ready() || child.is_finished() && !child.has_errored()
}

/// Enters a child service that was started.
pub(super) fn enter(children: &ReadyChildren, child: &Counted<Record>) {
    let mut list = children.lock();
    let mut up = Vec::new();
    if list.len() == list.capacity() {
        up.extend(list.extract_if(.., |child| is_up(child)));
        // It is cleared again only after as many children as are left now.
        let left = list.len();
        list.reserve(left + 1);
    }
    list.push(child.clone());
    // A record may be the last of its service, and is dropped after the lock.
    drop(list);
    quietly(|| drop(up));
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct Children {
    /// Whether there was one.
    any: bool,
    /// The wait for the first child service, or, once there was one, for one of them to be ready. The others are in
    /// the list of the record. `None` before the next look at that list.
    wait: Option<Wait>,
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
                self.wait = None;
                return true;
            }
            if let Some(wait) = &mut self.wait
                && wait.as_mut().poll(cx).is_pending()
            {
                // The first child service does not come any more once `run` has returned.
                return returned && !self.any;
            }
            self.wait = None;
            if let Some(child) = list.and_then(|list| list.lock().pop()) {
                self.any = true;
                self.wait = Some(Box::pin(async move {
                    wait(&child, Event::Ready, |child| is_up(child).then_some(())).await;
                }));
            } else if self.any || returned {
                return true;
            } else {
                let own = record.clone();
                self.wait = Some(Box::pin(async move {
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

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use crate::sim::Sim;
    use crate::{Handle, Manager, service_fn};
    use std::future::pending;

    #[test]
    fn child_services_that_come_and_go_are_not_kept() {
        Sim::new(1).block_on(async {
            let app = service_fn("app", async |ctx: crate::Context| {
                ctx.run_child_service(service_fn("never", async |_| pending().await))?;
                // It is waited for.
                crate::yield_now().await;
                for _ in 0..1000 {
                    let child = ctx.run_child_service(service_fn("child", async |_| Ok(())))?;
                    child.wait_finished().await;
                }
                let list = ctx.manager().record.ready_children.as_ref();
                let kept = list.map(|list| list.lock().len());
                assert!(kept.is_some_and(|kept| (1..10).contains(&kept)), "{kept:?}");
                assert!(!ctx.manager().record.is_ready());
                ctx.manager().cancel()?;
                pending().await
            });
            let app = Manager::builder(app).ready_with_children();
            let app = app.start(&Handle::current()).expect("a root");
            app.wait_finished().await;
            app.result().expect("finished").expect("no failure");
        });
    }
}
