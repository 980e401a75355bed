//! [`Context`]: a service seen from inside.
//!
//! What is scheduled through a context is in `tasks` and `builders`, which are above starting.

use super::manager::Manager;
use super::waits::RecordWait;
use crate::arena::counted::Counted;
use crate::error::LifecycleError;
use crate::protect::checkpoint;
use crate::protect::last_poll::poll_to_its_end;
use crate::protect::wait::TaskWait;
use crate::task::awaited::Event;
use crate::task::current;
use crate::task::raw::Parent;
use crate::task::record::Record;
use crate::tree::late;
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::pin;
use std::task::Poll;

/// A service seen from inside: its [`Manager`], to which it derefs, and the right to schedule.
///
/// A task or child service that is scheduled from one of the service's tasks becomes a child of that
/// task. Scheduled from anywhere else (from `run`, from a task of another service, from outside) it
/// becomes a child of the service's own task. A context can be cloned, and used in other tasks and on
/// other threads.
///
/// While the service is being cancelled, scheduling succeeds and returns a task that never runs and
/// is done, or the manager of a service that is finished without having been started. So code that
/// schedules need not handle a shutdown. What is scheduled inside protection
/// ([`shielded`](crate::shielded), the cleanup of [`finally`](crate::finally), a cleanup of
/// [`defer`](crate::defer)), or in a grace period, runs nevertheless.
///
/// # Examples
///
/// ```
/// use taskgrove::{Context, Runtime, service_fn};
/// let service = service_fn("adder", async |ctx: Context| {
///     let sum = ctx.task(async { Ok(1 + 2) }).name("add").spawn()?;
///     assert_eq!(sum.await?, 3);
///     Ok(())
/// });
/// Runtime::new()?.run(service)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Context {
    manager: Manager,
}

/// The parent of what is scheduled by the calling code, and what applies to its children.
pub(super) struct SpawnPoint<'a> {
    /// The calling task or the service's task.
    pub(super) parent: Parent<'a>,
    /// How many live supervised children the parent may have.
    pub(super) limit: usize,
    /// Whether the service is being cancelled, so that its new children never run; not if the calling code is
    /// inside protection, or in a grace period.
    pub(super) closing: bool,
    /// The service that schedules.
    pub(super) record: &'a Record,
}

impl Context {
    pub(super) fn new(manager: Manager) -> Self {
        Context { manager }
    }

    pub(super) fn record(&self) -> &Counted<Record> {
        &self.manager.record
    }

    /// Calls `f` with where the calling code schedules. `opts_out`: what it schedules has a grace period of zero.
    ///
    /// # Errors
    ///
    /// Returns [`NotRunning`](LifecycleError::NotRunning) if the service is not running.
    #[inline]
    pub(super) fn with_spawn_point<R>(
        &self,
        opts_out: bool,
        f: impl FnOnce(SpawnPoint<'_>) -> R,
    ) -> Result<R, LifecycleError> {
        let record = self.record();
        current::with(|task| {
            let here = task.filter(|task| task.is_of(Counted::as_ptr(record)));
            let parent = match here {
                Some(task) => task.as_parent(),
                None => self.service_point()?,
            };
            Ok(f(SpawnPoint {
                parent,
                limit: record.max_children,
                closing: record.is_closing()
                    && (record.is_killed() || !late::runs(parent, record, opts_out)),
                record,
            }))
        })
    }

    /// Returns the service's task as a parent.
    fn service_point(&self) -> Result<Parent<'_>, LifecycleError> {
        let record = self.record();
        let shared = record.shared().filter(|_| !record.is_finished());
        shared
            .and_then(|shared| Parent::service(record, shared))
            .ok_or_else(|| self.manager.not_running())
    }

    /// Returns the service's manager, which code without the right to schedule can have.
    pub fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Marks the service as ready for its users, so that [`Manager::wait_ready`] resolves. A second
    /// call does nothing.
    pub fn set_ready(&self) {
        self.record().set_ready();
        self.record().waiters().wake_all();
    }

