//! Takes a sequence step by step: first in the model, which says what is possible, then for real.

use super::check::Checks;
use super::interp::{Do, Launch};
use super::model::{CleanupState, Model, Scheduled};
use super::ops::{Kind, Op, Start, Tell, decode};
use super::world::{Started, World};
use std::sync::Arc;
use std::time::Duration;
use taskgrove::sim::Sim;

const MOST_NODES: usize = 60;
const DEEPEST: usize = 12;
const SECOND: u64 = 1_000_000_000;
/// What a step takes.
const MOMENT: u64 = 1000;
/// So that deadlines never come with the end of a step.
const ODD: u64 = 501;

pub(crate) struct Driver<'a> {
    pub(crate) sim: Option<Sim>,
    pub(crate) world: Arc<World>,
    pub(crate) model: Model,
    /// What starting each node came to.
    pub(crate) places: Vec<Scheduled>,
    trace: &'a mut Vec<String>,
}

pub(crate) fn run(bytes: &[u8], trace: &mut Vec<String>) -> Result<(), String> {
    let (seed, ops) = decode(bytes);
    let sim = Sim::new(seed);
    let mut driver = Driver {
        world: World::new(sim.handle().clone()),
        sim: Some(sim),
        model: Model::default(),
        places: Vec::new(),
        trace,
    };
    let mut checks = Checks::default();
    let mut ops = ops.into_iter().peekable();
    while let Some(op) = ops.next() {
        if driver.model.poll.is_some() && !matches!(op, Op::Tell { .. }) {
            driver.settle(0);
            checks.compare(&driver)?;
        }
        if !driver.take(op) {
            continue;
        }
        if let (Op::Tell { more: true, .. }, Some(Op::Tell { .. })) = (op, ops.peek()) {
            let poll = driver.model.poll.as_ref();
            if poll.is_some_and(|poll| driver.model.listens(poll.node)) {
                continue;
            }
        }
        driver.settle(0);
        checks.compare(&driver)?;
        if driver.sim.is_none() {
            return Ok(());
        }
    }
    driver.settle(0);
    checks.compare(&driver)?;
    driver.drop_runtime();
    checks.compare(&driver)
}

