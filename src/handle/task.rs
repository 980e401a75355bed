//! Handles of tasks: [`Task`], [`CancelHandle`], [`CancelOnDrop`].

use crate::error::JoinError;
use crate::handle::cancel_guard::{CancelGuard, RequestCancel};
use crate::id::TaskId;
use crate::protect::checkpoint;
use crate::protect::wait::TaskWait;
use crate::task::awaited::{Awaited, Whom};
use crate::task::raw::{Header, Joined, Parent};
use crate::task::state::Level;
use crate::task::{TaskRef, current, kind};
use crate::tree::request::request;
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The handle of a task: await it for the result, cancel it, or drop it to let the task go on by
/// itself.
///
/// It resolves when the task is **done**: its future has ended and every task below it is done.
/// It then gives the value, or the [`JoinError`] that says what happened instead. Dropping the
/// handle detaches the task and cancels nothing (use [`cancel_on_drop`](Task::cancel_on_drop)
/// for that); the task stays in the tree, and its parent waits for it all the same.
///
/// Awaiting inside a task whose turn to be cancelled has come suspends, so that no loop over
/// handles can outrun the cancellation.
///
/// # Panics
///
/// Polling the handle again after it has resolved panics.
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     let task = taskgrove::spawn(async { 1 + 2 });
///     task.await
/// });
/// assert_eq!(sum?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Task<T> {
    joined: Joined<T>,
    parent: Option<TaskId>,
}

impl<T> Task<T> {
    pub(crate) fn new(joined: Joined<T>, parent: Parent<'_>) -> Self {
        let parent = parent.task();
        let parent = (!parent.is(kind::SENTINEL)).then(|| parent.id());
        Task { joined, parent }
    }

    #[cfg(taskgrove_loom)]
    pub(crate) fn borrowed(&self) -> crate::task::Borrowed<'_> {
        self.joined.borrowed()
    }

    /// The task's number, unique in its runtime.
    pub fn id(&self) -> TaskId {
        self.joined.borrowed().id()
    }

    /// The name it was given, or that of the function it runs.
    ///
    /// # Examples
    ///
    /// ```
    /// async fn serve() {}
    /// let runtime = taskgrove::Runtime::new()?;
    /// assert_eq!(runtime.spawn(serve()).name(), "serve");
    /// assert_eq!(runtime.task(serve()).name("conn-1").spawn().name(), "conn-1");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        self.joined.name()
    }

    /// Whether it was scheduled as a daemon of its service.
    pub fn is_daemon(&self) -> bool {
        self.joined.borrowed().is(kind::DAEMON)
    }

    /// The task it was spawned under; `None` for a root.
    pub fn parent(&self) -> Option<TaskId> {
        self.parent
    }

    /// Whether its future has ended and every task below it is done.
    pub fn is_done(&self) -> bool {
        self.joined.borrowed().word().is_done()
    }

    /// Asks for the cancellation of this task and everything below it, leaves first; nothing else
    /// is touched. Returns at once, runs no user code on this stack; the handle resolves when the
    /// task is done. Does nothing to a task that is done or being cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::new()?;
    /// let task = runtime.spawn(std::future::pending::<()>());
    /// task.cancel();
    /// assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn cancel(&self) {
        request(self.joined.borrowed(), Level::Cancel);
    }

    /// An untyped handle that can cancel the task, and be cloned.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle {
            task: self.joined.borrowed().retain(),
        }
    }

    /// A handle that cancels the task when it is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::new()?;
    /// runtime.block_on(async {
    ///     let task = taskgrove::spawn(std::future::pending::<()>());
    ///     let cancel = task.cancel_handle();
    ///     drop(task.cancel_on_drop());
    ///     while !cancel.is_done() {
    ///         taskgrove::yield_now().await;
    ///     }
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn cancel_on_drop(self) -> CancelOnDrop<T> {
        CancelOnDrop {
            guard: CancelGuard(self),
        }
    }

    /// Waits until the task is done, without taking its result. There may be any number of these
    /// waits at once; dropping one changes nothing.
    pub async fn wait_done(&self) {
        let task = self.joined.borrowed().retain();
        let mut wait = TaskWait::default();
        let mut poll = |cx: &mut Context<'_>| {
            if task.word().is_done() || wait.register(&task, cx).is_done() {
                note_end(&task);
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        };
        let awaited = || Some(Awaited::Done(Whom::task(self.name(), self.id())));
        poll_fn(|cx| checkpoint::poll(cx, awaited, &mut poll)).await;
    }
}

/// An await reports the end of this task, which may be a part of a cancellation.
#[inline]
fn note_end(task: &Header) {
    if task.is_swept() {
        current::view::see();
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !checkpoint::may_look(cx) {
            return Poll::Pending;
        }
        let polled = self.joined.poll(cx);
        let task = self.joined.borrowed();
        checkpoint::note_polled(polled.is_pending(), || {
            Some(Awaited::Result(Whom::task(self.name(), self.id())))
        });
        if polled.is_ready() {
            note_end(&task);
        }
        if let Poll::Ready(Err(JoinError::Panicked(_))) = polled {
            current::heard(task.id(), task.location());
        }
        polled
    }
}

impl<T> std::fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("parent", &self.parent)
            .field("is_done", &self.is_done())
            .finish()
    }
}

/// Cancels one task; cloneable, and without the type of its output. Made by
/// [`Task::cancel_handle`].
#[derive(Clone)]
pub struct CancelHandle {
    task: TaskRef,
}

impl CancelHandle {
    /// As [`Task::cancel`].
    pub fn cancel(&self) {
        request(self.task.borrowed(), Level::Cancel);
    }

    /// As [`Task::is_done`].
    pub fn is_done(&self) -> bool {
        self.task.word().is_done()
    }

    /// As [`Task::id`].
    pub fn id(&self) -> TaskId {
        self.task.id()
    }
}

impl std::fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelHandle")
            .field("id", &self.id())
            .field("is_done", &self.is_done())
            .finish()
    }
}

/// A [`Task`] that is cancelled when this is dropped. Made by [`Task::cancel_on_drop`].
#[must_use = "dropping it cancels the task at once"]
pub struct CancelOnDrop<T> {
    guard: CancelGuard<Task<T>>,
}

impl<T> RequestCancel for Task<T> {
    fn request_cancel(&self) {
        self.cancel();
    }
}

impl<T> Deref for CancelOnDrop<T> {
    type Target = Task<T>;

    fn deref(&self) -> &Task<T> {
        &self.guard.0
    }
}

impl<T> Future for CancelOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.guard.0).poll(cx)
    }
}

impl<T> std::fmt::Debug for CancelOnDrop<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CancelOnDrop").field(&self.guard.0).finish()
    }
}
