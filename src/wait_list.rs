//! A list of wakers, for events that several tasks may wait for.
//!
//! The room guards against lost wake-ups. A waiter registers its waker first and checks the event
//! afterwards; the code that makes the event happen sets its flag first and wakes the list
//! afterwards. The lock of the list orders the two accesses, so at least one side sees the other.
//!
//! No waker is cloned, woken or dropped under the lock, because all three run user code. The room
//! may not wake either: it gives the wakers back, and `task/wakes.rs` wakes them.

mod kept_waker;
pub(crate) mod registration;

pub(crate) use kept_waker::KeptWaker;

use crate::sync::Mutex;
use slab::Slab;
use std::task::Waker;

/// The wakers of the tasks that wait for an event, each under its own key.
#[derive(Debug, Default)]
pub(crate) struct WaitList(Mutex<Waiters>);

#[derive(Debug, Default)]
struct Waiters {
    /// The first waiter. Most events have one waiter at most, which then allocates nothing.
    first: Option<(u64, KeptWaker)>,
    more: Option<Box<Slab<(u64, KeptWaker)>>>,
    /// The serial number of the latest waiter. It tells waiters apart that use the same place, one
    /// after the other.
    serial: u64,
}

/// Identifies a waiter by its place in the list and its serial number.
#[derive(Clone, Copy)]
pub(crate) struct WaitKey {
    /// The index in `more`, or `None` for `first`.
    slot: Option<usize>,
    serial: u64,
}

/// The wakers of a list that are not its first.
pub(crate) struct More(Box<Slab<(u64, KeptWaker)>>);

impl More {
    pub(crate) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.0.into_iter().map(|(_, (_, waker))| waker.into_waker())
    }
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
    /// Registers `waker` under `key`. If the key is `None` or its waiter was taken, registers it
    /// under a new key, which it writes to `key`.
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

    /// Removes a waiter and drops its waker.
    pub(crate) fn deregister(&self, key: WaitKey) {
        drop(self.remove(key));
    }

    /// Removes a waiter and returns its waker, for a caller that must do more before user code may
    /// run.
    #[must_use]
    pub(crate) fn remove(&self, key: WaitKey) -> Option<KeptWaker> {
        self.0.lock().remove(key)
    }

    /// Empties the list and returns the wakers, which the caller has to wake. The first one, which is
    /// mostly the only one, is apart from the others.
    #[inline]
    pub(crate) fn take_all(&self) -> (Option<Waker>, Option<More>) {
        let (first, more) = {
            let mut list = self.0.lock();
            (list.first.take(), list.more.take())
        };
        let first = first.map(|(_, waker)| waker.into_waker());
        (first, more.map(More))
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::{More, WaitList};
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

    fn wake_all(list: &WaitList) {
        let (first, more) = list.take_all();
        let more = more.into_iter().flat_map(More::into_wakers);
        first.into_iter().chain(more).for_each(Waker::wake);
    }

    /// A waiter that left is not woken, one that registered twice is woken once, and an empty list
    /// keeps no waker.
    #[test]
    fn each_waiter_is_woken_once() {
        let list = WaitList::default();
        let all = waiters::<4>();
        let mut keys = [None; 4];
        for ((_, waker), key) in all.iter().zip(&mut keys) {
            list.register(key, waker);
            list.register(key, waker);
        }
        list.deregister(keys[0].unwrap());
        list.deregister(keys[2].unwrap());
        wake_all(&list);
        wake_all(&list);
        let woken = all.each_ref().map(|(w, _)| w.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 1, 0, 1]);
        for (woken, waker) in all {
            drop(waker);
            assert_eq!(Arc::strong_count(&woken), 1);
        }
    }

    /// The key of a waiter that was taken does not remove the one that has its place now.
    #[test]
    fn an_old_key_removes_no_other_waiter() {
        let list = WaitList::default();
        let [(_, early), (woken, late)] = waiters::<2>();
        let (mut old, mut new) = (None, None);
        list.register(&mut old, &early);
        wake_all(&list);
        list.register(&mut new, &late);
        list.deregister(old.unwrap());
        wake_all(&list);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }
}
