//! The last poll of a future, and its drop. Either may panic, and neither panic may be lost, nor what
//! the future returned.
//!
//! The future is dropped before anything unwinds, since a second panic during an unwinding ends the
//! process. A panic in the drop is noted beside what the future returned
//! ([`note_panic`]), and is counted when the task's poll ends.

use crate::panics::{discard, quietly};
use crate::task::current::view::note_panic;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;

/// Polls a future, and drops it when it has ended.
///
/// # Panics
///
/// With the panic of the poll. Outside of tasks, where none can be noted, also with that of the drop.
pub(crate) fn poll_to_its_end<F: Future>(
    future: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    let (ended, dropped) = ready!(poll_and_drop(future, cx));
    let dropped = dropped.or_else(note_panic);
    match ended {
        Ok(output) => {
            if let Err(panic) = dropped {
                quietly(|| drop(output));
                resume_unwind(panic);
            }
            Poll::Ready(output)
        }
        Err(first) => resume_first(first, dropped),
    }
}

/// Polls a future, and drops it when it has ended. Returns what the poll came to and what the drop came
/// to.
pub(super) fn poll_and_drop<F: Future>(
    mut future: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<(thread::Result<F::Output>, thread::Result<()>)> {
    let Some(running) = future.as_mut().as_pin_mut() else {
        return Poll::Pending;
    };
    let ended = match catch_unwind(AssertUnwindSafe(|| running.poll(cx))) {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(output)) => Ok(output),
        Err(panic) => Err(panic),
    };
    let dropped = catch_unwind(AssertUnwindSafe(|| future.set(None)));
    Poll::Ready((ended, dropped))
}

/// Notes two panics in their order. Outside of tasks the first is given back.
pub(super) fn note_both(
    first: thread::Result<()>,
    second: thread::Result<()>,
) -> thread::Result<()> {
    let first = first.or_else(note_panic);
    let second = second.or_else(note_panic);
    match first {
        Ok(()) => second,
        Err(first) => {
            discard_second(second);
            Err(first)
        }
    }
}

/// Goes on with the first of two panics. The second is there only if it could not be noted.
pub(crate) fn resume_first(first: Box<dyn Any + Send>, second: thread::Result<()>) -> ! {
    discard_second(second);
    resume_unwind(first)
}

/// Discards a panic for which there is no one to be told.
pub(super) fn discard_second(second: thread::Result<()>) {
    if let Err(second) = second {
        discard(second);
    }
}
