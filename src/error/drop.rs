//! Drops nested failures with constant stack.
//!
//! An error may nest without bound, with error types of the user's between two failures. On each
//! thread, the outermost drop of a failure collects what inner ones want to drop and drops it in a
//! loop.

use super::failure::{Details, FailureKind};
use crate::panics::discard;
use std::any::Any;
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

std::thread_local! {
    /// What the outermost drop on this thread has still to drop; `None` outside such a drop. It has
    /// no destructor, so that it exists for as long as the thread runs code.
    static PENDING: Cell<Option<ManuallyDrop<Vec<FailureKind>>>> = const { Cell::new(None) };
}

impl Drop for Details {
    fn drop(&mut self) {
        drop_in_turn(std::mem::replace(&mut self.kind, FailureKind::DaemonExit));
    }
}

/// Drops `kind`, or hands it to the outermost such drop on this thread.
fn drop_in_turn(kind: FailureKind) {
    if matches!(kind, FailureKind::Panic(_) | FailureKind::DaemonExit) {
        return;
    }
    let Some(mut pending) = PENDING.take() else {
        return drop_all(kind);
    };
    pending.push(kind);
    PENDING.set(Some(pending));
}

/// Drops `kind` and everything that its drop hands over.
fn drop_all(kind: FailureKind) {
    PENDING.set(Some(ManuallyDrop::new(Vec::new())));
    let mut panic: Option<Box<dyn Any + Send>> = None;
    let mut next = Some(kind);
    while let Some(kind) = next {
        // A user's error may panic in its drop; the others have to be dropped nevertheless.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(kind))) {
            match &panic {
                None => panic = Some(payload),
                Some(_) => discard(payload),
            }
        }
        let mut pending = PENDING.take();
        next = pending.as_mut().and_then(|pending| pending.pop());
        match pending {
            Some(pending) if next.is_none() => drop(ManuallyDrop::into_inner(pending)),
            pending => PENDING.set(pending),
        }
    }
    match panic {
        Some(payload) if std::thread::panicking() => discard(payload),
        Some(payload) => resume_unwind(payload),
        None => {}
    }
}
