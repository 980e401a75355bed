//! [`Changes`]: what differs between two snapshots.

use super::draw::write_facts;
use super::{Node, Snapshot};
use crate::id::TaskId;
use std::collections::HashMap;
use std::fmt;

/// The most nodes of one group that are printed.
const PRINTED: usize = 100;

/// The differences between two snapshots. [`Snapshot::since`] returns them.
///
/// Its [`Display`](fmt::Display) prints the sizes of the three groups, and then a line for each node, with
/// `+` for one that appeared, `-` for one that is gone and `=` for one that was not polled. It prints up
/// to 100 nodes of each group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Changes<'a> {
    /// The nodes that are only in the later snapshot, in its order.
    pub appeared: Vec<&'a Node>,
    /// The nodes that are only in the earlier snapshot, in its order.
    pub gone: Vec<&'a Node>,
    /// The nodes that are in both snapshots and whose tasks were not polled in between, as the later
    /// snapshot shows them. Such a task waited, or was in one long poll.
    pub unmoved: Vec<&'a Node>,
}

impl Snapshot {
    /// Compares the snapshot with an earlier one of the same runtime. Ids are unique in one runtime only,
    /// so the result for snapshots of two runtimes says nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::builder().workers(0).build()?;
    /// let old = runtime.task(std::future::pending::<()>()).name("old").spawn();
    /// runtime.block_on(taskgrove::yield_now());
    /// let before = runtime.snapshot();
    /// let new = runtime.task(std::future::pending::<()>()).name("new").spawn();
    /// let after = runtime.snapshot();
    /// let changes = after.since(&before);
    /// assert_eq!(changes.appeared[0].id, new.id());
    /// assert_eq!(changes.unmoved[0].id, old.id());
    /// assert!(changes.gone.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn since<'a>(&'a self, earlier: &'a Snapshot) -> Changes<'a> {
        let mut left: HashMap<TaskId, u64> = earlier.into_iter().map(|n| (n.id, n.polls)).collect();
        let (mut appeared, mut unmoved) = (Vec::new(), Vec::new());
        for node in self {
            match left.remove(&node.id) {
                None => appeared.push(node),
                Some(polls) if polls == node.polls => unmoved.push(node),
                Some(_) => {}
            }
        }
        let gone = earlier.into_iter();
        let gone = gone.filter(|node| left.contains_key(&node.id));
        Changes {
            appeared,
            gone: gone.collect(),
            unmoved,
        }
    }
}

impl Changes<'_> {
    /// Returns true if no task appeared, none is gone, and each was polled.
    pub fn is_empty(&self) -> bool {
        self.appeared.is_empty() && self.gone.is_empty() && self.unmoved.is_empty()
    }
}

impl fmt::Display for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} appeared, {} gone, {} not polled in between",
            self.appeared.len(),
            self.gone.len(),
            self.unmoved.len(),
        )?;
        for (mark, nodes) in [
            ('+', &self.appeared),
            ('-', &self.gone),
            ('=', &self.unmoved),
        ] {
            for node in nodes.iter().take(PRINTED) {
                write!(f, "\n{mark} {} ", node.path)?;
                write_facts(node, f)?;
            }
            if nodes.len() > PRINTED {
                write!(f, "\n{mark} … and {} more", nodes.len() - PRINTED)?;
            }
        }
        Ok(())
    }
}
