//! A parent that is at its limit of supervised children.
//!
//! Its count includes children that are done and wait to be unlinked together ([`super::batch`]), which must
//! not use up the limit. So a thread that finds a parent full goes through its children, a chunk at a
//! time, and counts out those that are done. If there are none, it refuses the new child.

use super::frontier::{CHUNK, Frontier, Visit};
use crate::error::TooManyChildren;
use crate::path::sanitise;
use crate::snapshot::crowd::{Census, Crowd};
use crate::task::crowd::{CrowdHook, Edge};
use crate::task::raw::{Children, Parent, Pin, RoomUnder};
use crate::task::{Live, kind, short};
use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::Location;

/// Counts out the children that are done; `true` if there was one. If tasks wait for room, it is theirs.
#[cold]
pub(super) fn make_room(parent: Parent<'_>) -> bool {
    count_out(parent, |child, children| children.count_out(child))
}

/// As [`make_room`]. A thread that makes a child done that was not counted out sees what this thread did
/// before.
#[cold]
pub(super) fn make_room_in_order(parent: Parent<'_>) {
    count_out(parent, |child, children| children.count_out_in_order(child));
}

fn count_out(parent: Parent<'_>, one: impl Fn(Live<'_>, &Children<'_>) -> bool) -> bool {
    let mut made = false;
    if let Some(pin) = parent.task().pin() {
        let mut frontier = Frontier::below(pin, 0);
        while frontier.expand_one(|child, children| {
            made |= one(child, children);
            Visit::Skip
        }) {}
    }
    if made && let Some(room) = RoomUnder::of(parent) {
        room.pass_on();
    }
    made
}

/// The most children whose names are looked at.
const LOOKED_AT: usize = 10_000;

/// A static name, and whether it is yet to be cut out of the name of a type.
type StaticName = (&'static str, bool);

/// The address and the length of a static name, whether it is a type's, and the address of a place.
type Key = (*const u8, usize, bool, *const ());

/// How often each name occurs that is a static string, with each place, found by their addresses.
#[derive(Default)]
struct Statics {
    counts: HashMap<Key, (&'static str, Place, usize)>,
    /// Children of one kind mostly come one after another.
    last: Option<(StaticName, Place, usize)>,
}

/// Where a child was spawned.
type Place = &'static Location<'static>;

impl Statics {
    fn add(&mut self, name: StaticName, place: Place) {
        match &mut self.last {
            Some((last, at, count))
                if std::ptr::eq(last.0, name.0) && last.1 == name.1 && std::ptr::eq(*at, place) =>
            {
                *count += 1;
            }
            _ => {
                self.store();
                self.last = Some((name, place, 1));
            }
        }
    }

    fn store(&mut self) {
        if let Some(((name, is_type), place, count)) = self.last.take() {
            let at = std::ptr::from_ref(place).cast();
            let key = (name.as_ptr(), name.len(), is_type, at);
            self.counts.entry(key).or_insert((name, place, 0)).2 += count;
        }
    }

    fn finish<'a>(mut self) -> impl Iterator<Item = (Cow<'a, str>, Place, usize)> {
        self.store();
        let counts = self.counts.into_iter();
        counts.map(|((_, _, is_type, _), (name, place, count))| {
            let name = if is_type { short(name) } else { name };
            (sanitise(name), place, count)
        })
    }
}

/// The error for a parent that is full.
#[cold]
pub(crate) fn too_many(parent: Parent<'_>, limit: usize) -> TooManyChildren {
    let Some(pin) = parent.task().pin() else {
        let name = (parent.service_name()).unwrap_or_else(|| short(parent.task().type_name()));
        return TooManyChildren::new(name.to_owned(), limit, Census::default());
    };
    let path = pin.live().path();
    TooManyChildren::new(path, limit, census(pin))
}

/// Looks which supervised children a task has that are not done.
fn census(parent: Pin) -> Census {
    let mut frontier = Frontier::below(parent, 0);
    let mut statics = Statics::default();
    let mut seen: Vec<(StaticName, Place)> = Vec::with_capacity(CHUNK);
    let mut looked_at = 0;
    loop {
        let more = frontier.expand_one(|child, _| {
            looked_at += 1;
            if !child.is(kind::SUPERVISED) || child.word().is_done() {
                return Visit::Skip;
            }
            // No allocation under the lock.
            if seen.len() < seen.capacity()
                && let Some(name) = child.static_name()
            {
                seen.push((name, child.location()));
                return Visit::Skip;
            }
            // Its name is its own: it is pinned until that has been looked at.
            match child.pin() {
                Some(pin) => Visit::Take(pin.into(), 0),
                None => Visit::Skip,
            }
        });
        for (name, place) in seen.drain(..) {
            statics.add(name, place);
        }
        if !more || looked_at >= LOOKED_AT {
            break;
        }
    }
    let own = frontier.taken();
    let own = own.map(|child| (child.segment(), child.location(), 1));
    Census::new(own.chain(statics.finish()))
}

/// Tells the hook of the runtime that a parent has got its child number `count`, which is an edge. The child is
/// in a queue by now.
#[cold]
pub(super) fn tell_crowd(parent: Parent<'_>, edge: Edge, count: usize, limit: usize) {
    let Some(hook) = parent.shared().crowd.get() else {
        return;
    };
    // Children that are done may be counted. If some are, the edge comes again.
    if edge != Edge::Rearmed && make_room(parent) {
        return;
    }
    let Some(pin) = parent.task().pin() else {
        return;
    };
    if !CrowdHook::crosses(edge, pin.live().cold_or_new()) {
        return;
    }
    let (id, path) = (pin.live().id(), pin.live().path());
    // The parent is given back here: it does not wait for the hook.
    let Census {
        most_common,
        places,
    } = census(pin);
    hook.call(&Crowd {
        id,
        parent: path,
        children: count,
        limit,
        most_common,
        places,
    });
}
