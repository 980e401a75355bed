//! The closure that a thread of the blocking pool runs. Nothing ends it, neither a cancellation nor a kill, so no
//! code inside of it may wait for an end that comes after its own; also not in a `block_on`, or a guard of
//! [`Handle::enter`](crate::Handle::enter), that has put the code outside of the task.

use super::Lent;
use crate::task::raw::Pin;
use crate::task::raw::reference::TaskRef;
use crate::task::shared::Shared;
use std::cell::RefCell;

crate::sync::thread_local! {
    static CLOSURE: Lent<Option<TaskRef>> = const { Lent::new(RefCell::new(None)) };
}

/// Until dropped, the thread runs the closure of a task.
#[cfg(feature = "blocking")]
pub(crate) struct InClosure(());

#[cfg(feature = "blocking")]
impl InClosure {
    pub(crate) fn begin(task: TaskRef) -> InClosure {
        // A thread of the pool runs one at a time.
        CLOSURE.with(|closure| *closure.borrow_mut() = Some(task));
        InClosure(())
    }
}

#[cfg(feature = "blocking")]
impl Drop for InClosure {
    fn drop(&mut self) {
        let task = CLOSURE.with(|closure| closure.borrow_mut().take());
        drop(task);
    }
}

/// Whether the calling code is inside of a closure of that runtime's.
pub(crate) fn is_of(shared: &Shared) -> bool {
    CLOSURE.with(|closure| {
        let closure = closure.borrow();
        (closure.as_ref()).is_some_and(|task| task.borrowed().is_in(shared))
    })
}

/// The task of the closure that the calling code is inside of.
pub(crate) fn pin() -> Option<Pin> {
    CLOSURE.with(|closure| closure.borrow().as_ref().and_then(TaskRef::pin))
}
