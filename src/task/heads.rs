//! [`Heads`]: a cache of the beginnings of paths (not of lists), so that in a chain in which each task fails
//! not each path takes a walk to the root. [`super::ancestry`] uses it.

use crate::id::TaskId;
use crate::sync::{Arc, Mutex};
use std::collections::HashMap;

/// The cache is emptied when it has more entries than this.
const REMEMBERED: usize = 1024;

/// The segments nearest the root, root first.
pub(super) type Head = Arc<Vec<String>>;

/// The heads of paths by task: the task is below the head, or is its last segment.
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
