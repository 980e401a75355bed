//! [`ManagerSlot`]: where a service with an API of its own keeps its manager.

use super::context::Context;
use super::launcher::Launcher;
use super::manager::Manager;
use crate::arena::counted::Counted;
use crate::error::LifecycleError;
use crate::protect::checkpoint;
use crate::sync::{Mutex, OnceLock};
use crate::task::record::Record;
use std::any::TypeId;
use std::sync::Weak;

/// The place in a service for its manager, for services with an API that is called from outside.
///
/// It is filled when the service is given a manager, and stays taken for ever once the service has
/// been started. A service that was not (its last manager was dropped, or its start was refused)
/// leaves it free for another manager. It keeps the service's record, never the service itself, so
/// that there is no reference cycle.
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
pub struct ManagerSlot {
    filled: OnceLock<Mutex<Filled>>,
    /// The type of the services that keep this slot to themselves.
    private_to: Option<fn() -> TypeId>,
}

struct Filled {
    record: Counted<Record>,
    /// Of a service that was not started when it was given its manager.
    launcher: Weak<Launcher>,
}

impl ManagerSlot {
    /// An empty slot.
    #[cfg(not(taskgrove_loom))]
    pub const fn new() -> ManagerSlot {
        ManagerSlot {
            filled: OnceLock::new(),
            private_to: None,
        }
    }

    /// An empty slot.
    #[cfg(taskgrove_loom)]
    pub fn new() -> ManagerSlot {
        ManagerSlot::default()
    }

    /// An empty slot that services of type `S` keep to themselves: only code that shares such a
    /// service can look into it.
    pub(super) fn private_to<S: 'static>() -> ManagerSlot {
        ManagerSlot {
            private_to: Some(TypeId::of::<S>),
            ..ManagerSlot::default()
        }
    }

    /// Whether no other code can look into the slot of a service of type `S` that is managed by
    /// value, so that it need not be filled.
    pub(super) fn is_private_to<S: 'static>(&self) -> bool {
        self.private_to.is_some_and(|id| id() == TypeId::of::<S>())
    }

    /// With the launcher, managers from this slot can start the service. Taken is a slot unless what is
    /// in it can never be started.
    pub(super) fn fill(
        &self,
        record: &Counted<Record>,
        launcher: Weak<Launcher>,
    ) -> Result<(), LifecycleError> {
        let mut new = Some(Filled {
            record: record.clone(),
            launcher,
        });
        let place = self
            .filled
            .get_or_init(|| Mutex::new(new.take().expect("the slot is filled once")));
        if let Some(new) = new {
            let mut place = place.lock();
            if !place.record.was_never_started() {
                let service = record.name.to_string();
                return Err(LifecycleError::AlreadyManaged { service });
            }
            let stale = std::mem::replace(&mut *place, new);
            // With it may go errors of the user's.
            drop(place);
            drop(stale);
        }
        Ok(())
    }

    /// The service's manager.
    ///
    /// # Errors
    ///
    /// [`NoManager`](LifecycleError::NoManager) if it has none: it was never given one, or lost it
    /// before it was started.
    pub fn get(&self) -> Result<Manager, LifecycleError> {
        let place = self.filled.get().ok_or(LifecycleError::NoManager)?;
        let (record, launcher) = {
            let filled = place.lock();
            (filled.record.clone(), filled.launcher.upgrade())
        };
        if record.was_never_started() {
            return Err(LifecycleError::NoManager);
        }
        Ok(Manager::new_with(record, launcher))
    }

    /// The service's context, to schedule tasks from its own methods.
    ///
    /// # Errors
    ///
    /// [`NoManager`](LifecycleError::NoManager) if it has no manager. Scheduling through the
    /// context fails by itself when the service is not running.
    pub fn context(&self) -> Result<Context, LifecycleError> {
        self.get().map(Context::new)
    }

    /// As [`Manager::external_api`].
    ///
    /// # Errors
    ///
    /// As there, and [`NoManager`](LifecycleError::NoManager).
    pub async fn external_api<F: Future>(&self, f: F) -> Result<F::Output, LifecycleError> {
        match self.get() {
            Ok(manager) => manager.external_api(f).await,
            Err(error) => checkpoint::refused(error).await,
        }
    }
}

impl std::fmt::Debug for ManagerSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ManagerSlot")
            .field(&self.get().ok())
            .finish()
    }
}
