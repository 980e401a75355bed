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
    pub(crate) use std::thread_local;

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
    }

    /// loom's knows no `const`.
    macro_rules! locals {
        ($($(#[$attr:meta])* static $name:ident: $type:ty = const { $value:expr };)*) => {
            loom::thread_local! { $($(#[$attr])* static $name: $type = $value;)* }
        };
    }
    pub(crate) use locals as thread_local;

    /// What std's keys of cells have and loom's have not.
    pub(crate) trait CellKey<T> {
        fn get(&'static self) -> T
        where
            T: Copy;
        fn set(&'static self, value: T);
        fn replace(&'static self, value: T) -> T;
        fn take(&'static self) -> T
        where
            T: Default;
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

        fn take(&'static self) -> T
        where
            T: Default,
        {
            self.with(Cell::take)
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

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    /// As often as it is put, the token is one; and it waits for who comes late.
    #[test]
    fn an_unpark_before_the_park_is_not_lost() {
        let parker = Arc::new(Parker::new());
        let other = parker.clone();
        std::thread::spawn(move || {
            other.unpark();
            other.unpark();
        })
        .join()
        .unwrap();
        assert!(parker.park(None));
        assert!(!parker.park(Some(std::time::Instant::now())));
    }

    #[test]
    fn an_unpark_wakes_who_is_parked() {
        let parkers = [(); 2].map(|()| Arc::new(Parker::new()));
        let [mine, theirs] = parkers.clone();
        let other = std::thread::spawn(move || {
            for _ in 0..1000 {
                assert!(theirs.park(None));
                mine.unpark();
            }
        });
        let [mine, theirs] = parkers;
        for _ in 0..1000 {
            theirs.unpark();
            assert!(mine.park(None));
        }
        other.join().unwrap();
    }
}
