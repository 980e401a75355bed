//! [`Room`]: the waits for room under a parent that is at its limit of supervised children, in the order in
//! which they came.
//!
//! A room belongs to one parent, and is made by the first wait. It gives out *permits*, as a semaphore does: a
//! permit is the right to link one more supervised child. It is reserved for one wait until that has linked its
//! child or gives it back. So a wait that was woken finds its permit, whatever is spawned meanwhile.
//!
//! # States
//!
//! | a wait | in [`Queue::waiting`] | in [`Queue::reserved`] | next |
//! |---|---|---|---|
//! | waits | its ticket and its waker | – | it is given a permit, and woken; or it is dropped |
//! | has a permit | – | counted | it links a child, or the parent refuses that, or it is dropped: the permit is used, or given back |
//! | is over | – | – | |
//!
//! | a room | `WATCHED` in the parent's count | since |
//! |---|---|---|
//! | at rest | clear | nothing has waited for a while, and no permit is given out |
//! | in use | set | a wait came |
//!
//! While the room is in use, a spawn finds the parent full at its first look, and takes the way through the
//! room; and a thread that unlinks a child finds that it has to pass on what the child has left. A parent
//! whose room is at rest, or that has none, costs its children nothing.
//!
//! A room that had no wait to put off goes to rest at once. Otherwise it stays in use until children have left, or
//! come, as often as the limit says while nothing waited: putting it in use costs a look at each child (see
//! below), which so many steps pay for.
//!
//! # Locks
//!
//! The queue's lock comes before the lock of the parent's children, and code that has the latter never takes
//! the former. Under neither is a waker cloned, woken or dropped. The number of children grows only under both locks
//! while the room is in use, and shrinks under the children's lock alone. So under the queue's lock
//! the number that is read is that of now, or one that is about to shrink.
//!
//! # Why no wake-up is lost
//!
//! What holds whenever the queue's lock is free: if something waits, the children and the permits that are reserved
//! are as many as the limit allows, or a thread that has unlinked a child is on its way to the lock.
//!
//! - A wait is entered under both locks, and only if there is no room, or others wait. `WATCHED` is set
//!   in the same section. So each child that leaves was taken off before, and the section has seen it, or is
//!   taken off later, by a thread that sees the flag.
//! - That thread takes the queue's lock after it has unlinked the child, and gives out as many permits as there
//!   are ([`Queue::give_out`]).
//! - A wait that has a permit, and is dropped or refused, gives the permit back under the queue's lock, and the next
//!   one gets it in the same section. A wait that is dropped without a permit only takes its ticket out.
//!   Which of the two it is is decided under the lock, too: a ticket is in the queue until it gets its permit.
//! - A spawn, or a wait that comes later, takes no room while something waits.
//!
//! A child that is done is counted until it is unlinked, and a thread may keep it to unlink it with its siblings
//! ([`crate::tree::batch`]). So that no room hides there, the wait that puts the room in use goes through
//! the children and counts out those that are done; it looks by a read-modify-write. A thread that makes
//! a child done later has seen that write, and so sees the flag, and keeps the child no longer. One that made it
//! done earlier is seen.
//!
//! The end of the parent and its cancellation are told by the wait lists of its service and of the task that
//! waits, as to every other wait. So are the ends of what lets a task run in spite of a cancellation: the walk that
//! ends graces tells each task that it meets, and the one that follows the end of a cover tells its target.

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::wait_list::KeptWaker;
use std::collections::BTreeMap;
use std::task::Waker;

/// Whether a task of the runtime has waited for room: only then do the threads that make supervised tasks done
/// look at the parents of these.
pub(crate) struct RoomMark(
    /// Set by the waits, and never cleared. Relaxed: the module says what orders the looks.
    AtomicBool,
);

impl RoomMark {
    pub(crate) fn new() -> RoomMark {
        RoomMark(AtomicBool::new(false))
    }

