//! Services: a task whose future is `run` and whose cold data is the service's [`Record`], seen
//! from outside through a [`Manager`] and from inside through a [`Context`].
//!
//! [`Record`]: crate::task::record::Record

mod background;
mod boxed;
mod builders;
pub(crate) mod context;
mod manager;
mod service_fn;
mod slot;
mod start;
mod stats;
mod waits;

pub use crate::protect::defer::{Defer, defer};
pub(crate) use crate::protect::shield::poll_to_its_end;
pub use crate::protect::shield::{finally, shielded};
pub use background::background_service;
pub use boxed::BoxService;
pub use builders::{ChildServiceBuilder, ManagerBuilder, TaskBuilder};
pub use context::Context;
pub use manager::Manager;
pub use service_fn::{ServiceFn, service_fn};
pub use slot::ManagerSlot;
pub use stats::{Stats, TaskStats};

use crate::error::Result;
use crate::task::arced;
use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

/// Live supervised children a parent may have, unless set otherwise.
pub(crate) const MAX_CHILDREN: usize = 1000;

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
        Cow::Borrowed(crate::task::name::short(std::any::type_name::<Self>()))
    }

    /// Where the service keeps its manager, if it has an API of its own for callers outside; see
    /// [`ManagerSlot`].
    fn manager_slot(&self) -> Option<&ManagerSlot> {
        None
    }

    /// The slot to be filled when this very value is given a manager: none if nobody else can look
    /// into it.
    #[doc(hidden)]
    fn shared_slot(&self) -> Option<&ManagerSlot> {
        self.manager_slot()
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
