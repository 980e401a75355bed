//! The loop of a worker.

use super::deadlines::fire_timers;
use super::gather::gather;
use super::{Core, Pool, bump};
use crate::schedule::queue::STEAL_MAX;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Parker};
use crate::task::{Node, Shared};
use crate::tree::batch::Batch;
use crate::tree::finish;

/// Polls between two looks at the clock, at most.
const CLOCK_EVERY: u32 = 63;
/// Nanoseconds between two looks at the clock, about.
const LOOK_APART: u64 = 100_000;
/// Sources besides a worker's own queue.
const SOURCES: u8 = 3;

/// What a thread has while it is a worker.
pub(crate) struct Worker<'a> {
    pool: &'a Pool,
    shared: &'a Shared,
    index: usize,
    core: &'a Core,
    /// Polls until the next look at the clock, and between two looks.
    clock_in: u32,
    clock_every: u32,
    last_look: u64,
    /// The millisecond of that look; another worker may see the next one first.
    last_ms: u32,
    /// Whether it has slept since.
    slept: bool,
    /// Whether polls are so long that it looks at the clock at every second one.
    slow: bool,
    /// Whether the poll after that look was one from the other sources.
    was_theirs: bool,
    /// Which of them is next.
    turn: u8,
    random: u64,
    searching: bool,
    /// Tasks that are done, of which their parent has not heard yet.
    done: Batch,
    /// The worker that is watched, and its polls at the last look.
    watched: (usize, u64),
    parker: Arc<Parker>,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(
        pool: &'a Pool,
        shared: &'a Shared,
        index: usize,
        parker: Arc<Parker>,
    ) -> Self {
        Worker {
            pool,
            shared,
            index,
            core: &pool.cores[index],
            clock_in: 0,
            clock_every: 1,
            last_look: 0,
            last_ms: 0,
            slept: true,
            slow: false,
            was_theirs: false,
            turn: 0,
            random: 0x9E37_79B9_7F4A_7C15 ^ (index as u64 + 1),
            searching: false,
            done: Batch::default(),
            watched: (index, 0),
            parker,
        }
    }

    /// A thread's whole life as a worker.
    pub(crate) fn run(&mut self) {
        while !self.pool.has_ended() {
            if !self.tick() {
                self.park(|| false);
            }
        }
        self.stop_searching();
        // What is left is wakers, which wait for nobody but who wakes them.
        while let Some(job) = self.pool.jobs.pop() {
            let _ = finish::run_job(job);
        }
    }

    /// Lets the parents of what is done know: before this thread does something else than work.
    pub(crate) fn settle(&mut self) {
        self.done.flush();
    }

    /// Searches no longer: work was found, or this thread stops being a worker, and others may have
    /// to find what is left.
    #[inline]
    pub(crate) fn stop_searching(&mut self) {
        if self.searching {
            self.searching = false;
            self.found();
        }
    }

    #[cold]
    fn found(&self) {
        self.pool.idle.found(|| self.pool.has_work());
    }

    fn search(&mut self) {
        if !self.searching {
            self.searching = true;
            self.pool.idle.search();
        }
    }

    /// Lets the parents of what is done know. Nothing may be in hand, and nobody may count on this search:
    /// what follows may take its time, in code of the user's.
    fn flush(&mut self) {
        if !self.done.is_empty() {
            self.stop_searching();
            self.done.flush();
        }
    }

    /// Does one thing; `false` if there was nothing to do.
    pub(crate) fn tick(&mut self) -> bool {
        let looked = self.look_at_clock();
        if !self.pool.jobs.is_empty() {
            // Before a job is in hand: what follows may be code of the user's.
            self.flush();
            if let Some(job) = self.pool.jobs.pop() {
                self.stop_searching();
                bump(&self.core.jobs, 1);
                if let Some(rest) = finish::run_job(job) {
                    self.pool.jobs.push(rest);
                }
                // Cancelled tasks wait for the walk, others for its steps: take turns.
            }
        }
        let Some(node) = self.next(looked) else {
            if self.done.is_empty() {
                return !self.pool.jobs.is_empty();
            }
            self.flush();
            return true;
        };
        self.stop_searching();
        if !self.core.queue.is_empty() {
            self.pool.idle.notify_before_poll();
        }
        bump(&self.core.polls, 1);
        if !self.done.waits_for(node) {
            // With a task in hand: code of the user's might wait for that task, or for as long as it likes.
            self.done.flush_later();
        }
        let (pool, core) = (self.pool, self.core);
        finish::run(
            node,
            &mut self.done,
            || core.on_done(),
            |node| pool.push_local(core, node),
        );
        true
    }

    /// Says whether it is time for the other sources.
    #[inline]
    fn look_at_clock(&mut self) -> bool {
        // Polls may have become longer than they were: then another thread sees time pass first.
        if self.clock_in > 0 && self.shared.coarse_now() == self.last_ms {
            self.clock_in -= 1;
            return false;
        }
        self.serve_clock()
    }

    #[cold]
    fn serve_clock(&mut self) -> bool {
        let theirs = !self.was_theirs || self.slept || self.clock_in < self.clock_every;
        self.was_theirs = false;
        self.done.flush();
        let now = self.shared.refresh_clock();
        self.last_ms = self.shared.coarse_now();
        self.adapt(now.saturating_sub(self.last_look));
        self.last_look = now;
        self.clock_in = self.clock_every;
        if self.shared.timers.next_deadline().is_none_or(|at| at > now) {
            self.shared.clock.saw(now);
            return theirs;
        }
        // As long as it only wakes tasks, this worker is one that searches: it will run the first, and
        // look whether there are more. Wakers that are no tasks' are code of the user's: nobody may
        // count on this search.
        fire_timers(self.shared, now, self.slow, || self.stop_searching());
        theirs
    }

    /// Looks at the clock so often that it serves timers and the other sources in time, and so seldom
    /// that it costs nothing.
    fn adapt(&mut self, since_last: u64) {
        if std::mem::take(&mut self.slept) {
            self.slow = false;
            return;
        }
        let polls = u64::from(self.clock_every - self.clock_in.min(self.clock_every)) + 1;
        match since_last {
            0..LOOK_APART => self.clock_every = (2 * self.clock_every).min(CLOCK_EVERY),
            // So many polls of this length as fit.
            since if since >= 2 * LOOK_APART => {
                self.clock_every = ((polls * LOOK_APART / since) as u32).clamp(1, CLOCK_EVERY);
            }
            _ => {}
        }
        self.slow = self.clock_every == 1 && since_last >= LOOK_APART;
    }

    /// The next task, from the other sources if that is their poll.
    fn next(&mut self, theirs: bool) -> Option<Node> {
        if theirs && let Some(node) = self.take_from_others() {
            self.was_theirs = true;
            return Some(node);
        }
        if let Some(address) = self.core.queue.pop() {
            return Some(Node::from_address(address));
        }
        self.turn = (self.turn + 1) % SOURCES;
        let found = if self.turn == 0 {
            self.take_overflow().or_else(|| self.take_injected())
        } else {
            self.take_injected().or_else(|| self.take_overflow())
        };
        found.or_else(|| self.steal())
    }

    /// What waits in the other sources, which take turns at being first.
    #[cold]
    fn take_from_others(&mut self) -> Option<Node> {
        for _ in 0..SOURCES {
            self.turn = (self.turn + 1) % SOURCES;
            let found = match self.turn {
                0 => self.take_overflow(),
                1 => self.take_injected(),
                _ => self.rescue(),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// A task that came from outside; this worker's share of the others goes into its queue:
    /// one by one, the workers and who pushes would fight over the shared one. Not behind many long
    /// polls: there the next look comes sooner.
    fn take_injected(&mut self) -> Option<Node> {
        let injector = &self.pool.injector;
        let queued = self.core.queue.len();
        if !self.searching && queued == 0 {
            gather(|| injector.len());
        }
        let first = injector.pop()?;
        if self.slow && queued >= STEAL_MAX {
            return Some(first);
        }
        let share = injector.len() / self.pool.cores.len();
        for _ in 0..share.min(STEAL_MAX - 1) {
            let Some(node) = injector.pop() else { break };
            if self.core.queue.push(node.address()).is_err() {
                injector.push(node);
                break;
            }
        }
        if share > 0 {
            self.tell();
        }
        Some(first)
    }

    /// Tells others of what anybody could take, and is in this worker's queue now. Whoever pushed it
    /// may have woken nobody, because somebody searched; and a plain look at the sleepers, before a
    /// poll that takes long, could miss who found nothing and falls asleep at this moment.
    fn tell(&self) {
        if !self.searching {
            self.pool.idle.notify();
        }
    }

    /// Takes half a queue that was given away: runs the first, queues the rest here, and gives back
    /// what there is no room for.
    fn take_overflow(&mut self) -> Option<Node> {
        if self.pool.overflow.is_empty() {
            return None;
        }
        let mut half = self.pool.overflow.pop()?.into_iter();
        let first = half.next()?;
        let queue = &self.core.queue;
        while let Some(node) = half.next() {
            if queue.push(node.address()).is_err() {
                let rest = std::iter::once(node).chain(half).collect();
                self.pool.overflow.push(rest);
                break;
            }
        }
        self.tell();
        Some(first)
    }

    /// What is queued behind a poll that does not end would wait for it as long as all others are
    /// busy. So each looks, now and then, whether one other gets on, and steals if not.
    fn rescue(&mut self) -> Option<Node> {
        let cores = &self.pool.cores;
        let (victim, seen) = self.watched;
        let stuck = cores[victim].polls.load(Ordering::Relaxed) == seen;
        if stuck
            && victim != self.index
            && let Some(node) = self.steal_from(victim)
        {
            self.tell();
            return Some(node);
        }
        let mut next = (victim + 1) % cores.len();
        if next == self.index {
            next = (next + 1) % cores.len();
        }
        self.watched = (next, cores[next].polls.load(Ordering::Relaxed));
        None
    }

    fn steal(&mut self) -> Option<Node> {
        let cores = &self.pool.cores;
        if cores.len() < 2 {
            return None;
        }
        // Once in a search; a worker that was woken has waited long enough.
        let mut may_wait = !self.searching;
        self.search();
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let start = self.random as usize % cores.len();
        for offset in 0..cores.len() {
            let victim = (start + offset) % cores.len();
            if victim == self.index {
                continue;
            }
            let queue = &cores[victim].queue;
            if may_wait && !queue.is_empty() {
                may_wait = false;
                gather(|| queue.len());
            }
            if let Some(node) = self.steal_from(victim) {
                return Some(node);
            }
        }
        None
    }

    fn steal_from(&self, victim: usize) -> Option<Node> {
        let queue = &self.pool.cores[victim].queue;
        let (first, count) = queue.steal_into(&self.core.queue, STEAL_MAX)?;
        bump(&self.core.steals, count as u64);
        Some(Node::from_address(first))
    }

    /// Sleeps until there is something to do; `woken` is one more reason not to.
    pub(crate) fn park(&mut self, woken: impl Fn() -> bool) {
        self.search();
        bump(&self.core.parks, 1);
        let pool = self.pool;
        pool.idle.park(&self.parker, true, self.shared, || {
            woken() || pool.has_ended() || pool.has_work()
        });
        self.clock_in = 0;
        self.slept = true;
    }
}
