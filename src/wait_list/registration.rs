//! [`Registration`]: a waiter's entry in a wait list, as a guard.

use super::{WaitKey, WaitList};
use std::task::{Context, Poll, Waker};

/// Implemented by what leads to a wait list.
pub(crate) trait HasWaitList {
    /// Calls `f` with the list, unless the list is gone. A list is emptied before it goes.
    fn with_list(&self, f: impl FnOnce(&WaitList));
}

/// An entry in the wait list of `owner`, which is taken out when this is dropped.
pub(crate) struct Registration<O: HasWaitList> {
    owner: O,
    /// `None` until the first call of [`Registration::register`].
    key: Option<WaitKey>,
}

impl<O: HasWaitList> Registration<O> {
    /// Makes a registration that is in no list yet.
    pub(crate) fn new(owner: O) -> Self {
        Registration { owner, key: None }
    }

    pub(crate) fn owner(&self) -> &O {
        &self.owner
    }

    /// Enters `waker`, in place of the one that was entered before. The caller checks the event
    /// after that, as the module describes.
    pub(crate) fn register(&mut self, waker: &Waker) {
        let Registration { owner, key } = self;
        owner.with_list(|list| list.register(key, waker));
    }

    /// Looks for the event in the owner. If it has not happened, registers and looks again: what
    /// happens after the second look wakes the waiter.
    #[inline]
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut look: impl FnMut(&O, &mut Context<'_>) -> Option<T>,
    ) -> Poll<T> {
        if let Some(found) = look(&self.owner, cx) {
            return Poll::Ready(found);
        }
        self.register(cx.waker());
        let Some(found) = look(&self.owner, cx) else {
            return Poll::Pending;
        };
        self.leave();
        Poll::Ready(found)
    }

    /// Gives the entry up, if any, of a list that its owner empties.
    pub(crate) fn abandon(&mut self) {
        self.key = None;
    }

    /// Takes the entry out.
    pub(crate) fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            self.owner.with_list(|list| list.deregister(key));
        }
    }
}

impl<O: HasWaitList> Drop for Registration<O> {
    fn drop(&mut self) {
        self.leave();
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
        fn wake(self: Arc<Self>) {
            panic!("it is not woken");
        }
    }

    impl HasWaitList for &WaitList {
        fn with_list(&self, f: impl FnOnce(&WaitList)) {
            f(self);
        }
    }

    #[test]
    fn a_registration_keeps_its_waker_until_it_leaves_or_is_dropped() {
        let list = WaitList::default();
        let kept = Arc::new(Unwoken);
        let waker = kept.clone().into();
        let mut registration = Registration::new(&list);
        for _ in 0..2 {
            registration.register(&waker);
            registration.register(&waker);
            assert_eq!(Arc::strong_count(&kept), 3);
            registration.leave();
            assert_eq!(Arc::strong_count(&kept), 2);
        }
        registration.register(&waker);
        drop(registration);
        assert_eq!(Arc::strong_count(&kept), 2);
    }

    #[test]
    fn an_abandoned_entry_is_left_to_the_owner_of_the_list() {
        let list = WaitList::default();
        let kept = Arc::new(Unwoken);
        let waker = kept.clone().into();
        let mut registration = Registration::new(&list);
        registration.register(&waker);
        registration.abandon();
        drop(registration);
        assert_eq!(Arc::strong_count(&kept), 3);
    }
}
