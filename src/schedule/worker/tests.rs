//! How long tasks wait, in virtual time. Polls take time only by moving the clock; each of a few workers,
//! all on this thread, begins its next round when its last one is over.

mod turns;

use super::*;
use crate::handle::Handle;
use crate::schedule::idle::Deadlines as _;
use crate::schedule::pool::PoolHandle;
use crate::sync::atomic::Ordering;
use crate::task::current::inside::InRuntime;
use crate::task::watch::Watch;
use crate::timer_queue::Clock;
use std::cell::Cell;
use std::sync::atomic::AtomicU64 as Std64;
use std::time::Duration;

const US: u64 = 1_000;
const MS: u64 = 1_000 * US;

std::thread_local! {
    /// How long the current poll takes.
    static TOOK: Cell<u64> = const { Cell::new(0) };
}

/// Makes the current poll take longer.
fn take(ns: u64) {
    TOOK.set(TOOK.get() + ns);
}

/// Yields for ever; each poll takes `ns`.
async fn busy(ns: u64) {
    loop {
        take(ns);
        crate::yield_now().await;
    }
}

struct World {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    /// When each worker is free again.
    free_at: Vec<u64>,
}

/// The time at which something happened; 0 while it has not.
#[derive(Clone, Default)]
struct Mark(std::sync::Arc<Std64>);

impl Mark {
    fn at(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// A task that says when it is polled, and takes no time.
    fn task(&self, shared: &Arc<Shared>) -> impl Future<Output = ()> + Send + use<> {
        let (mark, shared) = (self.clone(), shared.clone());
        async move { mark.0.store(shared.now(), Ordering::Relaxed) }
    }
}

impl World {
    fn new(workers: usize) -> World {
        let shared = Arc::new(Shared::new(Clock::manual(), Watch::default()));
        let pool = Arc::new(Pool::new(shared.serial, workers));
        Shared::open(&shared, Box::new(PoolHandle(pool.clone())), workers + 1);
        World {
            shared,
            pool,
            free_at: vec![1; workers],
        }
    }

    fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }

    fn now(&self) -> u64 {
        self.shared.now()
    }

