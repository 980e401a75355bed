//! The walks of a cancellation, in steps, as jobs of the workers.
//!
//! **Mark** (this file) goes down, breadth first, one step on each task's state word: it raises the
//! level, and claims the task if it is idle, unprotected and has no children, or else pins it. Tasks
//! that were at this level already are not entered: cancelling twice costs nothing, and two walks
//! share the work. Nor are the tasks that a protection of their parent covers
//! ([`crate::task::cover`]), except by a kill. When that protection ends, a walk from the parent marks what is
//! left of them. The walk drops no future before the whole subtree is marked, because an error that a
//! drop causes in a task that is not marked would count as a failure. **Sweep** ([`sweep`]) goes back, leaves first: it drops the futures of the tasks
//! that were claimed and gives the pins back; the step that gives the last one back brings the task's
//! turn. Siblings that are done by then are unlinked under one lock and taken off their parent in one
//! step. Idle workers take part in it. Grace periods end with a walk of a similar form ([`expire`]).

mod expire;
mod sweep;

use super::frontier::{Frontier, Visit};
use super::grace::tag;
use super::request::notify;
use crate::id::TaskId;
use crate::sync::Arc;
use crate::task::cold::Cold;
use crate::task::cover::{Cover, CoverState};
use crate::task::raw::Marked;
use crate::task::shared::Cancellation;
use crate::task::state::Level;
use crate::task::{Live, Walk, kind};
use expire::Graces;
use std::cell::Cell;
use std::time::Duration;
use sweep::STEP;

/// The way down of a cancellation: the walk that marks.
pub(super) struct Cancel {
    level: Level,
    /// As in [`Cancellation`].
    left: Option<Arc<Cover>>,
    target: TaskId,
    at_ns: u64,
    /// The grace periods met so far.
    graces: Graces,
    /// Whether an entry since the last [`Cancel::note`] has a tag.
    tagged: Cell<bool>,
    /// The tasks marked so far. The target is the first entry.
    frontier: Frontier,
    /// Whether two tasks met so far are siblings.
    has_siblings: bool,
    /// Whether [`Cancel::note`] has seen the target.
    begun: bool,
}

/// Flag in an entry's tag: there may be waits for the task's cancellation. The rest of the tag is the
/// task's grace.
const NOTIFY: u64 = 1;

impl Walk for Cancel {
    fn step(mut self: Box<Self>) -> Option<Box<dyn Walk>> {
        if self.mark() {
            return Some(self);
        }
        let target = self.frontier.entries[0].task.live();
        let shared = target.shared_arc();
        shared.requests.marked();
        std::mem::take(&mut self.graces).start(target, self.left.take(), self.at_ns);
        let entries = std::mem::take(&mut self.frontier.entries);
        sweep::begin(shared, self.target, entries, self.has_siblings)
    }

    fn target(&self) -> TaskId {
        self.target
    }
}

impl Cancel {
    /// Makes the walk of a request whose target is marked.
    pub(super) fn new(request: Cancellation) -> Self {
        let Cancellation {
            target,
            level,
            left,
            grace,
            at_ns,
        } = request;
        // The target hands its grace down. It was told of its cancellation, but a wait for room under it goes on
        // with the end of the protection, too.
        let grace = if left.is_some() {
            super::grace::effective(target.live())
        } else {
            grace
        };
        Cancel {
            level,
            left,
            target: target.live().id(),
            at_ns,
            graces: Graces::default(),
            tagged: Cell::new(true),
            frontier: Frontier::below(target, grace | NOTIFY),
            has_siblings: false,
            begun: false,
        }
    }

    /// Goes through the entries from this one on, outside of the lock: wakes the waits, and collects the
    /// grace periods.
    fn note(&mut self, from: usize) {
        if !self.tagged.take() {
            return;
        }
        let never = tag(Duration::MAX);
        for (at, entry) in self.frontier.entries.iter_mut().enumerate().skip(from) {
            let task = entry.task.live();
            if entry.tag & NOTIFY != 0 {
                entry.tag &= !NOTIFY;
                notify(task);
            }
            // The longest grace period means for ever.
            if entry.tag != 0 && entry.tag != never && self.level == Level::Cancel {
                let own = task.cold().and_then(Cold::own_grace);
                let left = self.left.is_some();
                let top = if left {
                    at > 0 && entry.parent == 0
                } else {
                    at == 0
                };
                if own.is_some() && !(left && at == 0) || top {
                    self.graces.add(entry.tag, task);
                }
            }
        }
    }

    /// Marks about [`STEP`] tasks; `true` while there are more.
    fn mark(&mut self) -> bool {
        if !std::mem::replace(&mut self.begun, true) {
            self.note(0);
        }
        let limit = self.frontier.entries.len() + STEP;
        let mut more = true;
        // Many of the tasks that were met may have no children.
        let mut visits = STEP;
        while more && self.frontier.entries.len() < limit && visits > 0 {
            visits -= 1;
            let from = self.frontier.entries.len();
            let (level, tagged) = (self.level, &self.tagged);
            let top = self.left.as_deref().filter(|_| self.frontier.is_at_first());
            // Such a walk looks at each child as at a covered one.
            let all = if top.is_some() { kind::COVERED } else { 0 };
            more = (self.frontier).expand(|child, _, tag| {
                if (child.kinds() | all) & kind::COVERED != 0 && is_passed_over(child, level, top) {
                    Visit::Skip
                } else {
                    visit(child, tag, level, tagged)
                }
            });
            self.has_siblings |= self.frontier.has_siblings_from(from);
            self.note(from);
        }
        more
    }
}

/// Whether the walk passes over a child and what is below it: its parent's protection covers it, or has left
/// it to another walk; or this is such a walk, visits the children of its target, and the child is none of those
/// of the cover `top`.
#[inline(never)]
fn is_passed_over(child: Live<'_>, level: Level, top: Option<&Cover>) -> bool {
    let Some(cover) = child.cover() else {
        return top.is_some();
    };
    match cover.state() {
        CoverState::Lifted(_) => top.is_some(),
        CoverState::Active => level == Level::Cancel,
        CoverState::Called(_) => {
            level == Level::Cancel && !top.is_some_and(|top| std::ptr::eq(top, cover))
        }
    }
}

/// Marks a child. The parent's lock is held, so this only reads and makes steps of the state word.
#[inline]
fn visit(child: Live<'_>, parent_tag: u64, level: Level, tagged: &Cell<bool>) -> Visit {
    let seen = child.word();
    if seen.is_done() {
        return Visit::Skip;
    }
    let grace = match child.cold().and_then(Cold::own_grace) {
        None => parent_tag & !NOTIFY,
        Some(grace) => tag(grace),
    };
    // Before the mark: a thread that sees the child end because of the mark sees this.
    child.set_swept();
    let (before, marked) = child.mark_below(seen, level, grace != 0);
    let task = match marked {
        Marked::Refused => return Visit::Skip,
        Marked::Claimed(task) => task.into(),
        Marked::Pinned(task) => task.into(),
    };
    let service = child.is(kind::SERVICE);
    if service && let Some(record) = child.record() {
        record.mark_closing_with_tree();
    }
    let waits = service || before.has_waiters();
    let tag = grace | if waits { NOTIFY } else { 0 };
    if tag != 0 {
        tagged.set(true);
    }
    Visit::Take(task, tag)
}
