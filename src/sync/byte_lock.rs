//! [`ByteLock`]: a lock of one byte.

#[cfg(taskgrove_loom)]
pub(crate) use modelled::{ByteGuard, ByteLock};
#[cfg(not(taskgrove_loom))]
pub(crate) use plain::{ByteGuard, ByteLock};

#[cfg(not(taskgrove_loom))]
mod plain {
    use crate::sync::atomic::{AtomicBool, Ordering};

    /// A lock of one byte, for sections of a few instructions in which nothing blocks.
    ///
    /// A waiting thread spins, then yields, then sleeps, so that it gets out of the way of a holder
    /// that the system has preempted, whatever the priorities of the two threads.
    ///
    /// The byte is `true` while a thread holds the lock. A thread that takes the lock swaps it to
    /// `true` with Acquire, which pairs with the Release store of the guard's drop: the section
    /// sees all earlier sections.
    #[derive(Debug)]
    pub(crate) struct ByteLock(AtomicBool);

    /// Holds a [`ByteLock`] until dropped.
    pub(crate) struct ByteGuard<'a>(&'a ByteLock);

    impl ByteLock {
        pub(crate) const fn new() -> Self {
            Self(AtomicBool::new(false))
        }

        #[inline]
        pub(crate) fn lock(&self) -> ByteGuard<'_> {
            if !self.take() {
                self.wait();
            }
            ByteGuard(self)
        }

        /// Takes the lock if it is free.
        #[inline]
        pub(crate) fn try_lock(&self) -> Option<ByteGuard<'_>> {
            if self.take() {
                Some(ByteGuard(self))
            } else {
                None
            }
        }

        #[inline]
        fn take(&self) -> bool {
            // Relaxed on failure: the caller reads nothing that the lock guards.
            self.0
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        }

        #[cold]
        fn wait(&self) {
            let mut round = 0;
            // Relaxed: only a hint that `take`, which acquires, may succeed.
            while self.0.load(Ordering::Relaxed) || !self.take() {
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
            // Release: pairs with the Acquire of the next `take`.
            self.0.0.store(false, Ordering::Release);
        }
    }
}

#[cfg(taskgrove_loom)]
mod modelled {
    use crate::sync::mutex::{Mutex, MutexGuard};

    /// The same interface on a mutex: loom would explore each round of a spinning thread.
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

        /// Waits: the caller's other way is to wait, too.
        pub(crate) fn try_lock(&self) -> Option<ByteGuard<'_>> {
            Some(self.lock())
        }
    }
}
