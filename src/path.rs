//! Paths of tasks, such as `app/db/conn-3`.
//!
//! The room guards the length of a path, whatever the depth of the tree and the length of the names.
//! A path has at most [`MAX_SEGMENTS`] segments: that of a deeper task consists of the [`HEAD`]
//! segments nearest the root, `…`, and the [`TAIL`] segments nearest the task. Long names are cut, and
//! characters that would break a line or the path are replaced.
//!
//! [`UpwardPath`] builds the path of one task from the names of its ancestors, leaf first.
//! [`PreorderPaths`] builds the paths of all nodes of a walk from the top down. The room works on
//! names only and knows no tasks.

use std::borrow::Cow;
use std::collections::VecDeque;

/// The largest number of segments in a path.
pub(crate) const MAX_SEGMENTS: usize = HEAD + 1 + TAIL;
/// The number of segments that an elided path keeps at the root's end.
pub(crate) const HEAD: usize = 16;
/// The number of segments that an elided path keeps at the task's end.
const TAIL: usize = 15;
/// The largest number of characters of a name that are shown.
const MAX_NAME: usize = 64;
/// Replaces segments and characters that were left out.
const ELLIPSIS: &str = "…";
/// Replaces a character that cannot be shown, and an empty name.
const SUBSTITUTE: char = '_';

/// Returns the name in a form that fits in a path and in a line of text.
///
/// The result has between 1 and 64 characters, the last one `…` if the name was cut. It has no `/` and
/// no character that breaks or reorders a line. Sanitising the result again changes nothing. The time
/// is bounded: a long name is not read to its end.
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

/// Returns true for the path separator, control characters, line separators and bidirectional controls.
fn is_disruptive(c: char) -> bool {
    c == '/'
        || c.is_control()
        || matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Builds the path of one task from names that come leaf first.
///
/// Its memory is bounded, whatever the number of names.
#[derive(Debug, Default)]
pub(crate) struct UpwardPath {
    /// The names that were pushed first, nearest the leaf.
    first: Vec<String>,
    /// The names that were pushed last, nearest the root. When it is full, the oldest one goes.
    latest: VecDeque<String>,
    /// True once `latest` has lost a name.
    overflowed: bool,
}

impl UpwardPath {
    /// Makes a path without segments.
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

    /// Sets the [`HEAD`] segments nearest the root, in place of pushing all names up to there. They
    /// come root first, and the path will be elided.
    pub(crate) fn set_head(&mut self, head: &[String]) {
        self.latest = head.iter().rev().cloned().collect();
        self.overflowed = true;
    }

    /// Returns the segments, root first, elided if there were too many.
    ///
    /// [`PreorderPaths::new`] accepts them as ancestors.
    pub(crate) fn segments(mut self) -> Vec<String> {
        let mut segments: Vec<String> = self.latest.into_iter().rev().collect();
        if self.overflowed {
            self.first.truncate(TAIL);
            segments.push(ELLIPSIS.to_owned());
        }
        segments.extend(self.first.into_iter().rev());
        segments
    }

    /// Returns the path, root first.
    pub(crate) fn finish(self) -> String {
        self.segments().join("/")
    }
}

/// Builds the paths of the nodes of a tree, which come in pre-order (a node before its children).
///
/// The time per node is bounded. The memory is one reference for each level.
#[derive(Debug)]
pub(crate) struct PreorderPaths<'a> {
    /// The names from the root to the latest node.
    segments: Vec<Cow<'a, str>>,
    /// The number of names above the nodes of depth 0.
    above: usize,
}

impl<'a> PreorderPaths<'a> {
    /// Prepares the paths of nodes below these ancestors, which come root first and may be elided.
    pub(crate) fn new(above: &'a [String]) -> PreorderPaths<'a> {
        PreorderPaths {
            segments: above.iter().map(|name| sanitise(name)).collect(),
            above: above.len(),
        }
    }

    /// Returns the path of the next node.
    ///
    /// `depth` is 0 for a top node and at most one more than that of the node before. A larger depth
    /// counts as one more.
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
