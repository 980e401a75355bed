//! Who is woken, and who keeps the time. All on one thread: what happens while somebody sleeps
//! happens in the last look of that sleeper, who is in the list by then.

mod time;

use std::cell::Cell;

use super::*;

/// Timers with this earliest deadline, of which every one is due: nobody really sleeps.
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
enum Who {
    Worker,
    Guest,
}
use Who::{Guest, Worker};

/// A thread that sleeps.
struct Asleep {
    who: Who,
    parker: Arc<Parker>,
}

impl Asleep {
    /// Whether it was woken since the last time this was asked.
    fn was_woken(&self) -> bool {
        self.parker.park(Some(Instant::now()))
    }
}

/// Calls `f` while these sleep, having fallen asleep in this order.
fn while_asleep(idle: &Idle, time: &Time, who: &[Who], f: impl FnOnce(&[Asleep])) {
    let asleep: Vec<Asleep> = who
        .iter()
        .map(|&who| Asleep {
            who,
            parker: Arc::new(Parker::new()),
        })
        .collect();
    let f = Cell::new(Some(f));
    fall_asleep(idle, time, &asleep, &|| {
        f.take().expect("once")(&asleep);
    });
    assert_eq!(idle.word.load(Ordering::Relaxed), 0, "all are awake again");
    assert!(idle.sleepers.lock().is_empty());
}

fn fall_asleep(idle: &Idle, time: &Time, rest: &[Asleep], f: &dyn Fn()) {
    let Some((first, rest)) = rest.split_first() else {
        return f();
    };
    let worker = first.who == Worker;
    if worker {
        idle.search();
    }
    idle.park(&first.parker, worker, time, || {
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

#[test]
fn a_push_wakes_one_worker_until_that_has_stopped_searching() {
    for notify in [Idle::notify, Idle::notify_local] {
        let idle = Idle::new(0);
        while_asleep(&idle, &no_timer(), &[Guest, Worker, Worker], |asleep| {
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
            assert!(!idle.can_wake(), "nobody is left");
            notify(&idle);
            assert_eq!(woken(asleep), [false; 3]);
            // As the two will do when they notice.
            idle.search();
            idle.search();
        });
    }
}

#[test]
fn the_last_searcher_wakes_another_if_more_is_left() {
    let idle = Idle::new(0);
    while_asleep(&idle, &no_timer(), &[Worker, Worker], |asleep| {
        idle.search();
        idle.search();
        idle.found(|| unreachable!("somebody else searches still"));
        idle.found(|| false);
        assert_eq!(woken(asleep), [false, false], "nothing is left");
        idle.search();
        idle.found(|| true);
        assert_eq!(woken(asleep), [false, true]);
    });
    idle.search();
    idle.found(|| unreachable!("nobody could be woken"));
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
            "the keeper, if there is no other"
        );
        idle.found(|| false);
        idle.search();
        idle.search();
    });
}

#[test]
fn the_keeper_is_woken_for_earlier_timers_only() {
    for who in [Worker, Guest] {
        let idle = Idle::new(0);
        while_asleep(&idle, &timer_at(50), &[who, Worker], |asleep| {
            idle.timer_changed(60);
            idle.timer_changed(50);
            assert_eq!(woken(asleep), [false, false], "it wakes in time by itself");
        });
    }
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(50), &[Worker, Worker, Guest], |asleep| {
        idle.timer_changed(49);
        assert_eq!(woken(asleep), [true, false, false]);
    });
    let idle = Idle::new(0);
    while_asleep(&idle, &no_timer(), &[Worker, Guest], |asleep| {
        idle.timer_changed(1_000);
        assert_eq!(
            woken(asleep),
            [true, false],
            "it kept no deadline until now"
        );
    });
}

#[test]
fn a_worker_takes_the_time_over_from_a_guest_but_from_no_worker() {
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(50), &[Guest, Worker], |asleep| {
        idle.timer_changed(10);
        assert_eq!(woken(asleep), [false, true]);
    });
    for second in [Worker, Guest] {
        let idle = Idle::new(0);
        while_asleep(&idle, &timer_at(50), &[Worker, second], |asleep| {
            idle.timer_changed(10);
            assert_eq!(woken(asleep), [true, false]);
        });
    }
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(50), &[Guest, Guest], |asleep| {
        idle.timer_changed(10);
        assert_eq!(woken(asleep), [true, false]);
    });
}

