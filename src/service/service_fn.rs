//! [`service_fn`]: a service from a closure.

use super::{Context, ManagerSlot, Service};
use crate::error::Result;
use crate::sync::Mutex;
use std::borrow::Cow;
use std::sync::Arc;

/// A service made of a closure. Made by [`service_fn`].
pub struct ServiceFn<F> {
    name: Cow<'static, str>,
    closure: Mutex<Option<F>>,
    slot: ManagerSlot,
}

/// Makes a service of a closure that takes the service's [`Context`]. It can be managed, and so
/// run, once. (The original's `as_service`.)
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
        closure: Mutex::new(Some(f)),
        slot: ManagerSlot::new(),
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
            Some(closure) => closure(ctx).await,
            // Only by calling `run` by hand: a manager starts it once.
            None => Err("the closure of this service has run already".into()),
        }
    }

    fn name(&self) -> Cow<'static, str> {
        self.name.clone()
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.slot)
    }

    /// Managed by value, and not through an `Arc` that somebody else has, too, it is gone when its
    /// closure runs.
    fn shared_slot(&self) -> Option<&ManagerSlot> {
        None
    }
}

impl<F> std::fmt::Debug for ServiceFn<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceFn")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
