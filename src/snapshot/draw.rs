//! Draws a snapshot as text.

use super::{Node, Snapshot};
use crate::path::sanitise;
use std::fmt;

/// The number of levels that are indented. Below them the depth is printed as a number, so that the
/// length of a line is bounded and a chain of a million tasks takes linear space.
const MAX_INDENT: usize = 16;

impl fmt::Display for Snapshot {
    /// Draws the tree, a line for each node, without a newline after the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("(no tasks)");
        }
        let last = self.last_of_siblings();
        // For each indented level: whether this node's ancestor on that level has another sibling
        // below it in the drawing.
        let mut more_to_come: Vec<bool> = Vec::with_capacity(MAX_INDENT + 1);
        for (at, (node, depth)) in self.with_depths().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            more_to_come.truncate(depth);
            for more in more_to_come.iter().skip(1) {
                f.write_str(if *more { "│  " } else { "   " })?;
            }
            if depth > MAX_INDENT {
                write!(f, "[{depth}] ")?;
            } else {
                if depth > 0 {
                    f.write_str(if last[at] { "└─ " } else { "├─ " })?;
                }
                more_to_come.push(!last[at]);
            }
            write_node(node, f)?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// Returns for each node whether it is the last child of its parent.
    fn last_of_siblings(&self) -> Vec<bool> {
        let mut last = vec![true; self.len()];
        // The loop goes backward. For each level: whether it has met a node there that is a sibling
        // of the nodes it meets next on that level.
        let mut met: Vec<bool> = Vec::new();
        for (at, &depth) in self.depths.iter().enumerate().rev() {
            met.resize(depth + 1, false);
            last[at] = !met[depth];
            met[depth] = true;
        }
        last
    }
}

/// Writes one node: `conn-3 #17 daemon task, parked, 12 polls, age 1.5s`.
fn write_node(node: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{} ", sanitise(&node.name))?;
    write_facts(node, f)
}

/// Writes what comes after a node's name or path.
pub(super) fn write_facts(node: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let daemon = if node.daemon { "daemon " } else { "" };
    write!(f, "{} {daemon}{}, {}", node.id, node.kind, node.state)?;
    if let Some(running) = node.running_for {
        write!(f, " for {running:.1?}")?;
    }
    let polls = if node.polls == 1 { "poll" } else { "polls" };
    write!(f, ", {} {polls}", node.polls)?;
    if let Some(busy) = node.busy {
        write!(f, ", busy {busy:.1?}")?;
    }
    write!(f, ", age {:.1?}", node.age)?;
    if let Some(awaiting) = &node.awaiting {
        write!(f, ", awaiting {awaiting}")?;
    }
    if let Some(cause) = &node.cause {
        write!(f, ", cancelled by {cause}")?;
    }
    Ok(())
}
