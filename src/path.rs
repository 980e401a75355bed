//! Paths of tasks: `app/db/conn-3`, bounded however deep the tree and however long the names.
//!
//! A path has at most [`MAX_SEGMENTS`] segments. A deeper task's path keeps the [`HEAD`] segments
//! nearest the root, then says `…`, then keeps the [`TAIL`] nearest the task. Names are cut, and
//! characters that would break a line or the path itself are replaced.
//!
//! [`UpwardPath`] is for one task, whose ancestors are met leaf first; [`PreorderPaths`] for every
//! node of a walk from the top down.

use std::borrow::Cow;
use std::collections::VecDeque;

/// The segments of a path before it is elided.
pub(crate) const MAX_SEGMENTS: usize = HEAD + 1 + TAIL;
/// The segments an elided path keeps on the root's side.
pub(crate) const HEAD: usize = 16;
/// The segments an elided path keeps on the task's side.
const TAIL: usize = 15;
/// The characters of a name that are shown.
const MAX_NAME: usize = 64;
/// What stands for segments and characters that were left out.
const ELLIPSIS: &str = "…";
/// What stands for a character that cannot be shown, and for an empty name.
const SUBSTITUTE: char = '_';

/// The name as it may stand in a path and in a line of text: at most 64 characters (the last is
/// `…` if it was cut), none of them a `/` or one that breaks or reorders a line, and at least one.
///
/// Sanitising twice is the same as sanitising once. Long names are not read to their end.
pub(crate) fn sanitise(name: &str) -> Cow<'_, str> {
    if name.is_empty() {
        return Cow::Owned(SUBSTITUTE.to_string());
    }
    let fits = name.len() <= MAX_NAME || name.chars().nth(MAX_NAME).is_none();
    if fits && !name.chars().any(is_disruptive) {
        return Cow::Borrowed(name);
    }
    let kept = if fits { MAX_NAME } else { MAX_NAME - 1 };
    let shown = name.chars().take(kept);
    let mut clean: String = shown
        .map(|c| if is_disruptive(c) { SUBSTITUTE } else { c })
        .collect();
    if !fits {
        clean.push_str(ELLIPSIS);
    }
    Cow::Owned(clean)
}

/// True for the path separator, control characters, line separators and bidirectional controls.
fn is_disruptive(c: char) -> bool {
    c == '/'
        || c.is_control()
        || matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The path of one task, from names that come leaf first.
///
/// Takes constant memory, however many names are pushed.
#[derive(Debug, Default)]
pub(crate) struct UpwardPath {
    /// The names pushed first, nearest the leaf.
    first: Vec<String>,
    /// The names pushed last, nearest the root; a ring.
    latest: VecDeque<String>,
    /// True once the ring has lost a name.
    overflowed: bool,
}

impl UpwardPath {
    /// A path without segments.
    pub(crate) fn new() -> UpwardPath {
        UpwardPath::default()
    }

    /// Adds the name of the next task on the way to the root.
    pub(crate) fn push(&mut self, name: &str) {
        let name = sanitise(name);
        if self.first.len() <= TAIL {
            self.first.push(name.into_owned());
        } else if self.latest.len() < HEAD {
            self.latest.push_back(name.into_owned());
        } else if let Some(mut oldest) = self.latest.pop_front() {
            self.overflowed = true;
            oldest.clear();
            oldest.push_str(&name);
            self.latest.push_back(oldest);
        }
    }

    /// Ends a path that is to be elided with the [`HEAD`] segments nearest the root, root first,
    /// instead of all the names on the way there.
    pub(crate) fn set_head(&mut self, head: &[String]) {
        self.latest = head.iter().rev().cloned().collect();
        self.overflowed = true;
    }

    /// The segments, root first, elided if there were too many.
    ///
    /// These can be the ancestors that [`PreorderPaths::new`] asks for.
    pub(crate) fn segments(mut self) -> Vec<String> {
        let mut segments: Vec<String> = self.latest.into_iter().rev().collect();
        if self.overflowed {
            self.first.truncate(TAIL);
            segments.push(ELLIPSIS.to_owned());
        }
        segments.extend(self.first.into_iter().rev());
        segments
    }

    /// The path, root first.
    pub(crate) fn finish(self) -> String {
        self.segments().join("/")
    }
}

/// The paths of the nodes of a tree, met in pre-order (a node before its children).
///
/// A node costs the work of one bounded path; the memory is one reference for each level.
#[derive(Debug)]
pub(crate) struct PreorderPaths<'a> {
    /// The names from the root to the node that came last.
    segments: Vec<Cow<'a, str>>,
    /// How many of them are above the nodes of depth 0.
    above: usize,
}

impl<'a> PreorderPaths<'a> {
    /// Paths of nodes below these ancestors (root first, possibly elided already).
    pub(crate) fn new(above: &'a [String]) -> PreorderPaths<'a> {
        PreorderPaths {
            segments: above.iter().map(|name| sanitise(name)).collect(),
            above: above.len(),
        }
    }

    /// The path of the next node.
    ///
    /// `depth` is 0 for a top node and at most one more than that of the node before; a larger one
    /// is taken as one more.
    pub(crate) fn push(&mut self, depth: usize, name: &'a str) -> String {
        self.segments.truncate(self.above.saturating_add(depth));
        self.segments.push(sanitise(name));
        if self.segments.len() <= MAX_SEGMENTS {
            return self.segments.join("/");
        }
        let head = &self.segments[..HEAD];
        let tail = &self.segments[self.segments.len() - TAIL..];
        let bytes: usize = head.iter().chain(tail).map(|name| name.len() + 1).sum();
        let mut path = String::with_capacity(bytes + ELLIPSIS.len());
        for name in head {
            path.push_str(name);
            path.push('/');
        }
        path.push_str(ELLIPSIS);
        for name in tail {
            path.push('/');
            path.push_str(name);
        }
        path
    }
}

#[cfg(test)]
mod tests;
