//! The simulator's scheduler: draws the next step from the seed and does it.
//!
//! Work comes from six sources: the main future (the one that `block_on` was given), ready tasks,
//! jobs (drop a claimed future, go on with a cancellation), due timers, the inbox of other threads,
//! and siblings that are done and not yet unlinked from their parent. Each step draws one of the
//! sources that have work, by weights that are drawn from the seed once, and then, among tasks or jobs,
//! one of them. So the seeds differ in character: in some a cancellation outruns the tasks, in
//! others it crawls; in some the newest task goes first, in others the oldest.
//!
//! Every choice follows from the seed's numbers; none depends on an address or on the order of a
//! hash map.
//!
//! The thread that drives the simulation takes the steps. The locks are for threads that look at a
//! counter, and because a [`Sim`](super::Sim) may move to another thread between two calls. The lock
//! of [`Engine::run`] may be held while the one of [`Engine::batch`] is taken; no lock is held while
//! code of the program runs.

use super::inbox::{Inbox, Pushed};
use super::random::{Random, mix};
use super::run::{Kind, Run, SOURCES, Source};
use super::unhandled::UnhandledPanics;
use crate::panics::quietly;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, Parker};
use crate::task::raw::Queued;
use crate::task::{Job, Shared};
use crate::tree::batch::Batch;
use crate::tree::{job, poll};

/// The result of a step.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// The main future is to be polled by the caller.
    Main,
    /// The step is done.
    Done,
    /// The step is done, and the polls at this instant are a livelock.
    Livelock,
    /// No source has work.
    Nothing,
}

enum Work {
    Main,
    Task(Queued),
    Job(Job),
    Timer,
    /// Something from the inbox is in the run's own queues now.
    Moved,
    Flush,
}

/// The state of one simulation, apart from its tasks.
pub(super) struct Engine {
    /// The number of the runtime: tells the driving thread from others.
    pub(super) serial: u64,
    pub(super) seed: u64,
    pub(super) run: Mutex<Run>,
    pub(super) inbox: Inbox,
    /// Siblings that are done and not yet unlinked from their parent, as a worker of a pool keeps
    /// them; it is empty whenever the main future is polled.
    batch: Mutex<Batch>,
    /// The numbers that the program draws, so that drawing them leaves the schedule as it is.
    pub(super) random: Mutex<Random>,
    pub(super) unhandled: UnhandledPanics,
    /// A thread is in `block_on`.
    ///
    /// Set by an Acquire swap where `block_on` begins, cleared by a Release store where it ends.
    /// The two pair, so that a thread that drives the simulation sees what the one before it did. Nothing
    /// pairs with the swap's write, so it need not be a Release.
    driven: AtomicBool,
    /// Unparked after each end of `block_on`.
    given_back: Parker,
    /// The last task is done.
    ///
    /// The thread that finishes the last sentinel stores it with Release. `Sim::drop` loads it with
    /// Acquire, and so sees every task's end before it lets go of the simulation.
    ended: AtomicBool,
    /// Polls so far, for metrics. The driving thread increments it, any thread reads it. Relaxed: it
    /// is a number and publishes nothing.
    polls: AtomicU64,
    /// Tasks that are not done, for metrics. Any thread that
    /// spawns a task or makes one done changes it, any thread reads it. Relaxed: it is a number and
    /// publishes nothing, and a task's decrement follows its increment because its end follows its spawn.
    live: AtomicU64,
}

/// A batch on loan from the engine. The drop gives it back, also when the code that uses it panics.
struct Loan<'a> {
    engine: &'a Engine,
    batch: Batch,
}

impl<'a> Loan<'a> {
    fn of(engine: &'a Engine) -> Self {
        let batch = std::mem::take(&mut *engine.batch.lock());
        Loan { engine, batch }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        *self.engine.batch.lock() = std::mem::take(&mut self.batch);
    }
}

/// The right to drive a simulation, which one thread has at a time.
pub(super) struct Driving<'a>(&'a Engine);

impl<'a> Driving<'a> {
    /// Takes the right; `None` if another thread drives the simulation already.
    // One copy for all the futures that are driven.
    #[inline(never)]
    pub(super) fn begin(engine: &'a Engine) -> Option<Self> {
        let driven = engine.driven.swap(true, Ordering::Acquire);
        // Made only when it is taken: its drop gives the right back.
        (!driven).then(|| Driving(engine))
    }

    /// Takes the right, and waits until another thread has given it back. Only the drop of the simulation calls
    /// this.
    pub(super) fn await_begin(engine: &'a Engine) -> Self {
        loop {
            if let Some(driving) = Driving::begin(engine) {
                return driving;
            }
            engine.given_back.park(None);
        }
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.driven.store(false, Ordering::Release);
        self.0.given_back.unpark();
    }
}

