//! Ending a service from outside: cancelling, stopping, killing.
//!
//! Each of these asks the tree for a cancellation of the service's task ([`Manager::end`]), and the
//! futures wait for the service's end besides. A future that is dropped revokes nothing that it has
//! asked for, and asks for nothing more.

use super::manager::Manager;
use super::waits::{RecordWait, note_end};
use crate::error::{CancelCause, How, LifecycleError, Origin, StopError, StopTimeout};
use crate::handle::cancel_guard::RequestCancel;
use crate::protect::checkpoint;
use crate::task::awaited::Event;
use crate::task::kind;
use crate::task::state::Level;
use crate::time::Sleep;
use crate::tree::cause;
use crate::tree::request::request_and;
use std::borrow::Cow;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

impl Manager {
    /// Asks for the cancellation of the service and everything below it, leaves first.
    ///
    /// This never blocks, and runs no user code on the caller's stack. Tasks that are scheduled
    /// through the service's [`Context`](crate::Context) after `cancel` has returned never run. If
    /// the service is finished or already being cancelled, this does nothing.
    ///
    /// # Errors
    ///
    /// Returns [`NotStarted`](LifecycleError::NotStarted) before the start.
    #[track_caller]
    pub fn cancel(&self) -> Result<(), LifecycleError> {
        self.cancel_at(Origin::at(How::Cancel, Location::caller()))
    }

    /// Cancels the service as [`cancel`](Manager::cancel) does, and says why: the reason is part of the
    /// [`CancelCause`] that the service, everything below it, and reports show.
    ///
    /// # Errors
    ///
    /// Returns [`NotStarted`](LifecycleError::NotStarted) before the start.
    #[track_caller]
    pub fn cancel_with(&self, reason: impl Into<Cow<'static, str>>) -> Result<(), LifecycleError> {
        self.cancel_for(
            Origin::at(How::CancelWith, Location::caller()),
            reason.into(),
        )
    }

    /// Cancels the service, and keeps the reason of the request.
    pub(crate) fn cancel_for(
        &self,
        origin: Origin,
        reason: Cow<'static, str>,
    ) -> Result<(), LifecycleError> {
        self.check_started()?;
        if let Some(task) = self.record.task() {
            cause::keep(task, self.record.is_closing(), origin, reason);
        }
        self.end(Level::Cancel, origin);
        Ok(())
    }

    /// Returns why the service is being cancelled, or was; `None` if it is not being cancelled.
    ///
    /// It is the cause of the first request that has reached the service: of itself, or of the nearest
    /// task above it. Nothing is kept per task, so once the service is finished only a request of its own,
    /// or its own failure, is known.
    pub fn cancel_cause(&self) -> Option<CancelCause> {
        let task = self.record.task()?;
        match task.pin() {
            Some(pin) => cause::of(pin.live()),
            None => {
                let is_root = task.is(kind::ROOT_SERVICE);
                let is_cancelled = self.record.is_cancelled();
                let cold = Some(&self.record.cold);
                cause::of_done(&task, is_cancelled, cold, self.name(), is_root)
            }
        }
    }

