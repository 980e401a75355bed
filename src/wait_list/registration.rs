//! [`Registration`]: a waiter's entry in a wait list, as a guard.

use super::{WaitKey, WaitList};
use std::task::Waker;

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