impl Engine {
    pub(super) fn new(serial: u64, seed: u64) -> Self {
        Engine {
            serial,
            seed,
            run: Mutex::new(Run::new(seed)),
            inbox: Inbox::new(),
            batch: Mutex::new(Batch::default()),
            random: Mutex::new(Random::new(!mix(seed))),
            unhandled: UnhandledPanics::default(),
            driven: AtomicBool::new(false),
            given_back: Parker::new(),
            ended: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            live: AtomicU64::new(0),
        }
    }

    pub(super) fn steps(&self) -> u64 {
        self.run.lock().steps
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.run.lock().fingerprint
    }

    pub(super) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    pub(super) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    /// Counts a task as live.
    pub(super) fn add_live(&self) {
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a task as live no more.
    pub(super) fn remove_live(&self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// The last task is done.
    pub(super) fn set_ended(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Draws the next step and does it. `main`: whether the main future was woken. The caller is the
    /// driving thread, in the simulation's runtime.
    pub(super) fn step(&self, shared: &Shared, main: bool) -> Step {
        let Some((work, livelock)) = self.draw(shared, main) else {
            return Step::Nothing;
        };
        match work {
            Work::Main => {
                self.flush();
                return if livelock { Step::Livelock } else { Step::Main };
            }
            Work::Task(task) => self.run_task(shared, task),
            Work::Job(job) => {
                if let Some(rest) = job::run(job) {
                    self.run.lock().jobs.push(rest);
                }
            }
            Work::Timer => {
                shared.timers.fire(
                    shared.clock.now_ns(),
                    1,
                    |waker| quietly(|| waker.wake()),
                    |job| shared.schedule().job(job),
                );
            }
            Work::Moved => {}
            Work::Flush => self.flush(),
        }
        if livelock { Step::Livelock } else { Step::Done }
    }

    /// Returns which sources have work. Of the main future only the caller knows.
    fn sources(&self, shared: &Shared, run: &Run) -> [bool; SOURCES.len()] {
        let now = shared.clock.now_ns();
        SOURCES.map(|source| match source {
            Source::Main => false,
            Source::Task => !run.tasks.is_empty(),
            Source::Job => !run.jobs.is_empty(),
            Source::Timer => shared.timers.next_deadline().is_some_and(|at| at <= now),
            Source::Inbox => !self.inbox.is_empty(),
            Source::Batch => !self.batch.lock().is_empty(),
        })
    }

    /// Returns whether any source but the main future has work.
    pub(super) fn has_work(&self, shared: &Shared) -> bool {
        self.sources(shared, &self.run.lock()).contains(&true)
    }

    /// Draws the next work and takes it; also returns whether the polls at this instant are a livelock.
    fn draw(&self, shared: &Shared, main: bool) -> Option<(Work, bool)> {
        let mut run = self.run.lock();
        let mut has_work = self.sources(shared, &run);
        has_work[Source::Main as usize] = main;
        let run = &mut *run;
        let mut livelock = false;
        let work = match run.draw_source(has_work)? {
            Source::Main => {
                run.count_step(Kind::Main, 0);
                livelock = run.polls.count(0);
                Work::Main
            }
            Source::Task => {
                let task = run.draw_task()?;
                let id = task.live().id().get();
                run.count_step(Kind::Task, id);
                livelock = run.polls.count(id);
                Work::Task(task)
            }
            Source::Job => {
                let job = run.draw_job();
                let kind = match &job {
                    Job::Close(_) => Kind::Close,
                    Job::Finish(..) => Kind::Finish,
                    Job::Cancel(_) | Job::Walk(_) => Kind::Walk,
                };
                run.count_step(kind, job.about().get());
                Work::Job(job)
            }
            Source::Timer => {
                run.count_step(Kind::Timer, shared.clock.now_ns());
                Work::Timer
            }
            Source::Inbox => {
                let job_first = run.random.one_in(2);
                match self.inbox.pop(job_first) {
                    Some(Pushed::Job(job)) => {
                        run.count_step(Kind::LandJob, job.about().get());
                        run.jobs.push(job);
                    }
                    Some(Pushed::Task(task)) => {
                        run.count_step(Kind::LandTask, task.live().id().get());
                        run.tasks.push_back(task);
                    }
                    None => {}
                }
                Work::Moved
            }
            Source::Batch => {
                run.count_step(Kind::Flush, 0);
                Work::Flush
            }
        };
        // A program may poll as often as it likes while it waits for another thread's work.
        if livelock && self.inbox.expects_work() {
            run.polls.reset();
            livelock = false;
        }
        Some((work, livelock))
    }

    fn run_task(&self, shared: &Shared, task: Queued) {
        self.polls.fetch_add(1, Ordering::Relaxed);
        let mut loan = Loan::of(self);
        poll::run(
            task,
            &mut loan.batch,
            || shared.schedule().on_done(),
            Queued::submit,
        );
    }

    fn flush(&self) {
        Loan::of(self).batch.flush();
    }
}
