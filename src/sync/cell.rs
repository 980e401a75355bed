//! [`UnsafeCell`] with loom's closure interface, and [`Life`], loom's check for uses after the end.

#[cfg(taskgrove_loom)]
pub(crate) use loom::cell::UnsafeCell;
#[cfg(taskgrove_loom)]
pub(crate) use modelled::Life;
#[cfg(not(taskgrove_loom))]
pub(crate) use plain::{Life, UnsafeCell};

#[cfg(not(taskgrove_loom))]
mod plain {
    /// A cell with loom's closure interface.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    /// Does nothing; under loom, checks that the value it lies in is not used after its end.
    pub(crate) struct Life;

    impl Life {
        #[inline(always)]
        pub(crate) fn new() -> Self {
            Life
        }

        #[inline(always)]
        pub(crate) fn used(&self) {}

        #[inline(always)]
        pub(crate) fn end(&self) {}
    }
}

#[cfg(taskgrove_loom)]
mod modelled {
    use super::UnsafeCell;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Checks that every use of the value it lies in happens before its end.
    ///
    /// The cell makes loom check the order. The flag is std's, and so no part of what loom explores:
    /// it only turns a use that came late in this run into a panic, for which Relaxed is enough.
    pub(crate) struct Life(UnsafeCell<()>, AtomicBool);

    impl Life {
        pub(crate) fn new() -> Self {
            Life(UnsafeCell::new(()), false.into())
        }

        #[track_caller]
        pub(crate) fn used(&self) {
            let ended = self.1.load(Ordering::Relaxed);
            assert!(!ended, "used after its end");
            self.0.with(|_| ());
        }

        #[track_caller]
        pub(crate) fn end(&self) {
            let ended = self.1.swap(true, Ordering::Relaxed);
            assert!(!ended, "ended twice");
            self.0.with_mut(|_| ());
        }
    }
}
