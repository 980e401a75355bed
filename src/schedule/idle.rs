//! Parking and waking of threads: workers, and guests (threads in `block_on`, which run no tasks
//! but keep the time).
//!
//! One word counts workers that *search* and workers that *sleep*; a list under a lock knows the
//! sleepers. Every change of the word is a read-modify-write.
//!
//! **No push is lost.** Who pushes into a shared queue does a read-modify-write on the word
//! *after* the push ([`Idle::notify`]) and wakes a sleeper if nobody searches. Who goes to sleep
//! does one *before* it looks at the queues for the last time ([`Idle::park`]). The two are
//! ordered. If the pusher's is first, the sleeper's acquires it, and its last look sees the push.
//! If the sleeper's is first, the pusher sees a sleeper; it wakes one, unless somebody searches.
//! A searcher leaves that state in one of two ways, each a read-modify-write after the pusher's,
//! so that it sees the push: by parking, and then its last look finds it; or by finding work, and
//! then the last searcher looks whether more is left, and wakes another ([`Idle::found`]).
//!
//! A push into the worker's own queue does without: the worker itself is awake and will run it.
//! It wakes help by a plain look at the word, at the push and before each poll; should both miss
//! a worker that falls asleep at that moment, the next poll's look does not. What a worker takes
//! from a shared queue into its own has no such second look: it notifies like a push from outside.
//!
//! **Watching.** A task that is alone in a queue is its own worker's, which would mostly have run it
//! before a sleeper is awake. But the poll that pushed it may last. So while one worker is awake
//! another sleeps no longer than [`WATCH`], as the *watcher*, and then looks for something to steal
//! like any that wakes; and a push of a lone task wakes a worker if nobody watches. Whoever falls
//! asleep decides under the lock whether to watch: a worker that is awake is one that is not in the
//! list. So either somebody watches, or all sleep, or the next lone push wakes one, and nothing waits
//! longer than [`WATCH`] behind a poll while a worker sleeps. That push does a read-modify-write, as one
//! from outside does, and for the same reason: the searcher that it relies on may find other work,
//! and the watcher may leave; both do one, after which they look. Tasks pushed behind a lone one come to
//! light with it. The price is a second wake-up for what happens to a runtime that has been idle
//! for longer than [`WATCH`], if it pushes a task, and one each [`WATCH`] while others work.
//!
//! **Unparking** puts a token that parking takes: unpark before park is not lost. Whoever takes a
//! sleeper off the list, under the lock, moves it from sleeping to searching and unparks it; a
//! sleeper that wakes by itself takes itself off. A token that is left over makes a later park
//! return at once, which costs a round and nothing else.
//!
//! **Time.** One sleeper is the keeper: it parks with the earliest deadline. Deadlines are read under
//! the lock when parking, and a new earliest one takes the lock after it was entered
//! ([`Idle::timer_changed`]): either the keeper sees it, or is woken by it, and parks again. A keeper
//! whose deadline has come leaves, and fires what is due; mostly it is asleep again, with the next
//! deadline, before that comes. So it wakes nobody in its place. But the poll that a timer starts may
//! last. So another sleeper is the *deputy*: it sleeps until [`BACKUP`] after the keeper's deadline at
//! most, and looks whether something is due that nobody has fired; then it leaves, fires it, and is the
//! keeper when it parks. Whoever parks decides under the lock which of the two it is.
//!
//! The invariant, whenever the lock is free: if a timer is pending and anybody sleeps, then either the
//! keeper sleeps, until that timer at most, or has been unparked; or some sleeper wakes at most
//! [`BACKUP`] after the timer. For that, a keeper or a deputy that leaves, and a new
//! earliest deadline, while no keeper sleeps, wake a sleeper only if none wakes early enough by itself. A deadline that
//! moves on makes a deputy early, never late. While all are awake, workers look at the
//! clock every few polls. A keeper's deadline may be later than the earliest (see
//! `pool/deadlines.rs`): then a new one in between wakes it for nothing.

use crate::sync::atomic::{AtomicBool, AtomicWord, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, Parker};
use std::time::{Duration, Instant};

const SLEEPING: u64 = 1;
const SEARCHING: u64 = 1 << 32;
const SLEEPERS: u64 = SEARCHING - 1;

/// How long a watcher sleeps.
const WATCH: Duration = Duration::from_millis(2);

/// How much later than a timer, in nanoseconds, the deputy may wake. It wakes for nothing once in that
/// time while timers come and go: longer costs less, and lets a timer wait longer behind a poll.
const BACKUP: u64 = 20_000_000;
/// A moment that never comes.
const NEVER: u64 = u64::MAX;

/// Where in the list the sleeper with this parker is; nowhere once it was taken off.
fn place(sleepers: &[Sleeper], parker: &Arc<Parker>) -> Option<usize> {
    sleepers
        .iter()
        .position(|sleeper| Arc::ptr_eq(&sleeper.parker, parker))
}

/// Whether somebody sleeps and nobody searches.
fn asks_for_a_wake(word: u64) -> bool {
    (SLEEPING..SEARCHING).contains(&word)
}

