//! The calling code: which runtime it is in, which task it is, and how it lets others run.

use crate::error::CancelCause;
use crate::id::TaskId;
use crate::protect::checkpoint;
use crate::sync::Arc;
use crate::task::{Shared, current};
use crate::tree::cause;
use std::future::poll_fn;
use std::panic::Location;
use std::task::{Context, Poll};

const OUTSIDE: &str = "there is no taskgrove runtime here: call this from a task or inside `Runtime::block_on`, or enter the runtime with `Handle::enter`";

/// Returns the runtime that the calling thread is in. Panics outside a runtime, with a message that
/// says what to do.
#[track_caller]
pub(crate) fn current_shared() -> Arc<Shared> {
    match current::shared() {
        Some(shared) => shared,
        None => panic!("{OUTSIDE}"),
    }
}

/// As [`current_shared`], for a future that needs the runtime when it is first polled. The panic names
/// the place where the future was made.
pub(crate) fn current_shared_for(location: &Location<'_>) -> Arc<Shared> {
    match current::shared() {
        Some(shared) => shared,
        None => panic!("{OUTSIDE}; this is about a future that was made at {location}"),
    }
}

/// Lets other tasks run: suspends the calling task once and puts it at the end of the queue.
///
/// In the future of [`Runtime::block_on`](crate::Runtime::block_on), on a runtime without workers, the tasks that
/// are ready run first. Where workers run them, it waits for none.
///
/// Once cancellation has reached the calling task, and outside protection, it suspends for good, as
/// each await of this crate does.
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::new()?;
/// runtime.block_on(async {
///     let task = taskgrove::spawn(async {});
///     while !task.is_done() {
///         taskgrove::yield_now().await;
///     }
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn yield_now() {
    let mut yielded = false;
    let mut poll = |cx: &mut Context<'_>| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    };
    poll_fn(|cx| checkpoint::poll(cx, || None, &mut poll)).await;
}

/// Returns why the calling task is being cancelled; `None` if it is not, and outside of tasks.
///
/// It is the cause of the first request that has reached the task: of itself, or of the nearest task above
/// it. Code that still runs then may ask: in a cleanup, a shield or a grace period, after
/// [`Context::cancelled`](crate::Context::cancelled), in a destructor.
///
/// # Examples
///
/// ```
/// use taskgrove::{Runtime, cancel_cause, finally};
/// let runtime = Runtime::builder().workers(0).build()?;
/// let (tx, rx) = std::sync::mpsc::channel();
/// let cleanup = async move { tx.send(cancel_cause()).unwrap() };
/// let task = runtime.spawn(finally(std::future::pending::<()>(), cleanup));
/// runtime.block_on(taskgrove::yield_now());
/// task.cancel_with("reload");
/// runtime.block_on(task.wait_done());
/// let cause = rx.recv()?.expect("it was cancelled");
/// assert_eq!(cause.reason(), Some("reload"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn cancel_cause() -> Option<CancelCause> {
    current::with(|task| task.and_then(cause::of))
}

impl TaskId {
    /// Returns the id of the task that the calling code is part of: the code is in its poll, or in
    /// the drop of its future.
    ///
    /// Elsewhere this is `None`, also in the future of [`Runtime::block_on`](crate::Runtime::block_on).
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::TaskId;
    /// let runtime = taskgrove::Runtime::new()?;
    /// let task = runtime.spawn(async { TaskId::current() });
    /// let id = task.id();
    /// assert_eq!(runtime.block_on(task)?, Some(id));
    /// assert_eq!(runtime.block_on(async { TaskId::current() }), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn current() -> Option<TaskId> {
        current::with(|task| task.map(|task| task.id()))
    }
}
