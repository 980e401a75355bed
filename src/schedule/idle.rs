//! Parking: which threads sleep, which of them are woken, and why no wake-up is lost.
//!
//! # The threads and their states
//!
//! Two kinds of thread park here: workers, and threads in `block_on`, which run no tasks but keep
//! the time while no worker does. A worker is in one of three states:
//!
//! - **active**: it runs tasks or jobs;
//! - **searching**: its own queue is empty, and it looks for work in the shared queues (the injector,
//!   the overflow, the jobs) and in those of other workers;
//! - **sleeping**: it is in the list of [`Sleepers`], and is blocked in its [`Parker`] or about to be.
//!
//! [`Counters`] count the searching and the sleeping workers in one word. The list is under a lock.
//! While the lock is free, the list has as many workers as the word counts sleeping ones: both
//! change in one section.
//!
//! | change of state | by | function |
//! |---|---|---|
//! | active to searching | the worker | [`Idle::search`] |
//! | searching to active | the worker | [`Idle::found`] |
//! | searching to sleeping | the worker, under the lock | [`Idle::park`] |
//! | sleeping to searching | the thread that takes it off the list: one that wakes it, or itself | [`Idle::remove`] |
//!
//! A thread in `block_on` is in the list while it sleeps, and is not counted.
//!
//! # The protocol
//!
//! A **producer**, that is a thread that pushes to a shared queue,
//!
//! 1. pushes;
//! 2. does a read-modify-write on the counters;
//! 3. wakes a sleeping worker, if that saw one and no searching worker ([`Idle::notify`]).
//!
//! A **worker that goes to sleep**
//!
//! 1. enters the list and changes the counters from searching to sleeping;
//! 2. looks at all queues for the last time, and leaves if it finds work;
//! 3. blocks until it is unparked or its time has come.
//!
//! A **searching worker that finds work**
//!
//! 1. changes the counters from searching to active;
//! 2. if that leaves no searching worker and a sleeping one, looks at the queues for more work;
//! 3. wakes a sleeping worker if there is more.
//!
//! To **wake** a sleeper, a thread takes it off the list under the lock, changes the counters on its
//! behalf and unparks it. A second producer then sees a searching worker and wakes no other, although
//! the first one may still be on its way. Unparking puts a token that parking takes, so an unpark
//! before the park is not lost; a token that is left over makes a later park return at once, which
//! costs a round and nothing else.
//!
//! # The interleaving that would fail
//!
//! Suppose the producer's step 2 were a load:
//!
//! | producer | worker |
//! |---|---|
//! | pushes a task | |
//! | | changes the counters to sleeping |
//! | | looks at the queue: empty |
//! | loads the counters: no worker sleeps | |
//! | | blocks |
//!
//! Under sequential consistency the worker's look would see the push. The memory model does not order
//! a thread's write before its later load of another place: the load may return the counters from
//! before the worker's change *and* the look may miss the push. A SeqCst fence on either side would
//! exclude that; so does one place that both threads change by a read-modify-write.
//!
//! # Why no push is lost
//!
//! Claim: after a push to a shared queue, a worker looks at that queue, or no worker sleeps (and then
//! active workers look at the shared queues at bounded intervals).
//!
//! All changes of the counters are read-modify-writes that acquire and release, so they are in one
//! order, and each sees everything that came before any earlier one. Let P be the producer's.
//!
//! 1. *A worker goes to sleep after P.* Its change acquires P, so its last look sees the push.
//! 2. *At P a worker searches.* It leaves that state by a change after P. If it parks, case 1 holds.
//!    If it has found work, its change acquires P, and it looks at the queues, unless another worker
//!    searches, to which this case applies in turn, or no worker sleeps. The last searching worker
//!    sees the push, and wakes a worker.
//! 3. *At P a worker sleeps and none searches.* The producer takes the lock. If it finds a worker in
//!    the list, and still none searches, it wakes that one, which looks at the queues. If it finds no
//!    worker, all that slept at P have begun to search after P: case 2. If a worker searches now, it
//!    does so at or after P: case 2. The counters are read with a Relaxed load here; it returns a
//!    value that is not older than P, which the same thread has written.
//!
//! # A push into a worker's own queue
//!
//! Such a push needs no such care: the worker is awake and will run the task itself. It wakes another
//! worker for help, as a plain load of the counters says, at the push ([`Idle::pushed_locally`]) and
//! before each poll ([`Idle::notify_before_poll`]). If both miss a worker that falls asleep at that
//! moment, the load before the next poll does not. There are two exceptions:
//!
//! - A lone task in the queue wakes no worker if a sleeper watches, see [`watcher`]. The poll that
//!   pushed it may be the last for long, so the push does a read-modify-write as a producer's does, and
//!   for the same reason: the searching worker that it relies on may find other work, and the watcher
//!   may leave; both change the counters and look at the queues after that.
//! - A worker that moves tasks from a shared queue into its own takes them from where the protocol
//!   covers them. It notifies as a producer does.
//!
//! # Time
//!
//! Which sleeper wakes for a timer is the subject of [`timekeeper`].
//!
//! # Sockets
//!
//! With the feature `net`, one of the sleeping workers blocks in the system's queue of events instead of in
//! its condition variable, see [`poller`]. For this protocol that makes no difference: it is in the list, is
//! unparked through its [`Parker`], and looks at the queues of tasks before it blocks. A worker that has got
//! events takes itself off the list, as one does whose time has come: it is searching, so the proof covers
//! the tasks that it wakes by case 2.
//!
//! The room uses `sync` and `timer_queue`'s constants, and knows nothing of tasks and queues: the pool
//! hands in how to look at them. No code of the user's runs under the lock.

