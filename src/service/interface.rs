//! [`Service`]: what a user implements, and [`BoxService`], a service whose type is erased.

use super::context::Context;
use super::slot::ManagerSlot;
use crate::error::Result;
use crate::protect::last_poll::poll_to_its_end;
use crate::task::arced;
use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;

/// Something that runs for a while, has tasks and child services of its own, and ends as one.
///
/// `run` is the service's own future. It schedules the rest through its [`Context`]; the service
/// is finished when `run` has returned and everything that was scheduled is done. An error or a
/// panic in `run`, in a task or in a child service cancels the service and comes out of
/// [`Manager::run`] and [`Manager::result`].
///
/// The model, and most of the vocabulary, is that of `async_service` in py-libp2p.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use taskgrove::{Context, Runtime, Service};
///
/// struct Greeter {
///     names: Vec<&'static str>,
/// }
///
/// impl Service for Greeter {
///     async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
///         for name in self.names.iter().copied() {
///             ctx.run_task(async move {
///                 println!("hello {name}");
///                 Ok(())
///             })?;
///         }
///         Ok(())
///     }
/// }
///
/// Runtime::new()?.run(Greeter { names: vec!["ada", "grace"] })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Service: Send + Sync + 'static {
    /// Runs the service. Written as `async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result`.
    ///
    /// # Errors
    ///
    /// Any error is a failure of the service.
    fn run(self: Arc<Self>, ctx: Context) -> impl Future<Output = Result> + Send;

    /// The service's name in paths, snapshots and errors; by default that of the type.
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(crate::task::short(std::any::type_name::<Self>()))
    }

    /// Where the service keeps its manager, if it has an API of its own for callers outside; see
    /// [`ManagerSlot`].
    fn manager_slot(&self) -> Option<&ManagerSlot> {
        None
    }

    /// Erases the type, so that different services fit in one `Vec`.
    fn boxed(self) -> BoxService
    where
        Self: Sized,
    {
        BoxService::new(arced!(self, Self))
    }
}

impl<S: Service> Service for Arc<S> {
    async fn run(self: Arc<Self>, ctx: Context) -> Result {
        let service = Self::clone(&self);
        drop(self);
        // Its future comes to lie where it is polled, without a copy on the stack.
        let mut run = pin!(service.run(ctx));
        poll_fn(|cx| run.as_mut().poll(cx)).await
    }

    fn name(&self) -> Cow<'static, str> {
        S::name(self)
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        S::manager_slot(self)
    }
}

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
