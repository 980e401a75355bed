//! A tree that the seed makes, and that checks itself.
//!
//! Every node's future has a [`Life`]. When a cancellation drops it, everything below must be gone,
//! cleanups included; likewise when a handle or a manager reports that a task is done. Violations
//! are collected, since a panic would only be the panic of a task.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use taskgrove::time::now;
use taskgrove::{CancelHandle, FailureKind, Manager, sim};

/// Draws a number below `n`.
pub(crate) fn below(n: u64) -> u64 {
    sim::random() % n
}

/// Where a node's failures go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Unsupervised.
    Raw,
    /// A task of the service.
    Supervised,
    /// A service of its own; `true`: its failures are also those of the service around it.
    Service(bool),
}

/// The books on one node.
pub(crate) struct Info {
    parent: Option<usize>,
    kind: Kind,
    /// The node of the service it belongs to: for a service, itself.
    pub(crate) service: usize,
    grace: Duration,
    /// It may have been spawned in a grace period of a node above it, which then is in force instead of its own.
    late: bool,
    /// It was scheduled when it could not be any more.
    pub(crate) refused: bool,
    polled: bool,
    /// Its future is gone.
    dropped: bool,
    /// Its future ended by itself.
    ended: bool,
    /// When it learnt of its cancellation.
    asked: Option<Instant>,
    /// Shields and cleanups of a `finally` that are active.
    protected: u32,
    /// Deferred cleanups that have not run to their end.
    deferred: u32,
    /// What its service must have recorded of it.
    must: Option<String>,
}

#[derive(Default)]
struct Books {
    nodes: Vec<Info>,
    managers: Vec<(usize, Manager)>,
    cancels: Vec<CancelHandle>,
    wrong: Vec<String>,
    /// The simulation is being dropped.
    killed: bool,
    /// Any cancellation was asked for, or any failure happened.
    disturbed: bool,
    /// Nodes that may still be made.
    left: usize,
}

#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<Books>>);

impl World {
    pub(crate) fn new(nodes: usize) -> World {
        let world = World::default();
        world.books().left = nodes;
        world
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wrong(&self, what: String) {
        self.books().wrong.push(what);
    }

    /// A new node, unless there are enough.
    pub(crate) fn node(&self, parent: Option<usize>, kind: Kind, grace: Duration) -> Option<usize> {
        let mut books = self.books();
        books.left = books.left.checked_sub(1)?;
        let at = books.nodes.len();
        let service = match (kind, parent) {
            (Kind::Service(_), _) | (_, None) => at,
            (_, Some(parent)) => books.nodes[parent].service,
        };
        let late = books.disturbed && books.any_above(parent, |n| !n.grace.is_zero());
        books.nodes.push(Info {
            parent,
            kind,
            service,
            grace,
            late,
            refused: false,
            polled: false,
            dropped: false,
            ended: false,
            asked: None,
            protected: 0,
            deferred: 0,
            must: None,
        });
        Some(at)
    }

    pub(crate) fn with<R>(&self, at: usize, f: impl FnOnce(&mut Info) -> R) -> R {
        f(&mut self.books().nodes[at])
    }

    /// Whether what the node spawns may run although its service is being cancelled: it or a node above it may
    /// be inside protection, or in a grace period.
    pub(crate) fn may_spawn(&self, at: usize) -> bool {
        let books = self.books();
        books.any_above(Some(at), |n| n.protected > 0 || !n.grace.is_zero())
    }

    pub(crate) fn life(&self, at: usize) -> Life {
        Life(self.clone(), at)
    }

    pub(crate) fn add_cancel(&self, cancel: CancelHandle) {
        self.books().cancels.push(cancel);
    }

    pub(crate) fn add_manager(&self, at: usize, manager: &Manager) {
        self.books().managers.push((at, manager.clone()));
    }

    /// Cancels any task or service.
    pub(crate) fn cancel_one(&self) {
        let (task, service) = {
            let mut books = self.books();
            books.disturbed = true;
            let of = |len: usize| (len > 0).then(|| below(len as u64) as usize);
            (
                of(books.cancels.len()).map(|at| books.cancels[at].clone()),
                of(books.managers.len()).map(|at| books.managers[at].1.clone()),
            )
        };
        match (task, service) {
            (Some(task), None) => task.cancel(),
            (Some(task), Some(_)) if below(3) > 0 => task.cancel(),
            // Not started: never will be.
            (_, Some(service)) => _ = service.cancel(),
            (None, None) => {}
        }
    }

    pub(crate) fn disturb(&self) {
        self.books().disturbed = true;
    }

    pub(crate) fn kill(&self) {
        self.books().killed = true;
    }

    pub(crate) fn protect(&self, at: usize, by: i32) {
        self.with(at, |n| {
            n.protected = n.protected.wrapping_add_signed(by);
        });
    }

    pub(crate) fn defer(&self, at: usize, by: i32) {
        self.with(at, |n| {
            n.deferred = n.deferred.checked_add_signed(by).expect("runs once");
        });
    }

    pub(crate) fn polled(&self, at: usize) {
        let refused = self.with(at, |n| {
            n.polled = true;
            n.refused
        });
        if refused {
            self.wrong(format!("{at} was refused, and polled"));
        }
    }

    /// The node is about to fail: with a panic, or with an error.
    pub(crate) fn fails(&self, at: usize, text: &str, panic: bool) {
        let mut books = self.books();
        let disturbed = std::mem::replace(&mut books.disturbed, true);
        let node = &mut books.nodes[at];
        // An error may be a consequence of a cancellation; the first of all cannot.
        if node.kind != Kind::Raw && (panic || !disturbed) {
            node.must = Some(text.to_owned());
        }
    }

    /// The node and everything below it must be gone by now.
    pub(crate) fn is_gone(&self, at: usize, why: &str) {
        let mut books = self.books();
        let left = books.left_below(at, true);
        if !books.killed && !left.is_empty() {
            books
                .wrong
                .push(format!("{why} {at}, but {left:?} are not"));
        }
    }

    /// What is wrong now that everything has ended.
    pub(crate) fn verdict(&self) -> Vec<String> {
        let (managers, killed) = {
            let mut books = self.books();
            (std::mem::take(&mut books.managers), books.killed)
        };
        let mut wrong = Vec::new();
        if !killed {
            for (at, manager) in &managers {
                self.books().judge(*at, manager, &managers, &mut wrong);
            }
        }
        // One that was never started holds its service.
        drop(managers);
        let books = self.books();
        wrong.extend_from_slice(&books.wrong);
        for (at, node) in books.nodes.iter().enumerate() {
            if !node.dropped {
                wrong.push(format!("the future of {at} was never dropped"));
            }
            if !killed && (node.deferred, node.protected) != (0, 0) {
                wrong.push(format!("{at} lost a cleanup or the end of a shield"));
            }
        }
        wrong
    }
}

impl Books {
    /// Whether this node or one above it is such a one.
    fn any_above(&self, mut at: Option<usize>, is: impl Fn(&Info) -> bool) -> bool {
        while let Some(node) = at {
            if is(&self.nodes[node]) {
                return true;
            }
            at = self.nodes[node].parent;
        }
        false
    }

