//! Supervisors, as the documentation of `taskgrove::supervisor` and OTP's have them.
//!
//! A supervisor is a service that is inside protection to its end: a cancellation from above reaches its own
//! code, and it stops its children itself. It does nothing else, so it needs no interpreter.

use super::cause::Because;
use super::count::{Seen, seen};
use super::model::Model;
use super::node::{Cover, Failure, Scope, Why};
use super::ops::{How, Kind};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Strategy {
    OneForOne,
    OneForAll,
    RestForOne,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restart {
    Permanent,
    Transient,
    Temporary,
}

/// What is asked of a supervisor. No time is long enough to forget a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    /// So many restarts.
    pub(crate) intensity: usize,
    /// Each with how it is restarted, and whether it is stopped by force.
    pub(crate) children: Vec<(Restart, bool)>,
}

impl Plan {
    /// What a byte stands for.
    pub(crate) fn decode(byte: u8) -> Plan {
        let strategies = [
            Strategy::OneForOne,
            Strategy::OneForAll,
            Strategy::RestForOne,
        ];
        let restarts = [
            Restart::Permanent,
            Restart::Transient,
            Restart::Temporary,
            Restart::Permanent,
        ];
        let byte = usize::from(byte);
        let children = 2 + byte / 9 % 2;
        Plan {
            strategy: strategies[byte % 3],
            intensity: byte / 3 % 3,
            children: (0..children)
                .map(|child| {
                    (
                        restarts[(byte / 18 + child * byte / 2) % 4],
                        (byte + child) % 5 == 0,
                    )
                })
                .collect(),
        }
    }

    /// As many incarnations as a child can have.
    pub(crate) fn incarnations(&self) -> usize {
        self.intensity + 1
    }
}

pub(crate) struct Supervisor {
    pub(crate) plan: Plan,
    begun: bool,
    over: bool,
    left: usize,
    children: Vec<Child>,
    /// The children from this one on are being stopped, and are then started.
    group: Option<usize>,
    /// All are being stopped, for good; with this failure, if it is one.
    stopping: Option<Option<Failure>>,
    /// The number of its protection.
    frame: usize,
    /// How often it has begun to stop children.
    round: usize,
}

struct Child {
    restart: Restart,
    by_force: bool,
    /// A node for each incarnation.
    nodes: Vec<usize>,
    made: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It is started in its place in the order.
    Waits,
    Runs,
    Stops,
    /// It has ended for good, but would begin anew with its group.
    Idle,
    Removed,
}

impl Child {
    fn lives(&self) -> bool {
        matches!(self.state, State::Runs | State::Stops)
    }

    fn node(&self) -> usize {
        self.nodes[self.made - 1]
    }
}

impl Model {
    /// Makes a node a supervisor; `nodes` are those of its children's incarnations.
    pub(crate) fn supervise(&mut self, node: usize, plan: Plan, nodes: Vec<Vec<usize>>) {
        let frame = self.frames;
        self.push(node, Scope::Shield);
        let specs = plan.children.iter().zip(nodes);
        let children = specs.map(|((restart, by_force), nodes)| Child {
            restart: *restart,
            by_force: *by_force,
            nodes,
            made: 0,
            state: State::Waits,
        });
        self.nodes[node].supervisor = Some(Box::new(Supervisor {
            children: children.collect(),
            left: plan.intensity,
            plan,
            begun: false,
            over: false,
            group: Some(0),
            stopping: None,
            frame,
            round: 0,
        }));
    }

    pub(super) fn step_supervisor(&mut self, node: usize) -> bool {
        let Some(mut it) = self.nodes[node].supervisor.take() else {
            return false;
        };
        let changed = !it.over && self.supervises(node, &mut it);
        self.nodes[node].supervisor = Some(it);
        changed
    }

    fn supervises(&mut self, node: usize, it: &mut Supervisor) -> bool {
        let closing = self.nodes[node].closing.is_some();
        if closing && it.stopping.is_none() {
            seen(Seen::SupervisorStops);
            it.stopping = Some(None);
            it.round += 1;
            return true;
        }
        for child in 0..it.children.len() {
            if it.children[child].lives() && self.nodes[it.children[child].node()].done {
                self.child_ended(it, child);
                return true;
            }
        }
        let from = if it.stopping.is_some() {
            0
        } else {
            it.group.unwrap_or(it.children.len())
        };
        let first = self.first_of_group(it, from);
        // In reverse order, each after the one behind it is gone.
        if let Some(last) = (first..it.children.len())
            .rev()
            .find(|child| it.children[*child].lives())
        {
            let waits = it.stopping.is_some() || it.group.is_some() && self.goes_down(it, first);
            if waits && it.children[last].state == State::Runs {
                self.stop_child(it, last);
                return true;
            }
            if waits {
                return false;
            }
        }
        if let Some(failure) = it.stopping.take() {
            it.stopping = Some(None);
            it.over = true;
            self.end_supervisor(node, failure);
            return true;
        }
        for child in from..it.children.len() {
            if it.children[child].state == State::Waits {
                self.start_child(node, it, child);
            }
        }
        let begun = std::mem::replace(&mut it.begun, true);
        self.service(node).ready = true;
        let was = it.group.take();
        let idle = it
            .children
            .iter()
            .all(|child| matches!(child.state, State::Idle | State::Removed));
        if begun && idle {
            seen(Seen::SupervisorEnds);
            it.stopping = Some(None);
        }
        was.is_some() || begun && idle
    }

