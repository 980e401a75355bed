//! A list of wakers, for waits of which there may be many on one event.
//!
//! Registering and waking follow one order: a waiter registers, *then* looks whether the event has
//! happened; whoever makes it happen sets its flag, *then* wakes. The list's lock orders the two,
//! so one of them sees the other. Wakers are cloned, woken and dropped outside the lock.

use crate::panics::quietly;
use crate::sync::Mutex;
use crate::task::wakes;
use slab::Slab;
use std::task::Waker;

/// Wakers of those who wait, each under a key of its own.
#[derive(Debug, Default)]
pub(crate) struct WaitList(Mutex<Waiters>);

#[derive(Debug, Default)]
struct Waiters {
    /// Most waits are alone: a place that allocates nothing.
    first: Option<(u64, KeptWaker)>,
    more: Option<Box<Slab<(u64, KeptWaker)>>>,
    /// Of the latest waiter: a place may be used again.
    serial: u64,
}

/// A waiter's place in the list, and its serial number.
#[derive(Clone, Copy)]
pub(crate) struct WaitKey {
    /// In `more`; `None` for `first`.
    slot: Option<usize>,
    serial: u64,
}

impl Waiters {
    fn find(&mut self, key: WaitKey) -> Option<&mut KeptWaker> {
        let entry = match key.slot {
            None => self.first.as_mut(),
            Some(slot) => self.more.as_mut()?.get_mut(slot),
        };
        entry.and_then(|(serial, waker)| (*serial == key.serial).then_some(waker))
    }

    fn insert(&mut self, waker: KeptWaker) -> WaitKey {
        self.serial += 1;
        let entry = (self.serial, waker);
        let slot = if self.first.is_none() {
            self.first = Some(entry);
            None
        } else {
            Some(self.more.get_or_insert_default().insert(entry))
        };
        let serial = self.serial;
        WaitKey { slot, serial }
    }

    fn remove(&mut self, key: WaitKey) -> Option<KeptWaker> {
        self.find(key)?;
        let (_, waker) = match key.slot {
            None => self.first.take()?,
            Some(slot) => self.more.as_mut()?.remove(slot),
        };
        Some(waker)
    }
}

impl WaitList {
    /// Enters `waker` under `key`, or under a new key that is written there.
    pub(crate) fn register(&self, key: &mut Option<WaitKey>, waker: &Waker) {
        let fresh = KeptWaker::new(waker);
        let stale = {
            let mut list = self.0.lock();
            match key.and_then(|key| list.find(key)) {
                Some(place) => Some(std::mem::replace(place, fresh)),
                None => {
                    *key = Some(list.insert(fresh));
                    None
                }
            }
        };
        drop(stale);
    }

    /// Takes a waiter out that no longer waits.
    pub(crate) fn deregister(&self, key: WaitKey) {
        drop(self.remove(key));
    }

    /// The same, for a caller that has more to do before user code may run.
    #[must_use]
    pub(crate) fn remove(&self, key: WaitKey) -> Option<KeptWaker> {
        self.0.lock().remove(key)
    }

    /// Wakes everybody and empties the list. A waker that panics does not keep the others asleep.
    pub(crate) fn wake_all(&self) {
        let (first, more) = {
            let mut list = self.0.lock();
            (list.first.take(), list.more.take())
        };
        match (first, more) {
            (None, None) => {}
            (Some((_, waker)), None) => wakes::wake(waker.into_waker()),
            (first, more) => {
                let more = more.into_iter().flat_map(|more| *more);
                let all = first.into_iter().chain(more.map(|(_, entry)| entry));
                wakes::wake_all(all.map(|(_, waker)| waker.into_waker()));
            }
        }
    }
}

/// A waker that is kept for later. Its wake and its drop are code of the user's that somebody else
/// runs: a panic in there ends with it. So nothing unwinds through whoever has several of them, or
/// something else to give back.
#[derive(Debug)]
pub(crate) struct KeptWaker(Waker);

impl KeptWaker {
    /// The clone is made as code of the caller's, who gets its panic.
    pub(crate) fn new(waker: &Waker) -> Self {
        KeptWaker(waker.clone())
    }

    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        self.0.will_wake(waker)
    }

    /// For one who wakes it, and catches its panic.
    #[inline]
    pub(crate) fn into_waker(mut self) -> Waker {
        let waker = self.take();
        // What is left has nothing to drop.
        std::mem::forget(self);
        waker
    }

    /// What is left behind does nothing.
    fn take(&mut self) -> Waker {
        std::mem::replace(&mut self.0, Waker::noop().clone())
    }
}

impl Drop for KeptWaker {
    fn drop(&mut self) {
        let waker = self.take();
        quietly(|| drop(waker));
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::WaitList;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waiters<const N: usize>() -> [(Arc<Woken>, Waker); N] {
        std::array::from_fn(|_| {
            let woken = Arc::new(Woken::default());
            (woken.clone(), woken.into())
        })
    }

    /// Those who are there are woken, once, those who left are not, and an empty list keeps nothing.
    #[test]
    fn who_waits_is_woken_once() {
        let list = WaitList::default();
        let all = waiters::<4>();
        let mut keys = [None; 4];
        for ((_, waker), key) in all.iter().zip(&mut keys) {
            list.register(key, waker);
            list.register(key, waker);
        }
        list.deregister(keys[0].unwrap());
        list.deregister(keys[2].unwrap());
        list.wake_all();
        list.wake_all();
        let woken = all.each_ref().map(|(w, _)| w.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 1, 0, 1]);
        for (woken, waker) in all {
            drop(waker);
            assert_eq!(Arc::strong_count(&woken), 1);
        }
    }

    /// A key from before the list was emptied takes nobody else's place away.
    #[test]
    fn an_old_key_is_nobody_elses() {
        let list = WaitList::default();
        let [(_, early), (woken, late)] = waiters::<2>();
        let (mut old, mut new) = (None, None);
        list.register(&mut old, &early);
        list.wake_all();
        list.register(&mut new, &late);
        list.deregister(old.unwrap());
        list.wake_all();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }
}
