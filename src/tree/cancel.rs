//! Cancellation: a request marks its target at once; a job for a worker does the rest.
//!
//! **Mark** goes down, breadth first, one step on each task's state word: it raises the level, and
//! claims the task if it is idle, unprotected and has no children, or else holds it. Tasks that
//! were at this level already are not entered: cancelling twice costs nothing, and two walks share
//! the work. No future is dropped before the whole subtree is marked, or its consequences would
//! count as failures. **Sweep** ([`super::sweep`]) goes back, leaves first: it drops the futures of
//! what was claimed and gives the holds back; the step that gives the last one back brings the task's
//! turn. Siblings that are done by then are unlinked under one lock and taken off their parent in one
//! step. Idle workers take part in it.
//!
//! Grace periods end with a walk of a similar form ([`super::expire`]).

use super::expire::Graces;
use super::finish;
use super::frontier::{Entry, Frontier, Visit};
use super::hold::Hold;
use super::links;
use super::sweep::{self, STEP};
use crate::id::TaskId;
use crate::sync::atomic::Ordering;
use crate::task::state::{Action, Level, Mark};
use crate::task::{Job, Node, Shared, Walk, kind};
use std::cell::Cell;
use std::time::Duration;

/// Asks for the cancellation of a task and what is below it. Never blocks, runs no user code. The
/// caller has a reference, or keeps the task from being done.
#[inline]
pub(crate) fn request(target: Node, level: Level) {
    request_and(target, level, || {});
}

/// As [`request`], and calls `close` before it returns, which closes the record of the target's
/// service. A service that is closed refuses what is spawned in it, and what a refused future breaks in
/// its drop is a consequence of this request: so the request has its number before the service closes.
#[inline]
pub(crate) fn request_and(target: Node, level: Level, close: impl FnOnce()) {
    // The common case needs no walk. There is nothing below that could break.
    let plain = !target.is(kind::SENTINEL | kind::GRACE);
    if level == Level::Cancel
        && plain
        && let Some(action) = target.state.cancel_leaf(target.is(kind::SERVICE))
    {
        close();
        if action == Action::Submit {
            target.submit();
        }
        return;
    }
    if target.state.load().level() >= level as u64 {
        return close();
    }
    let Some(_held) = Hold::on(target) else {
        return close();
    };
    // Held, so the runtime is there. The number is drawn and noted before the mark: who sees the
    // mark sees the number, and a poll that begins after this has a number at least as high.
    let shared = target.shared();
    let number = shared.requests.begin();
    let cold = target.cold_or_new();
    let _ = (cold.asked).compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed);
    close();
    // With the level comes the grace flag.
    let grace = effective_grace(target);
    if target.state.mark(level, grace != 0, false).1 == Mark::Held {
        let walk = Cancel::new(level, target, grace, shared.clock.now_ns());
        shared.schedule().job(Job::Walk(Box::new(walk)));
    } else {
        shared.requests.marked();
    }
}

struct Cancel {
    level: Level,
    target: Node,
    /// The target's, which may be done before the walk is.
    id: TaskId,
    /// The target's own, as a tag.
    grace: u64,
    asked_ns: u64,
    /// The grace periods met so far.
    graces: Graces,
    /// Whether an entry since the last [`Cancel::note`] has a tag.
    tagged: Cell<bool>,
    frontier: Option<Frontier>,
    /// Whether two tasks met so far are siblings.
    has_siblings: bool,
}

/// Flag in an entry's tag, of which the rest is the task's grace in units of two nanoseconds:
/// somebody waits for this cancellation.
const NOTIFY: u64 = 1;

/// Flag in [`Cold::inherited`](crate::task::side::Cold), whose rest is a tag.
const KNOWN: u64 = 1;

/// A grace period as a tag.
fn tag(grace: Duration) -> u64 {
    u64::try_from(grace.as_nanos())
        .unwrap_or(u64::MAX)
        .div_ceil(2)
        .min(u64::MAX >> 1)
        << 1
}

impl Walk for Cancel {
    fn step(mut self: Box<Self>) -> Option<Box<dyn Walk>> {
        if self.mark() {
            return Some(self);
        }
        self.target.shared().requests.marked();
        std::mem::take(&mut self.graces).start(self.target, self.asked_ns);
        let entries = self.frontier.take()?.entries;
        sweep::begin(self.target.shared(), self.id, entries, self.has_siblings)
    }

    fn target(&self) -> TaskId {
        self.id
    }
}

