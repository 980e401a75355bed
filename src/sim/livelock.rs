//! The report of a livelock: names the tasks that are polled while time stands still.

use super::engine::Engine;
use crate::id::TaskId;
use crate::task::Shared;
use crate::tree::look;
use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

/// The most tasks that are named.
const NAMED: usize = 10;

/// Writes the report: what happened, and which tasks were polled, the most polls first. Counting
/// polls starts again at 0.
pub(super) fn describe(engine: &Engine, shared: &Shared) -> String {
    let (total, mut by_task) = engine.run.lock().polls.take();
    by_task.sort_unstable_by_key(|&(id, polls)| (std::cmp::Reverse(polls), id));
    let mut text = format!(
        "livelock in the simulation with seed {}, at step {}, after {:?} of virtual time: {total} polls, and no time has passed, since something was always ready\n\nwho goes round:\n",
        engine.seed,
        engine.steps(),
        Duration::from_nanos(shared.clock.now_ns()),
    );
    let snapshot = look::all(shared);
    let paths: HashMap<TaskId, &str> = snapshot
        .nodes()
        .iter()
        .map(|node| (node.id, &*node.path))
        .collect();
    for &(id, polls) in by_task.iter().take(NAMED) {
        let who = match std::num::NonZeroU64::new(id).map(TaskId::from_raw) {
            None => "the future in `block_on`".to_owned(),
            Some(id) => match paths.get(&id) {
                Some(path) => format!("{path} {id}"),
                None => format!("{id}, which is done"),
            },
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {who}: {polls} of the last polls");
    }
    if let Some(more) = by_task.len().checked_sub(NAMED).filter(|more| *more > 0) {
        let _ = writeln!(text, "  … and {more} more");
    }
    text.push_str("\nTime passes only when nothing is ready: to wait for a time, sleep; to wait for another thread, see `sim::external_work`.\n");
    text
}
