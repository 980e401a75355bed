//! [`TaskWait`]: waiting for a task's cancellation or for its end.

use crate::task::TaskRef;
use crate::task::state::Word;
use crate::wait_list::WaitList;
use crate::wait_list::registration::{HasWaitList, Registration};
use std::task::Context;

impl HasWaitList for TaskRef {
    fn with_list(&self, f: impl FnOnce(&WaitList)) {
        self.with_cold(|cold| f(&cold.waiters));
    }
}

/// A registration in the wait list of one task at a time. Dropping it takes the entry out.
#[derive(Default)]
pub(crate) struct TaskWait(Option<Registration<TaskRef>>);

impl TaskWait {
    /// Registers for `task` and then reads its state word, so that either the caller sees the event
    /// in the word, or the thread that brings it about sees the registration. The task is the one
    /// that polls, or no service.
    pub(crate) fn register(&mut self, task: &TaskRef, cx: &Context<'_>) -> Word {
        let registration = match &mut self.0 {
            Some(at) if at.owner() == task => at,
            // A registration for another task is dropped here: the future has moved.
            at => at.insert(Registration::new(task.clone())),
        };
        registration.register(cx.waker());
        registration.owner().set_waiters()
    }
}
