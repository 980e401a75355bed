//! Firing: takes due entries out in batches, and passes what each of them fires to the caller.

use super::{Fire, Timers};
use std::task::Waker;

/// The highest number of entries that are taken out under one lock.
const BATCH: usize = 256;

impl<J> Timers<J> {
    /// Takes out what is due at `now`, at most `max`, and calls `wake` or `run` with each, in the
    /// order of [`Timers::fire_due`] and without the lock. Returns how many were taken out.
    pub(crate) fn fire(
        &self,
        now: u64,
        max: usize,
        mut wake: impl FnMut(Waker),
        mut run: impl FnMut(J),
    ) -> usize {
        let mut due = Vec::new();
        let mut fired = 0;
        loop {
            let count = self.fire_due(now, BATCH.min(max - fired), &mut due);
            fired += count;
            dispatch(due.drain(..), &mut wake, &mut run);
            if count < BATCH {
                return fired;
            }
        }
    }
}

/// Calls `wake` with each waker and `run` with each job, in their order.
pub(crate) fn dispatch<J>(
    all: impl IntoIterator<Item = Fire<J>>,
    mut wake: impl FnMut(Waker),
    mut run: impl FnMut(J),
) {
    for fire in all {
        match fire {
            Fire::Waker(waker) => wake(waker),
            Fire::Job(job) => run(job),
        }
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    fn fire(timers: &Timers<usize>, max: usize) -> Vec<usize> {
        let mut jobs = Vec::new();
        let wake = |_| unreachable!("there are only jobs");
        let count = timers.fire(5, max, wake, |job| jobs.push(job));
        assert_eq!(count, jobs.len());
        jobs
    }

    #[test]
    fn all_that_is_due_fires_in_order_and_at_most_max() {
        let timers = Timers::new(1);
        let count = 2 * BATCH + 7;
        for job in 0..count {
            timers.insert(5, Fire::Job(job));
        }
        timers.insert(6, Fire::Job(count));
        assert_eq!(fire(&timers, 0), []);
        assert_eq!(fire(&timers, 1), [0]);
        let batch: Vec<_> = (1..=BATCH).collect();
        assert_eq!(fire(&timers, BATCH), batch);
        let rest: Vec<_> = (BATCH + 1..count).collect();
        assert_eq!(fire(&timers, usize::MAX), rest);
        assert_eq!(timers.len(), 1, "one is not due");
    }
}
