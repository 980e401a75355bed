//! [`Live`]: what the driver has of a child: its spec, and the incarnation with the wait for it.

use super::spec::ChildSpec;
use crate::error::{FailureKind, Panic};
use crate::id::TaskId;
use crate::panics::{discard, quietly};
use crate::service::Manager;
use crate::sync::atomic::{AtomicBool, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

type Wait = Pin<Box<dyn Future<Output = Event> + Send>>;

enum Event {
    Ready,
    Ended,
}

/// What has happened to a child since the driver looked last.
pub(super) enum Happened {
    Nothing,
    Ready,
    /// It is gone; with an error, if it has failed.
    Ended(Option<FailureKind>),
}

pub(super) struct Live {
    pub(super) spec: ChildSpec,
    /// The manager of the latest incarnation.
    pub(super) manager: Option<Manager>,
    wait: Option<Wait>,
    /// Whether the supervisor has told the latest incarnation to end.
    told: bool,
    waker: Waker,
    woken: Arc<AtomicBool>,
}

impl Live {
    pub(super) fn new(spec: ChildSpec, waker: Waker, woken: Arc<AtomicBool>) -> Live {
        Live {
            spec,
            manager: None,
            wait: None,
            told: false,
            waker,
            woken,
        }
    }

    /// Makes an incarnation and starts it, below the calling task. Returns its id, or `None` if the tree takes
    /// no task any more.
    pub(super) fn spawn(&mut self) -> Result<Option<TaskId>, FailureKind> {
        let made = catch_unwind(AssertUnwindSafe(|| self.spec.make()));
        let manager = match made {
            Ok(Ok(manager)) => manager,
            Ok(Err(error)) => return Err(FailureKind::Error(error.into())),
            Err(payload) => {
                let panic = Panic::new(payload);
                let message = panic.message().to_owned();
                discard(panic.into_payload());
                return Err(FailureKind::Panic(message));
            }
        };
        if manager.start_child_here(self.spec.location).is_err() {
            // The service is dropped, as code of the user.
            quietly(|| drop(manager));
            return Ok(None);
        }
        let id = manager.id();
        let waits_ready = self.spec.waits_ready();
        self.wait = Some(wait(manager.clone(), waits_ready));
        self.manager = Some(manager);
        self.told = false;
        Ok(id)
    }

    /// Makes the driver look at this child.
    pub(super) fn wake(&self) {
        if self.wait.is_some() {
            self.waker.wake_by_ref();
        }
    }

    /// Looks what the child does.
    pub(super) fn poll(&mut self) -> Happened {
        // Cleared before the look: what happens after it wakes the driver again.
        self.woken.swap(false, Ordering::AcqRel);
        let Some(wait) = &mut self.wait else {
            return Happened::Nothing;
        };
        match wait.as_mut().poll(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => Happened::Nothing,
            Poll::Ready(Event::Ready) => {
                self.wait = self.manager.clone().map(wait_ended);
                Happened::Ready
            }
            Poll::Ready(Event::Ended) => {
                self.wait = None;
                let manager = self.manager.take();
                Happened::Ended(manager.and_then(|manager| failure(&manager, self.told)))
            }
        }
    }

    pub(super) fn cancel(&mut self) {
        self.told = true;
        if let Some(manager) = &self.manager {
            // It was started.
            let _ = manager.cancel_by_supervisor();
        }
    }

    pub(super) fn kill(&mut self) {
        self.told = true;
        if let Some(manager) = &self.manager {
            let _ = manager.kill_by_supervisor();
        }
    }
}

/// Returns how a child that is finished has failed. One that someone else has killed has, as in OTP, also if it was
/// being cancelled by then.
fn failure(manager: &Manager, told: bool) -> Option<FailureKind> {
    if let Some(Err(error)) = manager.result() {
        return Some(FailureKind::Service(error));
    }
    let killed = !told && manager.is_killed();
    killed.then(|| FailureKind::Error("it was killed".into()))
}

fn wait(manager: Manager, ready: bool) -> Wait {
    if !ready {
        return wait_ended(manager);
    }
    Box::pin(async move {
        match manager.wait_ready().await {
            Ok(()) => Event::Ready,
            Err(_) => Event::Ended,
        }
    })
}

fn wait_ended(manager: Manager) -> Wait {
    Box::pin(async move {
        manager.wait_finished().await;
        Event::Ended
    })
}