    fn is_below(&self, mut node: usize, above: usize) -> bool {
        while let Some(parent) = self.nodes[node].parent {
            if parent == above {
                return true;
            }
            node = parent;
        }
        false
    }

    /// Nodes below this one that are not gone, with their cleanups.
    fn left_below(&self, at: usize, itself: bool) -> Vec<usize> {
        let is_left = |node: usize| {
            let n = &self.nodes[node];
            let own = node == at && itself || self.is_below(node, at);
            own && (!n.dropped || !self.killed && (n.deferred > 0 || n.protected > 0))
        };
        (0..self.nodes.len()).filter(|&n| is_left(n)).collect()
    }

    /// A service's answers after its end.
    fn judge(
        &self,
        at: usize,
        manager: &Manager,
        managers: &[(usize, Manager)],
        wrong: &mut Vec<String>,
    ) {
        if !manager.is_started() {
            return;
        }
        let stats = manager.stats().tasks;
        if stats.pending_count() != 0 || !manager.is_finished() || !manager.snapshot().is_empty() {
            wrong.push(format!("service {at} is not at its end: {manager:?}"));
        }
        let Some(result) = manager.result() else {
            wrong.push(format!("service {at} has no result"));
            return;
        };
        if manager.did_error() != result.is_err() {
            wrong.push(format!("service {at} is not sure that it failed"));
        }
        let failures = result.as_ref().map_or_else(|e| e.failures(), |()| &[]);
        let mut tasks = HashSet::new();
        for failure in failures {
            if !tasks.insert(failure.task()) {
                wrong.push(format!("service {at} recorded {failure} twice"));
            }
        }
        let texts: Vec<String> = failures
            .iter()
            .map(|failure| match failure.kind() {
                FailureKind::Error(error) => error.to_string(),
                FailureKind::Panic(text) => text.clone(),
                _ => String::new(),
            })
            .collect();
        for node in self.nodes.iter().filter(|n| n.service == at) {
            if let Some(must) = node.must.as_ref().filter(|must| !texts.contains(must)) {
                wrong.push(format!("service {at} did not record {must}: {texts:?}"));
            }
        }
        let failed_inside = |node: usize| {
            let n = &self.nodes[node];
            let inner = managers.iter().find(|m| m.0 == node);
            n.kind == Kind::Service(true)
                && n.parent.is_some_and(|p| self.nodes[p].service == at)
                && inner.is_some_and(|m| m.1.is_started() && m.1.did_error())
        };
        let inner = (0..self.nodes.len()).filter(|&n| failed_inside(n)).count();
        let known = failures
            .iter()
            .filter(|f| matches!(f.kind(), FailureKind::Service(_)))
            .count();
        if inner != known {
            wrong.push(format!(
                "{inner} services below {at} failed, it knows of {known}"
            ));
        }
    }
}

/// Alive as long as the future of a node.
pub(crate) struct Life(World, usize);

impl Life {
    /// The future is about to return or to panic.
    pub(crate) fn end(&self) {
        self.0.with(self.1, |n| n.ended = true);
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let at = self.1;
        let mut books = self.0.books();
        let killed = books.killed;
        let node = &mut books.nodes[at];
        node.dropped = true;
        if node.ended {
            return;
        }
        let mut wrong = Vec::new();
        if !killed && node.protected > 0 {
            wrong.push(format!("{at} was dropped inside protection"));
        }
        if !killed && node.polled && !node.grace.is_zero() && !node.late {
            match node.asked {
                None => wrong.push(format!("{at} has grace, and was dropped without notice")),
                Some(asked) if now() < asked + node.grace => {
                    wrong.push(format!("{at} was dropped within its grace"));
                }
                Some(_) => {}
            }
        }
        let left = books.left_below(at, false);
        if !left.is_empty() {
            wrong.push(format!("{at} was dropped before {left:?} below it"));
        }
        books.wrong.extend(wrong);
    }
}

/// Notes when the cancellation was asked for.
pub(crate) fn asked(world: &World, at: usize) {
    let now = now();
    world.with(at, |n| n.asked = n.asked.or(Some(now)));
}
