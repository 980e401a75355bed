//! Remembers which of the crate's own awaits each task was left in, for the report of a deadlock.

use super::random::mix;
use crate::id::TaskId;
use crate::snapshot::Snapshot;
use crate::sync::Mutex;
use crate::task::awaited::Awaited;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// Tasks that were cancelled while they waited are still remembered. They are forgotten once so
/// many more tasks are remembered than twice the tasks that are live.
const SLACK: usize = 4096;

/// Hashes an id by mixing its bits. Ids are consecutive numbers, so that suffices; and std's hasher
/// has a random seed, which has no place in a run that repeats.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = mix(self.0 ^ id);
    }
}

/// By task: the awaits in which its last poll suspended. A task that suspended in none of the
/// crate's own awaits is not in it.
#[derive(Default)]
pub(super) struct Awaits(Mutex<HashMap<u64, Vec<Awaited>, BuildHasherDefault<IdHasher>>>);

impl Awaits {
    /// Notes what a poll of the task suspended in. `live` is the number of live tasks; `snapshot`
    /// is taken if tasks that are gone have to be forgotten.
    pub(super) fn note(
        &self,
        task: TaskId,
        awaited: Vec<Awaited>,
        live: usize,
        snapshot: impl FnOnce() -> Snapshot,
    ) {
        let mut all = self.0.lock();
        if awaited.is_empty() {
            all.remove(&task.get());
            return;
        }
        all.insert(task.get(), awaited);
        if all.len() > 2 * live + SLACK {
            // A snapshot takes other locks.
            drop(all);
            let snapshot = snapshot();
            let present: HashSet<u64> = snapshot.nodes().iter().map(|node| node.id.get()).collect();
            self.0.lock().retain(|id, _| present.contains(id));
        }
    }

    /// Returns what the last poll of the task suspended in.
    pub(super) fn of(&self, task: TaskId) -> Vec<Awaited> {
        self.0.lock().get(&task.get()).cloned().unwrap_or_default()
    }
}
