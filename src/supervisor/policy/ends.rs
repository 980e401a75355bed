//! Starts and ends of children, and what follows from them.

use super::super::info::SupervisorError;
use super::super::rules::{AutoShutdown, Restart};
use super::child::{Phase, Plan, Why, as_error};
use super::{Answer, Child, Key, Mode, Policy};
use crate::error::{FailureKind, PastFailure, TaskFailure};
use crate::id::TaskId;
use std::time::Instant;

impl Child {
    pub(super) fn is_temporary(&self) -> bool {
        self.rules.restart == Restart::Temporary
    }
}

impl Policy {
    /// Adds a child that the supervisor is started with. The caller has checked its name, and calls
    /// [`open`](Policy::open) after the last one.
    pub(in super::super) fn add_first(&mut self, child: Child) -> Key {
        self.had_children = true;
        self.add(child, Why::Opening)
    }

    /// Begins to start the first children.
    pub(in super::super) fn open(&mut self, now: Instant) {
        self.settle(now);
    }

    /// An incarnation was made and is in the tree, or could not be made.
    pub(in super::super) fn spawned(
        &mut self,
        key: Key,
        made: Result<TaskId, FailureKind>,
        now: Instant,
    ) {
        self.spawning = None;
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        match made {
            Ok(task) => {
                child.identity.task = task;
                if let Some(limit) = child.rules.wait_ready {
                    let deadline = now.checked_add(limit);
                    self.set_phase(key, Phase::Starting { deadline });
                } else {
                    self.up(key, now);
                }
            }
            Err(kind) => {
                let failure = child.failure(kind);
                self.start_failed(key, failure, now);
                if self.waiting.remove(&key) {
                    self.held.insert(key);
                }
            }
        }
        self.settle(now);
    }

    /// The tree takes no incarnation any more: the supervisor is being ended by force.
    pub(in super::super) fn refused(&mut self, key: Key, now: Instant) {
        self.spawning = None;
        self.set_phase(key, Phase::IDLE);
        self.stop(now);
    }

    /// A child that was started has called `set_ready`.
    pub(in super::super) fn ready(&mut self, key: Key, now: Instant) {
        let phase = self.children.get(&key).map(|child| &child.phase);
        if let Some(Phase::Starting { .. }) = phase {
            self.up(key, now);
            self.settle(now);
        }
    }

    fn up(&mut self, key: Key, now: Instant) {
        self.set_why(key, Why::Policy);
        self.set_phase(key, Phase::Running { since: now });
        self.answer_up(key, |_| Answer::Up(key));
    }

    /// The incarnation of a child is gone, to its last cleanup; with an error, if it has failed.
    pub(in super::super) fn ended(&mut self, key: Key, failed: Option<FailureKind>, now: Instant) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let is_permanent = child.rules.restart == Restart::Permanent;
        if let Phase::Leaving { plan } | Phase::Stopping { plan, .. } = &mut child.phase {
            let plan = std::mem::replace(plan, Plan::Start);
            if let Some(kind) = failed {
                let failure = child.failure(kind);
                self.note(key, &failure, now);
            }
            self.gone(key, plan, now);
        } else {
            let is_up = matches!(child.phase, Phase::Running { .. });
            let failed = failed.or(is_permanent.then_some(FailureKind::DaemonExit));
            match failed.map(|kind| child.failure(kind)) {
                Some(failure) if is_up => {
                    self.note(key, &failure, now);
                    self.failed(key, &failure, now);
                }
                Some(failure) => self.start_failed(key, failure, now),
                None => {
                    if !is_up {
                        self.up(key, now);
                    }
                    self.ended_for_good(key, now);
                }
            }
        }
        self.settle(now);
    }

    /// Does what was planned for a child that has no incarnation any more.
    pub(super) fn gone(&mut self, key: Key, plan: Plan, now: Instant) {
        match plan {
            Plan::Start => {
                self.answer_gone(key);
                self.set_phase(key, Phase::Waiting);
            }
            Plan::Fail(failure) => self.start_failed(key, failure, now),
            Plan::Idle { by_hand } => {
                self.set_why(key, Why::Policy);
                self.set_phase(key, Phase::Idle { by_hand });
                self.answer_gone(key);
            }
            Plan::Remove => self.remove(key),
        }
    }

    fn note(&mut self, key: Key, failure: &TaskFailure, now: Instant) {
        let after = now.saturating_duration_since(self.began);
        if let Some(child) = self.children.get_mut(&key) {
            child.note(PastFailure::new(after, failure.clone()));
        }
    }

    /// A child has ended, and is not to be restarted.
    fn ended_for_good(&mut self, key: Key, now: Instant) {
        let child = &self.children[&key];
        let significant = child.rules.significant;
        let plan = if child.is_temporary() {
            Plan::Remove
        } else {
            Plan::Idle { by_hand: false }
        };
        self.ended_for_good = true;
        self.gone(key, plan, now);
        let shuts_down = significant
            && match self.rules.auto_shutdown {
                AutoShutdown::Never => false,
                AutoShutdown::AnySignificant => true,
                AutoShutdown::AllSignificant => !self.has_active_significant(),
            };
        if shuts_down {
            self.end_all();
        }
    }

    fn has_active_significant(&self) -> bool {
        self.children
            .values()
            .any(|child| child.rules.significant && !matches!(child.phase, Phase::Idle { .. }))
    }

    /// A start has failed, and no incarnation is left of it.
    fn start_failed(&mut self, key: Key, failure: TaskFailure, now: Instant) {
        self.note(key, &failure, now);
        let why = self.children[&key].why;
        let answer = |_: &Child| Answer::Refused(SupervisorError::Start(as_error(&failure)));
        self.answer_up(key, answer);
        self.answer_gone(key);
        match why {
            // The supervisor is ending already.
            _ if self.mode != Mode::Open => self.set_phase(key, Phase::IDLE),
            Why::Opening => {
                self.set_phase(key, Phase::IDLE);
                self.failures.push(failure);
                self.end_all();
            }
            Why::Added => self.remove(key),
            Why::ByHand => {
                self.set_why(key, Why::Policy);
                self.set_phase(key, Phase::Idle { by_hand: true });
            }
            Why::Policy => self.failed(key, &failure, now),
        }
    }

    /// A child has failed and is gone. The failure is noted.
    fn failed(&mut self, key: Key, failure: &TaskFailure, now: Instant) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        if child.is_temporary() {
            return self.ended_for_good(key, now);
        }
        if let Phase::Running { since } = child.phase
            && now.saturating_duration_since(since) >= self.rules.within
        {
            child.streak = 0;
        }
        if !self.intensity.allows(now) {
            let limit = self.intensity.limit();
            let last = self.children[&key].last_with_history(limit);
            self.failures.push(last.unwrap_or_else(|| failure.clone()));
            self.set_phase(key, Phase::IDLE);
            return self.end_all();
        }
        let random = &mut self.random;
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let delay = child.rules.backoff.delay(child.streak, random);
        child.restarts += 1;
        child.streak = child.streak.saturating_add(1);
        self.set_phase(
            key,
            match now.checked_add(delay) {
                _ if delay.is_zero() => Phase::Waiting,
                Some(until) => Phase::BackingOff { until },
                // Later than any time: never.
                None => Phase::BackingOff { until: far(now) },
            },
        );
        self.restart_group(key);
    }
}

/// Returns a time that does not come.
fn far(now: Instant) -> Instant {
    const YEAR: u64 = 365 * 24 * 3600;
    let later = |years| now.checked_add(std::time::Duration::from_secs(years * YEAR));
    later(1000).or_else(|| later(30)).unwrap_or(now)
}
