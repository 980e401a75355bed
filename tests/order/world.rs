//! A random tree of tasks and everything it tells about itself: who was dropped when, and which cleanups ran.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock};
use std::task::Waker;
use std::time::Duration;

use taskgrove::{Manager, Task};

use crate::common::{Event, Rng};

/// What a node of the tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `taskgrove::spawn`.
    Raw,
    /// A task of the service above.
    Supervised,
    /// A child service; the node is its `run`.
    Service,
}

/// The protected scopes that a node may have, in the order in which they must end.
pub(crate) const SHIELD: usize = 0;
pub(crate) const FINALLY: usize = 1;
pub(crate) const DEFER: usize = 2;

/// What a node is and does, drawn from the seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) form: Form,
    /// Wakes itself in every poll, so that it is queued or running at any moment.
    pub(crate) spins: bool,
    /// Its future ends as soon as its children are spawned; the task waits for them.
    pub(crate) returns: bool,
    /// A leaf that ends by itself once its cancellation has been asked for.
    pub(crate) ends: bool,
    pub(crate) scopes: [bool; 3],
    /// Suspensions of each cleanup.
    pub(crate) yields: usize,
    /// The cleanups ask the parent's future for something, and wait for the answer.
    pub(crate) asks: bool,
    pub(crate) grace: Option<Duration>,
}

/// What a node can be told.
pub(crate) enum Mail {
    /// Answer: a child's cleanup waits for it.
    Ask(Event),
    /// Stay in this poll until the gate opens.
    Block,
    /// Cancel that node, from inside this one's poll.
    Cancel(usize),
}

pub(crate) enum Held {
    Task(Task<()>),
    Service(Manager),
}

#[derive(Default)]
pub(crate) struct Mailbox {
    pub(crate) closed: bool,
    pub(crate) mail: VecDeque<Mail>,
    pub(crate) waker: Option<Waker>,
}

/// What became of one cleanup. Times are ticks of the world's clock; zero is never.
#[derive(Default)]
pub(crate) struct Scope {
    pub(crate) entered: AtomicBool,
    pub(crate) made: AtomicUsize,
    pub(crate) begun: AtomicUsize,
    pub(crate) ended: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
    pub(crate) runs: AtomicUsize,
}

pub(crate) struct Node {
    pub(crate) plan: Plan,
    pub(crate) parent: Option<usize>,
    pub(crate) children: Vec<usize>,
    pub(crate) mailbox: Mutex<Mailbox>,
    pub(crate) held: OnceLock<Held>,
    pub(crate) targeted: AtomicBool,
    pub(crate) made: AtomicUsize,
    pub(crate) drops: AtomicUsize,
    pub(crate) drop_begun: AtomicUsize,
    pub(crate) drop_ended: AtomicUsize,
    pub(crate) scopes: [Scope; 3],
}

/// Holds tasks in their polls until it is opened. (Not of std's: the thread sanitizer does not see
/// what happens inside its condition variable.)
#[derive(Default)]
pub(crate) struct Gate {
    state: parking_lot::Mutex<(usize, bool)>,
    changed: parking_lot::Condvar,
}

impl Gate {
    /// Called by a task: blocks its worker until the gate is open.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock();
        state.0 += 1;
        self.changed.notify_all();
        while !state.1 {
            self.changed.wait(&mut state);
        }
    }

    /// Blocks until `n` tasks are held.
    pub(crate) fn wait_for(&self, n: usize) {
        let mut state = self.state.lock();
        while state.0 < n {
            self.changed.wait(&mut state);
        }
    }

    pub(crate) fn open(&self) {
        self.state.lock().1 = true;
        self.changed.notify_all();
    }
}

pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) gate: Gate,
    /// Set once every node has been polled and has spawned its children.
    pub(crate) built: Event,
    /// Set after cancellation has been asked for.
    pub(crate) go: Event,
    /// The runtime is being dropped: nothing is waited for, and spawning may fail.
    pub(crate) killed: AtomicBool,
    pub(crate) answers: AtomicUsize,
    started: AtomicUsize,
    clock: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl World {
    /// Draws a tree whose root has the form `root`.
    pub(crate) fn random(rng: &mut Rng, root: Form) -> World {
        let most = [4, 20, 100, 300][rng.below(4)];
        let size = 1 + rng.below(most);
        // How far back a node looks for its parent: one makes a chain, many a bush.
        let farthest = [1, 3, size, size][rng.below(4)];
        let reach = 1 + rng.below(farthest);
        let spinners = 2 + rng.below(10);
        let mut nodes: Vec<Node> = Vec::with_capacity(size);
        for i in 0..size {
            let parent = (i > 0).then(|| i - 1 - rng.below(reach.min(i)));
            let form = match parent {
                None => root,
                Some(p) if nodes[p].plan.form == Form::Raw => Form::Raw,
                Some(_) => {
                    [Form::Raw, Form::Supervised, Form::Supervised, Form::Service][rng.below(4)]
                }
            };
            let plan = Plan {
                form,
                spins: rng.one_in(spinners),
                returns: i > 0 && rng.one_in(12),
                ends: rng.one_in(4),
                scopes: [rng.one_in(5), rng.one_in(4), rng.one_in(4)],
                yields: rng.below(6),
                asks: rng.one_in(2),
                grace: (form != Form::Raw && i > 0 && rng.one_in(40))
                    .then(|| Duration::from_millis(rng.below(8) as u64)),
            };
            if let Some(p) = parent {
                nodes[p].children.push(i);
                nodes[p].plan.ends = false;
            }
            nodes.push(Node {
                plan,
                parent,
                children: Vec::new(),
                mailbox: Mutex::default(),
                held: OnceLock::new(),
                targeted: AtomicBool::new(false),
                made: AtomicUsize::new(0),
                drops: AtomicUsize::new(0),
                drop_begun: AtomicUsize::new(0),
                drop_ended: AtomicUsize::new(0),
                scopes: Default::default(),
            });
        }
        World {
            nodes,
            gate: Gate::default(),
            built: Event::new(),
            go: Event::new(),
            killed: AtomicBool::new(false),
            answers: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            clock: AtomicUsize::new(0),
            wrong: Mutex::default(),
        }
    }

    pub(crate) fn tick(&self) -> usize {
        self.clock.fetch_add(1, SeqCst) + 1
    }

    pub(crate) fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    pub(crate) fn start_one(&self) {
        if self.started.fetch_add(1, SeqCst) + 1 == self.nodes.len() {
            self.built.set();
        }
    }

    pub(crate) fn started(&self) -> usize {
        self.started.load(SeqCst)
    }

    /// The nodes above `i`, nearest first.
    pub(crate) fn ancestors(&self, i: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.nodes[i].parent, |&p| self.nodes[p].parent)
    }

    /// Whether `i` is `top` or below it.
    pub(crate) fn is_below(&self, i: usize, top: usize) -> bool {
        i == top || self.ancestors(i).any(|a| a == top)
    }

    /// Notes that `top` and everything below it is about to be cancelled.
    pub(crate) fn target(&self, top: usize) {
        // Parents come before their children.
        for i in top..self.nodes.len() {
            let above = self.nodes[i].parent.filter(|_| i > top);
            if i == top || above.is_some_and(|p| self.nodes[p].targeted.load(SeqCst)) {
                self.nodes[i].targeted.store(true, SeqCst);
            }
        }
    }

    /// A random node whose future stays, at or below `top`.
    pub(crate) fn pick(&self, rng: &mut Rng, top: usize) -> Option<usize> {
        let stays = |&i: &usize| !self.nodes[i].plan.returns && self.is_below(i, top);
        let all: Vec<usize> = (top..self.nodes.len()).filter(stays).collect();
        (!all.is_empty()).then(|| all[rng.below(all.len())])
    }

    /// Every future above `i` that has not returned by itself must be there.
    pub(crate) fn check_above(&self, i: usize, when: &str) {
        for a in self.ancestors(i).filter(|&a| !self.nodes[a].plan.returns) {
            if self.nodes[a].drop_begun.load(SeqCst) != 0 {
                self.wrong(format!("{a} was dropped while {i}, below it, {when}"));
            }
        }
    }

    /// After a cancellation is over: the targets are gone, with their cleanups, and nothing else is.
    pub(crate) fn check_cancelled(&self) {
        for (i, node) in self.nodes.iter().enumerate() {
            let drops = node.drops.load(SeqCst);
            if !node.targeted.load(SeqCst) {
                if drops != 0 && !node.plan.returns {
                    self.wrong(format!("{i} was dropped, but not cancelled"));
                }
                continue;
            }
            if drops != node.made.load(SeqCst) {
                self.wrong(format!("{i} was cancelled, but dropped {drops} times"));
            }
            for (kind, scope) in node.scopes.iter().enumerate() {
                // A cleanup may be due without its body having been polled: the turn may come in between.
                let due = scope.entered.load(SeqCst);
                let runs = scope.runs.load(SeqCst);
                let ended = scope.ended.load(SeqCst) != 0;
                if runs > 1 || (due && runs == 0) || ended != (runs == 1) {
                    self.wrong(format!(
                        "{i}'s cleanup {kind} ran {runs} times (due: {due}, ended: {ended})"
                    ));
                }
            }
        }
    }

    /// After the runtime is gone: every future was dropped once, in the right order. Panics with everything that was wrong.
    pub(crate) fn check_gone(&self, what: &str) {
        for (i, node) in self.nodes.iter().enumerate() {
            let (made, drops) = (node.made.load(SeqCst), node.drops.load(SeqCst));
            if made > 1 || made != drops {
                self.wrong(format!(
                    "{i} was made {made} times and dropped {drops} times"
                ));
            }
            let mut last = node.drop_ended.load(SeqCst);
            for (kind, scope) in node.scopes.iter().enumerate() {
                let (made, dropped) = (scope.made.load(SeqCst), scope.dropped.load(SeqCst));
                if (made != 0) != (dropped != 0) {
                    self.wrong(format!("{i}'s cleanup {kind} was never dropped"));
                }
                last = last.max(dropped);
            }
            for a in self.ancestors(i).filter(|&a| !self.nodes[a].plan.returns) {
                let above = self.nodes[a].drop_begun.load(SeqCst);
                if above != 0 && above < last {
                    self.wrong(format!(
                        "{a} was dropped at {above}, {i} below it at {last}"
                    ));
                }
            }
            self.check_scopes(i);
        }
        let wrong = std::mem::take(&mut *self.wrong.lock().unwrap());
        if !wrong.is_empty() {
            let first: Vec<&String> = wrong.iter().take(20).collect();
            let plans: Vec<_> = self.nodes.iter().map(|n| (n.parent, &n.plan)).collect();
            panic!("{what}: {} wrong: {first:#?}\n{plans:?}", wrong.len());
        }
    }

    /// A node's own protection ends innermost first: the shield, the cleanup around it, the future, what it deferred.
    fn check_scopes(&self, i: usize) {
        let node = &self.nodes[i];
        let times = [
            node.scopes[SHIELD].begun.load(SeqCst),
            node.scopes[SHIELD].ended.load(SeqCst),
            node.scopes[FINALLY].begun.load(SeqCst),
            node.scopes[FINALLY].ended.load(SeqCst),
            node.drop_begun.load(SeqCst),
            node.scopes[DEFER].begun.load(SeqCst),
            node.scopes[DEFER].ended.load(SeqCst),
        ];
        let happened: Vec<usize> = times.into_iter().filter(|&t| t != 0).collect();
        if !happened.is_sorted() {
            self.wrong(format!("{i}'s protection ended out of order: {times:?}"));
        }
    }
}
