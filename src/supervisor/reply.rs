//! [`Asked`] and [`Reply`]: the two ends of a call that a handle makes.

use super::info::SupervisorError;
use crate::service::Manager;
use crate::sync::Mutex;
use crate::task::wakes;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

pub(super) type Outcome = Result<Option<Manager>, SupervisorError>;

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

/// The end of the caller.
pub(super) struct Reply(Arc<Mutex<State>>);

/// The end of the supervisor. Dropped without an answer, it says that the supervisor is not running.
pub(super) struct Asked(Arc<Mutex<State>>);

pub(super) fn call() -> (Asked, Reply) {
    let state = Arc::default();
    (Asked(Arc::clone(&state)), Reply(state))
}

impl Asked {
    pub(super) fn answer(self, outcome: Outcome) {
        self.put(outcome);
    }

    fn put(&self, outcome: Outcome) {
        let mut state = self.0.lock();
        if state.outcome.is_some() {
            return;
        }
        state.outcome = Some(outcome);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            wakes::wake(waker);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.put(Err(SupervisorError::NotRunning));
    }
}

impl Reply {
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let waker = cx.waker().clone();
        let mut state = self.0.lock();
        if let Some(outcome) = &state.outcome {
            let outcome = outcome.clone();
            drop(state);
            drop(waker);
            return Poll::Ready(outcome);
        }
        let old = state.waker.replace(waker);
        drop(state);
        drop(old);
        Poll::Pending
    }
}
