//! The tree as text.

use std::fmt;

use super::{Node, Snapshot};
use crate::path::sanitise;

/// The levels that are drawn by indentation. Below, the depth is a number, so that a line has a
/// bounded length and a chain of a million tasks takes linear space.
const MAX_INDENT: usize = 16;

impl fmt::Display for Snapshot {
    /// Draws the tree, a line for each node, without a newline after the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("(no tasks)");
        }
        let last = self.last_of_siblings();
        // For each drawn level, whether the node there that is on the way to this one has a
        // sibling to come.
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
    /// For each node, whether it is the last child of its parent.
    fn last_of_siblings(&self) -> Vec<bool> {
        let mut last = vec![true; self.len()];
        // The levels at which a node was met since the walk, which goes backward, left the
        // children of that node's parent.
        let mut met: Vec<bool> = Vec::new();
        for (at, &depth) in self.depths.iter().enumerate().rev() {
            met.resize(depth + 1, false);
            last[at] = !met[depth];
            met[depth] = true;
        }
        last
    }
}

/// One node in words: `conn-3 #17 daemon task, parked, 12 polls, age 1.5s`.
fn write_node(node: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let daemon = if node.daemon { "daemon " } else { "" };
    let polls = if node.polls == 1 { "poll" } else { "polls" };
    write!(
        f,
        "{} {} {daemon}{}, {}, {} {polls}",
        sanitise(&node.name),
        node.id,
        node.kind,
        node.state,
        node.polls,
    )?;
    if let Some(busy) = node.busy {
        write!(f, ", busy {busy:.1?}")?;
    }
    write!(f, ", age {:.1?}", node.age)
}
