//! [`Manager`]: a service seen from outside.
//!
//! What ends a service is in `stop`. What starts one is in `start`, which is above the trait of
//! services.

use super::launcher::Launcher;
use super::stats::{Stats, TaskStats};
use super::waits::{RecordWait, note_closing, note_end, wait};
use crate::arena::counted::Counted;
use crate::error::{LifecycleError, ServiceError};
use crate::id::TaskId;
use crate::protect::last_poll::poll_to_its_end;
use crate::protect::{checkpoint, own_end};
use crate::snapshot::Snapshot;
use crate::sync::atomic::Ordering;
use crate::task::awaited::Event;
use crate::task::record::Record;
use crate::tree::look;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A service seen from outside: observes it, waits for it and stops it, but schedules nothing.
///
/// Clones of a manager are of the same service. Dropping one does not stop the service. If the
/// service was never started, dropping its last manager drops the service, and it is finished.
///
/// All waits may be dropped at any time, which changes nothing but for [`run`](Manager::run). A wait
/// for the end of the calling task's own service, or of one above it, cannot end: it panics, except during
/// a cancellation outside of protection, where the waiting code is dropped at its turn.
///
/// # Examples
///
/// ```
/// use taskgrove::{Manager, Runtime, service_fn};
/// let runtime = Runtime::new()?;
/// let manager = Manager::new(service_fn("job", async |_| Ok(())))?;
/// assert!(!manager.is_started());
/// runtime.block_on(manager.run())?;
/// assert!(manager.is_finished() && !manager.is_cancelled());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Manager {
    pub(super) record: Counted<Record>,
    /// Starts a service that was managed first and is started later.
    pub(super) launcher: Option<Arc<Launcher>>,
}

impl Manager {
    pub(super) fn from_parts(record: Counted<Record>, launcher: Option<Arc<Launcher>>) -> Self {
        Manager { record, launcher }
    }

    pub(super) fn not_running(&self) -> LifecycleError {
        LifecycleError::NotRunning {
            service: self.name().to_owned(),
        }
    }

    /// Returns the service's name.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Returns the id of the service's task, or `None` before the start.
    pub fn id(&self) -> Option<TaskId> {
        self.record.task().map(|task| task.id())
    }

    /// Returns whether the service has been started.
    pub fn is_started(&self) -> bool {
        self.record.is_started()
    }

    /// Returns whether the service has been started and has not finished. This is also true while it
    /// is being cancelled.
    pub fn is_running(&self) -> bool {
        self.record.is_running()
    }