    /// Runs the workers until that time. `outside` is called before each round with the time, as code
    /// of another thread.
    fn run(&mut self, until: u64, mut outside: impl FnMut(u64)) {
        let World {
            shared,
            pool,
            free_at,
        } = self;
        let parker = || Arc::new(Parker::new());
        let mut workers: Vec<_> = (0..free_at.len())
            .map(|index| {
                let _in_runtime = InRuntime::enter(shared.clone(), Some(index));
                Worker::new(pool, shared, parker())
            })
            .collect();
        loop {
            let (index, &at) = (free_at.iter().enumerate())
                .min_by_key(|(_, at)| **at)
                .expect("a worker");
            if at >= until {
                break;
            }
            shared.clock.advance_to(at);
            outside(at);
            let _in_runtime = InRuntime::enter(shared.clone(), Some(index));
            TOOK.set(0);
            workers[index].tick();
            // A round takes at least this long, also one without a poll.
            free_at[index] = at + TOOK.get().max(5 * US);
        }
        for (index, worker) in workers.iter_mut().enumerate() {
            let _in_runtime = InRuntime::enter(shared.clone(), Some(index));
            worker.flush();
            worker.stop_searching();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _in_runtime = InRuntime::enter(self.shared.clone(), Some(0));
        crate::tree::request::end_all(&self.shared, crate::task::state::Level::Kill);
        let mut worker = Worker::new(&self.pool, &self.shared, Arc::new(Parker::new()));
        while !self.pool.has_terminated() {
            worker.tick();
        }
    }
}

/// A world in which `tasks` tasks yield for ever; it has run for a second.
fn crowded(workers: usize, tasks: usize, poll: u64) -> World {
    let mut world = World::new(workers);
    for _ in 0..tasks {
        drop(world.handle().spawn(busy(poll)));
    }
    world.run(1_000 * MS, |_| ());
    world
}

#[test]
fn a_task_from_outside_waits_for_two_polls() {
    for (workers, tasks, poll) in [
        (1, 3, 5 * MS),
        (2, 4, 5 * MS),
        (2, 20, 100 * US),
        (2, 1_000, MS),
        (4, 100, MS),
    ] {
        let mut world = crowded(workers, tasks, poll);
        for _ in 0..20 {
            let (began, mark) = (world.now(), Mark::default());
            drop(world.handle().spawn(mark.task(&world.shared)));
            world.run(began + 3 * poll, |_| ());
            let waited = mark.at().saturating_sub(began);
            assert!(
                mark.at() > 0 && waited <= 2 * poll,
                "{workers} workers, {tasks} tasks of {poll} ns: {waited} ns"
            );
        }
    }
}

/// A thousand tasks a second from another thread, beside 20 tasks of 100 us: none waits longer at the
/// end than at the beginning.
#[test]
fn a_stream_from_outside_does_not_pile_up() {
    let mut world = crowded(2, 20, 100 * US);
    let (began, handle, shared) = (world.now(), world.handle(), world.shared.clone());
    let mut marks: Vec<(u64, Mark)> = Vec::new();
    world.run(began + 1_000 * MS, |now| {
        while began + marks.len() as u64 * MS <= now {
            let mark = Mark::default();
            drop(handle.spawn(mark.task(&shared)));
            marks.push((now, mark));
        }
    });
    marks.pop();
    for (spawned, mark) in marks {
        let waited = mark.at().saturating_sub(spawned);
        assert!(mark.at() > 0 && waited <= 200 * US, "{waited} ns");
    }
}

#[test]
fn a_burst_from_outside_does_not_wait_behind_the_queues() {
    let mut world = crowded(2, 20, 100 * US);
    let began = world.now();
    let marks: Vec<Mark> = (0..1_000).map(|_| Mark::default()).collect();
    for mark in &marks {
        drop(world.handle().spawn(mark.task(&world.shared)));
    }
    world.run(began + 200 * MS, |_| ());
    let last = marks.iter().map(Mark::at).max().expect("some");
    let first = marks.iter().map(Mark::at).min().expect("some");
    assert!(first > 0 && last - began <= 100 * MS, "{} ns", last - began);
}

/// A timer beside polls of 5 ms, fired by a thread in `block_on` or by the workers themselves.
#[test]
fn a_timer_waits_for_two_polls() {
    for by_block_on_thread in [true, false] {
        let poll = 5 * MS;
        let mut world = crowded(2, 4, poll);
        for round in 0..20 {
            let (began, mark) = (world.now(), Mark::default());
            let due = began + 20 * MS + round * 777 * US;
            let (task, sleep) = (mark.task(&world.shared), Duration::from_nanos(due - began));
            drop(world.handle().spawn(async move {
                crate::time::sleep(sleep).await;
                task.await;
            }));
            let shared = world.shared.clone();
            world.run(due + 3 * poll, |now| {
                if by_block_on_thread {
                    fire_timers(&shared, now, true, || ());
                }
            });
            // The sleep begins when the task is first polled: up to two polls later.
            let late = mark.at().saturating_sub(due + 2 * poll);
            assert!(
                mark.at() > 0 && late <= 2 * poll,
                "{by_block_on_thread}: {late} ns"
            );
        }
    }
}

/// Polls that were short become long: another thread has seen the time, and the clock is read at once.
#[test]
fn a_task_from_outside_waits_for_two_polls_that_become_long() {
    let length = std::sync::Arc::new(Std64::new(US));
    let mut world = World::new(1);
    for _ in 0..100 {
        let length = length.clone();
        drop(world.handle().spawn(async move {
            loop {
                take(length.load(Ordering::Relaxed));
                crate::yield_now().await;
            }
        }));
    }
    let (shared, handle, mark) = (world.shared.clone(), world.handle(), Mark::default());
    let mut spawned = 0;
    world.run(200 * MS, |now| {
        if now >= 100 * MS {
            if spawned == 0 {
                spawned = now;
                length.store(5 * MS, Ordering::Relaxed);
                drop(handle.spawn(mark.task(&shared)));
            }
            shared.refresh_clock();
        }
    });
    let waited = mark.at().saturating_sub(spawned);
    assert!(mark.at() > 0 && waited <= 10 * MS, "{waited} ns");
}

/// All shared sources always have tasks, and each is served.
#[test]
fn each_source_has_its_turn() {
    let mut world = World::new(2);
    let queued = 3 * crate::schedule::queue::CAPACITY as u64;
    let run = std::sync::Arc::new(Std64::new(0));
    // Worker 0 overflows its queue, and then is in a poll for ever.
    let (handle, counted) = (world.handle(), run.clone());
    drop(world.handle().spawn(async move {
        for _ in 0..queued {
            let counted = counted.clone();
            drop(handle.spawn(async move {
                counted.fetch_add(1, Ordering::Relaxed);
                take(10 * US);
            }));
        }
        take(1_000_000 * MS);
    }));
    let handle = world.handle();
    let pool = world.pool.clone();
    world.run(1_000 * MS, |_| {
        // The injector never runs empty.
        while pool.injector.len() < 100 {
            drop(handle.spawn(async { take(10 * US) }));
        }
    });
    assert_eq!(run.load(Ordering::Relaxed), queued, "none is left behind");
}
