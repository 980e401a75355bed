//! Counts the polls since the clock last moved, and so recognizes a livelock.

use std::collections::HashMap;

/// Polls at one instant that are not attributed to tasks: counting the first ones costs one addition.
const UNATTRIBUTED: u64 = 100_000;
/// The most attributed polls of one task.
const OF_ONE: u64 = 1_000_000;
/// The most attributed polls of all tasks: this many, and `FOR_EACH` more for each task.
const OF_ALL: u64 = 1_000_000;
const FOR_EACH: u64 = 1_000;

/// The polls at one instant of virtual time. The main future counts as the task with the id 0.
#[derive(Default)]
pub(super) struct Polls {
    total: u64,
    /// Polls by task, counted once the first `UNATTRIBUTED` are over.
    by_task: HashMap<u64, u64>,
}

impl Polls {
    /// Counts a poll of this task. Returns `true` if the polls at this instant are a livelock.
    pub(super) fn count(&mut self, id: u64) -> bool {
        self.total += 1;
        self.total > UNATTRIBUTED && self.attribute(id)
    }

    #[cold]
    fn attribute(&mut self, id: u64) -> bool {
        let polls = self.by_task.entry(id).or_default();
        *polls += 1;
        let of_one = *polls;
        let most = UNATTRIBUTED + OF_ALL + FOR_EACH * self.by_task.len() as u64;
        of_one > OF_ONE || self.total > most
    }

    /// Starts again at 0.
    pub(super) fn reset(&mut self) {
        if self.total > UNATTRIBUTED {
            self.by_task = HashMap::new();
        }
        self.total = 0;
    }

    /// Returns the number of polls, and those attributed to each task, and starts again at 0.
    pub(super) fn take(&mut self) -> (u64, Vec<(u64, u64)>) {
        let Polls { total, by_task } = std::mem::take(self);
        (total, by_task.into_iter().collect())
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    /// Polls the tasks in turn until that is a livelock; returns the number of polls.
    fn polls_until_livelock(tasks: u64) -> u64 {
        let mut polls = Polls::default();
        let last = (0..).find(|n| polls.count(n % tasks)).expect("it ends");
        let (total, by_task) = polls.take();
        assert_eq!((total, by_task.len() as u64), (last + 1, tasks));
        total
    }

    #[test]
    fn one_task_may_be_polled_a_million_times_and_many_a_thousand_times_each() {
        assert_eq!(polls_until_livelock(1), UNATTRIBUTED + OF_ONE + 1);
        assert_eq!(
            polls_until_livelock(1_000),
            UNATTRIBUTED + OF_ALL + 1_000 * FOR_EACH + 1
        );
    }

    #[test]
    fn polls_before_a_reset_do_not_count() {
        let mut polls = Polls::default();
        for _ in 0..5 {
            assert!(!(0..UNATTRIBUTED + OF_ONE).any(|_| polls.count(1)));
            polls.reset();
        }
        assert_eq!(polls.take(), (0, Vec::new()));
    }
}
