//! Calls from outside that take time: `stop_timeout` and `external_api`, in the model and for real; a wait for room
//! is one for real only.

use super::cause::Because;
use super::count::{Seen, seen};
use super::ends::path;
use super::interp::Launch;
use super::model::Model;
use super::same::same;
use super::world::{Woken, World};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use taskgrove::{LifecycleError, Manager, StopError};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    Stop,
    StopOrKill,
    External,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Stopped,
    /// With the paths of what was left.
    TimedOut(Vec<String>),
    Value,
    NotRunning,
    Other(String),
}

/// A call that is under way, or over.
pub(crate) struct Call {
    pub(crate) node: usize,
    pub(crate) ask: Ask,
    /// When a stop is given up, or the external call's own future is over.
    pub(crate) at: u64,
    pub(crate) answer: Option<Answer>,
}

impl Model {
    pub(crate) fn call(&mut self, node: usize, ask: Ask, length: Duration) {
        let at = self.now + length.as_nanos() as u64;
        if ask != Ask::External {
            self.cancel(node, Because::Asked(None));
        }
        self.calls.push(Call {
            node,
            ask,
            at,
            answer: None,
        });
        let begun = self.calls.len() - 1;
        if ask == Ask::External && self.answer(begun) == Some(Answer::NotRunning) {
            seen(Seen::ExternalRefused);
            self.calls[begun].answer = Some(Answer::NotRunning);
        }
    }

    /// What has been settled decides the calls that are under way. Returns whether more follows.
    pub(crate) fn answer_calls(&mut self) -> bool {
        let mut kills = false;
        for call in 0..self.calls.len() {
            if self.calls[call].answer.is_some() {
                continue;
            }
            let answer = self.answer(call);
            let by_force = self.calls[call].ask == Ask::StopOrKill;
            seen(match &answer {
                None => continue,
                Some(Answer::Stopped) if by_force => Seen::StoppedUnkilled,
                Some(Answer::Stopped) => Seen::Stopped,
                Some(Answer::TimedOut(_)) if by_force => Seen::StoppedKilled,
                Some(Answer::TimedOut(_)) => Seen::TimedOut,
                Some(Answer::Value) => Seen::ExternalValue,
                Some(_) => Seen::ExternalEnded,
            });
            if by_force && matches!(answer, Some(Answer::TimedOut(_))) {
                self.kill(self.calls[call].node);
                kills = true;
            }
            self.calls[call].answer = answer;
        }
        kills
    }

    fn answer(&self, call: usize) -> Option<Answer> {
        let Call { node, ask, at, .. } = self.calls[call];
        let closing = self.nodes[node].service.as_ref().is_some_and(|s| s.closing);
        let done = self.nodes[node].done;
        match ask {
            Ask::Stop | Ask::StopOrKill if done => Some(Answer::Stopped),
            Ask::External if done || closing => Some(Answer::NotRunning),
            _ if at > self.now => None,
            Ask::External => Some(Answer::Value),
            Ask::Stop | Ask::StopOrKill => {
                let left = self.live().into_iter();
                let left = left.filter(|n| *n == node || self.is_below(*n, node));
                let mut paths: Vec<_> = left.map(|n| path(self, n)).collect();
                paths.sort();
                Some(Answer::TimedOut(paths))
            }
        }
    }
}

fn stopped(result: Result<(), StopError>) -> Answer {
    match result {
        Ok(()) => Answer::Stopped,
        Err(StopError::Timeout(timeout)) => {
            let nodes = timeout.remaining.nodes().iter();
            let mut paths: Vec<_> = nodes.map(|node| node.path.clone()).collect();
            paths.sort();
            Answer::TimedOut(paths)
        }
        Err(other) => Answer::Other(format!("{other:?}")),
    }
}

/// The same call for real: polled only when it was woken.
pub(crate) struct RealCall {
    future: Pin<Box<dyn Future<Output = Answer>>>,
    woken: Arc<Woken>,
    answer: Option<Answer>,
}

impl RealCall {
    pub(crate) fn new(manager: Manager, ask: Ask, length: Duration) -> Self {
        let future = async move {
            match ask {
                Ask::Stop => stopped(manager.stop_timeout(length).await),
                Ask::StopOrKill => stopped(manager.stop_or_kill(length).await),
                Ask::External => {
                    let inner = async {
                        if !length.is_zero() {
                            taskgrove::time::sleep(length).await;
                        }
                    };
                    match manager.external_api(inner).await {
                        Ok(()) => Answer::Value,
                        Err(LifecycleError::NotRunning { .. }) => Answer::NotRunning,
                        Err(other) => Answer::Other(format!("{other:?}")),
                    }
                }
            }
        };
        RealCall {
            future: Box::pin(future),
            woken: Woken::new(),
            answer: None,
        }
    }

    /// A task that is started as soon as there is room.
    pub(crate) fn when_room(world: Arc<World>, launch: Launch) -> Self {
        let future = async move {
            world.start_when_room(launch).await;
            Answer::Value
        };
        RealCall {
            future: Box::pin(future),
            woken: Woken::new(),
            answer: None,
        }
    }

    /// A look at it, should it have been woken; `around` is woken when it is to be polled again.
    pub(crate) fn poll(&mut self, around: &Waker) {
        if self.answer.is_some() || !self.woken.take(around) {
            return;
        }
        let waker = Waker::from(self.woken.clone());
        if let Poll::Ready(answer) = self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.answer = Some(answer);
        }
    }
}

pub(crate) fn compare(model: &Model, real: &[RealCall]) -> Result<(), String> {
    for (call, real) in model.calls.iter().zip(real) {
        same!(call.node, "a call's answer", real.answer, call.answer);
    }
    Ok(())
}
