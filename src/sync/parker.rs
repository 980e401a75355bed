//! [`Parker`]: blocks one thread until another unparks it.
//!
//! It is built on a mutex and a condition variable that live in the parker itself. A table of
//! waiting threads that is shared by the process, as parking_lot has, would be copied by `fork`
//! together with the parent's threads that wait in it, which the child does not have.

use super::Mutex;
use super::atomic::{AtomicU8, Ordering};
use super::condvar::Condvar;
use std::time::Instant;

const EMPTY: u8 = 0;
/// A thread waits, or is about to.
const PARKED: u8 = 1;
const TOKEN: u8 = 2;

/// Blocks one thread until it is unparked: a token that `unpark` puts and `park` takes. At most one
/// thread parks at a time; any number may unpark it.
#[derive(Debug)]
pub(crate) struct Parker {
    state: AtomicU8,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(EMPTY),
            lock: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    /// Waits for the token, at most until `deadline`; says whether it was there.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> bool {
        if self.take() {
            return true;
        }
        let mut guard = self.lock.lock();
        // From here on `unpark` takes the lock, which this thread gives back only by waiting.
        let parked =
            self.state
                .compare_exchange(EMPTY, PARKED, Ordering::Relaxed, Ordering::Relaxed);
        while parked.is_ok() {
            match self.changed.wait(guard, deadline) {
                Some(again) => guard = again,
                None => break,
            }
            if self.take() {
                return true;
            }
        }
        self.state.swap(EMPTY, Ordering::Acquire) == TOKEN
    }

    /// Puts the token; a second one before it is taken changes nothing.
    pub(crate) fn unpark(&self) {
        if self.state.swap(TOKEN, Ordering::Release) == PARKED {
            drop(self.lock.lock());
            self.changed.notify_one();
        }
    }

    /// Pairs with the Release in `unpark`: what came before it is seen by the thread that was parked.
    fn take(&self) -> bool {
        self.state
            .compare_exchange(TOKEN, EMPTY, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use crate::sync::Arc;

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
        assert!(!parker.park(Some(Instant::now())));
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
