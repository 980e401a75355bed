//! The ends of the grace periods of one cancellation.
//!
//! A cancellation collects, as it marks, the tasks that have a grace of their own, and its target,
//! which may have inherited one. Every other task in grace is below one of these *owners*, with no
//! other owner in between: its *region*. So each task is in one region, and is met once by all the
//! walks of a cancellation together, however many different lengths there are. One timer waits for
//! the earliest of them. The walk that follows ends every grace that is over by then, and releases its
//! pins ([`sweep`]) only when all of these have ended. So no task sees another one end while its own
//! grace period is over but not ended yet. It wakes the waits in the tasks whose grace it ends.

use super::sweep::{self, STEP};
use crate::id::TaskId;
use crate::sync::Arc;
use crate::task::cold::Cold;
use crate::task::cover::Cover;
use crate::task::raw::Pin;
use crate::task::{Job, Live, TaskRef, Walk};
use crate::timer_queue::Fire;
use crate::tree::finish::cancel_timer;
use crate::tree::frontier::{Frontier, Visit};
use crate::tree::request::notify;
use std::collections::BTreeMap;
use std::vec::IntoIter;

/// The owners that a cancellation has met, by the length of their grace in nanoseconds.
#[derive(Default)]
pub(super) struct Graces(BTreeMap<u64, Vec<TaskRef>>);

impl Graces {
    /// Notes an owner.
    pub(super) fn add(&mut self, grace: u64, owner: Live<'_>) {
        // Mostly all owners have one length, or each has a length of its own.
        let owners = self.0.entry(grace).or_insert_with(|| Vec::with_capacity(1));
        owners.push(owner.retain());
    }

    /// Sets the timer for the earliest end. The cancellation is about what is below the target, or below the
    /// children of a cover of it.
    pub(super) fn start(self, target: Live<'_>, cover: Option<Arc<Cover>>, at_ns: u64) {
        Box::new(Expire {
            target: target.retain(),
            cover,
            at_ns,
            graces: self,
            due: Vec::new().into_iter(),
            now: 0,
            frontier: None,
            has_siblings: false,
            last_parent: None,
        })
        .wait(target);
    }
}

/// The walk that ends grace periods, and waits in a timer for the next end.
struct Expire {
    /// A reference, because the task may be done while this waits in a timer.
    target: TaskRef,
    /// The cover of the target whose children the cancellation is about; the target may go on for long after
    /// they are done.
    cover: Option<Arc<Cover>>,
    /// When the cancellation was requested.
    at_ns: u64,
    /// The grace periods that are not over.
    graces: Graces,
    /// Owners whose grace is over, but not ended yet.
    due: IntoIter<TaskRef>,
    /// When this walk began, in nanoseconds: it ends each grace that is over by then.
    now: u64,
    frontier: Option<Frontier>,
    has_siblings: bool,
    /// The parent of the latest owner, and the position of its entry.
    last_parent: Option<(TaskId, u32)>,
}

/// Wakes the waits in the entries from this one on, whose grace has ended: one for room goes on, since
/// its task would not run any more.
fn wake_waits(frontier: &Frontier, from: usize) {
    for entry in &frontier.entries[from..] {
        notify(entry.task.live());
    }
}

impl Walk for Expire {
    fn step(mut self: Box<Self>) -> Option<Box<dyn Walk>> {
        let mut frontier = match self.frontier.take() {
            Some(frontier) => frontier,
            None => {
                if self.cover.as_ref().is_some_and(|cover| cover.is_over()) {
                    return self.let_go();
                }
                let Some(target) = self.target.pin() else {
                    return self.let_go();
                };
                self.now = target.live().shared().clock.now_ns();
                Frontier::from_here(target)
            }
        };
        let more = self.end_owners(&mut frontier) || self.end_regions(&mut frontier);
        if more {
            self.frontier = Some(frontier);
            return Some(self);
        }
        let (id, has_siblings) = (self.target.id(), self.has_siblings);
        let target = frontier.entries[0].task.live();
        let shared = target.shared_arc();
        self.wait(target);
        let entries = std::mem::take(&mut frontier.entries);
        sweep::begin(shared, id, entries, has_siblings)
    }