mod counters;
mod flag;
mod poller;
mod sleepers;
mod timekeeper;
mod watcher;

pub(crate) use poller::{EventQueue, NoQueue};
pub(crate) use timekeeper::Deadlines;

use crate::sync::{Arc, Mutex, MutexGuard, Parker};
use crate::timer_queue::NEVER;
use counters::{Counters, Counts};
use sleepers::{Sleeper, Sleepers};
use watcher::Watcher;

/// How long a sleeper sleeps, as was decided under the lock.
struct Plan {
    /// When it wakes for a timer; [`NEVER`] if it does not.
    until: u64,
    watches: bool,
    /// Whether it blocks in the queue of events.
    polls: bool,
}

/// The sleeping threads of one runtime.
pub(crate) struct Idle {
    counters: Counters,
    watcher: Watcher,
    sleepers: Mutex<Sleepers>,
}

impl Idle {
    /// A list without sleepers, for so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            counters: Counters::new(),
            watcher: Watcher::new(workers),
            sleepers: Mutex::new(Sleepers::new()),
        }
    }

    /// An active worker has nothing to do and begins to search.
    pub(crate) fn search(&self) {
        self.counters.begin_search();
    }

    /// A searching worker has found work. `more` looks at the queues and returns whether there is
    /// any left.
    pub(crate) fn found(&self, more: impl FnOnce() -> bool) {
        if self.counters.end_search().needs_wake() && more() {
            self.wake_worker();
        }
    }

    /// Work was pushed to a shared queue.
    pub(crate) fn notify(&self) {
        if self.counters.fence().needs_wake() {
            self.wake_worker();
        }
    }

    /// A worker has pushed to its own queue, in which there are now `queued` tasks.
    #[inline]
    pub(crate) fn pushed_locally(&self, queued: impl FnOnce() -> usize) {
        // Relaxed: a worker that is missed here is seen before the next poll.
        let counts = self.counters.peek();
        if counts.any_sleeps() {
            self.pushed_beside_sleepers(counts, queued());
        }
    }

    #[inline(never)]
    fn pushed_beside_sleepers(&self, counts: Counts, queued: usize) {
        let wake = if queued >= 2 {
            counts.needs_wake()
        } else {
            // A lone task: this may be the worker's last look for as long as its poll takes.
            self.counters.fence().needs_wake() && !self.watcher.is_posted()
        };
        if wake {
            self.wake_worker();
        }
    }

    /// A worker is about to poll a task. `more` returns whether it has others in its own queue.
    #[inline]
    pub(crate) fn notify_before_poll(&self, more: impl FnOnce() -> bool) {
        if self.can_wake() && more() {
            self.wake_worker();
        }
    }

    /// Whether a worker sleeps and none searches. The answer may be outdated: Relaxed, since the
    /// caller asks again before each poll.
    pub(crate) fn can_wake(&self) -> bool {
        self.counters.peek().needs_wake()
    }

    /// Sleeps until woken, until the next timer is due, or until there are events in `events`. Returns
    /// whether there are; the caller dispatches them.
    ///
    /// A worker (`is_worker`) is searching before and after. `last_look` looks at the queues, and for
    /// whatever else should keep the thread awake; if it returns `true`, the thread does not sleep.
    /// It is called at least once, after the thread was entered into the list.
    pub(crate) fn park(
        &self,
        parker: &Arc<Parker>,
        is_worker: bool,
        time: &impl Deadlines,
        events: &mut impl EventQueue,
        last_look: impl Fn() -> bool,
    ) -> bool {
        let mut plan = {
            let mut sleepers = self.sleepers.lock();
            let me = sleepers.add(parker, is_worker);
            let plan = self.plan(&mut sleepers, me, time, true);
            if is_worker {
                self.counters.sleep();
            }
            plan
        };
        while !last_look() {
            let got_events = sleep(parker, time, events, &plan);
            let mut sleepers = self.sleepers.lock();
            let Some(me) = sleepers.position_of(parker) else {
                return got_events;
            };
            if got_events || time.next().is_some_and(|at| at <= time.now()) {
                self.leave(sleepers, me, time);
                return got_events;
            }
            // It stays in the list: a look that finds nothing concerns no other thread.
            plan = self.plan(&mut sleepers, me, time, false);
        }
        let sleepers = self.sleepers.lock();
        if let Some(me) = sleepers.position_of(parker) {
            self.leave(sleepers, me, time);
        }
        false
    }

    /// The calling thread, whose position is `me`, leaves the list by itself.
    fn leave(&self, mut sleepers: MutexGuard<'_, Sleepers>, me: usize, time: &impl Deadlines) {
        let left = self.remove(&mut sleepers, me);
        if left.polls.get() {
            sleepers.poller_left.set(true);
        }
        let next = left.covers().and_then(|_| time.next());
        self.replace(sleepers, next);
    }

    /// Decides how long a sleeper sleeps; `is_new`: it has just come, else it looks again.
    fn plan(
        &self,
        sleepers: &mut Sleepers,
        me: usize,
        time: &impl Deadlines,
        is_new: bool,
    ) -> Plan {
        timekeeper::plan(sleepers, me, time, is_new);
        poller::plan(sleepers, me);
        self.watcher.plan(sleepers, me, is_new);
        let sleeper = &sleepers[me];
        Plan {
            until: sleeper.until,
            watches: sleeper.is_watcher,
            polls: sleeper.polls.get(),
        }
    }

    /// The runtime has got a queue of events, which other threads can find by now.
    #[cfg(feature = "net")]
    pub(crate) fn has_queue(&self) {
        let mut sleepers = self.sleepers.lock();
        sleepers.has_queue.set(true);
        let poller = poller::appoint(&mut sleepers, false);
        drop(sleepers);
        if let Some(poller) = poller {
            poller.unpark();
        }
    }

    /// A new earliest deadline has been inserted.
    pub(crate) fn timer_changed(&self, at: u64) {
        let mut sleepers = self.sleepers.lock();
        let Some(timekeeper) = sleepers.position(|sleeper| sleeper.is_timekeeper) else {
            return self.replace(sleepers, Some(at));
        };
        let timekeeper = sleepers.get_mut(timekeeper);
        if at < timekeeper.until {
            // It parks again, until this deadline. If it is taken off the list before, the deadline
            // is part of what it covered.
            timekeeper.until = at;
            let parker = timekeeper.parker.clone();
            drop(sleepers);
            parker.unpark();
        }
    }

    /// Wakes a sleeping thread in `block_on`: it may become a worker.
    pub(crate) fn wake_block_on_thread(&self) {
        let mut sleepers = self.sleepers.lock();
        if let Some(at) = sleepers.position(|sleeper| !sleeper.is_worker) {
            let thread = self.remove(&mut sleepers, at);
            // Its timer is covered by the next thread that parks: the woken one, at the latest.
            drop(sleepers);
            thread.parker.unpark();
        }
    }

    /// Wakes all sleepers: the runtime has terminated.
    pub(crate) fn wake_all(&self) {
        let mut sleepers = self.sleepers.lock();
        let mut woken = Vec::new();
        while !sleepers.is_empty() {
            woken.push(self.remove(&mut sleepers, 0).parker);
        }
        drop(sleepers);
        woken.iter().for_each(|parker| parker.unpark());
    }

    /// Wakes a sleeping worker, unless one searches by now.
    fn wake_worker(&self) {
        let mut sleepers = self.sleepers.lock();
        let Some(chosen) = sleepers.worker_to_wake() else {
            return;
        };
        // Relaxed: not older than the caller's own change of the counters, see the proof, 3.
        if self.counters.peek().any_searches() {
            return;
        }
        let worker = self.remove(&mut sleepers, chosen);
        self.replace(sleepers, worker.covers());
        worker.parker.unpark();
    }

    /// Takes a sleeper off the list. A worker searches from then on; the caller unparks it, if it is
    /// not the calling thread itself, and [replaces](Idle::replace) it.
    fn remove(&self, sleepers: &mut Sleepers, at: usize) -> Sleeper {
        let sleeper = sleepers.remove(at);
        if sleeper.is_watcher {
            self.watcher.has_left();
        }
        if sleeper.is_worker {
            self.counters.wake();
        }
        sleeper
    }

    /// Sees to it that others have the duties of a sleeper that was taken off the list. `deadline` is
    /// that of its timer.
    ///
    /// Wakes a sleeper if none wakes for the timer by itself, see [`timekeeper`]: the woken one finds no
    /// work, and parks with the deadline. Appoints a poller if need be, see [`poller`].
    fn replace(&self, mut sleepers: MutexGuard<'_, Sleepers>, deadline: Option<u64>) {
        let cover = deadline.and_then(|deadline| timekeeper::to_wake(&sleepers, deadline));
        let woken = cover.map(|at| self.remove(&mut sleepers, at).parker);
        let poller = poller::appoint(&mut sleepers, self.watcher.is_posted());
        drop(sleepers);
        let unparked = woken.into_iter().chain(poller);
        unparked.for_each(|parker| parker.unpark());
    }
}

/// Blocks the calling thread as was planned. Returns whether there are events.
fn sleep(
    parker: &Parker,
    time: &impl Deadlines,
    events: &mut impl EventQueue,
    plan: &Plan,
) -> bool {
    let timer = (plan.until != NEVER).then(|| time.instant(plan.until));
    let watch = plan.watches.then(Watcher::next_look).flatten();
    let until = timer.into_iter().chain(watch).min();
    if plan.polls {
        return events.wait(parker, until, until == timer);
    }
    parker.park(until);
    false
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