    /// Where the children begin that are stopped before others are started.
    fn first_of_group(&self, it: &Supervisor, from: usize) -> usize {
        match it.plan.strategy {
            _ if it.stopping.is_some() => 0,
            // Its own restart waits for no other.
            Strategy::OneForOne => it.children.len(),
            _ => from,
        }
    }

    /// Whether one of the group has still to go: all that live do, unless nothing was ever started.
    fn goes_down(&self, it: &Supervisor, first: usize) -> bool {
        it.begun && it.children[first..].iter().any(Child::lives)
    }

    fn child_ended(&mut self, it: &mut Supervisor, child: usize) {
        let node = it.children[child].node();
        let in_group =
            it.plan.strategy != Strategy::OneForOne && it.group.is_some_and(|from| child >= from);
        let temporary = it.children[child].restart == Restart::Temporary;
        if it.stopping.is_some() || in_group {
            // It was to go anyway, and does not count.
            it.children[child].state = match temporary {
                true => State::Removed,
                false => State::Waits,
            };
            return;
        }
        let service = self.nodes[node].service.as_ref().expect("a service");
        let first = service.failures.iter().map(|failure| failure.step).min();
        let step = first.unwrap_or(self.nodes[node].done_at);
        let permanent = it.children[child].restart == Restart::Permanent;
        let why = match () {
            () if first.is_some() => Some(Why::Service(node)),
            () if self.nodes[node].kill_asked => Some(Why::Forced),
            () if permanent => Some(Why::DaemonExit),
            () => None,
        };
        it.children[child].state = match temporary {
            true => State::Removed,
            false => State::Idle,
        };
        let Some(why) = why.filter(|_| !temporary) else {
            return seen(Seen::ChildEnds);
        };
        if it.left == 0 {
            seen(Seen::GivesUp);
            it.stopping = Some(Some(Failure { node, why, step }));
            it.round += 1;
            return;
        }
        it.left -= 1;
        it.round += 1;
        let from = match it.plan.strategy {
            Strategy::OneForOne => child,
            Strategy::OneForAll => 0,
            Strategy::RestForOne => child,
        };
        seen(match it.plan.strategy {
            Strategy::OneForOne => Seen::RestartsOne,
            Strategy::OneForAll => Seen::RestartsAll,
            Strategy::RestForOne => Seen::RestartsRest,
        });
        it.children[child].state = State::Waits;
        if it.plan.strategy != Strategy::OneForOne {
            for other in &mut it.children[from..] {
                if other.state == State::Idle {
                    other.state = State::Waits;
                }
            }
        }
        it.group = Some(it.group.map_or(from, |group| group.min(from)));
    }

    fn start_child(&mut self, supervisor: usize, it: &mut Supervisor, child: usize) {
        let entry = &mut it.children[child];
        entry.made += 1;
        entry.state = State::Runs;
        let node = entry.node();
        seen(if entry.made > 1 {
            Seen::Restarted
        } else {
            Seen::StartChild
        });
        let cover = Cover {
            frame: it.frame,
            around: Vec::new(),
            called: false,
        };
        let new = &mut self.nodes[node];
        new.parent = Some(supervisor);
        new.attached = true;
        new.cover = Some(cover);
        new.name = Some(format!("c{child}"));
        new.service.as_mut().expect("a service").started = true;
        self.made.push(node);
    }

    fn stop_child(&mut self, it: &mut Supervisor, child: usize) {
        let entry = &mut it.children[child];
        entry.state = State::Stops;
        let (node, by_force) = (entry.node(), entry.by_force);
        // Else it may have gone before by itself.
        let goes_on = self.nodes[node].closing.is_none();
        self.nodes[node].stopped_in = goes_on.then_some(it.round);
        // What a supervisor says is its own.
        self.nodes[node].because_unsure = true;
        seen(match by_force {
            true => Seen::ChildKilled,
            false => Seen::ChildStopped,
        });
        match by_force {
            true => self.kill(node),
            false => self.cancel(node, Because::Asked(None)),
        }
    }

    fn end_supervisor(&mut self, node: usize, failure: Option<Failure>) {
        self.end(node, How::Value);
        if let Some(Failure {
            node: child,
            why,
            step,
        }) = failure
        {
            self.fail(node, child, why, Some(step));
        }
    }

    /// Whether a supervisor is somewhere above, or is this.
    pub(crate) fn is_in_supervisor(&self, node: usize) -> bool {
        let mut at = Some(node);
        while let Some(node) = at {
            if self.nodes[node].kind == Kind::Child || self.nodes[node].supervisor.is_some() {
                return true;
            }
            at = self.nodes[node].parent;
        }
        false
    }
}
