//! [`Context`]: a service from inside.

use super::builders::{ChildServiceBuilder, TaskBuilder, spawn_named};
use super::waits::Waiting;
use super::{Manager, Service};
use crate::arena::Counted;
use crate::error::{LifecycleError, Result, SpawnError};
use crate::protect::own;
use crate::task::awaited::Event;
use crate::task::record::Record;
use crate::task::{Node, Shared, TaskRef, arced, cold, current, fitting, held, kind};
use crate::tree::handle::Task;
use crate::tree::spawn;
use crate::wait_list::WaitKey;
use std::future::poll_fn;
use std::ops::Deref;
use std::panic::Location;
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
pub(crate) struct Place<'a> {
    /// The running task, or the service's node: either is there as long as the context is used.
    pub(crate) parent: Node,
    /// `None` for a parent that this thread runs.
    shared: Option<&'a Shared>,
    pub(crate) limit: usize,
    /// The service is being cancelled.
    pub(crate) closing: bool,
}

impl Place<'_> {
    pub(crate) fn shared(&self) -> &Shared {
        self.shared.unwrap_or_else(|| self.parent.shared())
    }
}

impl Context {
    pub(crate) fn new(manager: Manager) -> Self {
        Context { manager }
    }

    fn record(&self) -> &Counted<Record> {
        &self.manager.record
    }

    #[inline]
    pub(crate) fn place(&self) -> Result<Place<'_>, LifecycleError> {
        let record = self.record();
        let here = current::node().filter(|node| node.record_ptr() == Counted::as_ptr(record));
        let (parent, shared) = match here {
            Some(node) => (node, None),
            None => match (record.node(), record.shared()) {
                (Some(node), Some(shared)) if !record.is_finished() => (node, Some(&**shared)),
                _ => return Err(self.manager.not_running()),
            },
        };
        Ok(Place {
            parent,
            shared,
            limit: record.max_children,
            closing: record.is_closing(),
        })
    }

    /// The manager, to be handed out.
    pub fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Schedules a task. Its error or panic fails the service.
    ///
    /// # Errors
    ///
    /// [`NotRunning`](LifecycleError::NotRunning) before the start and after the end;
    /// [`TooManyChildren`](crate::TooManyChildren) at the parent's limit.
    #[track_caller]
    pub fn run_task<F>(&self, f: F) -> Result<Task<()>, SpawnError>
    where
        F: Future<Output = Result> + Send + 'static,
    {
        let location = Location::caller();
        let options = spawn::Options::default();
        fitting!(f: F => spawn_named::<F, _, _>(self, f, options, location))
    }

    /// Schedules a task that has to live as long as the service: that it ends is a failure
    /// ([`DaemonExit`](crate::FailureKind::DaemonExit)), unless the service is being cancelled.
    ///
    /// # Errors
    ///
    /// As [`run_task`](Context::run_task).
    #[track_caller]
    pub fn run_daemon_task<F>(&self, f: F) -> Result<Task<()>, SpawnError>
    where
        F: Future<Output = Result> + Send + 'static,
    {
        let location = Location::caller();
        let options = spawn::Options {
            kind: kind::DAEMON,
            ..spawn::Options::default()
        };
        fitting!(f: F => spawn_named::<F, _, _>(self, f, options, location))
    }

    /// Starts a child service. Its failures are this service's, too.
    ///
    /// # Errors
    ///
    /// As [`run_task`](Context::run_task), and
    /// [`AlreadyManaged`](LifecycleError::AlreadyManaged).
    #[track_caller]
    pub fn run_child_service<S: Service>(&self, service: S) -> Result<Manager, SpawnError> {
        let builder = ChildServiceBuilder::new(self, arced!(service, S));
        builder.spawn_at(Location::caller())
    }

    /// Starts a child service that has to live as long as this one.
    ///
    /// # Errors
    ///
    /// As [`run_child_service`](Context::run_child_service).
    #[track_caller]
    pub fn run_daemon_child_service<S: Service>(&self, service: S) -> Result<Manager, SpawnError> {
        let builder = ChildServiceBuilder::new(self, arced!(service, S));
        builder.daemon().spawn_at(Location::caller())
    }

    /// Configures a task, which may also have a value.
    pub fn task<F, T>(&self, f: F) -> TaskBuilder<'_, F>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        TaskBuilder::new(self, held!(f: F))
    }

    /// Configures a child service.
    pub fn child_service<S: Service>(&self, service: S) -> ChildServiceBuilder<'_, S> {
        ChildServiceBuilder::new(self, arced!(service, S))
    }

    /// Says that the service is ready for its users: [`Manager::wait_ready`] resolves.
    pub fn set_ready(&self) {
        self.record().set_ready();
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
        let mut service = Waiting::new(self.record());
        let mut task = OfTask::default();
        let mut poll = |cx: &mut std::task::Context<'_>| {
            let over =
                |record: &Record| (record.is_closing() || record.is_finished()).then_some(());
            if service.poll(cx, over).is_ready() {
                return Poll::Ready(());
            }
            let Some(node) = current::node() else {
                return Poll::Pending;
            };
            if node.state.load().is_closing() || task.register(node.retain(), cx) {
                return Poll::Ready(());
            }
            Poll::Pending
        };
        let awaited = || Some(self.manager.record.awaited(Event::Cancel));
        poll_fn(|cx| own::poll_own(cx, awaited, &mut poll)).await;
        // A thread that goes on from here does so because of it.
        current::see();
    }
}

/// A place in the wait list of the task that polls.
#[derive(Default)]
pub(crate) struct OfTask(Option<(TaskRef, Option<WaitKey>)>);

impl OfTask {
    /// `true` if its cancellation has been asked for by now.
    pub(crate) fn register(&mut self, node: TaskRef, cx: &std::task::Context<'_>) -> bool {
        if self.0.as_ref().is_none_or(|(old, _)| **old != *node) {
            self.leave();
            self.0 = Some((node, None));
        }
        let Some((node, key)) = &mut self.0 else {
            return false;
        };
        let list = &node.cold_or_new().waiters;
        list.register(key, cx.waker());
        node.state.set_waiters().is_closing()
    }

    fn leave(&mut self) {
        if let Some((node, Some(key))) = self.0.take() {
            cold::visit(&node, |cold| cold.waiters.deregister(key));
        }
    }
}

impl Drop for OfTask {
    fn drop(&mut self) {
        self.leave();
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
