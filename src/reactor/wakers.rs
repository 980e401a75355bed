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
    /// Enters a waker. Returns those that it replaces: they are to be woken if their waiter may have several.
    ///
    /// If a waiter has too many, all of them go. Were it the oldest one, a task that polls with a new waker each
    /// time would be woken by each of its polls, and never sleep.
    #[must_use]
    pub(super) fn enter(&mut self, waiter: Waiter, waker: KeptWaker, plain: &Waker) -> Taken {
        let number = waiter.number;
        let mut theirs = 0;
        for entry in self.entries() {
            if entry.number == number {
                if waiter.most == 1 || entry.waker.will_wake(plain) {
                    let waker = std::mem::replace(&mut entry.waker, waker);
                    return Taken::one(Entry { number, waker });
                }
                theirs += 1;
            }
        }
        let replaced = if theirs >= waiter.most {
            self.leave(number)
        } else {
            Taken::default()
        };
        let entry = Entry { number, waker };
        if self.first.is_none() {
            self.first = Some(entry);
        } else {
            self.more.get_or_insert_default().push(entry);
        }
        replaced
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
    fn one(entry: Entry) -> Self {
        Taken(Wakers {
            first: Some(entry),
            more: None,
        })
    }

    /// Gives each of them to `wake`.
    #[inline]
    pub(super) fn each(self, wake: &mut impl FnMut(Waker)) {
        self.each_kept(|waker| wake(waker.into_waker()));
    }

    /// Gives each of them to `wake`, except for those that wake the same as this one, which are dropped.
    pub(super) fn each_but(self, this: &Waker, wake: &mut impl FnMut(Waker)) {
        self.each_kept(|waker| {
            if !waker.will_wake(this) {
                wake(waker.into_waker());
            }
        });
    }

    #[inline]
    fn each_kept(self, mut f: impl FnMut(KeptWaker)) {
        let Wakers { first, more } = self.0;
        if let Some(entry) = first {
            f(entry.waker);
        }
        if let Some(more) = more {
            more.into_iter().for_each(|entry| f(entry.waker));
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

    fn enter(list: &mut Wakers, number: u64, most: usize, waker: &Waker) -> Vec<Waker> {
        all(list.enter(Waiter { number, most }, KeptWaker::new(waker), waker))
    }

    fn all(taken: Taken) -> Vec<Waker> {
        let mut all = Vec::new();
        taken.each(&mut |waker| all.push(waker));
        all
    }

    fn len(taken: Taken) -> usize {
        all(taken).len()
    }

    fn same(these: &[Waker], those: &[&Waker]) -> bool {
        let mut both = these.iter().zip(those);
        these.len() == those.len() && both.all(|(this, that)| this.will_wake(that))
    }

    #[test]
    fn a_future_has_one_waker_and_a_handle_several() {
        let mut list = Wakers::default();
        let [a, b, c] = [waker(), waker(), waker()];
        assert!(enter(&mut list, 1, 1, &a).is_empty());
        assert!(same(&enter(&mut list, 1, 1, &b), &[&a]));
        assert!(enter(&mut list, 2, 2, &a).is_empty());
        assert!(same(&enter(&mut list, 2, 2, &a), &[&a]));
        assert!(enter(&mut list, 2, 2, &b).is_empty());
        assert!(same(&enter(&mut list, 2, 2, &c), &[&a, &b]));
        assert!(same(&all(list.take()), &[&b, &c]));
        assert_eq!(len(list.take()), 0);
    }

    #[test]
    fn a_waiter_that_leaves_takes_its_own_wakers_along() {
        let mut list = Wakers::default();
        for number in [1, 2, 1, 3] {
            assert!(enter(&mut list, number, 2, &waker()).is_empty());
        }
        assert_eq!(len(list.leave(1)), 2);
        assert_eq!(len(list.leave(1)), 0);
        assert_eq!(len(list.take()), 2);
    }
}
