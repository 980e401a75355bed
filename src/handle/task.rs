//! Handles of tasks: [`Task`], [`CancelHandle`], [`CancelOnDrop`].

use crate::error::{CancelCause, How, JoinError, Origin};
use crate::handle::cancel_guard::{CancelGuard, RequestCancel};
use crate::id::TaskId;
use crate::protect::wait::TaskWait;
use crate::protect::{checkpoint, own_end};
use crate::task::awaited::{Awaited, Whom};
use crate::task::raw::{Header, Joined, Parent};
use crate::task::state::Level;
use crate::task::{TaskRef, current, kind};
use crate::tree::cause;
use crate::tree::request::request;
use std::borrow::Cow;
use std::future::poll_fn;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The handle of a task, which is a future of the task's result and can cancel the task.
///
/// It resolves when the task is **done**: its future has ended, and every task below it is done. Its
/// output is the value, or a [`JoinError`] that says why there is none.
///
/// Dropping the handle detaches the task and cancels nothing: the task stays in the tree, and its
/// parent waits for it all the same. [`cancel_on_drop`](Task::cancel_on_drop) makes a handle whose drop
/// cancels. Once cancellation has reached the calling task, and outside protection, awaiting a handle
/// suspends for good, so that no loop over handles can outrun the cancellation.
///
/// # Errors
///
/// The output is [`Cancelled`](JoinError::Cancelled) if the task was cancelled,
/// [`Panicked`](JoinError::Panicked) if it panicked, and [`Failed`](JoinError::Failed) if it is a
/// supervised task that returned an error.
///
/// # Panics
///
/// Panics if it is polled again after it has resolved. Panics if the calling task waits for its own end, or
/// for that of a task above it, outside of a cancellation or inside protection: such a wait never ends.
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

    /// Returns the task's id, which its runtime never uses again.
    pub fn id(&self) -> TaskId {
        self.joined.borrowed().id()
    }

    /// Returns the name that a builder gave the task, or that of the function that made its future.
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

    /// Returns whether the task is a daemon of its service.
    pub fn is_daemon(&self) -> bool {
        self.joined.borrowed().is(kind::DAEMON)
    }

    /// Returns the id of the task's parent, or `None` if the task is a root.
    pub fn parent(&self) -> Option<TaskId> {
        self.parent
    }

    /// Returns whether the task is done: its future has ended, and every task below it is done.
    pub fn is_done(&self) -> bool {
        self.joined.borrowed().word().is_done()
    }

    /// Asks for the cancellation of the task and everything below it, leaves first.
    ///
    /// This never blocks, and runs no user code on the caller's stack. The handle resolves when the task
    /// is done. If the task is done or already being cancelled, this does nothing.
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
    #[track_caller]
    pub fn cancel(&self) {
        let origin = Origin::at(How::Cancel, Location::caller());
        request(self.joined.borrowed(), Level::Cancel, origin);
    }

    /// Asks for the cancellation of the task as [`cancel`](Task::cancel) does, and says why: the reason
    /// is part of the [`CancelCause`] that the task, everything below it, and reports show.
    #[track_caller]
    pub fn cancel_with(&self, reason: impl Into<Cow<'static, str>>) {
        let origin = Origin::at(How::CancelWith, Location::caller());
        let task = self.joined.borrowed();
        cause::keep(task, false, origin, reason.into());
        request(task, Level::Cancel, origin);
    }

    /// Returns why the task is being cancelled, or was; `None` if it is not being cancelled.
    ///
    /// It is the cause of the first request that has reached the task: of itself, or of the nearest task
    /// above it. Nothing is kept per task, so once the task is done only a request of its own is known.
    pub fn cancel_cause(&self) -> Option<CancelCause> {
        let task = self.joined.borrowed();
        match task.pin() {
            Some(pin) => cause::of(pin.live()),
            None => cause::of_done(
                &task,
                false,
                task.plain_cold(),
                self.joined.name(),
                self.parent.is_none(),
            ),
        }
    }

    /// Kills the task and everything below it: cancels it without regard for protection.
    ///
    /// Shields, cleanups and grace periods in the whole subtree hold up nothing any more: each future is
    /// dropped, leaves first, after the poll that it is in, and cleanups are dropped without being run.
    /// A poll that does not return still holds up the tasks above it. What the killed tasks spawn is
    /// done and never runs.
    ///
    /// This takes effect at once also if the task is already being cancelled. It never blocks, and runs
    /// no user code on the caller's stack. If the task is done, this does nothing. The handle reads
    /// [`Cancelled`](JoinError::Cancelled), unless the task's future had returned before and only
    /// children or cleanups were left: then the handle has the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::pending;
    /// let runtime = taskgrove::Runtime::new()?;
    /// let task = runtime.spawn(taskgrove::shielded(pending::<()>()));
    /// task.cancel();
    /// task.kill();
    /// assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn kill(&self) {
        let origin = Origin::at(How::Kill, Location::caller());
        request(self.joined.borrowed(), Level::Kill, origin);
    }

    /// Returns a handle that can be cloned, can cancel the task, and does not have the type of its
    /// output.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle {
            task: self.joined.borrowed().retain(),
        }
    }

    /// Turns the handle into one that cancels the task when it is dropped.
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

    /// Waits until the task is done, and leaves its result in the handle.
    ///
    /// Several waits of one task may be active at once. Dropping one changes nothing.
    ///
    /// # Panics
    ///
    /// Panics if the calling task waits for its own end, or for that of a task above it, outside of a
    /// cancellation or inside protection: such a wait never ends.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::new()?;
    /// let task = runtime.spawn(async { 4 });
    /// runtime.block_on(task.wait_done());
    /// assert!(task.is_done());
    /// assert_eq!(runtime.block_on(task)?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn wait_done(&self) -> impl Future<Output = ()> {
        self.wait_done_from(Location::caller())
    }

    async fn wait_done_from(&self, location: &'static Location<'static>) {
        let task = self.joined.borrowed().retain();
        let mut wait = TaskWait::default();
        let mut is_new = true;
        let mut poll = |cx: &mut Context<'_>| {
            if task.word().is_done() || wait.register(&task, cx).is_done() {
                note_end(&task);
                return Poll::Ready(());
            }
            if std::mem::take(&mut is_new) {
                own_end::check(task.borrowed(), Some(location));
            }
            Poll::Pending
        };
        let awaited = || Some(Awaited::Done(Whom::task(self.joined.borrowed())));
        poll_fn(|cx| checkpoint::poll(cx, awaited, &mut poll)).await;
    }
}

