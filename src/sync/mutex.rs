//! [`Mutex`]: std's or loom's, without poisoning.

#[cfg(taskgrove_loom)]
use loom::sync::Mutex as Inner;
#[cfg(taskgrove_loom)]
pub(crate) use loom::sync::MutexGuard;
#[cfg(not(taskgrove_loom))]
use std::sync::Mutex as Inner;
#[cfg(not(taskgrove_loom))]
pub(crate) use std::sync::MutexGuard;
use std::sync::PoisonError;
#[cfg(any(test, feature = "net"))]
use std::sync::TryLockError;

/// A mutex without poisoning.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    #[cfg(not(taskgrove_loom))]
    pub(crate) const fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    #[cfg(taskgrove_loom)]
    pub(crate) fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn into_inner(self) -> T {
        let value = self.0.into_inner();
        value.unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(any(test, feature = "net"))]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
