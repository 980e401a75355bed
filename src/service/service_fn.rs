//! [`service_fn`]: makes a service from a closure.

use super::context::Context;
use super::interface::Service;
use super::slot::ManagerSlot;
use crate::arena::slot_box::SlotBox;
use crate::error::Result;
use crate::sync::Mutex;
use crate::task::held;
use crate::task::raw::fits;
use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

/// A service that runs a closure. [`service_fn`] makes one.
pub struct ServiceFn<F> {
    name: Cow<'static, str>,
    closure: Mutex<Option<SlotBox<F>>>,
    slot: ManagerSlot,
}

/// Makes a service that runs a closure, to which it gives its [`Context`].
///
/// The service has that name. It can be managed, and so run, only once: a second manager is refused
/// with [`AlreadyManaged`](crate::LifecycleError::AlreadyManaged), also if the service is shared
/// through an `Arc`. This is `as_service` of py-libp2p's `async_service`.
///
/// # Examples
///
/// ```
/// use taskgrove::{Runtime, service_fn};
/// let service = service_fn("counter", |ctx| async move {
///     for n in 0..3 {
///         ctx.run_task(async move {
///             assert!(n < 3);
///             Ok(())
///         })?;
///     }
///     Ok(())
/// });
/// Runtime::new()?.run(service)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn service_fn<F, Fut>(name: impl Into<Cow<'static, str>>, f: F) -> ServiceFn<F>
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result> + Send + 'static,
{
    ServiceFn {
        name: name.into(),
        closure: Mutex::new(Some(held!(f: F))),
        slot: ManagerSlot::private_to::<ServiceFn<F>>(),
    }
}

impl<F, Fut> Service for ServiceFn<F>
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result> + Send + 'static,
{
    async fn run(self: Arc<Self>, ctx: Context) -> Result {
        let closure = self.closure.lock().take();
        drop(self);
        match closure {
            Some(closure) => {
                // The future is pinned where it is made, so that no copy of it is made on the stack.
                // A large closure is called in its box, which is possible only without its type.
                let mut run = pin!(if const { fits::<F>() } {
                    closure.take()(ctx)
                } else {
                    let closure: Box<dyn FnOnce(Context) -> Fut + Send> = closure.into_box();
                    closure(ctx)
                });
                poll_fn(|cx| run.as_mut().poll(cx)).await
            }
            // A manager starts the service once, so this is a call of `run` by the user.
            None => Err("the closure of this service has run already".into()),
        }
    }

    fn name(&self) -> Cow<'static, str> {
        self.name.clone()
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.slot)
    }
}

impl<F> std::fmt::Debug for ServiceFn<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceFn")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
