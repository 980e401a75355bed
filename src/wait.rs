//! A list of wakers, for waits of which there may be many on one event.
//!
//! Registering and waking follow one order: a waiter registers, *then* looks whether the event has
//! happened; whoever makes it happen sets its flag, *then* wakes. The list's lock orders the two,
//! so one of them sees the other. Wakers are cloned, woken and dropped outside the lock.

use crate::sync::Mutex;
use slab::Slab;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakers of those who wait, each under a key of its own.
#[derive(Debug)]
pub(crate) struct WaitList(Mutex<Slab<(u64, Waker)>>);

/// A waiter's place in the list: slot and serial (a slot may be used again).
pub(crate) type WaitKey = (usize, u64);

impl Default for WaitList {
    fn default() -> Self {
        Self(Mutex::new(Slab::new()))
    }
}

impl WaitList {
    /// Enters `waker` under `key`, or under a new key that is written there.
    pub(crate) fn register(&self, key: &mut Option<WaitKey>, waker: &Waker, serial: u64) {
        let fresh = waker.clone();
        let stale = {
            let mut list = self.0.lock();
            match key {
                Some((slot, serial)) if list.get(*slot).is_some_and(|e| e.0 == *serial) => {
                    Some(std::mem::replace(&mut list[*slot].1, fresh))
                }
                _ => {
                    *key = Some((list.insert((serial, fresh)), serial));
                    None
                }
            }
        };
        drop(stale);
    }

    /// Takes a waiter out that no longer waits.
    pub(crate) fn deregister(&self, key: WaitKey) {
        let stale = {
            let mut list = self.0.lock();
            list.get(key.0)
                .is_some_and(|e| e.0 == key.1)
                .then(|| list.remove(key.0))
        };
        drop(stale);
    }

    /// Wakes everybody and empties the list. A waker that panics does not keep the others asleep.
    pub(crate) fn wake_all(&self) {
        let woken = std::mem::take(&mut *self.0.lock());
        for (_, (_, waker)) in woken {
            quietly(|| waker.wake());
        }
    }
}

/// Runs user code whose panic has nowhere to go: it has been reported by the panic hook, and the
/// runtime goes on. A payload whose own drop panics is leaked.
pub(crate) fn quietly(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        discard(payload);
    }
}

/// Drops a panic's payload, which may itself panic in its drop (then that payload is leaked).
pub(crate) fn discard(payload: Box<dyn std::any::Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}
