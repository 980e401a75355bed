//! Draws a snapshot as a Graphviz graph.

use super::{Node, NodeKind, NodeState, Snapshot};
use crate::path::sanitise;
use std::fmt::{self, Write};

impl Snapshot {
    /// Returns the tree in DOT, the language of Graphviz, which `dot -Tsvg` draws.
    ///
    /// Services are boxes and tasks are ellipses. The outline of a daemon is dashed, and that of a
    /// task that is being polled is bold. The tooltip of a node is its spawn location.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn save(snapshot: &taskgrove::Snapshot) -> std::io::Result<()> {
    /// std::fs::write("tree.dot", snapshot.to_dot())
    /// # }
    /// ```
    pub fn to_dot(&self) -> String {
        let mut dot = String::new();
        self.write_dot(&mut dot)
            .expect("writing to a string does not fail");
        dot
    }

    fn write_dot(&self, dot: &mut String) -> fmt::Result {
        dot.write_str("digraph taskgrove {\n  rankdir=LR;\n")?;
        for (node, depth) in self.with_depths() {
            write_dot_node(node, dot)?;
            // The parent of a top node is not in the snapshot.
            if let (Some(parent), true) = (node.parent, depth > 0) {
                writeln!(dot, "  t{} -> t{};", parent.get(), node.id.get())?;
            }
        }
        dot.write_str("}\n")
    }
}

/// Writes the statement that declares one node.
fn write_dot_node(node: &Node, dot: &mut String) -> fmt::Result {
    let polls = if node.polls == 1 { "poll" } else { "polls" };
    let shape = match node.kind {
        NodeKind::Service => "box",
        NodeKind::Task => "ellipse",
    };
    let style = match (node.daemon, node.state) {
        (true, NodeState::Running) => "dashed,bold",
        (true, _) => "dashed",
        (false, NodeState::Running) => "bold",
        (false, _) => "solid",
    };
    writeln!(
        dot,
        "  t{} [label=\"{}\\n{} {}, {}\\n{} {polls}\", shape={shape}, style=\"{style}\", \
         tooltip=\"{}\"];",
        node.id.get(),
        Escaped(&sanitise(&node.name)),
        node.id,
        node.kind,
        node.state,
        node.polls,
        Escaped(&node.location.to_string()),
    )
}

/// Prints a text so that it is literal inside a quoted DOT string.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                c if c.is_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
