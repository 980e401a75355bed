//! What keeps errors that nest without bound from recursing without bound, also where errors of the
//! user's own are between two of the crate's: one thread's drops take turns in a loop, and one text
//! inside another goes no deeper than a few.

use super::FailureKind;
use crate::panics::discard;
use std::any::Any;
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Texts inside texts, by way of a user's own error each.
const MOST_TEXTS: usize = 8;

std::thread_local! {
    /// What the outermost drop on this thread has still to drop; `None` outside of one. Without a
    /// destructor, so that it is there for as long as the thread runs code.
    static PENDING: Cell<Option<ManuallyDrop<Vec<FailureKind>>>> = const { Cell::new(None) };
    /// How many texts are being written on this thread, each inside the one before.
    static TEXTS: Cell<usize> = const { Cell::new(0) };
}

/// Drops what a task failed with. Inside another such drop on this thread it is only handed over,
/// and the outermost one drops it: the stack holds one level, whatever the depth.
pub(super) fn drop_in_turn(kind: FailureKind) {
    if matches!(kind, FailureKind::Panic(_) | FailureKind::DaemonExit) {
        return;
    }
    let Some(mut pending) = PENDING.take() else {
        return drop_all(kind);
    };
    pending.push(kind);
    PENDING.set(Some(pending));
}

fn drop_all(kind: FailureKind) {
    PENDING.set(Some(ManuallyDrop::new(Vec::new())));
    let mut panic: Option<Box<dyn Any + Send>> = None;
    let mut next = Some(kind);
    while let Some(kind) = next {
        // A user's error may panic in its drop: the rest is dropped all the same.
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

/// Until dropped, a text is being written.
pub(super) struct Text(());

impl Text {
    /// `None` if it would be too deep inside others.
    pub(super) fn begin() -> Option<Text> {
        let deep = TEXTS.get();
        if deep == MOST_TEXTS {
            return None;
        }
        TEXTS.set(deep + 1);
        Some(Text(()))
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        TEXTS.set(TEXTS.get() - 1);
    }
}
