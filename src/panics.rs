//! Panics of user code that no caller receives.
//!
//! Every room that drops or wakes a value of the user outside a poll does so through this one, so
//! that a panic in there does not leave the runtime's own state half changed. It imports no other
//! room.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of the user that has no caller who could receive a panic, such as the drop of a waker.
/// The panic hook has reported a panic, which then ends here.
pub(crate) fn quietly(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        discard(payload);
    }
}

/// Drops a panic's payload. If its drop panics, the payload of that second panic is leaked, because
/// its drop could panic in turn.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}
