//! The one place that names atomics, locks, cells and parking.
//!
//! Everything else imports from here, so that the same code runs on std and parking_lot, or, under
//! `cfg(taskgrove_loom)`, on loom's instrumented types. The interface is parking_lot's (no
//! poisoning: a panic in user code never happens under a lock here, see ARCHITECTURE.md).

pub(crate) use imp::*;

#[cfg(not(taskgrove_loom))]
mod imp {
    pub(crate) use crossbeam_queue::SegQueue;
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::sync::Arc;

    pub(crate) mod atomic {
        pub(crate) use std::sync::atomic::{
            AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        };
    }

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

    /// Blocks one thread until it is unparked: a token that `unpark` puts and `park` takes.
    #[derive(Debug, Default)]
    pub(crate) struct Parker {
        token: Mutex<bool>,
        changed: parking_lot::Condvar,
    }

    impl Parker {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        /// Waits for the token, at most until `deadline`; says whether it was there.
        pub(crate) fn park(&self, deadline: Option<std::time::Instant>) -> bool {
            let mut token = self.token.lock();
            while !*token {
                match deadline {
                    None => self.changed.wait(&mut token),
                    Some(at) => {
                        if self.changed.wait_until(&mut token, at).timed_out() {
                            break;
                        }
                    }
                }
            }
            std::mem::take(&mut *token)
        }

        /// Puts the token; a second one before it is taken changes nothing.
        pub(crate) fn unpark(&self) {
            *self.token.lock() = true;
            self.changed.notify_one();
        }
    }
}

#[cfg(taskgrove_loom)]
mod imp {
    pub(crate) use loom::sync::Arc;

    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{
            AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        };
    }

    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

    /// loom's mutex with parking_lot's interface.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("nothing panics under a lock")
        }

        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner().expect("nothing panics under a lock")
        }
    }

    /// An unbounded queue, by a lock.
    #[derive(Debug)]
    pub(crate) struct SegQueue<T>(Mutex<std::collections::VecDeque<T>>);

    impl<T> SegQueue<T> {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(std::collections::VecDeque::new()))
        }

        pub(crate) fn push(&self, value: T) {
            self.0.lock().push_back(value);
        }

        pub(crate) fn pop(&self) -> Option<T> {
            self.0.lock().pop_front()
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.0.lock().is_empty()
        }
    }

    /// As outside loom; a deadline never comes (loom has no time).
    #[derive(Debug)]
    pub(crate) struct Parker {
        token: Mutex<bool>,
        changed: loom::sync::Condvar,
    }

    impl Parker {
        pub(crate) fn new() -> Self {
            Self {
                token: Mutex::new(false),
                changed: loom::sync::Condvar::new(),
            }
        }

        pub(crate) fn park(&self, _deadline: Option<std::time::Instant>) -> bool {
            let mut token = self.token.lock();
            while !*token {
                token = self
                    .changed
                    .wait(token)
                    .expect("nothing panics under a lock");
            }
            std::mem::take(&mut *token)
        }

        pub(crate) fn unpark(&self) {
            *self.token.lock() = true;
            self.changed.notify_one();
        }
    }
}
