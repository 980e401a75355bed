//! [`ManagerSlot`]: where a service keeps its manager, for its own methods.

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

/// The place in which a service keeps its manager, so that its methods can be called from outside.
///
/// The service has a field of this type, and returns it from
/// [`Service::manager_slot`](crate::Service::manager_slot). Making a manager for the service fills
/// the slot. Once the service has been started the slot is taken for ever. If it never was, because
/// its last manager was dropped or its start was refused, the slot is free for another manager.
///
/// A slot keeps the service's record and never the service, so there is no reference cycle.
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
    /// Starts the service, if it was not started when its manager was made.
    launcher: Weak<Launcher>,
}

impl ManagerSlot {
    /// Makes an empty slot.
    #[cfg(not(taskgrove_loom))]
    pub const fn new() -> ManagerSlot {
        ManagerSlot {
            filled: OnceLock::new(),
            private_to: None,
        }
    }

    /// Makes an empty slot.
    #[cfg(taskgrove_loom)]
    pub fn new() -> ManagerSlot {
        ManagerSlot::default()
    }

    /// Makes an empty slot that services of type `S` keep to themselves: only code that shares such
    /// a service can look into it.
    pub(super) fn private_to<S: 'static>() -> ManagerSlot {
        ManagerSlot {
            private_to: Some(TypeId::of::<S>),
            ..ManagerSlot::default()
        }
    }

    /// Whether no other code can look into the slot of a service of type `S` that is managed by
    /// value, so that it need not be filled.
    #[inline]
    pub(super) fn is_private_to<S: 'static>(&self) -> bool {
        self.private_to.is_some_and(|id| id() == TypeId::of::<S>())
    }

    /// Fills the slot. With the launcher, managers from this slot can start the service.
    ///
    /// A slot is taken, unless the service of the record in it can never be started.
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
            // Dropped after the lock: the old record may hold errors, whose drop is user code.
            drop(place);
            drop(stale);
        }
        Ok(())
    }

    /// Returns the service's manager.
    ///
    /// # Errors
    ///
    /// Returns [`NoManager`](LifecycleError::NoManager) if the service has none: none was made, or
    /// all of them were dropped before the service was started.
    pub fn get(&self) -> Result<Manager, LifecycleError> {
        let place = self.filled.get().ok_or(LifecycleError::NoManager)?;
        let (record, launcher) = {
            let filled = place.lock();
            (filled.record.clone(), filled.launcher.upgrade())
        };
        if record.was_never_started() {
            return Err(LifecycleError::NoManager);
        }
        Ok(Manager::from_parts(record, launcher))
    }

    /// Returns the service's context, with which its methods schedule tasks.
    ///
    /// # Errors
    ///
    /// Returns [`NoManager`](LifecycleError::NoManager) if the service has no manager. If it is not
    /// running there is a context all the same, whose methods return
    /// [`NotRunning`](LifecycleError::NotRunning).
    pub fn context(&self) -> Result<Context, LifecycleError> {
        self.get().map(Context::new)
    }

    /// Runs a future for a caller outside the service, as long as the service runs; see
    /// [`Manager::external_api`].
    ///
    /// # Errors
    ///
    /// Returns [`NoManager`](LifecycleError::NoManager) if the service has no manager, and
    /// [`NotRunning`](LifecycleError::NotRunning) if it is not running, is being cancelled, or ends
    /// before the future does.
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