    fn target(&self) -> TaskId {
        self.target.id()
    }
}

impl Expire {
    /// When a grace of this length is over; `None` if that is never.
    fn end_of(&self, grace: u64) -> Option<u64> {
        self.at_ns.checked_add(grace)
    }

    /// Sets a timer for the next end, if there is one. The end of the target, or of the last child of the cover,
    /// cancels the timer.
    fn wait(mut self: Box<Self>, target: Live<'_>) {
        let Some(&grace) = self.graces.0.keys().next() else {
            return;
        };
        let Some(at) = self.end_of(grace) else {
            return;
        };
        self.last_parent = None;
        let shared = target.shared();
        let cover = self.cover.clone();
        if let Some(key) = shared.insert_timer(0, at, Fire::Job(Job::Walk(self))) {
            match cover {
                None => target.cold_or_new().keep_timer(key),
                Some(cover) => {
                    if let Some(key) = cover.keep_timer(key) {
                        cancel_timer(key, shared);
                    }
                }
            }
        }
    }

    /// Takes the next owner whose grace is over.
    fn next_due(&mut self) -> Option<TaskRef> {
        loop {
            if let Some(owner) = self.due.next() {
                return Some(owner);
            }
            let grace = *self.graces.0.keys().next()?;
            if self.end_of(grace).is_none_or(|at| at > self.now) {
                return None;
            }
            self.due = self.graces.0.remove(&grace)?.into_iter();
        }
    }

    /// Ends the grace of up to [`STEP`] owners; `true` while there may be more.
    fn end_owners(&mut self, frontier: &mut Frontier) -> bool {
        for _ in 0..STEP {
            let Some(owner) = self.next_due() else {
                return false;
            };
            if let Some(owner) = owner.borrowed().expire() {
                let from = frontier.entries.len();
                self.enter(owner, frontier);
                wake_waits(frontier, from);
            }
        }
        true
    }

    /// Adds an owner, and its parent, which is pinned, too.
    fn enter(&mut self, owner: Pin, frontier: &mut Frontier) {
        let target = self.target.id();
        let parent = owner.live().parent();
        let position = match (parent, self.last_parent) {
            _ if owner.live().id() == target => Some(0),
            (Some(parent), _) if parent.id() == target => Some(0),
            (Some(parent), Some((last, position))) if parent.id() == last => Some(position),
            // The parent is not done, since its child is pinned.
            (Some(parent), _) => parent.pin().map(|pin| {
                let position = frontier.add_passed(pin);
                self.last_parent = Some((parent.id(), position));
                position
            }),
            (None, _) => None,
        };
        let from = frontier.entries.len();
        frontier.add(owner, position);
        self.has_siblings |= frontier.has_siblings_from(from);
    }

    /// Ends the grace of about [`STEP`] tasks in regions; `true` while there are more.
    fn end_regions(&mut self, frontier: &mut Frontier) -> bool {
        let limit = frontier.entries.len() + STEP;
        for _ in 0..STEP {
            let from = frontier.entries.len();
            let more = frontier.expand(|child, _, _| {
                // An owner is in a region of its own. What is not marked yet, since it belongs to
                // another cancellation, is passed over by this one's timer and met by the other's. So is what
                // a protection covers, or has left.
                let is_owner = child.cold().and_then(Cold::own_grace).is_some();
                if is_owner || child.apart().is_some() {
                    return Visit::Skip;
                }
                match child.expire() {
                    Some(pin) => Visit::Take(pin.into(), 0),
                    None => Visit::Skip,
                }
            });
            self.has_siblings |= frontier.has_siblings_from(from);
            wake_waits(frontier, from);
            if !more {
                return false;
            }
            if frontier.entries.len() >= limit {
                break;
            }
        }
        true
    }

    /// Drops up to [`STEP`] references, since all that the cancellation is about is done.
    fn let_go(mut self: Box<Self>) -> Option<Box<dyn Walk>> {
        for _ in 0..STEP {
            if self.due.next().is_none() {
                let (_, owners) = self.graces.0.pop_first()?;
                self.due = owners.into_iter();
            }
        }
        Some(self)
    }
}
