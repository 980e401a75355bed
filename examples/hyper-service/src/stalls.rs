//! Who has blocked a thread, and how often.

use crate::say;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use taskgrove::{Manager, NodeKind, Snapshot, Stall, TaskId};

/// Reports of stalls by the path of the service. A path of a task would be exact, but tasks come and go, and
/// each name would stay here, and in the monitoring, for ever.
#[derive(Default)]
pub(crate) struct Stalls {
    root: OnceLock<Manager>,
    reports: Mutex<BTreeMap<String, u64>>,
}

impl Stalls {
    pub(crate) fn look_at(&self, root: Manager) {
        let _ = self.root.set(root);
    }

    /// Counts a report. The watchdog calls this on its own thread, so a snapshot can be taken although every
    /// worker may be stuck.
    pub(crate) fn add(&self, stall: &Stall) {
        say::err(stall);
        let Some(root) = self.root.get() else { return };
        let service = service_of(&root.snapshot(), stall.id).unwrap_or_else(|| stall.path.clone());
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        *reports.entry(service).or_default() += 1;
    }

    pub(crate) fn reports(&self) -> BTreeMap<String, u64> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.clone()
    }
}

/// Returns the path of the service that a task belongs to.
fn service_of(snapshot: &Snapshot, task: TaskId) -> Option<String> {
    let find = |id| snapshot.nodes().iter().find(|node| node.id == id);
    let mut node = find(task)?;
    while node.kind != NodeKind::Service {
        node = find(node.parent?)?;
    }
    Some(node.path.clone())
}
