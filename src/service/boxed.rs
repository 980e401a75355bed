//! [`BoxService`]: a service whose type is erased.

use super::{Context, ManagerSlot, Service};
use crate::error::Result;
use crate::protect::shield::poll_to_its_end;
use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;

type BoxFuture = Pin<Box<dyn Future<Output = Result> + Send>>;

trait Erased: Send + Sync {
    fn run(self: Arc<Self>, ctx: Context) -> BoxFuture;
    fn name(&self) -> Cow<'static, str>;
    fn manager_slot(&self) -> Option<&ManagerSlot>;
}

impl<S: Service> Erased for S {
    fn run(self: Arc<Self>, ctx: Context) -> BoxFuture {
        Box::pin(Service::run(self, ctx))
    }

    fn name(&self) -> Cow<'static, str> {
        Service::name(self)
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Service::manager_slot(self)
    }
}

/// Any service. Made by [`Service::boxed`].
///
/// # Examples
///
/// ```
/// use taskgrove::{BoxService, Runtime, Service, service_fn};
/// let services: Vec<BoxService> = vec![
///     service_fn("a", async |_| Ok(())).boxed(),
///     service_fn("b", async |_| Ok(())).boxed(),
/// ];
/// let app = service_fn("app", async move |ctx: taskgrove::Context| {
///     for service in services {
///         ctx.run_child_service(service)?;
///     }
///     Ok(())
/// });
/// Runtime::new()?.run(app)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BoxService(Arc<dyn Erased>);

impl BoxService {
    pub(crate) fn new<S: Service>(service: Arc<S>) -> Self {
        BoxService(service)
    }
}

impl Service for BoxService {
    async fn run(self: Arc<Self>, ctx: Context) -> Result {
        let service = self.0.clone();
        drop(self);
        let mut run = pin!(Some(service.run(ctx)));
        poll_fn(|cx| poll_to_its_end(run.as_mut(), cx)).await
    }

    fn name(&self) -> Cow<'static, str> {
        self.0.name()
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        self.0.manager_slot()
    }
}

impl std::fmt::Debug for BoxService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BoxService")
    }
}
