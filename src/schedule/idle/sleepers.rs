//! [`Sleepers`]: the list of the threads that sleep. [`Idle`](super::Idle) has it under its lock.

use super::flag::Flag;
use crate::sync::{Arc, Parker};
use crate::timer_queue::NEVER;

/// A thread that sleeps, or is about to.
pub(super) struct Sleeper {
    pub(super) parker: Arc<Parker>,
    /// A worker; else a thread in `block_on`.
    pub(super) is_worker: bool,
    pub(super) is_timekeeper: bool,
    pub(super) is_watcher: bool,
    /// Whether it blocks in the queue of events.
    pub(super) polls: Flag,
    /// When it wakes by itself for a timer, in nanoseconds of the runtime's clock; [`NEVER`] if it
    /// does not.
    pub(super) until: u64,
}

/// The threads that sleep, in no particular order.
pub(super) struct Sleepers {
    list: Vec<Sleeper>,
    /// Whether the runtime has a queue of events.
    pub(super) has_queue: Flag,
    /// Whether a poller has left the list since the watcher's last look.
    pub(super) poller_left: Flag,
}

impl Sleepers {
    pub(super) fn new() -> Self {
        Sleepers {
            list: Vec::new(),
            has_queue: Flag::default(),
            poller_left: Flag::default(),
        }
    }

    /// Adds a thread without any duty. Returns its position.
    pub(super) fn add(&mut self, parker: &Arc<Parker>, is_worker: bool) -> usize {
        self.list.push(Sleeper {
            parker: parker.clone(),
            is_worker,
            is_timekeeper: false,
            is_watcher: false,
            polls: Flag::default(),
            until: NEVER,
        });
        self.list.len() - 1
    }

    pub(super) fn remove(&mut self, at: usize) -> Sleeper {
        self.list.swap_remove(at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sleeper> {
        self.list.iter()
    }

    pub(super) fn get_mut(&mut self, at: usize) -> &mut Sleeper {
        &mut self.list[at]
    }

    /// The position of the sleeper with this parker; `None` once it has been removed.
    pub(super) fn position_of(&self, parker: &Arc<Parker>) -> Option<usize> {
        self.position(|sleeper| Arc::ptr_eq(&sleeper.parker, parker))
    }

    pub(super) fn position(&self, is: impl FnMut(&Sleeper) -> bool) -> Option<usize> {
        self.list.iter().position(is)
    }

    pub(super) fn workers(&self) -> usize {
        self.list.iter().filter(|sleeper| sleeper.is_worker).count()
    }

    /// The worker to wake for work: the one with the fewest duties, since another may have to be
    /// woken to take over a duty.
    pub(super) fn worker_to_wake(&self) -> Option<usize> {
        let workers = self.list.iter().enumerate().filter(|(_, s)| s.is_worker);
        workers
            .min_by_key(|(_, s)| {
                let sleeps = s.until != NEVER;
                (s.polls.get(), s.is_timekeeper, s.is_watcher, sleeps)
            })
            .map(|(at, _)| at)
    }
}

impl std::ops::Index<usize> for Sleepers {
    type Output = Sleeper;

    fn index(&self, at: usize) -> &Sleeper {
        &self.list[at]
    }
}
