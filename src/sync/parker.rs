//! [`Parker`]: blocks one thread until another unparks it.
//!
//! A parker has its mutex and its condition variable in itself. A table of waiting threads that the
//! process shares, as parking_lot has, would be copied by `fork` together with the parent's threads
//! that wait in it, and the child does not have those (`docs/decisions/0020-locks-of-std.md`).
//!
//! With the feature `net` a thread may also wait in another queue than the condition variable, from which
//! a *bell* gets it out ([`Parker::park_in`]). A thread that unparks it rings the bell only if it waits
//! there. It may do so late, when the thread has left the queue for another reason; the next thread that
//! waits in that queue then returns for nothing.

use super::atomic::{AtomicU8, Ordering};
use super::condvar::Condvar;
use super::mutex::Mutex;
use std::time::Instant;

/// No token, and no thread waits.
const EMPTY: u8 = 0;
/// A thread waits, or is about to.
const PARKED: u8 = 1;
/// A token that no thread has taken yet.
const TOKEN: u8 = 2;
/// A thread waits in another queue, or is about to.
#[cfg(feature = "net")]
const ELSEWHERE: u8 = 3;

/// Gets a thread out of the queue that it waits in; if no thread waits there, the next one.
#[cfg(feature = "net")]
pub(crate) type Bell = std::sync::Arc<dyn Fn() + Send + Sync>;

/// Blocks one thread until it is unparked, by a token that `unpark` puts and `park` takes.
///
/// At most one thread parks at a time; any number may unpark it. A token that was put before the
/// park is not lost: it makes that park return at once.
pub(crate) struct Parker {
    /// [`EMPTY`], [`PARKED`], [`TOKEN`] or `ELSEWHERE`. Threads that unpark write `TOKEN`, the parking
    /// thread writes the others. A swap to `TOKEN` releases, and each step by which the parking
    /// thread takes the token acquires: it sees what came before the `unpark`. All are
    /// read-modify-writes, so that this holds for each of several unparks. The step to `ELSEWHERE`
    /// releases, too, and the swap to `TOKEN` acquires: a thread that finds it finds the bell.
    state: AtomicU8,
    lock: Mutex<()>,
    changed: Condvar,
    /// That of the queue in which the thread waits, or is about to.
    #[cfg(feature = "net")]
    bell: Mutex<Option<Bell>>,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(EMPTY),
            lock: Mutex::new(()),
            changed: Condvar::new(),
            #[cfg(feature = "net")]
            bell: Mutex::new(None),
        }
    }

    /// Blocks until there is a token, at most until `deadline`, and takes it. Returns whether there
    /// was one.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> bool {
        if self.take() {
            return true;
        }
        let mut guard = self.lock.lock();
        // A thread that sees PARKED takes the lock before it notifies, and this thread releases the
        // lock only by waiting: the notification finds it waiting. Relaxed: PARKED carries no data,
        // and a token found here instead is taken by the swap below, which acquires.
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

    /// Calls `wait`, which blocks in another queue until `bell` is rung, or for as long as it likes;
    /// does not call it if there is a token. Takes the token. Returns whether there was one.
    #[cfg(feature = "net")]
    pub(crate) fn park_in(&self, bell: &Bell, wait: impl FnOnce()) -> bool {
        *self.bell.lock() = Some(bell.clone());
        // An unpark before this step makes it fail; one after it rings the bell. Relaxed on failure: the
        // token that is found is taken by the swap below, which acquires.
        let waits =
            self.state
                .compare_exchange(EMPTY, ELSEWHERE, Ordering::Release, Ordering::Relaxed);
        if waits.is_ok() {
            wait();
        }
        let had_token = self.state.swap(EMPTY, Ordering::Acquire) == TOKEN;
        // The parker may outlive the queue, and its next wait may be in another one.
        *self.bell.lock() = None;
        had_token
    }

    /// Puts a token, and wakes the thread that is parked; a second token before the first is taken
    /// changes nothing.
    pub(crate) fn unpark(&self) {
        match self.state.swap(TOKEN, Ordering::AcqRel) {
            PARKED => {
                drop(self.lock.lock());
                self.changed.notify_one();
            }
            #[cfg(feature = "net")]
            ELSEWHERE => {
                // There is none if the thread has left the queue since.
                let bell = self.bell.lock().clone();
                if let Some(ring) = bell {
                    ring();
                }
            }
            _ => {}
        }
    }

    /// Takes the token, if there is one. Acquire pairs with the Release of `unpark`; a failure reads
    /// nothing that another thread has written, so Relaxed suffices there.
    fn take(&self) -> bool {
        self.state
            .compare_exchange(TOKEN, EMPTY, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }
}

impl std::fmt::Debug for Parker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parker").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use crate::sync::Arc;

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
        let again = parker.park(Some(Instant::now()));
        assert!(!again, "two tokens are one");
    }

    /// Each queue is a parker, whose token is its bell.
    #[cfg(feature = "net")]
    #[test]
    fn an_unpark_rings_the_bell_of_the_queue_that_the_thread_waits_in() {
        let parker = Arc::new(Parker::new());
        assert!(!parker.park_in(&(std::sync::Arc::new(|| ()) as Bell), || ()));
        for _ in 0..2 {
            let queue = Arc::new(Parker::new());
            let bell = queue.clone();
            let bell: Bell = std::sync::Arc::new(move || bell.unpark());
            let other = parker.clone();
            let had_token = parker.park_in(&bell, || {
                let unparks = std::thread::spawn(move || other.unpark());
                assert!(queue.park(None));
                unparks.join().unwrap();
            });
            assert!(had_token);
            parker.unpark();
            assert!(parker.park_in(&bell, || unreachable!("there is a token")));
            assert_eq!(std::sync::Arc::strong_count(&bell), 1, "it is not kept");
        }
    }

    #[test]
    fn an_unpark_wakes_the_parked_thread() {
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
