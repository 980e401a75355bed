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

/// A part of a program that runs for a while, owns tasks and child services, and ends as a whole.
///
/// `run` is the service's own future, and schedules tasks and child services through its
/// [`Context`]. The service is finished when `run` has returned, everything that was scheduled is
/// done, and the service value has been dropped. An error or a panic in `run`, in a task or in a
/// child service cancels the service; [`Manager::run`](crate::Manager::run) and
/// [`Manager::result`](crate::Manager::result) report it.
///
/// A service is started with [`Runtime::run`](crate::Runtime::run),
/// [`Handle::start`](crate::Handle::start), [`Manager::run`](crate::Manager::run),
/// [`background_service`](crate::background_service), or as a child service with
/// [`Context::run_child_service`].
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
    /// Runs the service. Implementations write
    /// `async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result`.
    ///
    /// A cancellation drops the future at its next suspension, once everything that the service
    /// scheduled is done; [`shielded`](crate::shielded), [`finally`](crate::finally) and
    /// [`defer`](crate::defer) protect parts of it.
    ///
    /// # Errors
    ///
    /// An error that is returned is a failure of the service, unless it is a consequence of a
    /// cancellation.
    fn run(self: Arc<Self>, ctx: Context) -> impl Future<Output = Result> + Send;

    /// Returns the service's name in paths, snapshots and errors. The default is the name of the
    /// type, without its path.
    ///
    /// It is called once for each manager, before the service's slot is filled. A panic goes to the
    /// caller that makes the manager.
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(crate::task::short(std::any::type_name::<Self>()))
    }

    /// Returns the slot in which the service keeps its manager. A service that has methods for
    /// callers outside implements this; see [`ManagerSlot`].
    fn manager_slot(&self) -> Option<&ManagerSlot> {
        None
    }

    /// Erases the service's type, so that a `Vec` can hold services of different types.
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
        // Pinned where it is made, so that no copy of a large future is made on the stack.
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

/// A [`Service`] without its type.
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

/// A service whose type is erased. [`Service::boxed`] makes one.
///
/// It has the name, the slot and the future of the service inside it.
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

    /// Returns another one of the same service.
    pub(super) fn share(&self) -> BoxService {
        BoxService(self.0.clone())
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
