//! The keeper of the time and its deputy.

use super::*;

#[test]
fn a_keeper_that_is_woken_leaves_the_time_to_who_wakes_soon_enough() {
    // A guest that was keeper before.
    let idle = Idle::new(0);
    let time = timer_at(BACKUP + 50);
    while_asleep(&idle, &time, &[Guest, Worker], |asleep| {
        idle.notify();
        assert_eq!(woken(asleep), [false, true]);
        idle.timer_changed(BACKUP + 50);
        idle.timer_changed(50);
        assert_eq!(woken(asleep), [false, false]);
        idle.timer_changed(49);
        assert_eq!(woken(asleep), [true, false], "it would be late");
        idle.found(|| false);
        idle.search();
    });
    // Its deputy.
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(50), &[Worker, Guest], |asleep| {
        assert_eq!(idle.sleepers.lock()[1].until, 50 + BACKUP);
        idle.notify();
        assert_eq!(woken(asleep), [true, false]);
        idle.timer_changed(50);
        assert_eq!(woken(asleep), [false, false]);
        idle.timer_changed(49);
        assert_eq!(woken(asleep), [false, true], "it would be late");
        idle.found(|| false);
        idle.search();
    });
    // Somebody who has to be woken for it.
    let (idle, time) = (Idle::new(0), no_timer());
    while_asleep(&idle, &time, &[Worker, Guest], |asleep| {
        time.0.set(Some(50));
        idle.timer_changed(50);
        assert_eq!(woken(asleep), [true, false]);
        idle.notify();
        assert_eq!(woken(asleep), [true, true]);
    });
    // Nobody, if no timer is pending.
    let idle = Idle::new(0);
    while_asleep(&idle, &no_timer(), &[Worker, Guest], |asleep| {
        idle.notify();
        assert_eq!(woken(asleep), [true, false]);
    });
}

#[test]
fn a_keeper_that_leaves_by_itself_wakes_nobody_but_who_would_be_late() {
    let idle = Idle::new(0);
    let worker_comes_and_goes = |time: &Time| {
        idle.search();
        idle.park(&Arc::new(Parker::new()), true, time, || true);
        idle.found(|| false);
    };
    for who in [Guest, Worker] {
        while_asleep(&idle, &timer_at(BACKUP + 50), &[who, who], |asleep| {
            let keeper = if who == Guest { 1 } else { 0 };
            for due in [BACKUP + 50, 50] {
                worker_comes_and_goes(&timer_at(due));
                assert_eq!(woken(asleep), [false, false], "it wakes soon enough");
            }
            if who == Guest {
                worker_comes_and_goes(&timer_at(49));
                assert_eq!(
                    woken(asleep),
                    [true, false],
                    "it will park with the deadline"
                );
            } else {
                assert!(idle.sleepers.lock()[keeper].keeper, "and keeps the time");
            }
        });
    }
    while_asleep(&idle, &no_timer(), &[Guest], |asleep| {
        worker_comes_and_goes(&no_timer());
        assert_eq!(woken(asleep), [false], "there is no time to keep");
        worker_comes_and_goes(&timer_at(50));
        assert_eq!(woken(asleep), [true]);
    });
}

#[test]
fn a_deputy_that_leaves_is_replaced_while_no_keeper_sleeps() {
    let (idle, time) = (Idle::new(0), timer_at(50));
    while_asleep(&idle, &no_timer(), &[Guest], |asleep| {
        // The keeper is a worker that has left for its timer; a deputy stays, and is woken for work.
        idle.sleepers.lock()[0].keeper = false;
        idle.search();
        idle.park(&Arc::new(Parker::new()), true, &time, || {
            let me = idle.sleepers.lock().len() - 1;
            idle.sleepers.lock()[me].keeper = false;
            idle.sleepers.lock()[me].until = 50 + BACKUP;
            idle.notify();
            true
        });
        idle.found(|| false);
        assert_eq!(woken(asleep), [true], "it would sleep for ever");
    });
}

/// A keeper that wakes for its timer, and parks with the next one: that is all that happens.
#[test]
fn a_timer_that_comes_again_and_again_wakes_one_sleeper_each_time() {
    const TICK: u64 = 5_000_000;
    let idle = Idle::new(3);
    let time = timer_at(TICK);
    while_asleep(&idle, &time, &[Worker, Worker], |asleep| {
        let lonely = Arc::new(Parker::new());
        for tick in 1..=4 {
            time.0.set(Some(tick * TICK));
            idle.search();
            // It is the keeper when the first two have nothing to keep; here it is their deputy, or
            // the keeper once the first is taken away.
            idle.park(&lonely, true, &time, || {
                idle.timer_changed(tick * TICK);
                true
            });
            idle.timer_changed((tick + 1) * TICK);
            idle.found(|| false);
            assert_eq!(woken(asleep), [false, false]);
        }
    });
}

#[test]
fn a_deputy_looks_for_what_nobody_fires_and_leaves_for_it() {
    struct Moves {
        next: Cell<u64>,
        now: Cell<u64>,
        slept: Cell<u32>,
    }
    impl Deadlines for Moves {
        fn next(&self) -> Option<u64> {
            Some(self.next.get())
        }
        fn now(&self) -> u64 {
            self.now.get()
        }
        fn instant(&self, ns: u64) -> Instant {
            // Nobody really sleeps: it is that time.
            self.now.set(ns);
            self.slept.set(self.slept.get() + 1);
            if self.slept.get() < 3 {
                // The keeper has fired it, and keeps the next one.
                self.next.set(ns + 5_000_000);
            }
            Instant::now()
        }
    }
    let idle = Idle::new(0);
    let time = Moves {
        next: Cell::new(5_000_000),
        now: Cell::new(0),
        slept: Cell::new(0),
    };
    while_asleep(&idle, &timer_at(5_000_000), &[Guest], |_| {
        idle.park(&Arc::new(Parker::new()), false, &time, || false);
        assert_eq!(time.slept.get(), 3);
        assert_eq!(time.now.get(), 3 * (5_000_000 + BACKUP));
        assert!(time.next.get() < time.now.get(), "due, and not fired");
    });
}
