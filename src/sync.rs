//! The one place that names atomics, locks, cells and parking.
//!
//! Everything else imports from here, so that the same code runs on std, or, under
//! `cfg(taskgrove_loom)`, on loom's instrumented types. Locks do not poison: a panic in user code
//! never happens under a lock here, see ARCHITECTURE.md.
//!
//! Nothing here has state that is shared by the process: on Linux std's locks are futexes. So a
//! child of `fork` can make a runtime of its own, whatever the parent's threads were waiting for.

mod parker;

pub(crate) use imp::*;
pub(crate) use parker::Parker;

#[cfg(not(taskgrove_loom))]
mod imp {
    pub(crate) use crossbeam_queue::SegQueue;
    use std::sync::PoisonError;
    pub(crate) use std::sync::{Arc, MutexGuard};
    #[cfg(not(taskgrove_malloc))]
    pub(crate) use std::thread_local as dropped_thread_local;

    /// Thread-locals that can be used for as long as the thread runs code: they have no destructor,
    /// which is checked, so that they are there in the destructors of all others. What a guard puts
    /// into one, and takes out again, goes into a `ManuallyDrop`.
    ///
    /// One that needs its destructor is made by `dropped_thread_local`, and reached by `try_with`.
    macro_rules! lasting_locals {
        ($($(#[$attr:meta])* static $name:ident: $type:ty = const { $value:expr };)*) => {
            $(const _: () = assert!(!std::mem::needs_drop::<$type>());)*
            std::thread_local! { $($(#[$attr])* static $name: $type = const { $value };)* }
        };
    }
    pub(crate) use lasting_locals as thread_local;

    pub(crate) mod atomic {
        pub(crate) use std::sync::atomic::{
            AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        };
        /// One that is changed by nothing but read-modify-writes.
        pub(crate) type AtomicWord = AtomicU64;
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

    /// Under loom, checks that nothing is used after its end; here nothing at all.
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

    /// std's mutex, without poisoning.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        #[inline]
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        #[cfg(test)]
        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    /// A lock of one byte, for sections of a few instructions, in which nothing blocks.
    ///
    /// A waiting thread spins, then yields, then sleeps, so that it gets out of the way of a holder
    /// that the system has put off, whatever the priorities of the two.
    #[derive(Debug)]
    pub(crate) struct ByteLock(atomic::AtomicBool);

    pub(crate) struct ByteGuard<'a>(&'a ByteLock);

    impl ByteLock {
        pub(crate) const fn new() -> Self {
            Self(atomic::AtomicBool::new(false))
        }

        #[inline]
        pub(crate) fn lock(&self) -> ByteGuard<'_> {
            if !self.try_lock() {
                self.wait();
            }
            ByteGuard(self)
        }

        #[inline]
        fn try_lock(&self) -> bool {
            use atomic::Ordering::{Acquire, Relaxed};
            self.0
                .compare_exchange(false, true, Acquire, Relaxed)
                .is_ok()
        }

        #[cold]
        fn wait(&self) {
            let mut round = 0;
            while self.0.load(atomic::Ordering::Relaxed) || !self.try_lock() {
                match round {
                    0..6 => (0..1 << round).for_each(|_| std::hint::spin_loop()),
                    6..64 => std::thread::yield_now(),
                    _ => std::thread::sleep(std::time::Duration::from_micros(100)),
                }
                round += 1;
            }
        }
    }

    impl Drop for ByteGuard<'_> {
        #[inline]
        fn drop(&mut self) {
            self.0.0.store(false, atomic::Ordering::Release);
        }
    }

    pub(super) mod condvar {
        use super::{MutexGuard, PoisonError};
        use std::time::Instant;

        #[derive(Debug)]
        pub(in super::super) struct Condvar(std::sync::Condvar);

        impl Condvar {
            pub(in super::super) fn new() -> Self {
                Self(std::sync::Condvar::new())
            }

            /// Waits until notified, or for no reason; `None` when the deadline has come.
            pub(in super::super) fn wait<'a>(
                &self,
                guard: MutexGuard<'a, ()>,
                deadline: Option<Instant>,
            ) -> Option<MutexGuard<'a, ()>> {
                let Some(at) = deadline else {
                    let again = self.0.wait(guard);
                    return Some(again.unwrap_or_else(PoisonError::into_inner));
                };
                let left = at.checked_duration_since(Instant::now())?;
                let again = self.0.wait_timeout(guard, left);
                Some(again.unwrap_or_else(PoisonError::into_inner).0)
            }

            pub(in super::super) fn notify_one(&self) {
                self.0.notify_one();
            }
        }
    }
}

#[cfg(taskgrove_loom)]
mod imp {
    pub(crate) use loom::sync::Arc;
    use std::cell::Cell;

    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{
            AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        };

        std::thread_local! {
            /// Whether the model on this thread takes loads for read-modify-writes.
            pub(crate) static LOADS_ARE_WRITES: std::cell::Cell<bool> =
                const { std::cell::Cell::new(false) };
        }