#[test]
fn a_guest_is_woken_to_become_a_worker() {
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(5), &[Worker, Guest, Guest], |asleep| {
        let woken_by_one = || {
            idle.wake_guest();
            woken(asleep)
        };
        let mut all = [woken_by_one(), woken_by_one()];
        all.sort_unstable();
        assert_eq!(all, [[false, false, true], [false, true, false]]);
        assert_eq!(woken_by_one(), [false; 3], "no worker");
    });
}

#[test]
fn the_end_wakes_everybody() {
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(5), &[Worker, Guest, Worker], |asleep| {
        idle.wake_all();
        assert_eq!(woken(asleep), [true; 3]);
        assert!(idle.sleepers.lock().is_empty());
    });
}

#[test]
fn nobody_sleeps_if_the_last_look_finds_work() {
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
    idle.park(&Arc::new(Parker::new()), false, &Panics, || true);
}

#[test]
fn a_lone_task_is_watched_while_one_worker_is_awake() {
    let idle = Idle::new(3);
    while_asleep(&idle, &no_timer(), &[Guest, Worker], |asleep| {
        idle.pushed(|| 1);
        assert_eq!(woken(asleep), [false; 2], "there is a watcher");
        idle.pushed(|| 2);
        assert_eq!(woken(asleep), [false, true]);
        assert!(!idle.watched.load(Ordering::Relaxed), "it is awake");
        idle.found(|| false);
        idle.search();
    });
    while_asleep(&idle, &no_timer(), &[Worker, Worker], |asleep| {
        // It is the first that watches; without it a lone task wakes the other.
        let first = place(&idle.sleepers.lock(), &asleep[0].parker).expect("it sleeps");
        assert!(idle.sleepers.lock()[first].watcher);
        drop(idle.take(&mut idle.sleepers.lock(), first));
        idle.found(|| false);
        idle.pushed(|| 1);
        assert_eq!(woken(asleep), [false, true]);
        idle.found(|| false);
        idle.search();
        idle.search();
    });
}

#[test]
fn who_neither_watches_nor_keeps_the_time_is_woken_first() {
    let idle = Idle::new(4);
    while_asleep(&idle, &timer_at(5), &[Worker, Worker, Worker], |asleep| {
        let keeper = place(&idle.sleepers.lock(), &asleep[0].parker).expect("it sleeps");
        // The first one is both; give its watch to the second.
        idle.decide_to_watch(&mut idle.sleepers.lock(), keeper + 1);
        idle.sleepers.lock()[keeper].watcher = false;
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
    });
}

#[test]
fn nobody_watches_when_all_sleep() {
    let idle = Idle::new(1);
    while_asleep(&idle, &no_timer(), &[Worker], |_| {
        assert!(!idle.watched.load(Ordering::Relaxed));
    });
    let idle = Idle::new(2);
    while_asleep(&idle, &no_timer(), &[Worker, Worker], |_| {
        let mut sleepers = idle.sleepers.lock();
        assert!(
            idle.watched.load(Ordering::Relaxed),
            "one was awake when it fell asleep"
        );
        assert!(
            !idle.decide_to_watch(&mut sleepers, 0),
            "at its next look none is"
        );
        assert!(!idle.watched.load(Ordering::Relaxed));
    });
}

#[test]
fn the_watcher_looks_again_and_again_and_leaves_when_it_finds_work() {
    let idle = Idle::new(2);
    let began = Instant::now();
    let looks = Cell::new(0);
    idle.search();
    idle.park(&Arc::new(Parker::new()), true, &no_timer(), || {
        assert_eq!(idle.sleepers.lock().len(), 1, "it is in the list");
        looks.set(looks.get() + 1);
        looks.get() == 3
    });
    idle.found(|| false);
    assert_eq!(idle.word.load(Ordering::Relaxed), 0);
    assert!(began.elapsed() >= 2 * WATCH);
    assert!(!idle.watched.load(Ordering::Relaxed));
}
