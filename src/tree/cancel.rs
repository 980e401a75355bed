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
//! A grace period ends with a walk of the same form, **expire**.

use super::asked;
use super::finish;
use super::frontier::{Entry, Frontier, Visit};
use super::hold::Hold;
use super::links;
use super::sweep::{self, STEP};
use crate::id::TaskId;
use crate::sync::atomic::Ordering;
use crate::task::current;
use crate::task::state::{Action, Level, Mark, Snapshot};
use crate::task::{Hub, Job, Node, NodeRef, Walk, kind};
use crate::timer::Fire;
use std::cell::Cell;
use std::time::Duration;

/// Asks for the cancellation of a task and what is below it. Never blocks, runs no user code. The
/// caller has a reference, or keeps the task from being done.
pub(crate) fn request(target: Node, level: Level) {
    // The common case needs no walk.
    let plain = !target.is(kind::SENTINEL | kind::GRACE);
    if level == Level::Cancel
        && plain
        && let Some(action) = target.state.cancel_leaf(target.is(kind::SERVICE))
    {
        if action == Action::Submit {
            target.submit();
        }
        return;
    }
    if target.state.load().level() >= level as u64 {
        return;
    }
    let Some(_held) = Hold::on(target) else {
        return;
    };
    // Held, so the runtime is there. The number is drawn and noted before the mark: who sees the
    // mark sees the number, and a poll that begins after this has a number at least as high.
    let hub = target.hub();
    let number = hub.requests.begin();
    let side = target.side_or_new();
    let _ = (side.asked).compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed);
    // With the level comes the grace flag.
    let grace = tag(effective_grace(target));
    if target.state.mark(level, grace != 0, false).1 == Mark::Held {
        let walk = Cancel::new(Op::Raise(level), target, grace, hub.clock.now_ns());
        hub.schedule().job(Job::Walk(Box::new(walk)));
    } else {
        hub.requests.marked();
    }
}

/// Whether an error that this task's poll returned is a failure, or a consequence of a
/// cancellation: it counts if that was asked for during this poll at the earliest, or if it came
/// from inside protection. `before` is the state the poll began in; by whoever runs the task.
pub(crate) fn error_counts(node: Node, before: Snapshot) -> bool {
    if before.is_protected() || before.in_grace() || current::protected_in_poll() {
        return true;
    }
    if before.is_closing() {
        return false;
    }
    // Not marked when the poll began; but maybe asked for above, and the mark not here yet: only by
    // a request that was marking then.
    let began = current::epoch();
    if began.all_marked() {
        return true;
    }
    !asked::is_target_above(node, began.latest()) || in_grace_to_come(node)
}

/// Whether a task that has not been marked yet will be in a grace period when it is.
fn in_grace_to_come(node: Node) -> bool {
    !effective_grace(node).is_zero()
}

#[derive(Clone, Copy)]
enum Op {
    /// Cancel, or kill.
    Raise(Level),
    /// The grace periods with this tag, and shorter ones, are over.
    Expire(u64),
}

struct Cancel {
    op: Op,
    target: Node,
    /// The target's, which may be done before the walk is.
    id: TaskId,
    /// The target's own, as a tag.
    grace: u64,
    /// An expiry waits in a timer: the target may be done and freed otherwise.
    keep: Option<NodeRef>,
    asked_ns: u64,
    /// The distinct grace periods met so far, in nanoseconds.
    graces: Vec<u64>,
    /// Whether an entry since the last [`Cancel::note`] has a tag.
    tagged: Cell<bool>,
    frontier: Option<Frontier>,
    /// Whether two tasks met so far are siblings.
    has_siblings: bool,
}

/// Flag in an entry's tag, of which the rest is the task's grace in units of two nanoseconds:
/// somebody waits for this cancellation.
const NOTIFY: u64 = 1;

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
        if self.frontier.is_none() && !self.begin() {
            return None;
        }
        if self.mark() {
            return Some(self);
        }
        if matches!(self.op, Op::Raise(_)) {
            self.target.hub().requests.marked();
        }
        self.set_timers();
        let entries = self.frontier.take()?.entries;
        sweep::begin(self.target.hub(), self.id, entries, self.has_siblings)
    }

    fn target(&self) -> TaskId {
        self.id
    }
}