        /// As outside loom, with a choice for loads. loom does not see that a load of one thread
        /// and a later write of another could come in the other order if the writer has itself
        /// looked at the value before; taken for a write, the load is seen, but is never out of
        /// date. (Next to plain stores, loom could put such a write behind a later store.)
        #[derive(Debug, Default)]
        pub(crate) struct AtomicWord(loom::sync::atomic::AtomicU64);

        impl AtomicWord {
            pub(crate) fn new(value: u64) -> Self {
                Self(loom::sync::atomic::AtomicU64::new(value))
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
            type Target = loom::sync::atomic::AtomicU64;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    }

    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

    /// loom's mutex with the interface above.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("nothing panics under a lock")
        }
    }

    /// loom's knows no `const`.
    macro_rules! locals {
        ($($(#[$attr:meta])* static $name:ident: $type:ty = const { $value:expr };)*) => {
            loom::thread_local! { $($(#[$attr])* static $name: $type = $value;)* }
        };
    }
    pub(crate) use locals as dropped_thread_local;
    pub(crate) use locals as thread_local;

    /// What std's keys of cells have and loom's have not.
    pub(crate) trait CellKey<T> {
        fn get(&'static self) -> T
        where
            T: Copy;
        fn set(&'static self, value: T);
        fn replace(&'static self, value: T) -> T;
    }

    impl<T: 'static> CellKey<T> for loom::thread::LocalKey<Cell<T>> {
        fn get(&'static self) -> T
        where
            T: Copy,
        {
            self.with(Cell::get)
        }

        fn set(&'static self, value: T) {
            self.with(|cell| cell.set(value));
        }

        fn replace(&'static self, value: T) -> T {
            self.with(|cell| cell.replace(value))
        }
    }

    /// Checks that every use of what it lies in happens before its end.
    pub(crate) struct Life(UnsafeCell<()>, std::sync::atomic::AtomicBool);

    impl Life {
        pub(crate) fn new() -> Self {
            Life(UnsafeCell::new(()), false.into())
        }

        #[track_caller]
        pub(crate) fn used(&self) {
            let ended = self.1.load(std::sync::atomic::Ordering::Relaxed);
            assert!(!ended, "used after its end");
            self.0.with(|_| ());
        }

        #[track_caller]
        pub(crate) fn end(&self) {
            let ended = self.1.swap(true, std::sync::atomic::Ordering::Relaxed);
            assert!(!ended, "ended twice");
            self.0.with_mut(|_| ());
        }
    }

    std::thread_local! {
        /// Whether looking if a queue is empty orders nothing, in the model on this thread. (As a
        /// lock it would hide what a protocol around it lacks; but it costs many more runs.)
        pub(crate) static LOOSE_QUEUES: Cell<bool> = const { Cell::new(false) };
    }

    /// An unbounded queue, by a lock.
    #[derive(Debug)]
    pub(crate) struct SegQueue<T> {
        items: Mutex<std::collections::VecDeque<T>>,
        len: atomic::AtomicUsize,
    }

    impl<T> SegQueue<T> {
        pub(crate) fn new() -> Self {
            Self {
                items: Mutex::new(std::collections::VecDeque::new()),
                len: atomic::AtomicUsize::new(0),
            }
        }

        pub(crate) fn push(&self, value: T) {
            let mut items = self.items.lock();
            items.push_back(value);
            if LOOSE_QUEUES.get() {
                self.len.fetch_add(1, atomic::Ordering::Relaxed);
            }
        }

        pub(crate) fn pop(&self) -> Option<T> {
            let mut items = self.items.lock();
            let first = items.pop_front()?;
            if LOOSE_QUEUES.get() {
                self.len.fetch_sub(1, atomic::Ordering::Relaxed);
            }
            Some(first)
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }

        pub(crate) fn len(&self) -> usize {
            if LOOSE_QUEUES.get() {
                self.len.load(atomic::Ordering::Relaxed)
            } else {
                self.items.lock().len()
            }
        }
    }

    /// As outside loom, by a mutex.
    #[derive(Debug)]
    pub(crate) struct ByteLock(Mutex<()>);

    pub(crate) type ByteGuard<'a> = MutexGuard<'a, ()>;

    impl ByteLock {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(()))
        }

        pub(crate) fn lock(&self) -> ByteGuard<'_> {
            self.0.lock()
        }
    }

    pub(super) mod condvar {
        use super::MutexGuard;
        use std::time::Instant;

        /// loom has no time: a deadline has always come.
        #[derive(Debug)]
        pub(in super::super) struct Condvar(loom::sync::Condvar);

        impl Condvar {
            pub(in super::super) fn new() -> Self {
                Self(loom::sync::Condvar::new())
            }

            pub(in super::super) fn wait<'a>(
                &self,
                guard: MutexGuard<'a, ()>,
                deadline: Option<Instant>,
            ) -> Option<MutexGuard<'a, ()>> {
                if deadline.is_some() {
                    return None;
                }
                Some(self.0.wait(guard).expect("nothing panics under a lock"))
            }

            pub(in super::super) fn notify_one(&self) {
                self.0.notify_one();
            }
        }
    }
}