impl Driver<'_> {
    /// Whether it could be done.
    fn take(&mut self, op: Op) -> bool {
        if let (Some(poll), Op::Tell { task, tell, .. }) = (&self.model.poll, op) {
            // The same task, or none: what was begun goes on.
            let node = poll.node;
            let same = self.pick(task) == Some(node);
            // Who drops a scope does so before polling it.
            let first = tell != Tell::Abort;
            return if same && first {
                self.tell(node, tell)
            } else {
                true
            };
        }
        if let Op::Tell { task, tell, .. } = op {
            let Some(node) = self.pick(task) else {
                return false;
            };
            let listens = self.model.listens(node);
            let aborts = tell == Tell::Abort && !self.model.nodes[node].ended;
            if !listens && !aborts {
                return false;
            }
            self.model.begin_poll(node);
            if !self.tell(node, tell) {
                self.model.poll = None;
                return false;
            }
            return true;
        }
        self.outside(op)
    }

    pub(super) fn note(&mut self, text: String) {
        self.trace.push(text);
    }

    /// One of the live nodes.
    fn pick(&self, selector: u8) -> Option<usize> {
        choose(&self.model.live(), selector)
    }

    /// A node somebody has a handle of.
    pub(super) fn pick_handle(&self, selector: u8) -> Option<usize> {
        let nodes = 0..self.model.nodes.len();
        let known: Vec<_> = nodes
            .filter(|n| {
                let started = matches!(self.places[*n], Scheduled::Under(_) | Scheduled::BornDone);
                started && !self.model.nodes[*n].detached
            })
            .collect();
        choose(&known, selector)
    }

    fn contexts(&self) -> Vec<usize> {
        let nodes = 0..self.model.nodes.len();
        nodes.filter(|n| self.model.nodes[*n].has_context).collect()
    }

    fn new_node(&mut self, kind: Kind, grace: Option<u8>, limit: usize) -> usize {
        let grace = grace.map(|g| length(g).as_nanos() as u64);
        self.world.new_node();
        self.model.new_node(kind, grace, limit)
    }

    fn place(&mut self, node: usize, place: Scheduled) {
        self.model.start(node, place);
        self.places.push(place);
    }

    /// Makes a node for what is to be started, if that is possible and what comes of it is certain.
    pub(super) fn start(&mut self, from: Option<usize>, start: Start) -> Option<Launch> {
        let Start { kind, grace, .. } = start;
        let via = match (kind, start.via, from) {
            (Kind::Raw | Kind::Run, ..) => None,
            (_, Some(via), _) => Some(choose(&self.contexts(), via)?),
            (_, None, Some(from)) => {
                let own = self.model.service_of(from);
                Some(own.filter(|own| self.model.nodes[*own].has_context)?)
            }
            (_, None, None) => Some(choose(&self.contexts(), 0)?),
        };
        if kind == Kind::Run && from.is_none() || self.model.nodes.len() >= MOST_NODES {
            return None;
        }
        if kind == Kind::Raw && from.is_none() {
            return None;
        }
        if let (Some(from), Some(poll)) = (from, &self.model.poll)
            && !poll.cancels.is_empty()
            && kind != Kind::Raw
        {
            // How far a cancellation of this very poll has come is not said.
            let own = self.model.service_of(from);
            let near = |n: &usize| *n == from || Some(*n) == own;
            if kind == Kind::Run || via != own || !poll.cancels.iter().all(near) {
                return None;
            }
        }
        let mut place = self.model.place(from, kind, via);
        // Cancelled by this very poll, from above: the mark may still be on its way.
        let late = kind == Kind::Raw
            && from.is_some_and(|from| {
                let poll = self.model.poll.as_ref();
                self.model.nodes[from].closing == Some(self.model.now)
                    && poll.is_some_and(|poll| !poll.cancels.contains(&from))
            });
        if late {
            place = Scheduled::Under(from);
        }
        if let Scheduled::Under(Some(parent)) = place
            && self.model.depth(parent) >= DEEPEST
        {
            return None;
        }
        let limited = kind.is_service() && start.few;
        let grace = grace.filter(|_| kind != Kind::Raw);
        let node = self.new_node(kind, grace, if limited { 3 } else { 1000 });
        self.place(node, place);
        if late {
            self.model.cancel_one(node);
        }
        self.note(format!(
            "{node} = {kind:?} from {from:?} via {via:?}, grace {grace:?}, few {limited}: {place:?}"
        ));
        Some(Launch {
            node,
            kind,
            via,
            grace: grace.map(length),
            limit: limited.then_some(3),
        })
    }

    /// Tells a task, in the poll that was begun.
    fn tell(&mut self, node: usize, tell: Tell) -> bool {
        let Some(what) = self.tell_model(node, tell) else {
            return false;
        };
        if !matches!(what, Do::Start(_)) {
            self.note(format!("tell {node} {what:?}"));
        }
        self.world.control(node).tell(what);
        true
    }

    pub(super) fn new_cleanup(&mut self, node: usize, waits: bool) -> usize {
        self.world.new_cleanup(waits);
        self.model.new_cleanup(node, waits)
    }

    pub(super) fn cancels(&mut self, target: usize) {
        self.model.cancel(target);
        if let Some(poll) = &mut self.model.poll {
            poll.cancels.push(target);
        }
    }

    fn outside(&mut self, op: Op) -> bool {
        match op {
            Op::RootTask | Op::RootService => {
                if self.model.nodes.len() >= MOST_NODES {
                    return false;
                }
                let service = matches!(op, Op::RootService);
                let kind = if service { Kind::Service } else { Kind::Raw };
                let node = self.new_node(kind, None, 1000);
                self.place(node, Scheduled::Under(None));
                self.note(format!("{node} = {op:?}"));
                if service {
                    self.world.root_service(node);
                } else {
                    self.world.root_task(node);
                }
            }
            Op::Schedule(start) => {
                let Some(launch) = self.start(None, start) else {
                    return false;
                };
                self.world.start(launch);
            }
            Op::Cancel(selector) => {
                let Some(node) = self.pick_handle(selector) else {
                    return false;
                };
                self.note(format!("cancel {node}"));
                self.model.cancel(node);
                self.world.cancel(node);
            }
            Op::CancelAndFail(task) => return self.cancel_and_fail(task),
            Op::Release { which, panic } => {
                let cleanups = 0..self.model.cleanups.len();
                let waiting: Vec<_> = cleanups
                    .filter(|c| {
                        let cleanup = &self.model.cleanups[*c];
                        let wait =
                            matches!(cleanup.state, CleanupState::Unborn | CleanupState::Running);
                        wait && !cleanup.released
                    })
                    .collect();
                let Some(cleanup) = choose(&waiting, which) else {
                    return false;
                };
                self.note(format!("release cleanup {cleanup}, panic {panic}"));
                self.model.cleanups[cleanup].released = true;
                self.model.cleanups[cleanup].panics = panic;
                self.world.release(cleanup, panic);
            }
            Op::Advance(seconds) => {
                self.note(format!("advance {} s", seconds + 1));
                self.settle(u64::from(seconds + 1) * SECOND);
            }
            Op::Detach(selector) => {
                let Some(node) = self.pick_handle(selector) else {
                    return false;
                };
                if self.model.nodes[node].kind.is_service() {
                    return false;
                }
                self.note(format!("detach {node}"));
                self.model.nodes[node].detached = true;
                self.world.detach(node);
            }
            Op::DropRuntime => self.drop_runtime(),
            Op::Tell { .. } => return false,
        }
        true
    }

    /// Lets everything happen that can happen, in `ns` or a moment.
    fn settle(&mut self, ns: u64) {
        if let Some(poll) = self.model.poll.take() {
            self.world.control(poll.node).wake();
        }
        let Some(sim) = &self.sim else { return };
        let ns = ns.max(MOMENT);
        sim.block_on(async { taskgrove::time::sleep(Duration::from_nanos(ns)).await });
        self.model.advance_to(self.model.now + ns);
        for (node, real) in self.world.nodes().iter().enumerate() {
            self.model.nodes[node].has_context = real.context.is_some();
        }
    }

    fn drop_runtime(&mut self) {
        self.note("drop the runtime".to_owned());
        self.model.kill();
        drop(self.sim.take());
    }

    /// What a node's start has to have come to.
    pub(crate) fn expected_start(&self, node: usize) -> Started {
        match self.places[node] {
            Scheduled::Under(_) | Scheduled::BornDone => Started::Yes,
            Scheduled::NotRunning => Started::NotRunning,
            Scheduled::TooMany => Started::TooMany,
        }
    }
}

pub(super) fn choose(from: &[usize], selector: u8) -> Option<usize> {
    // Counted from the youngest: small numbers stay about the same thing while others come.
    (!from.is_empty()).then(|| from[from.len() - 1 - usize::from(selector) % from.len()])
}

pub(super) fn length(seconds: u8) -> Duration {
    match seconds {
        0 => Duration::ZERO,
        seconds => Duration::from_nanos(u64::from(seconds) * SECOND + ODD),
    }
}
