//! [`Heads`]: the beginnings of paths that a runtime remembers, so that a chain in which each task
//! fails does not walk to the root for each of its tasks. [`super::ancestry`] says which.

use crate::id::TaskId;
use crate::sync::{Arc, Mutex};
use std::collections::HashMap;

/// Tasks whose heads are remembered, at most.
const REMEMBERED: usize = 1024;

/// The segments nearest the root, root first.
pub(super) type Head = Arc<Vec<String>>;

/// Heads of paths, by a task that is below them, or is their last segment.
pub(crate) struct Heads(Mutex<HashMap<TaskId, Head>>);

impl Heads {
    pub(crate) fn new() -> Self {
        Heads(Mutex::new(HashMap::new()))
    }

    pub(super) fn find(&self, task: TaskId) -> Option<Head> {
        self.0.lock().get(&task).cloned()
    }

    pub(super) fn remember(&self, tasks: impl Iterator<Item = TaskId>, head: &Head) {
        let mut heads = self.0.lock();
        if heads.len() > REMEMBERED {
            heads.clear();
        }
        heads.extend(tasks.map(|task| (task, head.clone())));
    }
}
