//! The names above a task, for its path: bounded, and so is the work, however deep the task is.
//!
//! A path keeps the segments nearest the root and those nearest the task. To find the former takes a
//! walk to the root; a chain in which each task fails would do that for each of its tasks. So the
//! runtime remembers what such walks have found, at tasks that lie 16, 32, 64, ... above where they
//! began: whoever walks up next from a task nearby meets one of these soon. Only paths that are
//! elided look here. Neither the parent of a task nor a name ever changes, and ids are not used again.

use super::cell::{Node, kind};
use crate::id::TaskId;
use crate::path::{HEAD, MAX_SEGMENTS, UpwardPath, sanitise};
use crate::sync::{Arc, Mutex};
use crate::tree::links;
use std::collections::HashMap;

/// Tasks whose heads are remembered, at most.
const REMEMBERED: usize = 1024;

/// The segments nearest the root, root first.
type Head = Arc<Vec<String>>;

/// Heads of paths, by a task that they are above of (or that is their last segment).
pub(crate) struct Heads(Mutex<HashMap<TaskId, Head>>);

impl Heads {
    pub(crate) fn new() -> Self {
        Heads(Mutex::new(HashMap::new()))
    }

    fn find(&self, task: TaskId) -> Option<Head> {
        self.0.lock().get(&task).cloned()
    }

    fn remember(&self, tasks: impl Iterator<Item = TaskId>, head: &Head) {
        let mut heads = self.0.lock();
        if heads.len() > REMEMBERED {
            heads.clear();
        }
        heads.extend(tasks.map(|task| (task, head.clone())));
    }
}

/// The task above, unless that is a root's hidden parent.
fn above(node: Node) -> Option<Node> {
    links::parent(node).filter(|parent| !parent.is(kind::SENTINEL))
}

impl Node {
    /// The names from the root down to this task. By someone who keeps the task from being done.
    pub(crate) fn ancestry(self) -> UpwardPath {
        let mut path = UpwardPath::new();
        let mut at = Some(self).filter(|node| !node.is(kind::SENTINEL));
        for _ in 0..MAX_SEGMENTS {
            let Some(node) = at else { return path };
            path.push(node.name());
            at = above(node);
        }
        if let Some(node) = at {
            node.complete(&mut path);
        }
        path
    }

    /// Adds this task and those above it to a path that has got to it.
    fn complete(self, path: &mut UpwardPath) {
        let heads = &self.shared().heads;
        // The tasks nearest the root, as a ring; and those to be remembered, with their places.
        let mut last = [self; HEAD];
        let mut passed: Vec<(usize, TaskId)> = Vec::new();
        let mut count = 0;
        let mut at = Some(self);
        let (head, known) = loop {
            let Some(node) = at else {
                if count < HEAD {
                    last[..count].iter().for_each(|node| path.push(node.name()));
                    return;
                }
                let nearest = (1..=HEAD).map(|up| last[(count - up) % HEAD]);
                let names = nearest.map(|node| sanitise(node.name()).into_owned());
                break (Arc::new(names.collect()), count - HEAD);
            };
            if let Some(head) = heads.find(node.id()) {
                break (head, count);
            }
            if count >= HEAD && count.is_power_of_two() {
                passed.push((count, node.id()));
            }
            last[count % HEAD] = node;
            count += 1;
            at = above(node);
        };
        let deep = passed.iter().filter(|(place, _)| *place <= known);
        heads.remember(deep.map(|&(_, task)| task), &head);
        path.set_head(&head);
    }
}