    /// Kills the service and everything below it: cancels it without regard for protection.
    ///
    /// Shields, the cleanups of [`finally`](crate::finally) and of [`defer`](crate::defer()), and grace
    /// periods in the whole subtree hold up nothing any more: each future is dropped, leaves first,
    /// after the poll that it is in, and cleanups are dropped without being run. A poll that does not
    /// return still holds up the tasks above it. What the killed tasks spawn is done and never runs.
    ///
    /// This takes effect at once also if the service is already being cancelled. It never blocks, and
    /// runs no user code on the caller's stack. If the service is finished, this does nothing. The idea
    /// is that of `brutal_kill` in OTP.
    ///
    /// # Errors
    ///
    /// Returns [`NotStarted`](LifecycleError::NotStarted) before the start.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Runtime, finally, service_fn};
    /// let runtime = Runtime::new()?;
    /// let manager = runtime.start(service_fn("hangs", async |_| {
    ///     finally(std::future::pending(), std::future::pending()).await
    /// }))?;
    /// manager.cancel()?;
    /// manager.kill()?;
    /// runtime.block_on(manager.wait_finished());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn kill(&self) -> Result<(), LifecycleError> {
        self.check_started()?;
        self.end(Level::Kill, Origin::at(How::Kill, Location::caller()));
        Ok(())
    }

    /// Whether the service itself was killed, before it was finished.
    pub(crate) fn is_killed(&self) -> bool {
        self.record.is_killed()
    }

    /// Cancels the service for its supervisor. No place is kept: it would be one in this crate, which says
    /// nothing to a user.
    pub(crate) fn cancel_by_supervisor(&self) -> Result<(), LifecycleError> {
        self.cancel_at(Origin::nowhere(How::Supervisor))
    }

    /// Kills the service for its supervisor; see [`cancel_by_supervisor`](Manager::cancel_by_supervisor).
    pub(crate) fn kill_by_supervisor(&self) -> Result<(), LifecycleError> {
        self.check_started()?;
        self.end(Level::Kill, Origin::nowhere(How::SupervisorKill));
        Ok(())
    }

    /// Cancels the service, then waits until it is finished.
    ///
    /// Dropping the future after its first poll ends the wait and does not revoke the cancellation.
    ///
    /// # Errors
    ///
    /// Returns [`NotStarted`](LifecycleError::NotStarted) before the start.
    ///
    /// # Panics
    ///
    /// Panics if the calling task is part of the service and calls this inside protection, where the wait
    /// never ends. Outside of protection a task may stop its own service: it is dropped while it waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Runtime, service_fn};
    /// let runtime = Runtime::new()?;
    /// let manager = runtime.start(service_fn("idle", async |_| std::future::pending().await))?;
    /// runtime.block_on(manager.stop())?;
    /// assert!(manager.is_cancelled() && manager.is_finished());
    /// assert!(manager.result().is_some_and(|result| result.is_ok()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn stop(&self) -> impl Future<Output = Result<(), LifecycleError>> {
        let location = Location::caller();
        async move {
            if let Err(error) = self.cancel_at(Origin::at(How::Stop, location)) {
                return checkpoint::refused(error).await;
            }
            self.wait_finished_from(location).await;
            Ok(())
        }
    }

    /// Cancels the service, then waits until it is finished, but at most for `timeout`.
    ///
    /// The time counts from the first poll. The wait ends on time as long as one worker, or one thread
    /// in [`block_on`](crate::Runtime::block_on), is not stuck in a poll. After a timeout the service
    /// goes on being cancelled.
    ///
    /// # Errors
    ///
    /// Returns [`NotStarted`](LifecycleError::NotStarted) before the start, and [`StopTimeout`] after
    /// a timeout: it names every task that is left, and what that task waits for.
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
    #[track_caller]
    pub fn stop_timeout(&self, timeout: Duration) -> impl Future<Output = Result<(), StopError>> {
        let origin = Origin::at(How::StopTimeout, Location::caller());
        async move {
            match self.stop_within(timeout, origin).await? {
                None => Ok(()),
                Some(left) => Err(StopError::Timeout(left)),
            }
        }
    }

    /// Cancels the service and waits until it is finished, but kills what is left after `timeout`, as
    /// [`kill`](Manager::kill) does, and then waits until that is gone, too.
    ///
    /// The time counts from the first poll, and the kill is on time as
    /// [`stop_timeout`](Manager::stop_timeout) is. In either case the service is finished when this
    /// resolves, to its last task. A poll that does not return holds it up, also after the time limit.
    ///
    /// # Cancellation
    ///
    /// Dropping the future after its first poll revokes nothing. If the time limit has not been reached
    /// by then, the service goes on being cancelled and is not killed.
    ///
    /// # Errors
    ///
    /// Returns [`NotStarted`](LifecycleError::NotStarted) before the start, and [`StopTimeout`] if
    /// tasks had to be killed: it names those that were left at the moment of the kill.
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
    /// let stopped = runtime.block_on(manager.stop_or_kill(Duration::from_millis(5)));
    /// let Err(StopError::Timeout(timeout)) = stopped else { panic!("it stopped") };
    /// assert_eq!(timeout.remaining.nodes()[0].path, "hangs");
    /// assert!(manager.is_finished());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn stop_or_kill(&self, timeout: Duration) -> impl Future<Output = Result<(), StopError>> {
        let origin = Origin::at(How::StopOrKill, Location::caller());
        async move {
            let Some(left) = self.stop_within(timeout, origin).await? else {
                return Ok(());
            };
            self.end(Level::Kill, origin);
            self.wait_finished().await;
            Err(StopError::Timeout(left))
        }
    }

    /// Cancels the service and waits for its end at most for `timeout`. Returns what is left then; `None`
    /// if the service is finished.
    async fn stop_within(
        &self,
        timeout: Duration,
        origin: Origin,
    ) -> Result<Option<StopTimeout>, LifecycleError> {
        if let Err(error) = self.cancel_at(origin) {
            return checkpoint::refused(error).await;
        }
        let Some(shared) = self.record.shared() else {
            self.wait_finished().await;
            return Ok(None);
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
            return Ok(None);
        }
        let remaining = self.snapshot();
        if remaining.is_empty() {
            // The service finished while the snapshot was taken.
            self.wait_finished().await;
            return Ok(None);
        }
        let cause = self.cancel_cause();
        Ok(Some(StopTimeout { remaining, cause }))
    }

    fn cancel_at(&self, origin: Origin) -> Result<(), LifecycleError> {
        self.check_started()?;
        self.end(Level::Cancel, origin);
        Ok(())
    }

    fn check_started(&self) -> Result<(), LifecycleError> {
        if self.is_started() || self.is_finished() {
            return Ok(());
        }
        Err(self.not_started())
    }

    #[cold]
    #[inline(never)]
    fn not_started(&self) -> LifecycleError {
        let service = self.name().to_owned();
        LifecycleError::NotStarted { service }
    }

    /// Asks for the end of the service if it was started and has not finished.
    #[inline]
    pub(super) fn end(&self, level: Level, origin: Origin) {
        if let Some(task) = self.record.task()
            && !self.is_finished()
        {
            // Set before the request: code that sees the service finished sees that it was cancelled.
            self.record.set_cancelled();
            if level == Level::Kill {
                self.record.set_killed();
            }
            request_and(task, level, origin, || self.record.mark_closing(true));
        }
    }
}

impl RequestCancel for Manager {
    #[inline]
    fn request_cancel(&self) {
        self.end(Level::Cancel, Origin::nowhere(How::RunDrop));
    }
}
