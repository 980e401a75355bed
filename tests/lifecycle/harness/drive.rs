//! Takes a sequence step by step: first in the model, which says what is possible, then for real.

use super::calls::RealCall;
use super::cause::Because;
use super::check::Checks;
use super::count::{Seen, seen};
use super::interp::Do;
use super::model::{Model, Scheduled};
use super::ops::{Kind, Op, Tell, decode};
use super::slots::Slots;
use super::world::{Started, World};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use taskgrove::sim::Sim;

pub(super) const MOST_NODES: usize = 60;
pub(super) const DEEPEST: usize = 12;
pub(super) const SECOND: u64 = 1_000_000_000;
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
    pub(super) calls: Vec<RealCall>,
    /// Waits for room.
    pub(super) waits: Vec<RealCall>,
    /// What has become of everything is not said.
    pub(super) is_unsaid: bool,
    /// How many cancellations were asked for.
    asked: usize,
    trace: &'a mut Vec<String>,
    pub(super) slots: &'a Slots,
}

pub(crate) fn run(bytes: &[u8], trace: &mut Vec<String>) -> Result<(), String> {
    let slots = Slots::alone();
    take_all(bytes, trace, &slots)?;
    slots.end()
}

fn take_all(bytes: &[u8], trace: &mut Vec<String>, slots: &Slots) -> Result<(), String> {
    let (seed, ops) = decode(bytes);
    let sim = Sim::new(seed);
    let mut driver = Driver {
        world: World::new(sim.handle().clone()),
        sim: Some(sim),
        model: Model::default(),
        places: Vec::new(),
        calls: Vec::new(),
        waits: Vec::new(),
        is_unsaid: false,
        asked: 0,
        trace,
        slots,
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
                seen(Seen::Batch);
                continue;
            }
        }
        driver.settle(0);
        checks.compare(&driver)?;
        if driver.sim.is_none() {
            break;
        }
    }
    if driver.sim.is_some() {
        driver.settle(0);
        checks.compare(&driver)?;
        driver.drop_runtime();
        checks.compare(&driver)?;
    }
    driver.world.clear();
    Ok(())
}

