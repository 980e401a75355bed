//! [`OnceLock`]: a value that is set once and then shared.

#[cfg(taskgrove_loom)]
pub(crate) use modelled::OnceLock;
#[cfg(not(taskgrove_loom))]
pub(crate) use std::sync::OnceLock;

#[cfg(taskgrove_loom)]
mod modelled {
    use crate::sync::atomic::{AtomicBool, Ordering};
    use crate::sync::mutex::Mutex;

    /// std's `OnceLock` with an order that loom explores.
    ///
    /// `is_set` is the edge that std promises: `get` loads it with Acquire, which pairs with the
    /// Release store after the value was written. `setting` lets one thread at a time write, and
    /// makes the others wait as std does. std's own lock holds the value; it is never contended.
    #[derive(Debug)]
    pub(crate) struct OnceLock<T> {
        is_set: AtomicBool,
        setting: Mutex<()>,
        value: std::sync::OnceLock<T>,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            Self {
                is_set: AtomicBool::new(false),
                setting: Mutex::new(()),
                value: std::sync::OnceLock::new(),
            }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            if self.is_set.load(Ordering::Acquire) {
                self.value.get()
            } else {
                None
            }
        }

        pub(crate) fn set(&self, value: T) -> Result<(), T> {
            let _setting = self.setting.lock();
            self.value.set(value)?;
            self.is_set.store(true, Ordering::Release);
            Ok(())
        }

        pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
            if let Some(value) = self.get() {
                return value;
            }
            let _setting = self.setting.lock();
            let value = self.value.get_or_init(init);
            self.is_set.store(true, Ordering::Release);
            value
        }
    }

    impl<T> Default for OnceLock<T> {
        fn default() -> Self {
            Self::new()
        }
    }
}
