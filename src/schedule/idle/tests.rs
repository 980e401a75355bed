//! Which threads are woken, and which keep the time. All on one thread: a sleeper is in the list
//! when it looks at the queues for the last time, and what happens while it sleeps happens there.

#[cfg(feature = "net")]
mod poller;
mod timekeeper;

use super::*;
use std::cell::Cell;
use std::time::Instant;

/// Timers with this earliest deadline, which has always passed on the system's clock: no thread
/// really sleeps.
struct Time(Cell<Option<u64>>);

impl Deadlines for Time {
    fn next(&self) -> Option<u64> {
        self.0.get()
    }

    fn now(&self) -> u64 {
        0
    }

    fn instant(&self, _ns: u64) -> Instant {
        Instant::now()
    }
}

fn no_timer() -> Time {
    Time(Cell::new(None))
}

fn timer_at(ns: u64) -> Time {
    Time(Cell::new(Some(ns)))
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Worker,
    /// A thread in `block_on`.
    BlockOn,
}
use Kind::{BlockOn, Worker};

/// A thread that sleeps.
struct Asleep {
    kind: Kind,
    parker: Arc<Parker>,
}

impl Asleep {
    /// Whether it was woken since the last time this was asked.
    fn was_woken(&self) -> bool {
        self.parker.park(Some(Instant::now()))
    }
}

/// Calls `f` while threads of these kinds sleep, which fell asleep in this order.
fn while_asleep(idle: &Idle, time: &Time, kinds: &[Kind], f: impl FnOnce(&[Asleep])) {
    let asleep: Vec<Asleep> = kinds
        .iter()
        .map(|&kind| Asleep {
            kind,
            parker: Arc::new(Parker::new()),
        })
        .collect();
    let f = Cell::new(Some(f));
    fall_asleep(idle, time, &asleep, &|| {
        f.take().expect("once")(&asleep);
    });
    assert_eq!(idle.counters.peek(), Counts::ALL_ACTIVE);
    assert!(idle.sleepers.lock().is_empty());
}

fn fall_asleep(idle: &Idle, time: &Time, rest: &[Asleep], f: &dyn Fn()) {
    let Some((first, rest)) = rest.split_first() else {
        return f();
    };
    let worker = first.kind == Worker;
    if worker {
        idle.search();
    }
    idle.park(&first.parker, worker, time, &mut NoQueue, || {
        fall_asleep(idle, time, rest, f);
        true
    });
    if worker {
        idle.found(|| false);
    }
}

fn woken(asleep: &[Asleep]) -> Vec<bool> {
    asleep.iter().map(Asleep::was_woken).collect()
}

/// Three pushes wake these three workers, the last one first; all are searching then.
#[track_caller]
fn wakes_the_last_first(idle: &Idle, asleep: &[Asleep]) {
    for expected in [
        [false, false, true],
        [false, true, false],
        [true, false, false],
    ] {
        idle.notify();
        assert_eq!(woken(asleep), expected);
        idle.found(|| false);
    }
    (0..3).for_each(|_| idle.search());
}

#[test]
fn a_push_wakes_no_second_worker_while_the_first_searches() {
    let before_poll = |idle: &Idle| idle.notify_before_poll(|| true);
    for notify in [Idle::notify, before_poll] {
        let idle = Idle::new(0);
        while_asleep(&idle, &no_timer(), &[BlockOn, Worker, Worker], |asleep| {
            assert!(idle.can_wake());
            notify(&idle);
            assert_eq!(woken(asleep), [false, false, true]);
            assert!(!idle.can_wake(), "it searches");
            notify(&idle);
            assert_eq!(woken(asleep), [false; 3]);
            idle.found(|| false);
            assert!(idle.can_wake());
            notify(&idle);
            assert_eq!(woken(asleep), [false, true, false]);
            idle.found(|| false);
            assert!(!idle.can_wake(), "none is left");
            notify(&idle);
            assert_eq!(woken(asleep), [false; 3]);
            // Both are searching when they return from `park`.
            idle.search();
            idle.search();
        });
    }
}

#[test]
fn the_last_searching_worker_wakes_another_if_more_is_left() {
    let idle = Idle::new(0);
    while_asleep(&idle, &no_timer(), &[Worker, Worker], |asleep| {
        idle.search();
        idle.search();
        idle.found(|| unreachable!("another worker searches"));
        idle.found(|| false);
        assert_eq!(woken(asleep), [false, false], "nothing is left");
        idle.search();
        idle.found(|| true);
        assert_eq!(woken(asleep), [false, true]);
    });
    idle.search();
    idle.found(|| unreachable!("no worker sleeps"));
}

#[test]
fn workers_that_do_not_keep_the_time_are_woken_first() {
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(9), &[Worker, Worker], |asleep| {
        idle.notify();
        assert_eq!(woken(asleep), [false, true]);
        idle.found(|| false);
        idle.notify();
        assert_eq!(
            woken(asleep),
            [true, false],
            "the timekeeper, if there is no other"
        );
        idle.found(|| false);
        idle.search();
        idle.search();
    });
}

#[test]
fn the_timekeeper_is_woken_only_for_earlier_timers() {
    for kind in [Worker, BlockOn] {
        let idle = Idle::new(0);
        while_asleep(&idle, &timer_at(50), &[kind, Worker], |asleep| {
            idle.timer_changed(60);
            idle.timer_changed(50);
            assert_eq!(woken(asleep), [false, false], "it wakes in time by itself");
        });
    }
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(50), &[Worker, Worker, BlockOn], |asleep| {
        idle.timer_changed(49);
        assert_eq!(woken(asleep), [true, false, false]);
    });
    let idle = Idle::new(0);
    while_asleep(&idle, &no_timer(), &[Worker, BlockOn], |asleep| {
        idle.timer_changed(1_000);
        assert_eq!(woken(asleep), [true, false], "it had no deadline until now");
    });
}

