//! The simulator's scheduler: what is ready, and which of it the seed picks.
//!
//! What can be done next falls into sources: the future of `block_on`, the ready tasks, the jobs
//! (closing a claimed task, a walk's next step), timers that are due, what came from outside, and
//! tasks that are done, of which their parent has not heard.
//! Each step draws a source by weights that were themselves drawn from the seed, then, among tasks
//! and jobs, one of them. So seeds differ in temper: in some a walk outruns the tasks, in others
//! it crawls; in some the newest tasks go first, in others the oldest.
//!
//! Nothing here is random but the seed's numbers, and nothing is ordered by an address or a hash.
//!
//! What other threads do is in [`super::outside`].

use super::outside::{Landed, Outside};
use super::panics::Unheard;
use super::random::{Random, mix};
use super::run::{Kind, Run, SOURCES, Source};
use crate::id::TaskId;
use crate::panics::quietly;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex};
use crate::task::awaited::{self, Awaited};
use crate::task::current;
use crate::task::shared::Counts;
use crate::task::{Job, Node, Schedule, Shared};
use crate::timer::Fire;
use crate::tree::batch::Batch;
use crate::tree::finish;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::Location;

/// Ids are numbers in a row: mixing one is hash enough, and no seed of std's can come in.
#[derive(Default)]
struct IdHasher(u64);
type IdHash = BuildHasherDefault<IdHasher>;

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = mix(self.0 ^ id);
    }
}

/// What a step did.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// It is the turn of `block_on`'s future.
    Main,
    Done,
    /// It did something, and goes round: the time stands still for too many polls.
    Round,
    /// There was nothing to do at this moment of the virtual time.
    Nothing,
}

enum Work {
    Main,
    Task(Node),
    Job(Job),
    Timer,
    Outside,
    Flush,
}

/// One simulation; shared by the simulator and, as its scheduler, the shared.
pub(super) struct Engine {
    serial: u64,
    pub(super) seed: u64,
    run: Mutex<Run>,
    pub(super) outside: Outside,
    /// Siblings that are done, and not yet taken off their parent: on one worker of many that
    /// takes its time. Not for long: before the future of `block_on` looks.
    done: Mutex<Batch>,
    /// The numbers that the simulated program draws.
    random: Mutex<Random>,
    /// Which of the crate's own awaits each task was left in when it was polled last.
    awaited: Mutex<HashMap<u64, Vec<Awaited>, IdHash>>,
    pub(super) unheard: Unheard,
    /// Some thread is in `block_on`.
    pub(super) driven: AtomicBool,
    ended: AtomicBool,
    polls: AtomicU64,
    jumps: AtomicU64,
    /// Tasks begun less tasks done.
    live: AtomicU64,
}

/// Schedule is implemented on a handle of the engine, because the shared owns it.
pub(super) struct EngineHandle(pub(super) Arc<Engine>);

impl EngineHandle {
    fn on_its_thread(&self) -> bool {
        current::worker(self.0.serial).is_some()
    }
}

impl Schedule for EngineHandle {
    fn push(&self, node: Node) {
        if self.on_its_thread() {
            self.0.run.lock().tasks.push_back(node);
        } else {
            self.0.outside.push(node);
        }
    }

    fn on_spawn(&self, node: Node) {
        self.0.live.fetch_add(1, Ordering::Relaxed);
        self.push(node);
    }

    fn on_done(&self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }

    fn undo_done(&self) {
        self.0.live.fetch_add(1, Ordering::Relaxed);
    }

    fn job(&self, job: Job) {
        if self.on_its_thread() {
            self.0.run.lock().jobs.push(job);
        } else {
            self.0.outside.job(job);
        }
    }

    fn timer_changed(&self, _at: u64) {
        if !self.on_its_thread() {
            self.0.outside.parker.unpark();
        }
    }

    fn expect(&self, more: bool) {
        self.0.outside.expect(more);
    }

    fn visit(&self, more: bool) {
        self.0.outside.visit(more);
    }

    fn terminated(&self) {
        self.0.ended.store(true, Ordering::Release);
    }

    fn counts(&self) -> Counts {
        Counts {
            workers: 0,
            live_tasks: self.0.live.load(Ordering::Relaxed),
            polls: self.0.polls.load(Ordering::Relaxed),
            steals: 0,
            parks: self.0.jumps.load(Ordering::Relaxed),
        }
    }

    fn id_block(&self) -> u64 {
        // What other runtimes on this thread draw must not change these.
        1
    }

    fn random(&self) -> Option<u64> {
        Some(self.0.random.lock().next())
    }

    fn panicked(&self, node: Node, message: &str) {
        self.0.unheard.add(node, message);
    }

    fn heard(&self, id: TaskId, location: &'static Location<'static>) {
        self.0.unheard.remove(id, location);
    }
}

/// The batch of what is done, in use; it goes back also if that panics.
struct Hand<'a> {
    engine: &'a Engine,
    done: Batch,
}

impl<'a> Hand<'a> {
    fn of(engine: &'a Engine) -> Self {
        let done = std::mem::take(&mut *engine.done.lock());
        Hand { engine, done }
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        *self.engine.done.lock() = std::mem::take(&mut self.done);
    }
}

