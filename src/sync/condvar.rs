//! [`Condvar`]: a condition variable that waits until a deadline.

use super::mutex::MutexGuard;
#[cfg(taskgrove_loom)]
use loom::sync::Condvar as Inner;
#[cfg(not(taskgrove_loom))]
use std::sync::Condvar as Inner;
use std::sync::PoisonError;
use std::time::Instant;

/// A condition variable without poisoning.
#[derive(Debug)]
pub(super) struct Condvar(Inner);

impl Condvar {
    pub(super) fn new() -> Self {
        Self(Inner::new())
    }

    /// Waits until notified, at most until `deadline`; may return early for no reason. Returns
    /// `None`, without the lock, when the deadline has passed before it began to wait.
    pub(super) fn wait<'a>(
        &self,
        guard: MutexGuard<'a, ()>,
        deadline: Option<Instant>,
    ) -> Option<MutexGuard<'a, ()>> {
        let Some(at) = deadline else {
            let again = self.0.wait(guard);
            return Some(again.unwrap_or_else(PoisonError::into_inner));
        };
        self.wait_until(guard, at)
    }

    #[cfg(not(taskgrove_loom))]
    fn wait_until<'a>(&self, guard: MutexGuard<'a, ()>, at: Instant) -> Option<MutexGuard<'a, ()>> {
        let left = at.checked_duration_since(Instant::now())?;
        let again = self.0.wait_timeout(guard, left);
        Some(again.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// loom has no time: every deadline has passed.
    #[cfg(taskgrove_loom)]
    fn wait_until<'a>(&self, _: MutexGuard<'a, ()>, _: Instant) -> Option<MutexGuard<'a, ()>> {
        None
    }

    pub(super) fn notify_one(&self) {
        self.0.notify_one();
    }
}