/// Called by an await that reports the end of `task`. If that end is part of a cancellation from above,
/// the calling code has seen that cancellation.
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
        let is_new = !self.joined.borrowed().word().has_join_waker();
        let polled = self.joined.poll(cx);
        let task = self.joined.borrowed();
        if is_new && polled.is_pending() {
            own_end::check(task, None);
        }
        checkpoint::note_polled(polled.is_pending(), || {
            Some(Awaited::Result(Whom::task(task)))
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

/// Cancels one task. Can be cloned, and does not have the type of the task's output.
/// [`Task::cancel_handle`] makes one.
///
/// Dropping it does nothing.
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::new()?;
/// let task = runtime.spawn(std::future::pending::<()>());
/// let cancel = task.cancel_handle();
/// std::thread::spawn(move || cancel.cancel());
/// assert!(runtime.block_on(task).unwrap_err().is_cancelled());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct CancelHandle {
    task: TaskRef,
}

impl CancelHandle {
    /// Asks for the cancellation of the task; see [`Task::cancel`].
    #[track_caller]
    pub fn cancel(&self) {
        let origin = Origin::at(How::Cancel, Location::caller());
        request(self.task.borrowed(), Level::Cancel, origin);
    }

    /// Kills the task: cancels it without regard for protection; see [`Task::kill`].
    #[track_caller]
    pub fn kill(&self) {
        let origin = Origin::at(How::Kill, Location::caller());
        request(self.task.borrowed(), Level::Kill, origin);
    }

    /// Returns whether the task is done; see [`Task::is_done`].
    pub fn is_done(&self) -> bool {
        self.task.word().is_done()
    }

    /// Returns the task's id.
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

/// A handle that cancels its task when it is dropped. [`Task::cancel_on_drop`] makes one.
///
/// It derefs to the [`Task`], and is a future with the same output.
#[must_use = "dropping it cancels the task at once"]
pub struct CancelOnDrop<T> {
    guard: CancelGuard<Task<T>>,
}

impl<T> RequestCancel for Task<T> {
    fn request_cancel(&self) {
        let origin = Origin::nowhere(How::HandleDrop);
        request(self.joined.borrowed(), Level::Cancel, origin);
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