#[test]
fn a_worker_takes_the_time_over_only_from_a_block_on_thread() {
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(50), &[BlockOn, Worker], |asleep| {
        idle.timer_changed(10);
        assert_eq!(woken(asleep), [false, true]);
    });
    for second in [Worker, BlockOn] {
        let idle = Idle::new(0);
        while_asleep(&idle, &timer_at(50), &[Worker, second], |asleep| {
            idle.timer_changed(10);
            assert_eq!(woken(asleep), [true, false]);
        });
    }
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(50), &[BlockOn, BlockOn], |asleep| {
        idle.timer_changed(10);
        assert_eq!(woken(asleep), [true, false]);
    });
}

#[test]
fn a_block_on_thread_is_woken_to_become_a_worker() {
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(5), &[Worker, BlockOn, BlockOn], |asleep| {
        let woken_by_one = || {
            idle.wake_block_on_thread();
            woken(asleep)
        };
        let mut all = [woken_by_one(), woken_by_one()];
        all.sort_unstable();
        assert_eq!(all, [[false, false, true], [false, true, false]]);
        assert_eq!(woken_by_one(), [false; 3], "no worker");
    });
}

#[test]
fn the_end_wakes_all_sleepers() {
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(5), &[Worker, BlockOn, Worker], |asleep| {
        idle.wake_all();
        assert_eq!(woken(asleep), [true; 3]);
        assert!(idle.sleepers.lock().is_empty());
    });
}

#[test]
fn a_thread_whose_last_look_finds_work_does_not_sleep() {
    struct Panics;
    impl Deadlines for Panics {
        fn next(&self) -> Option<u64> {
            Some(7)
        }
        fn now(&self) -> u64 {
            0
        }
        fn instant(&self, _ns: u64) -> Instant {
            panic!("parked although there was work")
        }
    }
    let idle = Idle::new(0);
    idle.park(
        &Arc::new(Parker::new()),
        false,
        &Panics,
        &mut NoQueue,
        || true,
    );
}

#[test]
fn a_lone_task_is_watched_while_one_worker_is_awake() {
    let idle = Idle::new(3);
    while_asleep(&idle, &no_timer(), &[BlockOn, Worker], |asleep| {
        idle.pushed_locally(|| 1);
        assert_eq!(woken(asleep), [false; 2], "there is a watcher");
        idle.pushed_locally(|| 2);
        assert_eq!(woken(asleep), [false, true]);
        assert!(!idle.watcher.is_posted(), "it is awake");
        idle.found(|| false);
        idle.search();
    });
    while_asleep(&idle, &no_timer(), &[Worker, Worker], |asleep| {
        // The first one watches; without it a lone task wakes the other.
        let first = idle.sleepers.lock().position_of(&asleep[0].parker);
        let first = first.expect("it sleeps");
        assert!(idle.sleepers.lock()[first].is_watcher);
        drop(idle.remove(&mut idle.sleepers.lock(), first));
        idle.found(|| false);
        idle.pushed_locally(|| 1);
        assert_eq!(woken(asleep), [false, true]);
        idle.found(|| false);
        idle.search();
        idle.search();
    });
}

#[test]
fn a_worker_that_neither_watches_nor_keeps_the_time_is_woken_first() {
    let idle = Idle::new(4);
    while_asleep(&idle, &timer_at(5), &[Worker, Worker, Worker], |asleep| {
        let timekeeper = idle.sleepers.lock().position_of(&asleep[0].parker);
        let timekeeper = timekeeper.expect("it sleeps");
        // The first one has both duties; the second one gets the watch.
        idle.watcher
            .decide(&mut idle.sleepers.lock(), timekeeper + 1, false);
        idle.sleepers.lock().get_mut(timekeeper).is_watcher = false;
        wakes_the_last_first(&idle, asleep);
    });
}

#[test]
fn no_worker_watches_when_all_sleep() {
    let idle = Idle::new(1);
    while_asleep(&idle, &no_timer(), &[Worker], |_| {
        assert!(!idle.watcher.is_posted());
    });
    let idle = Idle::new(2);
    while_asleep(&idle, &no_timer(), &[Worker, Worker], |_| {
        let mut sleepers = idle.sleepers.lock();
        assert!(
            idle.watcher.is_posted(),
            "one was awake when it fell asleep"
        );
        idle.watcher.decide(&mut sleepers, 0, false);
        assert!(!sleepers[0].is_watcher, "at its next look none is");
        assert!(!idle.watcher.is_posted());
    });
}

#[test]
fn the_watcher_looks_again_and_again_and_leaves_when_it_finds_work() {
    let idle = Idle::new(2);
    let began = Instant::now();
    let looks = Cell::new(0);
    idle.search();
    idle.park(
        &Arc::new(Parker::new()),
        true,
        &no_timer(),
        &mut NoQueue,
        || {
            assert_eq!(idle.sleepers.lock().iter().count(), 1, "it is in the list");
            looks.set(looks.get() + 1);
            looks.get() == 3
        },
    );
    idle.found(|| false);
    assert_eq!(idle.counters.peek(), Counts::ALL_ACTIVE);
    assert!(began.elapsed() >= 2 * watcher::PERIOD);
    assert!(!idle.watcher.is_posted());
}