    /// Marks the runtime.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the runtime is marked.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The waits for room under one parent.
pub(crate) struct Room {
    limit: usize,
    queue: Mutex<Queue>,
}

/// The state of a room, locked.
#[derive(Default)]
pub(crate) struct Queue {
    /// The number of the latest ticket.
    latest: u64,
    /// The waits that have no permit, by their tickets.
    waiting: BTreeMap<u64, KeptWaker>,
    /// The number of permits that are given out, and have no child yet.
    reserved: usize,
    /// Whether the room is in use.
    in_use: bool,
    /// Whether a wait was put off since the room is in use: the children that were done then are counted out.
    has_waited: bool,
    /// How often permits were looked for since then while nothing waited.
    quiet: usize,
}

/// How a wait has entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entered {
    /// It has a permit.
    Permitted,
    /// It waits.
    Waits,
    /// It waits, and is the first since the room is in use: it has to count out the children that are done.
    WaitsFirst,
}

impl Room {
    /// Makes the room of a parent with this limit.
    pub(crate) fn new(limit: usize) -> Room {
        Room {
            limit,
            queue: Mutex::new(Queue::default()),
        }
    }

    /// The greatest number of children, and of permits that are given out.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }
}

impl Queue {
    /// Whether something waits for a permit.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a parent with so many children has room for one more that comes now.
    pub(crate) fn has_room(&self, children: usize, limit: usize) -> bool {
        !self.has_waiting() && children + self.reserved < limit
    }

    /// Enters a wait under a parent with so many children, whose count shows that the room is in use. Returns its
    /// ticket. The waker is taken if the wait gets no permit at once.
    pub(crate) fn enter(
        &mut self,
        children: usize,
        limit: usize,
        waker: &mut Option<KeptWaker>,
    ) -> (u64, Entered) {
        self.in_use = true;
        self.latest += 1;
        if self.has_room(children, limit) {
            self.reserved += 1;
            return (self.latest, Entered::Permitted);
        }
        if let Some(waker) = waker.take() {
            self.waiting.insert(self.latest, waker);
        }
        self.quiet = 0;
        let entered = if std::mem::replace(&mut self.has_waited, true) {
            Entered::Waits
        } else {
            Entered::WaitsFirst
        };
        (self.latest, entered)
    }

    /// Whether a wait has a permit. If it has none, its waker is exchanged for this one.
    pub(crate) fn has_permit(&mut self, ticket: u64, waker: &mut KeptWaker) -> bool {
        match self.waiting.get_mut(&ticket) {
            Some(before) => {
                std::mem::swap(before, waker);
                false
            }
            None => true,
        }
    }

    /// Takes a wait out that is over before it has linked a child: a permit that it has
    /// is given back. Otherwise returns its waker.
    pub(crate) fn leave(&mut self, ticket: u64) -> Option<KeptWaker> {
        let waker = self.waiting.remove(&ticket);
        if waker.is_none() {
            self.give_back();
        }
        waker
    }

    /// Takes a permit back, which was used or is not going to be.
    pub(crate) fn give_back(&mut self) {
        self.reserved -= 1;
    }

    /// Gives out the permits that there are under a parent with so many children, first come, first served.
    /// Returns the wakers of the waits that have got one.
    pub(crate) fn give_out(&mut self, children: usize, limit: usize) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while children + self.reserved < limit
            && let Some((_, waker)) = self.waiting.pop_first()
        {
            self.reserved += 1;
            wakers.push(waker.into_waker());
        }
        wakers
    }

    /// Whether the room goes to rest now: nothing waits, no permit is given out, and nothing has waited, or
    /// enough children have left since.
    pub(crate) fn comes_to_rest(&mut self, limit: usize) -> bool {
        if !self.in_use || self.has_waiting() || self.reserved > 0 {
            return false;
        }
        self.quiet += 1;
        let rests = !self.has_waited || self.quiet > limit;
        if rests {
            (self.in_use, self.has_waited) = (false, false);
        }
        rests
    }
}