    /// Returns whether the service has said that it is ready: has called
    /// [`Context::set_ready`](crate::Context::set_ready), or is ready
    /// [with its children](crate::ManagerBuilder::ready_with_children). This stays true after its end.
    /// [`wait_ready`](Manager::wait_ready) waits for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Context, Runtime, service_fn};
    /// let runtime = Runtime::new()?;
    /// let manager = runtime.start(service_fn("server", async |ctx: Context| {
    ///     assert!(!ctx.is_ready());
    ///     ctx.set_ready();
    ///     std::future::pending().await
    /// }))?;
    /// runtime.block_on(manager.wait_ready())?;
    /// assert!(manager.is_ready());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_ready(&self) -> bool {
        self.record.is_ready()
    }

    /// Returns whether the service was cancelled: by [`cancel`](Manager::cancel) or
    /// [`stop`](Manager::stop), by a failure of its own, or, for a child service, with its parent.
    ///
    /// A service that was started by [`run`](Manager::run), [`run_service`](Manager::run_service) or
    /// [`background_service`](crate::background_service) and goes with a cancelled task above it is
    /// not cancelled in this sense.
    pub fn is_cancelled(&self) -> bool {
        self.record.is_cancelled()
    }

    /// Returns whether the service is finished: `run` and everything below it are done, and the
    /// service value has been dropped. A service that can no longer be started is finished, too.
    pub fn is_finished(&self) -> bool {
        self.record.is_finished()
    }

    /// Returns whether anything in the service has failed, even while it is still ending.
    pub fn did_error(&self) -> bool {
        self.record.has_errored()
    }

    /// Waits until the service has been started, or can no longer be started.
    pub async fn wait_started(&self) {
        wait(&self.record, Event::Start, |record| {
            (record.is_started() || record.is_finished()).then_some(())
        })
        .await;
    }

    /// Waits until the service has called [`Context::set_ready`](crate::Context::set_ready).
    ///
    /// # Errors
    ///
    /// Returns [`NotRunning`](LifecycleError::NotRunning) if the service finishes before it is ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Context, Runtime, service_fn};
    /// let runtime = Runtime::new()?;
    /// let manager = runtime.start(service_fn("server", async |ctx: Context| {
    ///     // It binds its sockets here.
    ///     ctx.set_ready();
    ///     std::future::pending().await
    /// }))?;
    /// runtime.block_on(manager.wait_ready())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn wait_ready(&self) -> Result<(), LifecycleError> {
        let ready = wait(&self.record, Event::Ready, |record| {
            (record.is_ready() || record.is_finished()).then(|| record.is_ready())
        });
        if ready.await {
            Ok(())
        } else {
            note_end(&self.record);
            Err(self.not_running())
        }
    }

    /// Waits until the service is finished; see [`is_finished`](Manager::is_finished).
    ///
    /// A task of the service may wait, too: it is dropped while it waits, when the service is cancelled.
    ///
    /// # Panics
    ///
    /// Panics if the calling task is part of the service and waits in a shield, in a cleanup, in a
    /// destructor or in a blocking closure: such a wait never ends.
    #[track_caller]
    pub fn wait_finished(&self) -> impl Future<Output = ()> {
        self.wait_finished_from(Location::caller())
    }

    pub(super) async fn wait_finished_from(&self, location: &'static Location<'static>) {
        let mut waiting = RecordWait::new(&self.record);
        let mut is_new = true;
        let mut poll = |cx: &mut Context<'_>| {
            let polled = waiting.poll(cx, |record| record.is_finished().then_some(()));
            if polled.is_pending()
                && std::mem::take(&mut is_new)
                && let Some(task) = self.record.task()
            {
                own_end::check_finish(task, location);
            }
            polled
        };
        let awaited = || Some(self.record.awaited(Event::End));
        poll_fn(|cx| checkpoint::poll(cx, awaited, &mut poll)).await;
        note_end(&self.record);
    }

    /// Returns the service's result, or `None` until it is finished.
    ///
    /// The error has every failure of the service, in the order in which they happened. The result of
    /// a service that was never started is `Ok`.
    pub fn result(&self) -> Option<Result<(), ServiceError>> {
        let record = &self.record;
        record.is_finished().then(|| record.result())
    }

    /// Reads the counts of the service's tasks. The cost does not grow with the number of tasks.
    pub fn stats(&self) -> Stats {
        let record = &self.record;
        // Finished tasks are read first: a task that is scheduled and finishes between the two loads
        // is then counted as scheduled only, and the difference is never negative.
        let finished_count = record.done.load(Ordering::Acquire);
        Stats {
            tasks: TaskStats {
                total_count: record.total.load(Ordering::Acquire),
                finished_count,
            },
        }
    }

    /// Takes a snapshot of the service and everything below it. The snapshot is empty before the
    /// start and after the end.
    pub fn snapshot(&self) -> Snapshot {
        match self.record.task() {
            Some(task) => look::of(task),
            None => Snapshot::empty(),
        }
    }

    /// Runs a future for a caller outside the service, as long as the service runs.
    ///
    /// The future runs in the calling task. Services wrap the bodies of their public methods in this,
    /// so that no caller waits for a service that has ended. The idea is that of `external_api` in
    /// py-libp2p's `async_service`.
    ///
    /// # Errors
    ///
    /// Returns [`NotRunning`](LifecycleError::NotRunning) if the service is not running or is being
    /// cancelled. If that comes to pass while the future runs, the future is dropped.
    ///
    /// # Panics
    ///
    /// Panics with a panic of the future.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{LifecycleError, Runtime, service_fn};
    /// let runtime = Runtime::new()?;
    /// let manager = runtime.start(service_fn("idle", async |_| std::future::pending().await))?;
    /// runtime.block_on(async {
    ///     assert_eq!(manager.external_api(async { 3 }).await, Ok(3));
    ///     manager.stop().await?;
    ///     let late = manager.external_api(async { 4 }).await;
    ///     assert!(matches!(late, Err(LifecycleError::NotRunning { .. })));
    ///     Ok::<(), LifecycleError>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn external_api<F: Future>(&self, f: F) -> Result<F::Output, LifecycleError> {
        let over = |record: &Record| (!record.is_running() || record.is_closing()).then_some(());
        let mut waiting = RecordWait::new(&self.record);
        let mut f = pin!(Some(f));
        let mut poll = |cx: &mut Context<'_>| {
            if waiting.poll(cx, over).is_ready() {
                note_closing(&self.record);
                return Poll::Ready(None);
            }
            poll_to_its_end(f.as_mut(), cx).map(Some)
        };
        let awaited = || Some(self.record.awaited(Event::Call));
        let done = poll_fn(|cx| checkpoint::poll(cx, awaited, &mut poll));
        done.await.ok_or_else(|| self.not_running())
    }
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager")
            .field("name", &self.name())
            .field("id", &self.id())
            .field("is_running", &self.is_running())
            .field("is_cancelled", &self.is_cancelled())
            .field("is_finished", &self.is_finished())
            .field("did_error", &self.did_error())
            .finish()
    }
}
