//! Which sleeper waits for the sockets: the *poller*.
//!
//! With the feature `net`, and once a socket was made, the runtime has a queue of events. One sleeping worker
//! blocks in that queue instead of in its condition variable. It is mostly also the timekeeper, and then the
//! time limit of the queue is its deadline. A worker that leaves the queue with events is searching, and off
//! the list of sleepers, before it wakes the tasks that wait for them: so these pushes, into its own queue,
//! wake no other worker; when it has found the first task, it looks whether there are more, and wakes one.
//!
//! # Which one
//!
//! The first worker that falls asleep polls. It may get an event whose task then polls for long, while the
//! others sleep: another one has to look at the sockets. To wake one for that at each event would cost a
//! switch of threads for each request. So the *watcher* ([`watcher`](super::watcher)) sees to it: at its look
//! it polls if no sleeper does. It goes on watching, although all workers sleep, as long as the poller has
//! left the list since its last look; when nothing has happened for that long, it sleeps for good. The poller
//! itself watches only if no other sleeper does: its time limit would end a wait that needs none.
//!
//! # Invariant
//!
//! Whenever the lock of the list is free, there is a queue and a worker sleeps, one of these holds:
//!
//! 1. a sleeper polls: it blocks in the queue, or was unparked, or is on its way to either;
//! 2. a sleeper watches, and looks within [`PERIOD`](super::watcher::PERIOD).
//!
//! So while a worker sleeps, an event waits no longer than that for a thread that looks at the queue. While no
//! worker sleeps, each looks at the queue every millisecond or more often (`schedule/worker/sockets.rs`).
//!
//! All that could break the invariant happens under the lock:
//!
//! - *A worker enters the list*: it polls unless another one does ([`plan`]).
//! - *A sleeper is taken off the list*, by itself or by a thread that wakes it: if it leaves neither a poller
//!   nor a watcher, the same section appoints another sleeper ([`appoint`]) and unparks it. That one stays in
//!   the list, looks again, and blocks in the queue.
//! - *The watcher stops watching*: in the same section it has made itself the poller if there was none.
//! - *The queue is made*: the thread that makes it appoints a poller after other threads can find it. A worker
//!   that enters the list after that section sees the queue.
//!
//! # Unparking the poller
//!
//! The poller's [`Parker`] knows whether it blocks in the queue. A thread that unparks it rings the queue's
//! bell in that case only. The bell is an event in the queue, so it is not lost if it comes before the poller
//! blocks; it may come late, and then ends the next wait in the queue for nothing.
//!
//! A worker may be taken off the list, and another one begin to poll, before the first one has been unparked:
//! the queue has a lock, for which the second one waits. The thread that takes a poller off the list unparks
//! it without waiting for anything, so this is no deadlock.

use super::sleepers::Sleepers;
use crate::sync::{Arc, Parker};
use std::time::Instant;

/// The queue of the sockets' events, as parking needs it.
pub(crate) trait EventQueue {
    /// Blocks in the queue until there are events, `parker` is unparked, or `until` has come; `exact`: as
    /// exactly as the system lets it. Returns whether there are events, which the caller dispatches.
    fn wait(&mut self, parker: &Parker, until: Option<Instant>, exact: bool) -> bool;
}

/// The queue of a thread that never polls.
pub(crate) struct NoQueue;

impl EventQueue for NoQueue {
    fn wait(&mut self, parker: &Parker, until: Option<Instant>, _exact: bool) -> bool {
        parker.park(until);
        false
    }
}

/// Decides whether the sleeper at `me` polls. Under the lock of the list.
pub(super) fn plan(sleepers: &mut Sleepers, me: usize) {
    if sleepers.has_queue.get() && sleepers[me].is_worker && !has_poller(sleepers) {
        sleepers.get_mut(me).polls.set(true);
    }
}

/// Appoints a poller if there is none and nobody watches. Returns its parker, which the caller unparks after
/// it has released the lock of the list.
pub(super) fn appoint(sleepers: &mut Sleepers, is_watched: bool) -> Option<Arc<Parker>> {
    if !sleepers.has_queue.get() || is_watched || has_poller(sleepers) {
        return None;
    }
    let chosen = sleepers.worker_to_wake()?;
    let sleeper = sleepers.get_mut(chosen);
    sleeper.polls.set(true);
    Some(sleeper.parker.clone())
}

fn has_poller(sleepers: &Sleepers) -> bool {
    sleepers.iter().any(|sleeper| sleeper.polls.get())
}
