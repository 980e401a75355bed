//! What callers ask for through a handle. None of it counts towards the intensity.

use super::super::info::SupervisorError;
use super::child::{Phase, Plan, Why};
use super::{Answer, Child, Effect, Key, Policy, Ticket};
use crate::error::FailureKind;
use std::time::Instant;

impl Policy {
    /// Adds a child and starts it. The answer is that it is up. Returns its key, unless it is refused.
    pub(in super::super) fn start_child(
        &mut self,
        mut child: Child,
        ticket: Ticket,
        now: Instant,
    ) -> Option<Key> {
        if self.is_ending() {
            self.refuse(ticket, SupervisorError::NotRunning);
            return None;
        }
        if self.names.contains_key(&child.name) {
            let name = child.name.to_string();
            self.refuse(ticket, SupervisorError::AlreadyPresent { name });
            return None;
        }
        if let Some(objection) = self.rules.objection(&child.rules) {
            let failure = child.failure(FailureKind::Error(objection.into()));
            let error = super::child::as_error(&failure);
            self.refuse(ticket, SupervisorError::Start(error));
            return None;
        }
        child.wait_up.push(ticket);
        let key = self.add(child, Why::Added);
        self.settle(now);
        Some(key)
    }

    /// Stops a child. The answer is that it is gone.
    pub(in super::super) fn stop_child(&mut self, name: &str, ticket: Ticket, now: Instant) {
        self.end_child(name, ticket, now, Plan::Idle { by_hand: true });
    }

    /// Stops a child and removes its spec. The answer is that it is gone.
    pub(in super::super) fn remove_child(&mut self, name: &str, ticket: Ticket, now: Instant) {
        self.end_child(name, ticket, now, Plan::Remove);
    }

    fn find(&mut self, name: &str, ticket: Ticket) -> Option<Key> {
        if self.is_ending() {
            self.refuse(ticket, SupervisorError::NotRunning);
            return None;
        }
        let key = self.names.get(name).copied();
        if key.is_none() {
            let name = name.to_owned();
            self.refuse(ticket, SupervisorError::NoSuchChild { name });
        }
        key
    }

    fn end_child(&mut self, name: &str, ticket: Ticket, now: Instant, plan: Plan) {
        let Some(key) = self.find(name, ticket) else {
            return;
        };
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        child.wait_gone.push(ticket);
        match &mut child.phase {
            Phase::Idle { .. } | Phase::Waiting | Phase::BackingOff { .. } => {
                self.gone(key, plan, now);
            }
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Leaving { .. } => {
                self.begin_stop(key, plan, now);
            }
            Phase::Stopping { plan: before, .. } => {
                if !matches!(before, Plan::Remove) {
                    *before = plan;
                }
            }
        }
        self.answer_not_up(key);
        self.settle(now);
    }

    /// Starts a child again; first stops it, if it runs. The answer is that the new incarnation is up.
    pub(in super::super) fn restart_child(&mut self, name: &str, ticket: Ticket, now: Instant) {
        let Some(key) = self.find(name, ticket) else {
            return;
        };
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let by_hand = |why: Why| match why {
            Why::Policy => Why::ByHand,
            other => other,
        };
        match &mut child.phase {
            Phase::Idle { .. } => {
                self.set_why(key, Why::ByHand);
                self.set_phase(key, Phase::Waiting);
            }
            Phase::Waiting => {}
            // It was to be restarted anyway, and need not wait any longer.
            Phase::BackingOff { .. } => self.set_phase(key, Phase::Waiting),
            Phase::Starting { .. } => self.begin_stop(key, Plan::Start, now),
            Phase::Running { .. } => {
                self.set_why(key, Why::ByHand);
                self.begin_stop(key, Plan::Start, now);
            }
            Phase::Leaving { plan } => *plan = Plan::Start,
            Phase::Stopping { plan, .. } => match plan {
                Plan::Remove => {
                    let name = name.to_owned();
                    let error = SupervisorError::NoSuchChild { name };
                    return self.refuse(ticket, error);
                }
                Plan::Start => {}
                Plan::Fail(_) | Plan::Idle { .. } => {
                    *plan = Plan::Start;
                    let why = by_hand(child.why);
                    self.set_why(key, why);
                }
            },
        }
        if let Some(child) = self.children.get_mut(&key) {
            child.wait_up.push(ticket);
        }
        self.settle(now);
    }

    /// Answers a caller that does not wait for what it has asked for.
    pub(in super::super) fn let_go(&mut self, ticket: Ticket, name: &str) {
        let is_answered =
            |effect: &Effect| matches!(effect, Effect::Answer(to, _) if *to == ticket);
        if self.effects.iter().any(is_answered) {
            return;
        }
        let name = name.to_owned();
        let answer = Answer::Refused(SupervisorError::Inside { name });
        self.effects.push_back(Effect::Answer(ticket, answer));
    }
}
