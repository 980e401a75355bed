//! The tree as a Graphviz graph.

use std::fmt::{self, Write};

use super::{Node, NodeKind, NodeState, Snapshot};
use crate::path::sanitise;

impl Snapshot {
    /// The tree in DOT, the language of Graphviz: `dot -Tsvg` draws it.
    ///
    /// Services are boxes and tasks are ellipses; daemons are dashed, and what is being polled is
    /// bold. The tooltip of a node is where it was spawned.
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
            // The parent of a top node is outside the picture.
            if let (Some(parent), true) = (node.parent, depth > 0) {
                writeln!(dot, "  t{} -> t{};", parent.get(), node.id.get())?;
            }
        }
        dot.write_str("}\n")
    }
}

/// The statement that declares one node.
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

/// Text inside a quoted DOT string, in which nothing is an escape sequence.
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
