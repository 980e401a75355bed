//! Panics of user code that no caller receives.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code whose panic has nowhere to go: it has been reported by the panic hook, and the
/// runtime goes on. A payload whose own drop panics is leaked.
pub(crate) fn quietly(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        discard(payload);
    }
}

/// Drops a panic's payload, which may itself panic in its drop (then that payload is leaked).
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}
