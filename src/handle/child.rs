//! [`spawn()`]: a child of the calling task.

use super::Handle;
use super::task::Task;
use crate::task::raw::{Joined, Parent};
use crate::task::{current, fitting};
use crate::tree::spawn;
use std::panic::Location;

/// Spawns a child of the calling task, or a root task if the caller is the future of
/// [`Runtime::block_on`](crate::Runtime::block_on).
///
/// The child is cancelled before its parent, and the parent is not done before the child is. Inside
/// a service the child is a raw task: it is in the tree, but it is not supervised, so it is neither
/// counted nor limited, and its panic is reported only through the handle. If the parent's subtree
/// is being cancelled, the future is dropped here, and the handle reads
/// [`Cancelled`](crate::JoinError::Cancelled), unless the caller is inside protection
/// ([`shielded`](crate::shielded) or a cleanup) or in a grace period.
///
/// Dropping the handle that is returned detaches the child and cancels nothing. That a parent waits
/// for its children is the idea of structured concurrency, as in trio's nurseries.
///
/// # Panics
///
/// Panics outside a runtime.
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::new()?;
/// runtime.block_on(async {
///     let outer = taskgrove::spawn(async {
///         let inner = taskgrove::spawn(async { 7 });
///         assert_eq!(inner.parent(), taskgrove::TaskId::current());
///         inner.await
///     });
///     assert_eq!(outer.await??, 7);
///     Ok::<(), taskgrove::JoinError>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let location = Location::caller();
    fitting!(future: F => spawn_here(future, |parent, future| {
        spawn::plain::<F, _>(parent, future, location)
    }))
}

/// Spawns a future with `spawn`: as a child of the calling task, or as a root if there is none.
#[inline]
#[track_caller]
pub(super) fn spawn_here<F: Future>(
    future: F,
    spawn: impl FnOnce(Parent<'_>, F) -> Joined<F::Output>,
) -> Task<F::Output> {
    if current::with(|task| task.is_none()) {
        let handle = Handle::current();
        let home = current::home(&handle.shared).as_parent();
        return Task::new(spawn(home, future), home);
    }
    current::with(move |task| {
        let parent = task.expect("there is one").as_parent();
        Task::new(spawn(parent, future), parent)
    })
}