impl Engine {
    pub(super) fn new(serial: u64, seed: u64) -> Self {
        Engine {
            serial,
            seed,
            run: Mutex::new(Run::new(seed)),
            outside: Outside::new(),
            done: Mutex::new(Batch::default()),
            random: Mutex::new(Random::new(!mix(seed))),
            awaited: Mutex::new(HashMap::default()),
            unheard: Unheard::default(),
            driven: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            jumps: AtomicU64::new(0),
            live: AtomicU64::new(0),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn steps(&self) -> u64 {
        self.run.lock().steps
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.run.lock().fingerprint
    }

    /// The polls of this moment so far, those of each task, and the moment begins anew.
    pub(super) fn take_rounds(&self) -> (u64, Vec<(u64, u64)>) {
        self.run.lock().rounds.take()
    }

    /// What the task was left waiting for, of what the crate knows.
    pub(super) fn awaited_by(&self, task: TaskId) -> Vec<Awaited> {
        self.awaited
            .lock()
            .get(&task.get())
            .cloned()
            .unwrap_or_default()
    }

    /// Does what the seed says is next. `main` is whether `block_on`'s future was woken. On the
    /// simulation's thread, in its runtime.
    pub(super) fn step(&self, shared: &Shared, main: bool) -> Step {
        let Some((work, round)) = self.draw(shared, main) else {
            return Step::Nothing;
        };
        match work {
            Work::Main => {
                self.flush();
                return if round { Step::Round } else { Step::Main };
            }
            Work::Task(node) => self.run_task(shared, node),
            Work::Job(job) => {
                if let Some(rest) = finish::run_job(job) {
                    self.run.lock().jobs.push(rest);
                }
            }
            Work::Timer => {
                let mut due: Vec<Fire<Job>> = Vec::with_capacity(1);
                shared.timers.fire_due(shared.clock.now_ns(), 1, &mut due);
                for fire in due {
                    match fire {
                        Fire::Waker(waker) => quietly(|| waker.wake()),
                        Fire::Job(job) => shared.schedule().job(job),
                    }
                }
            }
            Work::Outside => {}
            Work::Flush => self.flush(),
        }
        if round { Step::Round } else { Step::Done }
    }

    /// Which sources have work; of `block_on`'s future its caller knows.
    fn sources(&self, shared: &Shared, run: &Run) -> [bool; SOURCES.len()] {
        let now = shared.clock.now_ns();
        SOURCES.map(|source| match source {
            Source::Main => false,
            Source::Task => !run.tasks.is_empty(),
            Source::Job => !run.jobs.is_empty(),
            Source::Timer => shared.timers.next_deadline().is_some_and(|at| at <= now),
            Source::Outside => !self.outside.is_empty(),
            Source::Done => !self.done.lock().is_empty(),
        })
    }

    /// Whether anything but `block_on`'s future is ready.
    pub(super) fn has_work(&self, shared: &Shared) -> bool {
        self.sources(shared, &self.run.lock()).contains(&true)
    }

    /// Draws and takes what is next; and whether the polls of this moment are too many.
    fn draw(&self, shared: &Shared, main: bool) -> Option<(Work, bool)> {
        let mut run = self.run.lock();
        let mut has_work = self.sources(shared, &run);
        has_work[0] = main;
        let run = &mut *run;
        let mut round = false;
        let work = match run.source(has_work)? {
            Source::Main => {
                run.note(Kind::Main, 0);
                round = run.rounds.poll(0);
                Work::Main
            }
            Source::Task => {
                let node = run.task()?;
                run.note(Kind::Task, node.id().get());
                round = run.rounds.poll(node.id().get());
                Work::Task(node)
            }
            Source::Job => {
                let at = run.random.below(run.jobs.len());
                let job = run.jobs.swap_remove(at);
                let kind = match &job {
                    Job::Close(_) => Kind::Close,
                    Job::Finish(..) => Kind::Finish,
                    Job::Walk(_) => Kind::Walk,
                };
                run.note(kind, job.about().get());
                Work::Job(job)
            }
            Source::Done => {
                run.note(Kind::Flush, 0);
                Work::Flush
            }
            Source::Timer => {
                run.note(Kind::Timer, shared.clock.now_ns());
                Work::Timer
            }
            Source::Outside => {
                let job_first = run.random.one_in(2);
                match self.outside.take(job_first) {
                    Some(Landed::Job(job)) => {
                        run.note(Kind::LandJob, job.about().get());
                        run.jobs.push(job);
                    }
                    Some(Landed::Task(node)) => {
                        run.note(Kind::LandTask, node.id().get());
                        run.tasks.push_back(node);
                    }
                    None => {}
                }
                Work::Outside
            }
        };
        // Work outside may take as long as it takes, also for who asks for it again and again.
        if round && self.outside.is_expected() {
            run.rounds.clear();
            round = false;
        }
        Some((work, round))
    }

    fn run_task(&self, shared: &Shared, node: Node) {
        let id = node.id().get();
        self.polls.fetch_add(1, Ordering::Relaxed);
        let awaited = awaited::trace(|| {
            let mut hand = Hand::of(self);
            finish::run(
                node,
                &mut hand.done,
                || shared.schedule().on_done(),
                Node::submit,
            );
        });
        let mut known = self.awaited.lock();
        if awaited.is_empty() {
            known.remove(&id);
            return;
        }
        known.insert(id, awaited);
        // Tasks that were cancelled in the meantime left theirs behind.
        let live = self.live.load(Ordering::Relaxed) as usize;
        if known.len() > 2 * live + 4096 {
            drop(known);
            let snapshot = crate::tree::snapshot::all(shared);
            let there: HashSet<u64> = snapshot.nodes().iter().map(|node| node.id.get()).collect();
            self.awaited.lock().retain(|id, _| there.contains(id));
        }
    }

    fn flush(&self) {
        Hand::of(self).done.flush();
    }

    /// Lets the time pass until this moment.
    pub(super) fn jump(&self, shared: &Shared, at: u64) {
        shared.clock.advance_to(at);
        shared.refresh_clock();
        self.jumps.fetch_add(1, Ordering::Relaxed);
        let mut run = self.run.lock();
        run.note(Kind::Clock, at);
        run.rounds.clear();
    }
}