    /// Resolves when cancellation of the calling task or of this service is asked for.
    ///
    /// It does not wait until the tasks below have ended, so all tasks that wait for it go on side by
    /// side. Code in a shield, a cleanup or a grace period learns from it that it should come to an
    /// end; without protection a task may be dropped before it goes on from here. Outside of tasks only
    /// the service counts. After the service's end this resolves at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskgrove::{Context, Runtime, service_fn};
    /// let service = service_fn("polite", async |ctx: Context| {
    ///     let task = ctx.clone();
    ///     ctx.task(async move {
    ///         task.cancelled().await;
    ///         println!("goodbye");
    ///         Ok(())
    ///     })
    ///     .grace(Duration::from_secs(1))
    ///     .spawn()?;
    ///     Ok(())
    /// });
    /// let runtime = Runtime::new()?;
    /// let manager = runtime.start(service)?;
    /// runtime.block_on(manager.stop())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn cancelled(&self) {
        let mut cancellation = Cancellation::of(self.record());
        let awaited = || Some(self.manager.record.awaited(Event::Cancel));
        poll_fn(|cx| checkpoint::poll(cx, awaited, |cx| cancellation.poll(cx))).await;
        // What the calling code does from here on, it does because of the cancellation.
        current::view::see();
    }

    /// Runs a future until cancellation of the calling task or of this service is asked for, and returns its
    /// output, or `None` if the cancellation came first.
    ///
    /// Each poll asks for the cancellation first, so that a future that is always ready does not outrun it; the
    /// future is not polled at all if cancellation was asked for before. It is dropped when this returns. What
    /// counts as cancellation, and when the calling code still goes on after it, is as for
    /// [`cancelled`](Context::cancelled): a loop that is to go on to an orderly end is in a task with a
    /// [`grace`](crate::TaskBuilder::grace), or is protected.
    ///
    /// # Panics
    ///
    /// Panics with a panic of the future.
    ///
    /// # Examples
    ///
    /// An accept loop that ends at a cancellation, and then says so:
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskgrove::{Context, Runtime, service_fn, time};
    /// async fn accept() -> u32 {
    ///     time::sleep(Duration::from_millis(1)).await;
    ///     7
    /// }
    /// let server = service_fn("server", async |ctx: Context| {
    ///     let served = ctx.clone();
    ///     let accepting = async move {
    ///         while let Some(connection) = served.until_cancelled(accept()).await {
    ///             println!("connection {connection}");
    ///         }
    ///         println!("no more connections");
    ///         Ok(())
    ///     };
    ///     ctx.task(accepting).grace(Duration::from_secs(1)).spawn()?;
    ///     Ok(())
    /// });
    /// let runtime = Runtime::new()?;
    /// let manager = runtime.start(server)?;
    /// runtime.block_on(manager.stop())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn until_cancelled<F: Future>(&self, f: F) -> Option<F::Output> {
        let mut cancellation = Cancellation::of(self.record());
        let mut f = pin!(Some(f));
        let mut poll = |cx: &mut std::task::Context<'_>| {
            if cancellation.poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            poll_to_its_end(f.as_mut(), cx).map(Some)
        };
        let awaited = || Some(self.manager.record.awaited(Event::Cancel));
        let output = poll_fn(|cx| checkpoint::poll(cx, awaited, &mut poll)).await;
        if output.is_none() {
            // As in `cancelled`.
            current::view::see();
        }
        output
    }
}

/// A wait for the cancellation of a service, or of the task that polls it.
struct Cancellation<'a> {
    service: RecordWait<'a>,
    task: TaskWait,
}

impl<'a> Cancellation<'a> {
    fn of(record: &'a Record) -> Self {
        Cancellation {
            service: RecordWait::new(record),
            task: TaskWait::default(),
        }
    }

    fn poll(&mut self, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let over = |record: &Record| (record.is_closing() || record.is_finished()).then_some(());
        if self.service.poll(cx, over).is_ready() {
            return Poll::Ready(());
        }
        let Some(running) = current::with(|task| task.map(|task| task.retain())) else {
            return Poll::Pending;
        };
        if running.word().is_closing() || self.task.register(&running, cx).is_closing() {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Deref for Context {
    type Target = Manager;

    fn deref(&self) -> &Manager {
        &self.manager
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Context").field(&self.manager).finish()
    }
}
