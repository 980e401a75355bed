//! [`Deadlines`]: the queues of timers by themselves.
#![allow(missing_docs)]

use crate::timer_queue::{Fire, TimerKey, Timers};

/// Two queues of timers.
pub struct Deadlines(Timers<usize>);

/// A timer that is pending.
pub struct Pending(TimerKey);

impl Deadlines {
    #[allow(clippy::new_without_default, reason = "for models only")]
    pub fn new() -> Deadlines {
        Deadlines(Timers::new(2))
    }

    /// Inserts a deadline. Returns whether that is the new earliest one.
    pub fn insert(&self, queue: usize, at: u64) -> (Pending, bool) {
        let (key, is_next) = (self.0.insert_at(queue, at, Fire::Job(0))).expect("they are open");
        (Pending(key), is_next)
    }

    pub fn remove(&self, pending: &Pending) -> bool {
        self.0.remove(pending.0)
    }

    /// The earliest deadline, as a thread that parks asks for it.
    pub fn next(&self) -> Option<u64> {
        self.0.next_deadline()
    }
}
