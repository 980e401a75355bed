//! The atomics, under std's names, and [`AtomicWord`].

#[cfg(taskgrove_loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
#[cfg(not(taskgrove_loom))]
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

/// An `AtomicU64` that is changed only by read-modify-writes.
#[cfg(not(taskgrove_loom))]
pub(crate) type AtomicWord = AtomicU64;

#[cfg(taskgrove_loom)]
pub(crate) use modelled::{AtomicWord, LOADS_ARE_WRITES};

#[cfg(taskgrove_loom)]
mod modelled {
    use super::{AtomicU64, Ordering};

    std::thread_local! {
        /// Whether the model on this thread treats loads of an [`AtomicWord`] as
        /// read-modify-writes.
        pub(crate) static LOADS_ARE_WRITES: std::cell::Cell<bool> =
            const { std::cell::Cell::new(false) };
    }

    /// An `AtomicU64` that is changed only by read-modify-writes.
    ///
    /// loom does not explore the order in which a load of one thread comes after a later write of
    /// another, if the writer has itself loaded the value before. Such an order is explored if the
    /// load counts as a write; but then it never returns an outdated value. So a model runs both
    /// ways, as [`LOADS_ARE_WRITES`] says. (A word that is also stored to could not do this: loom
    /// could put such a write behind a later store.)
    #[derive(Debug, Default)]
    pub(crate) struct AtomicWord(AtomicU64);

    impl AtomicWord {
        pub(crate) fn new(value: u64) -> Self {
            Self(AtomicU64::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            if LOADS_ARE_WRITES.get() {
                self.0.fetch_add(0, order)
            } else {
                self.0.load(order)
            }
        }
    }

    impl std::ops::Deref for AtomicWord {
        type Target = AtomicU64;

        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }
}