impl Driver<'_> {
    /// Whether it could be done.
    fn take(&mut self, op: Op) -> bool {
        if let (Some(poll), Op::Tell { tell, .. }) = (&self.model.poll, op) {
            // The same poll goes on. Who drops a scope does so before polling it.
            let node = poll.node;
            return tell == Tell::Abort || self.tell(node, tell);
        }
        if let Op::Tell { task, tell, .. } = op {
            let Some(node) = self.pick(task, tell) else {
                return false;
            };
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

    /// One of the live nodes that would do this.
    fn pick(&self, selector: u8, tell: Tell) -> Option<usize> {
        let model = &self.model;
        let able = |n: &usize| match tell {
            Tell::Abort => {
                let it = &model.nodes[*n];
                !it.ended && it.supervisor.is_none() && !it.frames.is_empty()
            }
            Tell::Leave => model.listens(*n) && !model.nodes[*n].frames.is_empty(),
            Tell::DropDefer => model.listens(*n) && model.has_guard(*n),
            _ => model.listens(*n),
        };
        let able: Vec<_> = model.live().into_iter().filter(able).collect();
        choose(&able, selector)
    }

    /// A node like this that somebody has a handle of.
    pub(super) fn pick_handle(&self, selector: u8, like: impl Fn(usize) -> bool) -> Option<usize> {
        let nodes = 0..self.model.nodes.len();
        let known: Vec<_> = nodes
            .filter(|n| {
                let started = matches!(self.places[*n], Scheduled::Under(_) | Scheduled::BornDone);
                started && !self.model.nodes[*n].detached && like(*n)
            })
            .collect();
        choose(&known, selector)
    }

    pub(super) fn contexts(&self) -> Vec<usize> {
        let nodes = 0..self.model.nodes.len();
        nodes.filter(|n| self.model.nodes[*n].has_context).collect()
    }

    pub(super) fn new_node(&mut self, kind: Kind, grace: Option<u8>, limit: usize) -> usize {
        let grace = grace.map(|g| length(g).as_nanos() as u64);
        self.world.new_node();
        self.model.new_node(kind, grace, limit)
    }

    pub(super) fn place(&mut self, node: usize, place: Scheduled, from: Option<usize>) {
        self.model.start(node, place, from);
        self.places.push(place);
    }

    /// Tells a task, in the poll that was begun.
    fn tell(&mut self, node: usize, tell: Tell) -> bool {
        // Which of the children of a supervisor ends first in one poll is not said.
        if let Some(poll) = &self.model.poll {
            let mut all = poll.cancels.iter().chain([&node]);
            let supervised = all.any(|n| self.model.is_in_supervisor(*n));
            if poll.is_over || supervised && !poll.cancels.is_empty() {
                return false;
            }
            // Nor is it whether one that ends with a protection does so before a cancellation reaches them.
            let kills = matches!(tell, Tell::Kill { .. } | Tell::KillSelf);
            let cancels = matches!(
                tell,
                Tell::Cancel { .. } | Tell::CancelSelf | Tell::Stop { .. }
            );
            if supervised && poll.has_left && (kills || cancels) {
                return false;
            }
            // Nor is it whether a wait takes the room that comes with one before it hears of another.
            if !self.model.line.is_empty() && !poll.cancels.is_empty() {
                return false;
            }
            // Nor is it how far a kill has come when another request follows, or comes before it.
            if kills && !poll.cancels.is_empty() || cancels && !poll.kills.is_empty() {
                return false;
            }
            // Nor whether a deferred cleanup of this poll, which panics, runs before the kill.
            if kills && self.model.panics(poll) {
                return false;
            }
        }
        let Some(what) = self.tell_model(node, tell) else {
            return false;
        };
        if let (Some(poll), Tell::Leave | Tell::Abort) = (&mut self.model.poll, tell) {
            poll.has_left = true;
        }
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

    /// A task asks for a cancellation. Returns the number of the reason.
    pub(super) fn cancels(&mut self, target: usize) -> Option<usize> {
        let reason = self.new_reason();
        self.model.cancel(target, Because::Asked(reason));
        if let Some(poll) = &mut self.model.poll {
            poll.cancels.push(target);
        }
        reason
    }

    /// Every other request has a reason.
    pub(super) fn new_reason(&mut self) -> Option<usize> {
        self.asked += 1;
        self.asked.is_multiple_of(2).then_some(self.asked)
    }

    /// A task asks for a kill.
    pub(super) fn kills(&mut self, target: usize) {
        self.model.kill(target);
        if let Some(poll) = &mut self.model.poll {
            poll.cancels.push(target);
            poll.kills.push(target);
            // What the rest of the poll leaves behind may run, or be dropped unrun.
            poll.is_over = true;
        }
    }

    /// Lets everything happen that can happen, in `ns` or a moment.
    pub(super) fn settle(&mut self, ns: u64) {
        if let Some(poll) = &self.model.poll {
            self.world.control(poll.node).wake();
        }
        let Some(sim) = &self.sim else { return };
        let ns = ns.max(MOMENT);
        let (calls, waits) = (&mut self.calls, &mut self.waits);
        sim.block_on(async {
            let mut sleep = taskgrove::time::sleep(Duration::from_nanos(ns));
            poll_fn(|cx| {
                let calls = calls.iter_mut().chain(&mut *waits);
                calls.for_each(|call| call.poll(cx.waker()));
                Pin::new(&mut sleep).poll(cx)
            })
            .await;
        });
        self.model.advance_to(self.model.now + ns);
        for made in std::mem::take(&mut self.model.made) {
            self.places[made] = Scheduled::Under(self.model.nodes[made].parent);
        }
        self.hear_of_waits();
        for (node, real) in self.world.nodes().iter().enumerate() {
            self.model.nodes[node].has_context = real.context.is_some();
            // Told to end, it may have been dropped before it heard of it.
            if !self.model.listens(node) {
                real.control.clear();
            }
        }
    }

    pub(super) fn drop_runtime(&mut self) {
        seen(Seen::DropRuntime);
        self.note("drop the runtime".to_owned());
        // A walk in short steps lets what has waited for room go on before it comes to it.
        self.is_unsaid = cfg!(taskgrove_short_steps) && !self.model.line.is_empty();
        self.model.drop_runtime();
        drop(self.sim.take());
        for call in self.calls.iter_mut().chain(&mut self.waits) {
            call.poll(Waker::noop());
        }
        self.hear_of_waits();
    }

    fn hear_of_waits(&mut self) {
        for wait in std::mem::take(&mut self.model.decided) {
            self.places[wait.task] = self.model.end_of_wait(&wait);
        }
    }

    /// Whether a node's start may have come to this.
    pub(crate) fn may_be_started(&self, node: usize, real: Option<Started>) -> bool {
        real == match self.places[node] {
            Scheduled::Under(_) | Scheduled::BornDone => Some(Started::Yes),
            Scheduled::NotRunning => Some(Started::NotRunning),
            Scheduled::TooMany => Some(Started::TooMany),
            Scheduled::Waits => None,
            Scheduled::Unsure => return true,
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
