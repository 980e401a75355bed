//! The policy of a supervisor: a state machine without tasks, clocks or locks.
//!
//! The driver tells it what has happened, and when: a child is up ([`ready`](Policy::ready)) or gone
//! ([`ended`](Policy::ended)), a time has come ([`tick`](Policy::tick)), a caller asks for something (`commands`),
//! the supervisor is cancelled ([`stop`](Policy::stop)). It answers with [`Effect`]s, which the driver carries out
//! in their order. A call about a child that it does not expect any more changes nothing.
//!
//! # The phases of a child
//!
//! | phase | incarnation | leaves it |
//! |---|---|---|
//! | `Idle` | none | by a call, or with its group |
//! | `Waiting` | none | to `Starting`, at its place in the order |
//! | `BackingOff` | none | to `Waiting` when its time has come |
//! | `Starting` | made now, or not ready | to `Running`; a failed start: see below |
//! | `Running` | up | when it has ended: to `Waiting`, `BackingOff`, `Idle`, or removed |
//! | `Leaving` | is to stop after those behind it | to `Stopping` at its place in the reverse order |
//! | `Stopping` | being cancelled or killed | to what was planned for it, when it is gone |
//!
//! A child is gone when its manager is finished: to its last cleanup. A new incarnation is made in the step from
//! `Waiting` to `Starting` only, and no phase in which an incarnation lives leads to `Waiting` before it is gone.
//! So two never overlap.
//!
//! An incarnation that cannot be made has failed to start at once, and may be due again at once. So that child is
//! held until the driver has looked for calls and cancellations, and calls [`resume`](Policy::resume): a factory that
//! always panics keeps neither the supervisor from being stopped nor, under `OneForOne`, the others from being started.
//!
//! # Order
//!
//! [`settle`](Policy::settle) keeps two rules. Of the children that leave, only the last one in the order of starts
//! is told to stop; the next is told when that one is gone. Of those that wait, only the first is started, and only
//! while no child before it is coming up; with the strategies for groups, also no child may be going down. Under
//! `OneForOne` the second rule applies to the first start only: a restart waits for no other child.
//!
//! # Failures
//!
//! A child that ends fails if its result is an error, or if it is permanent. What a failed start means depends on
//! who asked for it ([`Why`]): the first start of the supervisor fails the supervisor, a start that a caller asked
//! for fails that call, and a restart that fails counts as one more restart.

mod child;
mod commands;
mod ends;
mod order;
#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;

pub(super) use child::{Child, Identity, Key, Phase, Ticket};

use super::info::SupervisorError;
use super::intensity::Intensity;
use super::rules::{Rules, Shutdown};
use crate::error::{LifecycleError, ServiceError, TaskFailure};
use child::{Plan, Why};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// What the driver is to do.
#[derive(Debug)]
pub(super) enum Effect {
    /// Make an incarnation, then call [`Policy::spawned`].
    Spawn(Key),
    Cancel(Key),
    Kill(Key),
    /// The spec is removed.
    Forget(Key),
    Answer(Ticket, Answer),
    /// No child is left; the supervisor ends with [`Policy::take_failures`].
    End,
}

/// The answer to a caller.
#[derive(Debug)]
pub(super) enum Answer {
    /// The child is stopped, or removed.
    Gone,
    /// The child is up.
    Up(Key),
    Refused(SupervisorError),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Open,
    /// All children are being stopped, or were.
    Ending,
    /// [`Effect::End`] was given.
    Ended,
}

pub(super) struct Policy {
    rules: Rules,
    intensity: Intensity,
    began: Instant,
    mode: Mode,
    next_key: Key,
    children: BTreeMap<Key, Child>,
    names: HashMap<Arc<str>, Key>,
    effects: VecDeque<Effect>,
    /// The children whose part of the view has changed.
    changed: BTreeSet<Key>,
    failures: Vec<TaskFailure>,
    random: Box<dyn FnMut() -> u64 + Send>,
    /// Whether it was given children at its start, and whether one of these or of the later ones has ended for good.
    had_children: bool,
    ended_for_good: bool,
    /// Whether a handle is left through which children may come.
    has_handles: bool,
    /// The child whose incarnation the driver is asked to make. There is one at a time, so that nothing is planned
    /// for a child that is about to be made.
    spawning: Option<Key>,

    // Indices of the phases.
    waiting: BTreeSet<Key>,
    /// Those that are in `Waiting`, too, but not before the next [`resume`](Policy::resume): they could not be made.
    held: BTreeSet<Key>,
    /// The children that hold up those behind them.
    coming: BTreeSet<Key>,
    backing_off: BTreeSet<Key>,
    /// In `Leaving` or `Stopping`.
    going: BTreeSet<Key>,
    timers: BTreeSet<(Instant, Key)>,
    /// The number of children that are not idle.
    active: usize,
    /// The number of idle children that a caller has stopped.
    stopped_by_hand: usize,
    /// The number of children that have not been up since the start of the supervisor.
    opening: usize,
}

impl Policy {
    pub(super) fn new(
        rules: Rules,
        now: Instant,
        random: impl FnMut() -> u64 + Send + 'static,
    ) -> Policy {
        Policy {
            rules,
            intensity: Intensity::new(rules.max_restarts, rules.within),
            began: now,
            mode: Mode::Open,
            next_key: 0,
            children: BTreeMap::new(),
            names: HashMap::new(),
            effects: VecDeque::new(),
            changed: BTreeSet::new(),
            failures: Vec::new(),
            random: Box::new(random),
            had_children: false,
            ended_for_good: false,
            has_handles: true,
            spawning: None,
            waiting: BTreeSet::new(),
            held: BTreeSet::new(),
            coming: BTreeSet::new(),
            backing_off: BTreeSet::new(),
            going: BTreeSet::new(),
            timers: BTreeSet::new(),
            active: 0,
            stopped_by_hand: 0,
            opening: 0,
        }
    }