impl Cancel {
    fn new(op: Op, target: Node, grace: u64, asked_ns: u64) -> Self {
        Cancel {
            op,
            target,
            id: target.id(),
            grace,
            keep: None,
            asked_ns,
            graces: Vec::new(),
            tagged: Cell::new(true),
            frontier: None,
            has_siblings: false,
        }
    }

    fn begin(&mut self) -> bool {
        let target = self.target;
        let first = match self.op {
            Op::Raise(_) => self.grace | NOTIFY,
            Op::Expire(over) => {
                if !target.state.hold() {
                    return false;
                }
                if self.grace <= over {
                    target.state.end_grace();
                }
                self.grace
            }
        };
        let mut frontier = Frontier::with_tag(target, first);
        self.note(&mut frontier, 0);
        self.frontier = Some(frontier);
        true
    }

    /// Looks at what was marked from this entry on, outside of the lock: wakes who waits, and
    /// collects the grace periods.
    fn note(&mut self, frontier: &mut Frontier, from: usize) {
        if matches!(self.op, Op::Expire(_)) || !self.tagged.take() {
            return;
        }
        for entry in &mut frontier.entries[from..] {
            if entry.tag & NOTIFY != 0 {
                entry.tag &= !NOTIFY;
                notify(entry.node);
            }
            if entry.tag != 0 && !self.graces.contains(&entry.tag) {
                self.graces.push(entry.tag);
            }
        }
    }

    /// One stretch of the way down; `true` while there is more.
    fn mark(&mut self) -> bool {
        let Some(mut frontier) = self.frontier.take() else {
            return false;
        };
        let limit = frontier.entries.len() + STEP;
        let mut more = true;
        while more && frontier.entries.len() < limit {
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
        let grace = match child.side().and_then(|side| side.grace) {
            None => parent.tag,
            Some(grace) => tag(grace),
        };
        match self.op {
            Op::Raise(level) => {
                let (before, mark) = child.state.mark(level, grace != 0, true);
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
            Op::Expire(over) => {
                if !child.state.hold() {
                    return Visit::Skip;
                }
                if grace <= over {
                    child.state.end_grace();
                }
                Visit::Take(grace)
            }
        }
    }

    /// One timer for each length of grace, on the target: the end of the last task below it is
    /// the target's, too.
    fn set_timers(&mut self) {
        if !matches!(self.op, Op::Raise(Level::Cancel)) {
            return;
        }
        let hub = self.target.hub();
        for &grace in &self.graces {
            // The longest there is means for ever.
            let never = grace == tag(Duration::MAX);
            let Some(at) = self.asked_ns.checked_add(grace).filter(|_| !never) else {
                continue;
            };
            let mut expiry = Cancel::new(Op::Expire(grace), self.target, self.grace, 0);
            expiry.keep = Some(self.target.retain());
            let job = Fire::Job(Job::Walk(Box::new(expiry)));
            if let Some((key, earliest)) = hub.timers.insert(at, job) {
                self.target.side_or_new().keep_timer(key);
                if earliest {
                    hub.schedule().timer_changed(at);
                }
            }
        }
    }
}

/// Wakes those who wait for this task's, or this service's, cancellation or end.
pub(super) fn notify(node: Node) {
    if let Some(side) = node.side() {
        side.waiters.wake_all();
    }
}

/// The task's own grace period, or that of the nearest task above it that has one.
fn effective_grace(node: Node) -> Duration {
    let mut at = Some(node).filter(|node| node.is(kind::GRACE));
    while let Some(node) = at {
        if let Some(grace) = node.side().and_then(|side| side.grace) {
            return grace;
        }
        at = links::parent(node);
    }
    Duration::ZERO
}

/// Ends the runtime's tree from its roots: at `Kill` for good, at `Cancel` respecting protection.
pub(crate) fn request_all(hub: &Hub, level: Level) {
    for sentinel in hub.sentinels() {
        request(**sentinel, level);
    }
}

/// Takes the hold off that has kept the sentinels open: with their last child they are done.
pub(crate) fn release_sentinels(hub: &Hub) {
    for sentinel in hub.sentinels() {
        finish::release_later(**sentinel);
    }
}
