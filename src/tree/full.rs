//! A parent that is at its limit of supervised children.
//!
//! Its count includes children that are done and wait to be unlinked together ([`super::batch`]), which must
//! not use up the limit. So a thread that finds a parent full goes through its children, a chunk at a
//! time, and counts out those that are done. If there are none, it refuses the new child.

use super::frontier::{CHUNK, Frontier, Visit};
use crate::error::TooManyChildren;
use crate::path::sanitise;
use crate::task::raw::Parent;
use crate::task::{kind, short};
use std::borrow::Cow;
use std::collections::HashMap;

/// Counts out the children that are done; `true` if there was one.
#[cold]
pub(super) fn make_room(parent: Parent<'_>) -> bool {
    let mut made = false;
    if let Some(pin) = parent.task().pin() {
        let mut frontier = Frontier::below(pin, 0);
        while frontier.expand_one(|child, children| {
            made |= children.count_out(child);
            Visit::Skip
        }) {}
    }
    made
}

/// How often each name occurs that is a static string, found by its address.
#[derive(Default)]
struct Statics {
    counts: HashMap<(*const u8, usize, bool), (&'static str, usize)>,
    /// Children of one kind mostly come one after another.
    last: Option<(&'static str, bool, usize)>,
}

impl Statics {
    /// `is_type`: the name is yet to be cut out of the name of a type.
    fn add(&mut self, name: &'static str, is_type: bool) {
        match &mut self.last {
            Some((last, of_type, count)) if std::ptr::eq(*last, name) && *of_type == is_type => {
                *count += 1;
            }
            _ => {
                self.store();
                self.last = Some((name, is_type, 1));
            }
        }
    }

    fn store(&mut self) {
        if let Some((name, is_type, count)) = self.last.take() {
            let key = (name.as_ptr(), name.len(), is_type);
            self.counts.entry(key).or_insert((name, 0)).1 += count;
        }
    }

    fn finish<'a>(mut self) -> impl Iterator<Item = (Cow<'a, str>, usize)> {
        self.store();
        let counts = self.counts.into_iter();
        counts.map(|((_, _, is_type), (name, count))| {
            (sanitise(if is_type { short(name) } else { name }), count)
        })
    }
}

/// The error for a parent that is full.
#[cold]
pub(crate) fn too_many(parent: Parent<'_>, limit: usize) -> TooManyChildren {
    let Some(pin) = parent.task().pin() else {
        let name = (parent.service_name()).unwrap_or_else(|| short(parent.task().type_name()));
        return TooManyChildren::new(name.to_owned(), limit, std::iter::empty());
    };
    let path = pin.live().path();
    let mut frontier = Frontier::below(pin, 0);
    let mut statics = Statics::default();
    let mut seen: Vec<(&'static str, bool)> = Vec::with_capacity(CHUNK);
    loop {
        let more = frontier.expand_one(|child, _| {
            if !child.is(kind::SUPERVISED) || child.word().is_done() {
                return Visit::Skip;
            }
            // No allocation under the lock.
            if seen.len() < seen.capacity()
                && let Some(name) = child.static_name()
            {
                seen.push(name);
                return Visit::Skip;
            }
            // Its name is its own: it is pinned until that has been looked at.
            match child.pin() {
                Some(pin) => Visit::Take(pin.into(), 0),
                None => Visit::Skip,
            }
        });
        for (name, is_type) in seen.drain(..) {
            statics.add(name, is_type);
        }
        if !more {
            break;
        }
    }
    let own = frontier.taken().map(|child| (child.segment(), 1));
    TooManyChildren::new(path, limit, own.chain(statics.finish()))
}
