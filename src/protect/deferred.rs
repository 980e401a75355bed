//! The future that a guard of [`defer`](crate::defer) leaves behind.

use super::count::Left;
use super::cover::CoverCell;
use super::place;
use crate::sync::Arc;
use crate::task::cleanups::Cleanup;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The cleanup of a guard that was dropped. It is polled and dropped as hard code, of the body in which
/// the guard was dropped.
struct Deferred {
    /// `None` once it has been dropped.
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Released when the future has been dropped: then the owner of the body goes on.
    left: Option<Left>,
    /// What the future spawns.
    cell: CoverCell,
}

/// Makes a cleanup of the future that a guard leaves behind, for the task that has to run it. The
/// calling code is dropping the guard.
pub(crate) fn leave(future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Cleanup {
    let left = place::body().map(Left::new);
    let body = left
        .as_ref()
        .map_or(0, |left| Arc::as_ptr(left.body()).addr());
    let future = Some(future);
    let cell = CoverCell::default();
    let mut deferred = Deferred { future, left, cell };
    Cleanup::new(Box::pin(poll_fn(move |cx| deferred.poll(cx))), body)
}

impl Deferred {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(());
        };
        let body = self.left.as_ref().map(Left::body);
        place::hard_of(body, &mut self.cell, || future.as_mut().poll(cx))
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        let future = self.future.take();
        let body = self.left.as_ref().map(Left::body);
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            place::hard_of(body, &mut self.cell, || drop(future));
        }));
        // Outside of an unwinding, and of the code of the body: this wakes the owner of the body, now or when
        // what the cleanup has spawned is done.
        let left = &mut self.left;
        (self.cell).end(|| left.take().map(|left| Box::new(left) as Box<dyn Send>));
        self.left = None;
        if let Err(panic) = dropped {
            resume_unwind(panic);
        }
    }
}
