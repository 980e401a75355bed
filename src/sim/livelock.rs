//! Names the tasks that go round while the time stands still.

use super::engine::Engine;
use crate::id::TaskId;
use crate::sync::Arc;
use crate::task::Shared;
use crate::tree::snapshot;
use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

/// Polls in one moment that are not looked at.
const FREE: u64 = 100_000;
/// From then on: polls of one task, at most, and of all, with so many for each task that was polled.
const OF_ONE: u64 = 1_000_000;
const OF_ALL: u64 = 1_000_000;
const FOR_EACH: u64 = 1_000;
/// Tasks that are named, at most.
const NAMED: usize = 10;

/// The polls of one moment of virtual time, by task once they are many.
#[derive(Default)]
pub(super) struct Rounds {
    polls: u64,
    of: HashMap<u64, u64>,
}

impl Rounds {
    /// A task was polled, or with 0 the future in `block_on`; `true` if that no longer looks like
    /// something that comes to an end.
    pub(super) fn poll(&mut self, id: u64) -> bool {
        self.polls += 1;
        self.polls > FREE && self.count(id)
    }

    #[cold]
    fn count(&mut self, id: u64) -> bool {
        let polls = self.of.entry(id).or_default();
        *polls += 1;
        let of_one = *polls;
        let of_all = FREE + OF_ALL + FOR_EACH * self.of.len() as u64;
        of_one > OF_ONE || self.polls > of_all
    }

    /// The moment is over, or begins anew.
    pub(super) fn clear(&mut self) {
        if self.polls > FREE {
            self.of = HashMap::new();
        }
        self.polls = 0;
    }

    /// The polls, those of each that were counted; begins anew.
    pub(super) fn take(&mut self) -> (u64, Vec<(u64, u64)>) {
        let Rounds { polls, of } = std::mem::take(self);
        (polls, of.into_iter().collect())
    }
}

/// The message: what happened, and who goes round, most polls first. The moment begins anew.
pub(super) fn describe(engine: &Engine, shared: &Arc<Shared>) -> String {
    let (polls, mut rounds) = engine.take_rounds();
    rounds.sort_unstable_by_key(|&(id, polls)| (std::cmp::Reverse(polls), id));
    let mut text = format!(
        "livelock in the simulation with seed {}, at step {}, after {:?} of virtual time: {polls} polls, and no time has passed, since something was always ready\n\nwho goes round:\n",
        engine.seed,
        engine.steps(),
        Duration::from_nanos(shared.clock.now_ns()),
    );
    let picture = snapshot::all(shared);
    let paths: HashMap<TaskId, &str> = picture
        .nodes()
        .iter()
        .map(|node| (node.id, &*node.path))
        .collect();
    for &(id, polls) in rounds.iter().take(NAMED) {
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
    if let Some(more) = rounds.len().checked_sub(NAMED).filter(|more| *more > 0) {
        let _ = writeln!(text, "  … and {more} more");
    }
    text.push_str("\nTime passes only when nothing is ready: to wait for a time, sleep; to wait for another thread, see `sim::external_work`.\n");
    text
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    /// Polls the tasks in turn until they look like a livelock; says how often.
    fn round(tasks: u64) -> u64 {
        let mut rounds = Rounds::default();
        let first = (0..).find(|n| rounds.poll(n % tasks)).expect("it ends");
        let (polls, of) = rounds.take();
        assert_eq!((polls, of.len() as u64), (first + 1, tasks));
        polls
    }

    #[test]
    fn one_may_be_polled_a_million_times_and_many_a_thousand_times_each() {
        assert_eq!(round(1), FREE + OF_ONE + 1);
        assert_eq!(round(1_000), FREE + OF_ALL + 1_000 * FOR_EACH + 1);
    }

    #[test]
    fn a_moment_that_is_over_counts_no_more() {
        let mut rounds = Rounds::default();
        for _ in 0..5 {
            assert!(!(0..FREE + OF_ONE).any(|_| rounds.poll(1)));
            rounds.clear();
        }
        assert_eq!(rounds.take(), (0, Vec::new()));
    }
}