    /// Takes the next effect.
    pub(super) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Takes the failures with which the supervisor ends.
    pub(super) fn take_failures(&mut self) -> Vec<TaskFailure> {
        std::mem::take(&mut self.failures)
    }

    /// Takes the keys of the children that have changed. A key without a child was removed.
    pub(super) fn take_changed(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.changed)
    }

    pub(super) fn child(&self, key: Key) -> Option<&Child> {
        self.children.get(&key)
    }

    /// Returns the time of the next [`tick`](Policy::tick).
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether all children that the supervisor was started with have been up, and it is not ending.
    pub(super) fn is_open(&self) -> bool {
        self.mode == Mode::Open && self.opening == 0
    }

    /// Whether new children are refused.
    pub(super) fn is_ending(&self) -> bool {
        self.mode != Mode::Open
    }

    /// Stops all children, for a cancellation from above.
    pub(super) fn stop(&mut self, now: Instant) {
        self.end_all();
        self.settle(now);
    }

    /// The number of children that are held, because they could not be made.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Goes on with the starts of children that are held.
    pub(super) fn resume(&mut self, now: Instant) {
        self.waiting.append(&mut self.held);
        self.settle(now);
    }

    /// Whether a handle is left. One may come again, as long as someone has the value of the supervisor.
    pub(super) fn set_handles(&mut self, any: bool, now: Instant) {
        self.has_handles = any;
        self.settle(now);
    }

    /// The child of a start that timed out, a kill that is due, or a restart whose time has come.
    pub(super) fn tick(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.timers.first()
            && at <= now
        {
            self.timers.remove(&(at, key));
            self.time_has_come(key, now);
        }
        self.settle(now);
    }

    fn time_has_come(&mut self, key: Key, now: Instant) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        match &mut child.phase {
            Phase::BackingOff { .. } => self.set_phase(key, Phase::Waiting),
            Phase::Starting { .. } => {
                let failure = child.start_timed_out();
                self.begin_stop(key, Plan::Fail(failure), now);
            }
            Phase::Stopping { kill_at, .. } => {
                *kill_at = None;
                self.effects.push_back(Effect::Kill(key));
            }
            _ => {}
        }
    }

    /// Tells a child to stop, as its shutdown says.
    fn begin_stop(&mut self, key: Key, plan: Plan, now: Instant) {
        let Some(child) = self.children.get(&key) else {
            return;
        };
        let (effect, kill_at) = match child.rules.shutdown {
            Shutdown::Wait => (Effect::Cancel(key), None),
            Shutdown::Timeout(limit) => (Effect::Cancel(key), now.checked_add(limit)),
            Shutdown::Kill => (Effect::Kill(key), None),
        };
        self.effects.push_back(effect);
        self.set_phase(key, Phase::Stopping { kill_at, plan });
    }

    fn refuse(&mut self, ticket: Ticket, error: SupervisorError) {
        let answer = Answer::Refused(error);
        self.effects.push_back(Effect::Answer(ticket, answer));
    }

    /// Answers the callers that wait for a child to come up.
    fn answer_up(&mut self, key: Key, answer: impl Fn(&Child) -> Answer) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        for ticket in std::mem::take(&mut child.wait_up) {
            self.effects
                .push_back(Effect::Answer(ticket, answer(child)));
        }
    }

    /// Answers the callers that wait for a child to come up, which it does not.
    fn answer_not_up(&mut self, key: Key) {
        let ending = self.is_ending();
        self.answer_up(key, |child| {
            Answer::Refused(if ending {
                SupervisorError::NotRunning
            } else {
                let service = child.name.to_string();
                let error = LifecycleError::NotRunning { service };
                SupervisorError::Start(ServiceError::Lifecycle(error))
            })
        });
    }

    fn answer_gone(&mut self, key: Key) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        for ticket in std::mem::take(&mut child.wait_gone) {
            self.effects.push_back(Effect::Answer(ticket, Answer::Gone));
        }
    }

    /// Makes a child that waits for its start.
    fn add(&mut self, mut child: Child, why: Why) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        child.why = why;
        self.names.insert(child.name.clone(), key);
        self.children.insert(key, child);
        self.opening += usize::from(why == Why::Opening);
        self.set_phase(key, Phase::Waiting);
        key
    }

    /// Removes a child that has no incarnation.
    fn remove(&mut self, key: Key) {
        // Takes it out of the indices.
        self.set_phase(key, Phase::IDLE);
        self.set_why(key, Why::Policy);
        self.answer_gone(key);
        self.answer_not_up(key);
        if let Some(child) = self.children.remove(&key) {
            self.names.remove(&child.name);
            child.forget();
            self.effects.push_back(Effect::Forget(key));
        }
    }

    /// Drops all children.
    pub(super) fn forget_all(&mut self) {
        for (_, child) in std::mem::take(&mut self.children) {
            child.forget();
        }
    }

    fn set_why(&mut self, key: Key, why: Why) {
        if let Some(child) = self.children.get_mut(&key) {
            let before = std::mem::replace(&mut child.why, why);
            self.opening -= usize::from(before == Why::Opening);
            self.opening += usize::from(why == Why::Opening);
        }
    }
}
