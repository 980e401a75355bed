//! Linking a new task under its parent, within the parent's limit.

use super::full;
use super::room::Ticket;
use crate::task::Borrowed;
use crate::task::raw::{Children, Fresh, Parent, Queued, RoomUnder};

/// Why a child was not linked.
pub(crate) enum Refusal {
    /// The parent is being cancelled, outside of protection and grace, or is done, or has
    /// [`MAX_CHILDREN`](crate::task::state::MAX_CHILDREN).
    Closing,
    /// The parent is at its limit of supervised children, or what is left is for tasks that wait for room.
    Limit,
}

/// The result of linking: the task, to be queued, or why it was not linked.
pub(super) type Attached<'a> = Result<Queued, (Fresh<'a>, Refusal)>;

/// A limit on the supervised children of the parent, which a supervised child keeps.
pub(super) struct Limit {
    max: usize,
    /// The number of supervised children that the parent had before this one was linked.
    before: u32,
}

impl Limit {
    pub(super) fn new(max: Option<usize>) -> Option<Limit> {
        max.map(|max| Limit { max, before: 0 })
    }
}

/// Links a new task under its parent.
#[inline(always)]
pub(super) fn attach<'a>(
    parent: Parent<'_>,
    task: Fresh<'a>,
    mut limit: Option<&mut Limit>,
) -> Attached<'a> {
    match attach_at_once(parent.task(), task, limit.as_deref_mut()) {
        Ok(linked) => Ok(linked),
        Err(task) => attach_slowly(parent, task, limit),
    }
}

/// As [`attach`], in the common case. Returns the task if another thread has the lock, or if the parent's
/// children have to be looked at.
// Not inlined into the code that is generic over the future: one copy of it is enough. It calls nothing, so that
// it saves no registers.
#[inline(never)]
fn attach_at_once<'a>(
    parent: Borrowed<'_>,
    task: Fresh<'a>,
    limit: Option<&mut Limit>,
) -> Result<Queued, Fresh<'a>> {
    let Some(children) = Children::try_lock(parent) else {
        return Err(task);
    };
    if let Some(limit) = limit {
        limit.before = children.count_or_watched();
        if limit.before as usize >= limit.max {
            return Err(task);
        }
    }
    children.adopt_at_once(task)
}

/// As [`attach`].
#[cold]
#[inline(never)]
fn attach_slowly<'a>(
    parent: Parent<'_>,
    task: Fresh<'a>,
    mut limit: Option<&mut Limit>,
) -> Attached<'a> {
    match link(parent, task, limit.as_deref_mut()) {
        Err((task, Refusal::Limit)) => attach_to_full(parent, task, limit),
        linked => linked,
    }
}

fn attach_to_full<'a>(
    parent: Parent<'_>,
    mut task: Fresh<'a>,
    mut limit: Option<&mut Limit>,
) -> Attached<'a> {
    loop {
        if let (Some(room), Some(limit)) = (RoomUnder::of(parent), limit.as_deref_mut()) {
            return attach_behind(&room, parent, task, limit);
        }
        let made = full::make_room(parent);
        // Each round needs new room: if none was made, this link is the last attempt.
        match link(parent, task, limit.as_deref_mut()) {
            Err((back, Refusal::Limit)) if made => task = back,
            linked => return linked,
        }
    }
}

fn link<'a>(parent: Parent<'_>, task: Fresh<'a>, limit: Option<&mut Limit>) -> Attached<'a> {
    let children = Children::lock(parent.task());
    if let Some(limit) = limit {
        limit.before = children.count_or_watched();
        if limit.before as usize >= limit.max && !children.refuses(&task) {
            return Err((task, Refusal::Limit));
        }
    }
    children
        .adopt(task)
        .map_err(|task| (task, Refusal::Closing))
}

/// Links a new task under a parent that has a room, unless others wait there.
fn attach_behind<'a>(
    room: &RoomUnder,
    parent: Parent<'_>,
    mut task: Fresh<'a>,
    limit: &mut Limit,
) -> Attached<'a> {
    let mut made = true;
    loop {
        match link_behind(room, task, limit) {
            Ok(linked) => return linked,
            // What is made goes to those who wait.
            Err((back, others_wait)) if others_wait || !made => {
                return Err((back, Refusal::Limit));
            }
            Err((back, _)) => task = back,
        }
        made = full::make_room(parent);
    }
}

/// As [`link`], under the lock of the queue. If there is no room, returns the task and whether something waits.
fn link_behind<'a>(
    room: &RoomUnder,
    task: Fresh<'a>,
    limit: &mut Limit,
) -> Result<Attached<'a>, (Fresh<'a>, bool)> {
    let queue = room.lock();
    let children = room.children();
    limit.before = children.supervised_count();
    if !queue.has_room(limit.before as usize, limit.max) && !children.refuses(&task) {
        return Err((task, queue.has_waiting()));
    }
    Ok(children
        .adopt(task)
        .map_err(|task| (task, Refusal::Closing)))
}

/// Links a new task by a permit that was waited for.
pub(super) fn attach_in<'a>(
    permit: &mut Ticket,
    task: Fresh<'a>,
    limit: Option<&mut Limit>,
) -> Attached<'a> {
    let (linked, before) = permit.adopt(task);
    if let Some(limit) = limit {
        limit.before = before;
    }
    linked.map_err(|task| (task, Refusal::Closing))
}

/// Tells the hook for crowds of a new supervised child that is in a queue.
#[inline]
pub(super) fn count_crowd(parent: Parent<'_>, limit: Option<Limit>) {
    if let (Some(hook), Some(limit)) = (parent.shared().crowd.get(), limit) {
        let count = limit.before as usize + 1;
        if let Some(edge) = hook.edge(count, limit.max) {
            full::tell_crowd(parent, edge, count, limit.max);
        }
    }
}
