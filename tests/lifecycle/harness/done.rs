//! When a node is done, and what the drop of the runtime leaves of it.

use super::count::{Seen, seen};
use super::model::Model;
use super::node::{CleanupState, Outcome, Why};
use super::ops::Kind;

impl Model {
    pub(super) fn finish(&mut self, node: usize) -> bool {
        let it = &self.nodes[node];
        if !it.ended || !it.cleanups.is_empty() || self.children(node).next().is_some() {
            return false;
        }
        self.nodes[node].done = true;
        self.nodes[node].done_at = self.now;
        if self.nodes[node].cleanup_panicked() {
            self.nodes[node].outcome = Outcome::Panicked;
        }
        self.count_end(node);
        if !self.is_supervised(node) {
            return true;
        }
        let parent = self.nodes[node].parent.expect("supervised");
        if let Some(around) = self.service_of(parent) {
            self.service(around).finished += 1;
        }
        let asked = self.nodes[node].closing.is_some() || self.is_service_closing(parent);
        let daemon = self.nodes[node].kind.is_daemon();
        if let Some(service) = &self.nodes[node].service {
            if let Some(first) = service.failures.iter().map(|failure| failure.step).min() {
                self.fail(parent, node, Why::Service(node), Some(first));
            } else if daemon && !asked {
                self.fail(parent, node, Why::DaemonExit, None);
            }
        }
        true
    }

    /// Whether the service that this node is in, or is, is being cancelled.
    pub(super) fn is_service_closing(&self, node: usize) -> bool {
        let service = self.service_of(node).map(|service| &self.nodes[service]);
        let service = service.and_then(|node| node.service.as_ref());
        service.is_some_and(|service| service.closing)
    }

    fn count_end(&self, node: usize) {
        let it = &self.nodes[node];
        seen(match (it.kind, &it.outcome) {
            (Kind::Raw, Outcome::Value) => Seen::RawValue,
            (Kind::Raw, Outcome::Panicked) => Seen::RawPanicked,
            (Kind::Raw, _) => Seen::RawCancelled,
            (Kind::Daemon, Outcome::Value) => Seen::DaemonValue,
            (Kind::Daemon, Outcome::Cancelled) => Seen::DaemonCancelled,
            (Kind::Daemon, Outcome::Panicked) => Seen::DaemonPanicked,
            (Kind::Daemon, Outcome::Failed) => Seen::DaemonFailed,
            (Kind::Task, Outcome::Value) => Seen::TaskValue,
            (Kind::Task, Outcome::Cancelled) => Seen::TaskCancelled,
            (Kind::Task, Outcome::Panicked) => Seen::TaskPanicked,
            (Kind::Task, Outcome::Failed) => Seen::TaskFailed,
            (Kind::Service | Kind::DaemonService | Kind::Run | Kind::Child, _) => match &it.service
            {
                Some(service) if !service.failures.is_empty() => Seen::ServiceFailed,
                Some(service) if service.closing => Seen::ServiceStopped,
                _ => Seen::ServiceClean,
            },
        });
        if let Some(service) = &it.service {
            if !service.ready {
                seen(Seen::NeverReady);
            }
            if it.kind == Kind::Run && !service.failures.is_empty() {
                seen(Seen::RunStaysOwn);
            } else if it.kind == Kind::Run && service.closing && !service.cancelled {
                seen(Seen::RunWithTree);
            }
        }
        let around = it.parent.and_then(|parent| self.service_of(parent));
        let around = around.and_then(|around| self.nodes[around].service.as_ref());
        let goes_on = around.is_some_and(|around| !around.closing);
        if goes_on && it.closing.is_some() {
            match (it.kind, &it.outcome) {
                (Kind::Daemon, Outcome::Cancelled) => seen(Seen::DaemonByHand),
                (Kind::Service | Kind::DaemonService, _) => seen(Seen::ServiceByHand),
                _ => {}
            }
        }
    }

    /// The runtime is dropped: nothing is waited for.
    pub(crate) fn drop_runtime(&mut self) {
        self.dropped = true;
        for node in self.live().into_iter().rev() {
            seen(match &self.nodes[node] {
                it if it.ended => Seen::KilledClosed,
                it if it.armed => Seen::KilledPanics,
                _ if self.is_protected(node) => Seen::KilledProtected,
                _ if self.in_grace(node) => Seen::KilledInGrace,
                _ => Seen::Killed,
            });
            let it = &mut self.nodes[node];
            if !it.ended {
                it.outcome = if it.armed {
                    Outcome::Panicked
                } else {
                    Outcome::Cancelled
                };
            }
            if it.cleanup_panicked() {
                it.outcome = Outcome::Panicked;
            }
            it.ended = true;
            it.done = true;
        }
        for cleanup in &mut self.cleanups {
            if !matches!(
                cleanup.state,
                CleanupState::Ended | CleanupState::LostOrEnded
            ) {
                match cleanup.state {
                    CleanupState::Running => seen(Seen::KilledCleanup),
                    CleanupState::Unborn => seen(Seen::KilledUnborn),
                    _ => {}
                }
                cleanup.state = CleanupState::Lost;
            }
        }
        while self.stop_waiting_beside() {}
        self.answer_calls();
    }
}
