//! [`Wakers`]: the wakers of the code that waits for one direction of a socket.

use crate::wait_list::KeptWaker;
use std::task::Waker;

/// Identifies who waits: a handle of the socket, or a future. Wakers under one number replace each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiter {
    /// Drawn once for each handle and each future of a socket.
    pub(crate) number: u64,
    /// How many wakers it may have at once. A handle that several tasks poll has several.
    pub(crate) most: usize,
}

struct Entry {
    number: u64,
    waker: KeptWaker,
}

/// The wakers of the code that waits for one direction of a socket. All are woken by one event.
#[derive(Default)]
pub(super) struct Wakers {
    /// The first, which is mostly the only one.
    first: Option<Entry>,
    #[allow(
        clippy::box_collection,
        reason = "it is mostly empty, and there is one for each socket"
    )]
    more: Option<Box<Vec<Entry>>>,
}

/// Wakers that were taken out of a list, for a caller that has released its lock.
#[derive(Default)]
pub(super) struct Taken(Wakers);

impl Wakers {
    /// Enters a waker. Returns one that it replaces: it is to be woken if its waiter may have several.
    #[must_use]
    pub(super) fn enter(
        &mut self,
        waiter: Waiter,
        waker: KeptWaker,
        plain: &Waker,
    ) -> Option<KeptWaker> {
        let mut theirs = 0;
        let mut oldest = None;
        for entry in self.entries() {
            if entry.number == waiter.number {
                if waiter.most == 1 || entry.waker.will_wake(plain) {
                    return Some(std::mem::replace(&mut entry.waker, waker));
                }
                theirs += 1;
                oldest = oldest.or(Some(&mut entry.waker));
            }
        }
        if theirs >= waiter.most
            && let Some(oldest) = oldest
        {
            return Some(std::mem::replace(oldest, waker));
        }
        let number = waiter.number;
        let entry = Entry { number, waker };
        if self.first.is_none() {
            self.first = Some(entry);
        } else {
            self.more.get_or_insert_default().push(entry);
        }
        None
    }

    fn entries(&mut self) -> impl Iterator<Item = &mut Entry> {
        let more = self.more.iter_mut().flat_map(|more| more.iter_mut());
        self.first.iter_mut().chain(more)
    }

    /// Takes the wakers of one waiter out.
    pub(super) fn leave(&mut self, number: u64) -> Taken {
        let first = self.first.take_if(|entry| entry.number == number);
        let more = self.more.as_mut().and_then(|more| {
            let theirs = more.extract_if(.., |entry| entry.number == number);
            let theirs: Vec<Entry> = theirs.collect();
            (!theirs.is_empty()).then(|| Box::new(theirs))
        });
        Taken(Wakers { first, more })
    }

    /// Takes all wakers out.
    pub(super) fn take(&mut self) -> Taken {
        Taken(std::mem::take(self))
    }
}

impl Taken {
    /// Gives each of them to `wake`.
    #[inline]
    pub(super) fn each(self, wake: &mut impl FnMut(Waker)) {
        let Wakers { first, more } = self.0;
        if let Some(entry) = first {
            wake(entry.waker.into_waker());
        }
        if let Some(more) = more {
            more.into_iter()
                .for_each(|entry| wake(entry.waker.into_waker()));
        }
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Unwoken;

    impl Wake for Unwoken {
        fn wake(self: Arc<Self>) {}
    }

    fn waker() -> Waker {
        Arc::new(Unwoken).into()
    }

    fn enter(list: &mut Wakers, number: u64, most: usize, waker: &Waker) -> Option<KeptWaker> {
        list.enter(Waiter { number, most }, KeptWaker::new(waker), waker)
    }

    fn len(taken: Taken) -> usize {
        let mut len = 0;
        taken.each(&mut |_| len += 1);
        len
    }

    #[test]
    fn a_future_has_one_waker_and_a_handle_several() {
        let mut list = Wakers::default();
        let [a, b, c] = [waker(), waker(), waker()];
        assert!(enter(&mut list, 1, 1, &a).is_none());
        assert!(enter(&mut list, 1, 1, &b).is_some_and(|old| old.will_wake(&a)));
        assert!(enter(&mut list, 2, 2, &a).is_none());
        assert!(enter(&mut list, 2, 2, &a).is_some_and(|old| old.will_wake(&a)));
        assert!(enter(&mut list, 2, 2, &b).is_none());
        assert!(enter(&mut list, 2, 2, &c).is_some_and(|old| old.will_wake(&a)));
        assert_eq!(len(list.take()), 3);
        assert_eq!(len(list.take()), 0);
    }

    #[test]
    fn a_waiter_that_leaves_takes_its_own_wakers_along() {
        let mut list = Wakers::default();
        for number in [1, 2, 1, 3] {
            assert!(enter(&mut list, number, 2, &waker()).is_none());
        }
        assert_eq!(len(list.leave(1)), 2);
        assert_eq!(len(list.leave(1)), 0);
        assert_eq!(len(list.take()), 2);
    }
}
