//! [`defer`]: asynchronous destructors. The guard lies above the room of protection, because outside of
//! tasks it has to spawn one.

use crate::protect::deferred;
use crate::sync::{Arc, Mutex};
use crate::task::{Shared, current};
use crate::tree::spawn;
use std::panic::Location;
use std::pin::Pin;

/// A guard that hands a cleanup to the running task when it is dropped. Made by [`defer`].
#[must_use = "dropping the guard at once runs its cleanup at once"]
pub struct Defer {
    /// `None` once the guard is being dropped. The lock only makes the guard `Sync`.
    cleanup: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    /// The runtime that the guard was made in.
    shared: Option<Arc<Shared>>,
    location: &'static Location<'static>,
}

/// Runs an asynchronous cleanup when the returned guard is dropped: at the end of a block, by `?`, in a
/// panic, when the task is cancelled, or when another branch of a select wins.
///
/// The cleanup belongs to the task in whose code the guard is dropped, and runs before that task is
/// done. The cleanups of a task run one after another, in the order in which their guards were dropped.
/// A guard that is dropped inside the body of a [`finally`](crate::finally) has its cleanup run before
/// that of the `finally`.
///
/// What the cleanup spawns runs although the task is being cancelled, until the cleanup ends, as what is
/// spawned in a [`shielded`](crate::shielded) future does.
///
/// If the guard is dropped outside of any task, the cleanup becomes a root task of the runtime that the
/// guard was made in. It is dropped without being run if the guard was made outside of any runtime, or
/// if that runtime has ended.
///
/// # Cancellation
///
/// The cleanup runs to its end also while its task is being cancelled. Only a kill of
/// the task ([`Task::kill`](crate::Task::kill)), and dropping the runtime, drop it unrun.
///
/// # Panics
///
/// A panic in the cleanup is its task's: the task is cancelled if it is still running, and its outcome
/// is the panic.
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
        let mut cleanup = Some(deferred::leave(cleanup));
        current::with(|task| {
            if let Some(task) = task
                && let Some(cleanup) = cleanup.take()
            {
                task.cold_or_new().push_cleanup(cleanup);
            }
        });
        let Some(cleanup) = cleanup else { return };
        if let Some(shared) = &self.shared {
            let options = spawn::Options {
                name: Some("defer".into()),
                cleanup: Some(Box::new(cleanup)),
                ..spawn::Options::default()
            };
            // The task has nothing but this cleanup, which no cancellation reaches.
            drop(spawn::raw::<(), _>(
                current::home(shared).as_parent(),
                async {},
                options,
                self.location,
            ));
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
