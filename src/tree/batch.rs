//! Siblings that are done, taken off their parent together: under one lock, in one step.
//!
//! A task that is done is no longer live, it is recorded, and its handle resolves, at once ([`Batch::add`]). What is put
//! off is that its parent hears of it: until then it is still linked, and still counted in the
//! parent's word. Every walk passes over a task that is done and linked, and limits do not count
//! it, so that nobody sees the difference but the parent's own end; and that must not wait. Hence
//! the rule for whoever keeps a batch: it is flushed before anything else is run than a task with
//! the same parent ([`Batch::waits_for`]). Such a task is not done yet, so the parent could not
//! be, nor could its turn come, whatever the batch holds back.
//!
//! The parent of what is in a batch is valid: it is not done before its children are taken off.

use super::finish::{self, settle};
use super::links::{self, Children};
use crate::sync::atomic::Ordering;
use crate::task::Node;
use crate::task::state::Snapshot;

/// Siblings that are taken off together.
const MOST: usize = if cfg!(taskgrove_loom) { 2 } else { 64 };

/// Siblings that are done and still linked.
#[derive(Default)]
pub(crate) struct Batch {
    done: Vec<Node>,
}

impl Batch {
    /// Finishes a task that its caller has made done (`before`: its word until then), but for its
    /// parent.
    #[inline(always)]
    pub(crate) fn add(&mut self, node: Node, before: Snapshot) {
        if self.done.len() == MOST || !self.waits_for(node) {
            self.flush();
        }
        finish::finish_record(node);
        finish::wake(node, before);
        self.done.push(node);
    }

    /// Whether there is nothing to be taken off.
    pub(crate) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Whether it is empty, or `node` is a sibling: then it may wait until `node` has run.
    #[inline]
    pub(crate) fn waits_for(&self, node: Node) -> bool {
        match self.done.first() {
            None => true,
            Some(first) => {
                first.parent.load(Ordering::Relaxed) == node.parent.load(Ordering::Relaxed)
            }
        }
    }

    /// Takes them off their parent, and does what follows for that; `false` if there was nothing.
    #[inline]
    pub(crate) fn flush(&mut self) -> bool {
        !self.done.is_empty() && self.take_off()
    }

    fn take_off(&mut self) -> bool {
        let Some((parent, count)) = self.unlink() else {
            return false;
        };
        let (before, action) = finish::release(parent, count);
        settle(parent, before, action);
        true
    }

    /// As [`Batch::flush`], for a thread that has something in hand: it runs no code of the user's, and
    /// leaves that to a job.
    #[inline]
    pub(crate) fn flush_later(&mut self) {
        if !self.done.is_empty()
            && let Some((parent, count)) = self.unlink()
        {
            let (before, action) = finish::release(parent, count);
            finish::settle_later(parent, before, action);
        }
    }

    /// As [`Batch::flush`], but for the last step: the caller has to take so many off this parent.
    pub(crate) fn unlink(&mut self) -> Option<(Node, u64)> {
        let parent = links::parent(*self.done.first()?)?;
        {
            let children = Children::lock(&parent);
            children.unlink_all(&self.done);
            let supervised = self.done.iter().filter(|node| links::is_counted(**node));
            children.supervised(-(supervised.count() as i32));
        }
        let count = self.done.len();
        for node in &self.done {
            node.release_own();
        }
        self.done.clear();
        Some((parent, count as u64))
    }
}
