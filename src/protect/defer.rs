//! [`defer`]: asynchronous destructors.

use super::place;
use super::scope::Left;
use crate::sync::{Arc, Mutex};
use crate::task::Shared;
use crate::task::cleanups::Cleanup;
use crate::task::current;
use crate::tree::spawn;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A guard whose drop hands a cleanup to the task. Made by [`defer`].
#[must_use = "dropping the guard at once runs its cleanup at once"]
pub struct Defer {
    /// In a lock only to be `Sync`.
    cleanup: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    /// The runtime it was made in.
    shared: Option<Arc<Shared>>,
    location: &'static Location<'static>,
}

/// Runs an asynchronous cleanup when the returned guard is dropped, however that happens: at the
/// end of a scope, by `?`, in a panic, when the task is cancelled, or when a select is lost.
///
/// The cleanup then belongs to the task in whose poll or drop the guard was dropped, and runs
/// before that task is done, also while it is being cancelled, and out of cancellation's reach.
/// Cleanups of one task run one after another in the order of the drops, and before the cleanup of a
/// [`finally`](crate::finally) inside whose body the guard was dropped. A panic in one is the
/// task's panic, and cancels a task that would have gone on. Dropped outside of any task, the
/// cleanup becomes a root task of the runtime the guard was made in; without one, or once that has
/// ended, it is dropped unrun. Dropping the runtime drops it, too.
///
/// # Examples
///
/// ```
/// use taskgrove::{Runtime, defer, yield_now};
/// let runtime = Runtime::new()?;
/// let (tx, rx) = std::sync::mpsc::channel();
/// let task = runtime.spawn(async move {
///     let _goodbye = defer(async move {
///         yield_now().await;
///         tx.send("goodbye").unwrap();
///     });
///     std::future::pending::<()>().await
/// });
/// # runtime.block_on(async { while runtime.snapshot().nodes()[0].polls == 0 { yield_now().await } });
/// task.cancel();
/// assert!(runtime.block_on(task).unwrap_err().is_cancelled());
/// assert_eq!(rx.try_recv(), Ok("goodbye"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn defer<C: Future<Output = ()> + Send + 'static>(cleanup: C) -> Defer {
    Defer {
        cleanup: Mutex::new(Some(Box::pin(cleanup))),
        shared: current::shared(),
        location: Location::caller(),
    }
}

impl Drop for Defer {
    fn drop(&mut self) {
        let Some(cleanup) = self.cleanup.lock().take() else {
            return;
        };
        let cleanup = Deferred::leave(cleanup);
        if let Some(node) = current::node() {
            node.cold_or_new().push_cleanup(cleanup);
        } else if let Some(shared) = &self.shared {
            let options = spawn::Options {
                name: Some("defer".into()),
                cleanup: Some(Box::new(cleanup)),
                ..spawn::Options::default()
            };
            // A task with nothing but this cleanup, which is out of cancellation's reach.
            drop(spawn::raw::<(), _>(
                shared,
                shared.home(),
                async {},
                options,
                self.location,
            ));
        }
    }
}

/// The cleanup of a guard that was dropped. It is polled and dropped as code of the body in which that
/// happened, and as code that the turn does not reach.
struct Deferred {
    /// `None` once it has been dropped.
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Released when the future has been dropped: then the body hears that it is over.
    left: Option<Left>,
}

impl Deferred {
    /// Makes the cleanup of a guard that the calling code drops.
    fn leave(future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Cleanup {
        let left = place::body().map(Left::new);
        let body = left
            .as_ref()
            .map_or(0, |left| Arc::as_ptr(left.body()).addr());
        let future = Some(future);
        let mut deferred = Deferred { future, left };
        Cleanup::new(Box::pin(poll_fn(move |cx| deferred.poll(cx))), body)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(());
        };
        let body = self.left.as_ref().map(Left::body);
        place::hard_of(body, || future.as_mut().poll(cx))
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        let future = self.future.take();
        let body = self.left.as_ref().map(Left::body);
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            place::hard_of(body, || drop(future));
        }));
        // Outside of the unwinding, and of the code of the body: this wakes the owner of the body.
        self.left = None;
        if let Err(panic) = dropped {
            resume_unwind(panic);
        }
    }
}

impl std::fmt::Debug for Defer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Defer")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}
