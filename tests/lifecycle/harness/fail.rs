//! What an end comes to: values, failures of services, and consequences of a shutdown.

use super::cause::Because;
use super::count::{Seen, seen};
use super::model::Model;
use super::node::{Failure, Outcome, Said, Why};
use super::ops::{How, Kind};

impl Model {
    pub(super) fn conclude(&mut self, node: usize, how: How, said: Option<Said>) {
        let kind = self.nodes[node].kind;
        let asked = self.nodes[node].closing.is_some() || self.is_service_closing(node);
        let step = said.and_then(|said| said.step);
        let counts = self.poll_counts(node).or(match said {
            Some(Said { counts: false, .. }) | None => None,
            Some(Said { step: None, .. }) => Some(Seen::CountsProtected),
            Some(_) => Some(Seen::CountsCleanup),
        });
        let outcome = match how {
            How::Error if kind == Kind::Raw => Outcome::Value,
            How::Value => {
                if kind == Kind::Daemon && self.nodes[node].isolated {
                    seen(Seen::IsolatedDaemon);
                } else if kind == Kind::Daemon && !asked {
                    self.fail(node, node, Why::DaemonExit, step);
                } else if kind == Kind::Daemon {
                    seen(Seen::DaemonMayEnd);
                }
                Outcome::Value
            }
            How::Error if let Some(because) = counts => {
                if asked {
                    seen(because);
                }
                self.broke(node, Why::Error(node), step);
                Outcome::Failed
            }
            How::Error => {
                seen(Seen::Consequence);
                Outcome::Cancelled
            }
            How::Panic => {
                self.panicked(node, step);
                Outcome::Panicked
            }
        };
        self.nodes[node].outcome = outcome;
    }

    pub(super) fn panicked(&mut self, node: usize, step: Option<u64>) {
        if self.nodes[node].closing.is_some() {
            seen(Seen::PanicCounts);
        }
        if self.nodes[node].kind == Kind::Raw && self.children(node).next().is_some() {
            seen(Seen::RawPanicCancels);
        }
        self.broke(node, Why::Panic, step);
    }

    /// A failure of its service, or its handle's alone: then what it has left is cancelled.
    pub(super) fn broke(&mut self, node: usize, why: Why, step: Option<u64>) {
        if !self.nodes[node].is_alone() {
            return self.fail(node, node, why, step);
        }
        if self.nodes[node].isolated {
            seen(match why {
                Why::Panic => Seen::IsolatedPanic,
                _ => Seen::IsolatedError,
            });
            if self.children(node).next().is_some() {
                seen(Seen::IsolatedCancels);
            }
        }
        self.cancel(node, Because::Failed);
        self.broken = true;
    }

    /// A panic beside what the future returns, or has returned: it ends a task that goes on.
    pub(super) fn panicked_beside(&mut self, node: usize) {
        self.nodes[node].set_cleanup_panicked();
        self.broke(node, Why::Panic, None);
        // What the task does in the same poll comes before the cancellation reaches what is below.
        self.broken = true;
    }

    /// Records a failure of the service that `from` is in, or is, and cancels that service. The
    /// services around it are told, and cancelled, at once.
    pub(crate) fn fail(&mut self, from: usize, node: usize, why: Why, step: Option<u64>) {
        let Some(service) = self.service_of(from) else {
            return;
        };
        let step = step.unwrap_or(self.now);
        seen(match why {
            Why::Error(_) if from == service => Seen::FailedRun,
            Why::Error(_) => Seen::FailedTask,
            Why::Panic if from == service => Seen::PanickedRun,
            Why::Panic => Seen::PanickedTask,
            Why::DaemonExit if from == node => Seen::DaemonExit,
            Why::DaemonExit => Seen::DaemonServiceExit,
            Why::Service(_) | Why::Forced => Seen::FailedChild,
        });
        let failures = &mut self.service(service).failures;
        if failures.iter().any(|earlier| earlier.step > step) {
            seen(Seen::HeardLater);
        }
        if !failures.is_empty() {
            seen(Seen::FailedAgain);
        }
        failures.push(Failure { node, why, step });
        let mut at = Some(service);
        while let Some(service) = at
            && !std::mem::replace(&mut self.service(service).errored, true)
        {
            self.cancel(service, Because::Failed);
            let around = self.nodes[service].parent.and_then(|p| self.service_of(p));
            at = around.filter(|_| self.is_supervised(service));
            if at.is_some_and(|around| !self.nodes[around].service.as_ref().unwrap().closing) {
                seen(Seen::ToldAtOnce);
            }
        }
    }
}