impl Cancel {
    fn new(level: Level, target: Node, grace: u64, asked_ns: u64) -> Self {
        Cancel {
            level,
            target,
            id: target.id(),
            grace,
            asked_ns,
            graces: Graces::default(),
            tagged: Cell::new(true),
            frontier: None,
            has_siblings: false,
        }
    }

    /// Looks at what was marked from this entry on, outside of the lock: wakes who waits, and
    /// collects the grace periods.
    fn note(&mut self, frontier: &mut Frontier, from: usize) {
        if !self.tagged.take() {
            return;
        }
        let never = tag(Duration::MAX);
        for entry in &mut frontier.entries[from..] {
            if entry.tag & NOTIFY != 0 {
                entry.tag &= !NOTIFY;
                notify(entry.node);
            }
            // The longest there is means for ever.
            if entry.tag != 0 && entry.tag != never && self.level == Level::Cancel {
                let own = entry.node.cold().and_then(|cold| cold.grace);
                if own.is_some() || entry.node == self.target {
                    self.graces.add(entry.tag, entry.node);
                }
            }
        }
    }

    /// One stretch of the way down; `true` while there is more.
    fn mark(&mut self) -> bool {
        let mut frontier = match self.frontier.take() {
            Some(frontier) => frontier,
            None => {
                let mut frontier = Frontier::with_tag(self.target, self.grace | NOTIFY);
                self.note(&mut frontier, 0);
                frontier
            }
        };
        let limit = frontier.entries.len() + STEP;
        let mut more = true;
        // Many of the tasks that were met may have no children.
        let mut visits = STEP;
        while more && frontier.entries.len() < limit && visits > 0 {
            visits -= 1;
            let from = frontier.entries.len();
            more = frontier.expand(|child, parent| self.visit(child, parent));
            self.has_siblings |= frontier.has_siblings_from(from);
            self.note(&mut frontier, from);
        }
        self.frontier = Some(frontier);
        more
    }

    /// Under the parent's lock: nothing but looks and steps.
    #[inline]
    fn visit(&self, child: Node, parent: &Entry) -> Visit {
        let grace = match child.cold().and_then(|cold| cold.grace) {
            None => parent.tag,
            Some(grace) => tag(grace),
        };
        // Before the mark: whoever sees it end because of that sees this.
        if !child.state.load().is_done() {
            child.swept.store(true, Ordering::Relaxed);
        }
        let (before, mark) = child.state.mark(self.level, grace != 0, true);
        let service = child.is(kind::SERVICE);
        if mark != Mark::Refused
            && service
            && let Some(record) = child.record()
        {
            record.close_with_tree();
        }
        let waits = service || before.has_waiters();
        let tag = grace | if waits { NOTIFY } else { 0 };
        if tag != 0 {
            self.tagged.set(true);
        }
        match mark {
            Mark::Refused => Visit::Skip,
            Mark::Claimed => Visit::Claim(tag),
            Mark::Held => Visit::Take(tag),
        }
    }
}

/// Wakes those who wait for this task's, or this service's, cancellation or end.
pub(super) fn notify(node: Node) {
    if let Some(cold) = node.cold() {
        cold.waiters.wake_all();
    }
}

/// The task's own grace period, or that of the nearest task above it that has one, as a tag. Cold
/// records on the way keep what was found, so that a deep chain is not walked up again and again.
pub(super) fn effective_grace(node: Node) -> u64 {
    if !node.is(kind::GRACE) {
        return 0;
    }
    let mut at = node;
    let found = loop {
        if let Some(cold) = at.cold() {
            let inherited = cold.inherited.load(Ordering::Relaxed);
            if let Some(grace) = cold.grace {
                break tag(grace);
            } else if inherited != 0 {
                break inherited & !KNOWN;
            }
        }
        match links::parent(at) {
            Some(parent) => at = parent,
            None => break 0,
        }
    };
    let (top, mut at) = (at, Some(node));
    while let Some(node) = at.filter(|node| *node != top) {
        if let Some(cold) = node.cold() {
            cold.inherited.store(found | KNOWN, Ordering::Relaxed);
        }
        at = links::parent(node);
    }
    found
}

/// Ends the runtime's tree from its roots: at `Kill` for good, at `Cancel` respecting protection.
pub(crate) fn request_all(shared: &Shared, level: Level) {
    for sentinel in shared.sentinels() {
        request(**sentinel, level);
    }
}

/// Takes the hold off that has kept the sentinels open: with their last child they are done.
pub(crate) fn release_sentinels(shared: &Shared) {
    for sentinel in shared.sentinels() {
        finish::release_later(**sentinel);
    }
}
