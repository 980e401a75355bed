//! The values above a task ([`super::locals`]), and the names above it, for its path: bounded, and so is the work, however deep the task is.
//!
//! A path keeps the segments nearest the root and those nearest the task. To find the former takes a
//! walk to the root; a chain in which each task fails would do that for each of its tasks. So the
//! runtime remembers what such walks have found, at tasks that lie 16, 32, 64, ... above where they
//! began: the next walk from a task nearby meets one of these soon. Only paths that are
//! elided look here. Neither the parent of a task nor a name ever changes, and ids are not used again.

use super::heads::Heads;
use super::locals::Value;
use super::raw::header::kind;
use super::raw::rights::Live;
use crate::id::TaskId;
use crate::path::{HEAD, MAX_SEGMENTS, UpwardPath, sanitise};
use crate::sync::Arc;

impl<'a> Live<'a> {
    /// The value of a key that this task, or the nearest task above it that has one, was spawned with.
    pub(crate) fn local(self, key: usize) -> Option<Value> {
        self.upward()
            .find_map(|task| task.cold().and_then(|cold| cold.local(key)))
    }

    /// The names from the root down to this task.
    pub(crate) fn ancestry(self) -> UpwardPath {
        let mut path = UpwardPath::new();
        let mut at = Some(self).filter(|task| !task.is(kind::SENTINEL));
        for _ in 0..MAX_SEGMENTS {
            let Some(task) = at else { return path };
            path.push(task.name());
            at = task.above();
        }
        if let Some(task) = at {
            task.complete(&mut path);
        }
        path
    }

    /// Adds this task and those above it to a path that has got to it.
    fn complete(self, path: &mut UpwardPath) {
        let heads: &Heads = &self.shared().heads;
        // The tasks nearest the root, as a ring; and those to be remembered, with their places.
        let mut last = [self; HEAD];
        let mut passed: Vec<(usize, TaskId)> = Vec::new();
        let mut count = 0;
        let mut at = Some(self);
        let (head, known) = loop {
            let Some(task) = at else {
                if count < HEAD {
                    last[..count].iter().for_each(|task| path.push(task.name()));
                    return;
                }
                let nearest = (1..=HEAD).map(|up| last[(count - up) % HEAD]);
                let names = nearest.map(|task| sanitise(task.name()).into_owned());
                break (Arc::new(names.collect()), count - HEAD);
            };
            if let Some(head) = heads.find(task.id()) {
                break (head, count);
            }
            if count >= HEAD && count.is_power_of_two() {
                passed.push((count, task.id()));
            }
            last[count % HEAD] = task;
            count += 1;
            at = task.above();
        };
        let deep = passed.iter().filter(|(place, _)| *place <= known);
        heads.remember(deep.map(|&(_, task)| task), &head);
        path.set_head(&head);
    }
}
