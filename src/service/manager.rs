//! [`Manager`]: a service from outside.

use super::launcher::Launcher;
use super::stats::{Stats, TaskStats};
use super::waits::{RecordWait, note_closing, note_end, wait};
use crate::arena::counted::Counted;
use crate::error::{LifecycleError, ServiceError, StopError, StopTimeout};
use crate::handle::cancel_guard::RequestCancel;
use crate::id::TaskId;
use crate::protect::checkpoint;
use crate::protect::last_poll::poll_to_its_end;
use crate::snapshot::Snapshot;
use crate::sync::atomic::Ordering;
use crate::task::awaited::Event;
use crate::task::record::Record;
use crate::task::state::Level;
use crate::time::Sleep;
use crate::tree::look;
use crate::tree::request::request_and;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The outside of a service: it can look and stop, but not schedule.
///
/// Cloneable; dropping it does nothing. Its waits never run user code on another's stack, and all
/// of them may be dropped at any time. Waiting for one's own end or an ancestor's, inside a
/// shield, never resolves.
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
    /// Starts a service that was not started yet.
    pub(super) launcher: Option<Arc<Launcher>>,
}

impl Manager {
    pub(super) fn new_with(record: Counted<Record>, launcher: Option<Arc<Launcher>>) -> Self {
        Manager { record, launcher }
    }

    pub(super) fn not_running(&self) -> LifecycleError {
        LifecycleError::NotRunning {
            service: self.name().to_owned(),
        }
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// The id of the service's node; `None` before the start.
    pub fn id(&self) -> Option<TaskId> {
        self.record.task().map(|task| task.id())
    }

    /// Whether it has been started.
    pub fn is_started(&self) -> bool {
        self.record.is_started()
    }

    /// Whether it has been started and has not finished; also while it is being cancelled.
    pub fn is_running(&self) -> bool {
        self.record.is_running()
    }

    /// Whether it was cancelled: by [`cancel`](Manager::cancel) or [`stop`](Manager::stop), by a
    /// failure of its own, or as a child service with its parent.
    pub fn is_cancelled(&self) -> bool {
        self.record.is_cancelled()
    }

    /// Whether `run` and everything below it are done and the service has been dropped.
    pub fn is_finished(&self) -> bool {
        self.record.is_finished()
    }

    /// Whether anything in it has failed.
    pub fn did_error(&self) -> bool {
        self.record.has_errored()
    }

    /// Asks for the cancellation of the service and everything below it, leaves first. Returns at
    /// once; what is scheduled through the service's context after that never runs. Does nothing
    /// once finished.
    ///
    /// # Errors
    ///
    /// [`NotStarted`](LifecycleError::NotStarted) before the start.
    pub fn cancel(&self) -> Result<(), LifecycleError> {
        if !self.is_started() && !self.is_finished() {
            let service = self.name().to_owned();
            return Err(LifecycleError::NotStarted { service });
        }
        self.request_cancel();
        Ok(())
    }

    /// Cancels, then waits until finished.
    ///
    /// # Errors
    ///
    /// As [`cancel`](Manager::cancel).
    pub async fn stop(&self) -> Result<(), LifecycleError> {
        if let Err(error) = self.cancel() {
            return checkpoint::refused(error).await;
        }
        self.wait_finished().await;
        Ok(())
    }

    /// Cancels, then waits until finished, at most for `timeout`. It is on time while one worker
    /// other than a stuck one, or a thread in `block_on`, is free. The service goes on being
    /// cancelled after a timeout.
    ///
    /// # Errors
    ///
    /// As [`cancel`](Manager::cancel); [`StopTimeout`] with every task that is left, and why.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskgrove::{Runtime, StopError, finally, service_fn};
    /// let runtime = Runtime::new()?;
    /// let hangs = service_fn("hangs", async |_| {
    ///     finally(std::future::pending(), std::future::pending()).await
    /// });
    /// let manager = runtime.start(hangs)?;
    /// # runtime.block_on(async { while runtime.snapshot().nodes()[0].polls == 0 { taskgrove::yield_now().await } });
    /// let stopped = runtime.block_on(manager.stop_timeout(Duration::from_millis(5)));
    /// let Err(StopError::Timeout(timeout)) = stopped else { panic!("it stopped") };
    /// assert_eq!(timeout.remaining.nodes()[0].path, "hangs");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn stop_timeout(&self, timeout: Duration) -> Result<(), StopError> {
        if let Err(error) = self.cancel() {
            return checkpoint::refused(error.into()).await;
        }
        let Some(shared) = self.record.shared() else {
            self.wait_finished().await;
            return Ok(());
        };
        let mut sleep = Sleep::new(shared.clone(), shared.clock.deadline(timeout));
        let mut waiting = RecordWait::new(&self.record);
        let mut poll = |cx: &mut Context<'_>| {
            let finished = waiting.poll(cx, |record| record.is_finished().then_some(()));
            if finished.is_ready() {
                note_end(&self.record);
                return Poll::Ready(true);
            }
            Pin::new(&mut sleep).poll(cx).map(|()| false)
        };
        let awaited = || Some(self.record.awaited(Event::End));
        let finished = poll_fn(|cx| checkpoint::poll(cx, awaited, &mut poll));
        if finished.await {
            return Ok(());
        }
        let remaining = self.snapshot();
        if remaining.is_empty() {
            // It finished while we looked.
            self.wait_finished().await;
            return Ok(());
        }
        Err(StopError::Timeout(StopTimeout { remaining }))
    }

    /// Waits for the start (or for the end, should it never be started).
    pub async fn wait_started(&self) {
        wait(&self.record, Event::Start, |record| {
            (record.is_started() || record.is_finished()).then_some(())
        })
        .await;
    }

    /// Waits until the service has called [`Context::set_ready`](super::Context::set_ready).
    ///
    /// # Errors
    ///
    /// [`NotRunning`](LifecycleError::NotRunning) if it ends first.
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

    /// Waits until `run` and everything below it are done and the service has been dropped.
    pub async fn wait_finished(&self) {
        wait(&self.record, Event::End, |record| {
            record.is_finished().then_some(())
        })
        .await;
        note_end(&self.record);
    }

    /// What came of it; `None` until finished.
    pub fn result(&self) -> Option<Result<(), ServiceError>> {
        let record = &self.record;
        record.is_finished().then(|| record.result())
    }

    /// The counts of its tasks. A few loads, whatever is live.
    pub fn stats(&self) -> Stats {
        let record = &self.record;
        // In this order a task that finishes meanwhile is not finished before it is scheduled.
        let finished_count = record.done.load(Ordering::Acquire);
        Stats {
            tasks: TaskStats {
                total_count: record.total.load(Ordering::Acquire),
                finished_count,
            },
        }
    }

    /// A picture of the service and everything below it; empty before the start and after the end.
    pub fn snapshot(&self) -> Snapshot {
        match self.record.task() {
            Some(task) => look::of(task),
            None => Snapshot::empty(),
        }
    }

    /// Runs a future on behalf of a caller outside, as long as the service runs.
    ///
    /// # Errors
    ///
    /// [`NotRunning`](LifecycleError::NotRunning) when the service is not running or is being
    /// cancelled, or as soon as it is: the future is dropped then.
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

impl RequestCancel for Manager {
    /// Cancels the service if it was started and has not finished.
    fn request_cancel(&self) {
        if let Some(task) = self.record.task()
            && !self.is_finished()
        {
            // Before anything else, so that whoever sees it end sees why.
            self.record.set_cancelled();
            request_and(task, Level::Cancel, || self.record.mark_closing(true));
        }
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
