//! [`Context`]: a service from inside.

use super::manager::Manager;
use super::waits::RecordWait;
use crate::arena::counted::Counted;
use crate::error::LifecycleError;
use crate::protect::checkpoint;
use crate::protect::wait::TaskWait;
use crate::task::awaited::Event;
use crate::task::current;
use crate::task::raw::Parent;
use crate::task::record::Record;
use std::future::poll_fn;
use std::ops::Deref;
use std::task::Poll;

/// The inside of a service: its [`Manager`], to which it derefs, and the right to schedule.
///
/// What is scheduled from one of the service's tasks becomes that task's child; from anywhere
/// else (outside, `run`, another service's task) it becomes a child of the service. While the
/// service is being cancelled, scheduling quietly gives a task that never runs.
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

/// Where something that is scheduled now would go.
pub(super) struct SpawnPoint<'a> {
    /// The running task, or the service's.
    pub(super) parent: Parent<'a>,
    pub(super) limit: usize,
    /// The service is being cancelled.
    pub(super) closing: bool,
}

impl Context {
    pub(super) fn new(manager: Manager) -> Self {
        Context { manager }
    }

    fn record(&self) -> &Counted<Record> {
        &self.manager.record
    }

    /// Calls `f` with the place where something that is scheduled now would go.
    ///
    /// # Errors
    ///
    /// The service is not running.
    #[inline]
    pub(super) fn with_spawn_point<R>(
        &self,
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
                closing: record.is_closing(),
            }))
        })
    }

    fn service_point(&self) -> Result<Parent<'_>, LifecycleError> {
        let record = self.record();
        let shared = record.shared().filter(|_| !record.is_finished());
        shared
            .and_then(|shared| Parent::service(record, shared))
            .ok_or_else(|| self.manager.not_running())
    }

    /// The manager, to be handed out.
    pub fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Says that the service is ready for its users: [`Manager::wait_ready`] resolves.
    pub fn set_ready(&self) {
        self.record().set_ready();
        self.record().waiters().wake_all();
    }

    /// Resolves when cancellation of the calling task or of this service is asked for, also while
    /// tasks below are still ending; at once after the end. Cold by side for all that wait.
    /// (Protected tasks learn from it that they should come to an end.)
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
        let mut service = RecordWait::new(self.record());
        let mut task = TaskWait::default();
        let mut poll = |cx: &mut std::task::Context<'_>| {
            let over =
                |record: &Record| (record.is_closing() || record.is_finished()).then_some(());
            if service.poll(cx, over).is_ready() {
                return Poll::Ready(());
            }
            let Some(running) = current::with(|task| task.map(|task| task.retain())) else {
                return Poll::Pending;
            };
            if running.word().is_closing() || task.register(&running, cx).is_closing() {
                return Poll::Ready(());
            }
            Poll::Pending
        };
        let awaited = || Some(self.manager.record.awaited(Event::Cancel));
        poll_fn(|cx| checkpoint::poll(cx, awaited, &mut poll)).await;
        // A thread that goes on from here does so because of it.
        current::view::see();
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