/// What parking needs to know of the runtime's timers.
pub(crate) trait Deadlines {
    /// Nanoseconds of the runtime's clock.
    fn next(&self) -> Option<u64>;
    /// Now, by that clock.
    fn now(&self) -> u64;
    fn instant(&self, ns: u64) -> Instant;
}

struct Sleeper {
    parker: Arc<Parker>,
    worker: bool,
    keeper: bool,
    watcher: bool,
    /// When it wakes by itself, for a timer; [`NEVER`] if it does not.
    until: u64,
}

impl Sleeper {
    /// The timer that it wakes for, or soon after.
    fn answers_for(&self) -> Option<u64> {
        let late = if self.keeper { 0 } else { BACKUP };
        (self.until != NEVER).then(|| self.until.saturating_sub(late))
    }
}

/// How long a sleeper sleeps.
struct Plan {
    until: u64,
    watches: bool,
}

pub(crate) struct Idle {
    word: AtomicWord,
    /// How many there are, asleep or not.
    workers: usize,
    /// Whether one of the sleepers is the watcher. Written under the lock.
    watched: AtomicBool,
    sleepers: Mutex<Vec<Sleeper>>,
}

impl Idle {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            word: AtomicWord::new(0),
            workers,
            watched: AtomicBool::new(false),
            sleepers: Mutex::new(Vec::new()),
        }
    }

    /// A worker has nothing to do and begins to search.
    pub(crate) fn search(&self) {
        self.word.fetch_add(SEARCHING, Ordering::AcqRel);
    }

    /// A searching worker has found work; `more` looks whether there is any left.
    pub(crate) fn found(&self, more: impl FnOnce() -> bool) {
        let before = self.word.fetch_sub(SEARCHING, Ordering::AcqRel);
        if asks_for_a_wake(before - SEARCHING) && more() {
            self.wake_worker();
        }
    }

    /// Work was pushed where any worker can take it.
    pub(crate) fn notify(&self) {
        if asks_for_a_wake(self.word.fetch_add(0, Ordering::AcqRel)) {
            self.wake_worker();
        }
    }

    /// A worker has pushed into its own queue, in which there are now `queued`.
    #[inline]
    pub(crate) fn pushed(&self, queued: impl FnOnce() -> usize) {
        let word = self.word.load(Ordering::Relaxed);
        if word & SLEEPERS != 0 {
            self.pushed_beside(word, queued());
        }
    }

    /// As [`Idle::pushed`], when somebody sleeps.
    #[inline(never)]
    fn pushed_beside(&self, word: u64, queued: usize) {
        let wake = if queued >= 2 {
            asks_for_a_wake(word)
        } else {
            // The first of them; no later look of this worker's may come.
            asks_for_a_wake(self.word.fetch_add(0, Ordering::AcqRel))
                && !self.watched.load(Ordering::Relaxed)
        };
        if wake {
            self.wake_worker();
        }
    }

    /// A worker has more in its own queue than it can run at once.
    pub(crate) fn notify_local(&self) {
        if self.can_wake() {
            self.wake_worker();
        }
    }

    /// Sleeps until woken, or until the next timer is due. A worker comes in, and goes out,
    /// searching. `recheck` is the last look, and the watcher's; with `true` nobody sleeps.
    pub(crate) fn park(
        &self,
        parker: &Arc<Parker>,
        worker: bool,
        time: &impl Deadlines,
        recheck: impl Fn() -> bool,
    ) {
        let mut plan = {
            let mut sleepers = self.sleepers.lock();
            sleepers.push(Sleeper {
                parker: parker.clone(),
                worker,
                keeper: false,
                watcher: false,
                until: NEVER,
            });
            let me = sleepers.len() - 1;
            let plan = self.plan(&mut sleepers, me, time, true);
            if worker {
                let change = SEARCHING - SLEEPING;
                self.word.fetch_sub(change, Ordering::AcqRel);
            }
            plan
        };
        while !recheck() {
            let timer = (plan.until != NEVER).then(|| time.instant(plan.until));
            // loom has no time, and a deadline there has always come: a watcher would look for ever.
            let watch = (plan.watches && !cfg!(taskgrove_loom)).then(|| Instant::now() + WATCH);
            parker.park(timer.into_iter().chain(watch).min());
            let mut sleepers = self.sleepers.lock();
            let Some(me) = place(&sleepers, parker) else {
                break;
            };
            if time.next().is_some_and(|at| at <= time.now()) {
                break;
            }
            // Nobody has to know of a look that finds nothing.
            plan = self.plan(&mut sleepers, me, time, false);
        }
        let mut sleepers = self.sleepers.lock();
        if let Some(me) = place(&sleepers, parker) {
            let left = self.take(&mut sleepers, me);
            let next = left.answers_for().and_then(|_| time.next());
            self.hand_on(sleepers, next);
        }
    }

    /// How long this sleeper sleeps: one that has just come, or one that looks again.
    fn plan(&self, sleepers: &mut [Sleeper], me: usize, time: &impl Deadlines, new: bool) -> Plan {
        let next = time.next().unwrap_or(NEVER);
        let Sleeper {
            worker, watcher, ..
        } = sleepers[me];
        let keeper = sleepers.iter().position(|sleeper| sleeper.keeper);
        let keeps = match keeper {
            // One that looks again leaves this to the keeper, which is awake and comes back soon.
            None => new,
            // A guest that wakes could only pass the work on.
            Some(at) => at == me || new && worker && !sleepers[at].worker,
        };
        sleepers[me].until = if keeps {
            if let Some(before) = keeper {
                sleepers[before].keeper = false;
            }
            sleepers[me].keeper = true;
            next
        } else {
            // A keeper that overslept will go by what is next, too.
            let expected = keeper.map_or(next, |at| sleepers[at].until.max(next));
            let others = sleepers.iter().enumerate();
            let mut deputies = others.filter(|(at, other)| *at != me && !other.keeper);
            let late = expected.saturating_add(BACKUP);
            if deputies.any(|(_, other)| other.until <= late) {
                NEVER
            } else {
                late
            }
        };
        let may_watch = watcher || new && !self.watched.load(Ordering::Relaxed);
        Plan {
            until: sleepers[me].until,
            watches: worker && may_watch && self.decide_to_watch(sleepers, me),
        }
    }

    /// There is a new earliest deadline.
    pub(crate) fn timer_changed(&self, at: u64) {
        let mut sleepers = self.sleepers.lock();
        let keeper = sleepers.iter_mut().find(|sleeper| sleeper.keeper);
        match keeper {
            Some(keeper) if keeper.until <= at => {}
            Some(keeper) => {
                // It parks again with this deadline; should it be taken off the list before, then
                // with this duty.
                keeper.until = at;
                let parker = keeper.parker.clone();
                drop(sleepers);
                parker.unpark();
            }
            None => self.hand_on(sleepers, Some(at)),
        }
    }

    /// Wakes a guest: it may become a worker.
    pub(crate) fn wake_guest(&self) {
        let mut sleepers = self.sleepers.lock();
        if let Some(guest) = sleepers.iter().position(|sleeper| !sleeper.worker) {
            let guest = self.take(&mut sleepers, guest);
            // Keeping the time falls to the next that parks: the guest itself, at the latest.
            drop(sleepers);
            guest.parker.unpark();
        }
    }

    /// Wakes everybody: the runtime has ended.
    pub(crate) fn wake_all(&self) {
        let mut sleepers = self.sleepers.lock();
        let mut woken = Vec::new();
        while !sleepers.is_empty() {
            woken.push(self.take(&mut sleepers, 0).parker);
        }
        drop(sleepers);
        woken.iter().for_each(|parker| parker.unpark());
    }

    /// Whether any worker sleeps and none searches.
    pub(crate) fn can_wake(&self) -> bool {
        asks_for_a_wake(self.word.load(Ordering::Relaxed))
    }

    fn wake_worker(&self) {
        let mut sleepers = self.sleepers.lock();
        // Who has a duty is woken last: another would have to be woken for it.
        let workers = sleepers.iter().enumerate().filter(|(_, s)| s.worker);
        let chosen = workers
            .min_by_key(|(_, s)| (s.keeper, s.watcher, s.until != NEVER))
            .map(|(at, _)| at);
        let Some(chosen) = chosen else { return };
        if self.word.load(Ordering::Relaxed) >= SEARCHING {
            return;
        }
        let sleeper = self.take(&mut sleepers, chosen);
        self.hand_on(sleepers, sleeper.answers_for());
        sleeper.parker.unpark();
    }

    /// Makes this sleeper the watcher if any worker is awake.
    fn decide_to_watch(&self, sleepers: &mut [Sleeper], at: usize) -> bool {
        let asleep = sleepers.iter().filter(|sleeper| sleeper.worker).count();
        let watches = asleep < self.workers;
        sleepers[at].watcher = watches;
        self.watched.store(watches, Ordering::Relaxed);
        watches
    }

    fn take(&self, sleepers: &mut Vec<Sleeper>, at: usize) -> Sleeper {
        let sleeper = sleepers.swap_remove(at);
        if sleeper.watcher {
            self.watched.store(false, Ordering::Relaxed);
        }
        if sleeper.worker {
            let change = SEARCHING - SLEEPING;
            self.word.fetch_add(change, Ordering::AcqRel);
        }
        sleeper
    }

    /// Somebody who answered for this timer has left: sees to it that a sleeper wakes for it, or soon
    /// after, if there is one. One that has to be woken for it finds nothing, and parks with the deadline.
    fn hand_on(&self, mut sleepers: MutexGuard<'_, Vec<Sleeper>>, next: Option<u64>) {
        let Some(next) = next else { return };
        let late = next.saturating_add(BACKUP);
        let in_time = |sleeper: &Sleeper| sleeper.keeper || sleeper.until <= late;
        if sleepers.is_empty() || sleepers.iter().any(in_time) {
            return;
        }
        let worker = sleepers.iter().position(|sleeper| sleeper.worker);
        let chosen = self.take(&mut sleepers, worker.unwrap_or(0));
        drop(sleepers);
        chosen.parker.unpark();
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
