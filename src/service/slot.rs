//! [`ManagerSlot`]: where a service with an API of its own keeps its manager.

use super::Context;
use super::manager::{Manager, Seed};
use crate::arena::Counted;
use crate::error::LifecycleError;
use crate::record::Record;
use std::sync::{OnceLock, Weak};

/// The place in a service for its manager, for services with an API that is called from outside.
///
/// It is filled when the service is given a manager, which can happen once. It keeps the
/// service's record, never the service itself, so that there is no reference cycle.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use taskgrove::{Context, LifecycleError, ManagerSlot, Runtime, Service};
///
/// #[derive(Default)]
/// struct Doubler {
///     slot: ManagerSlot,
/// }
///
/// impl Doubler {
///     async fn double(&self, n: u32) -> Result<u32, LifecycleError> {
///         self.slot.external_api(async { n * 2 }).await
///     }
/// }
///
/// impl Service for Doubler {
///     async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
///         ctx.cancelled().await;
///         Ok(())
///     }
///     fn manager_slot(&self) -> Option<&ManagerSlot> {
///         Some(&self.slot)
///     }
/// }
///
/// let runtime = Runtime::new()?;
/// let doubler = Arc::new(Doubler::default());
/// runtime.block_on(async {
///     assert_eq!(doubler.double(1).await, Err(LifecycleError::NoManager));
///     runtime.start(doubler.clone())?;
///     assert_eq!(doubler.double(21).await, Ok(42));
///     Ok::<(), LifecycleError>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct ManagerSlot(OnceLock<Filled>);

struct Filled {
    record: Counted<Record>,
    /// Of a service that was not started when it was given its manager.
    seed: Weak<Seed>,
}

impl ManagerSlot {
    /// An empty slot.
    pub const fn new() -> ManagerSlot {
        ManagerSlot(OnceLock::new())
    }

    /// With the seed, managers from this slot can start the service.
    pub(crate) fn fill(
        &self,
        record: &Counted<Record>,
        seed: Weak<Seed>,
    ) -> Result<(), LifecycleError> {
        let record = record.clone();
        self.0
            .set(Filled { record, seed })
            .map_err(|refused| LifecycleError::AlreadyManaged {
                service: refused.record.name.to_string(),
            })
    }

    /// The service's manager.
    ///
    /// # Errors
    ///
    /// [`NoManager`](LifecycleError::NoManager) if it was never given one.
    pub fn get(&self) -> Result<Manager, LifecycleError> {
        let filled = self.0.get().ok_or(LifecycleError::NoManager)?;
        Ok(Manager::from_parts(
            filled.record.clone(),
            filled.seed.upgrade(),
        ))
    }

    /// The service's context, to schedule tasks from its own methods.
    ///
    /// # Errors
    ///
    /// [`NoManager`](LifecycleError::NoManager) if it was never given a manager. Scheduling
    /// through the context fails by itself when the service is not running.
    pub fn context(&self) -> Result<Context, LifecycleError> {
        self.get().map(Context::new)
    }

    /// As [`Manager::external_api`].
    ///
    /// # Errors
    ///
    /// As there, and [`NoManager`](LifecycleError::NoManager).
    pub async fn external_api<F: Future>(&self, f: F) -> Result<F::Output, LifecycleError> {
        self.get()?.external_api(f).await
    }
}

impl std::fmt::Debug for ManagerSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ManagerSlot")
            .field(&self.get().ok())
            .finish()
    }
}
