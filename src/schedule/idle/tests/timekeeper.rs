//! The timekeeper and its backup.

use super::*;
use crate::schedule::idle::timekeeper::BACKUP_NS;

#[test]
fn a_timekeeper_that_is_woken_wakes_no_other_if_one_wakes_soon_enough() {
    // A `block_on` thread that was timekeeper before wakes soon enough.
    let idle = Idle::new(0);
    let time = timer_at(BACKUP_NS + 50);
    while_asleep(&idle, &time, &[BlockOn, Worker], |asleep| {
        idle.notify();
        assert_eq!(woken(asleep), [false, true]);
        idle.timer_changed(BACKUP_NS + 50);
        idle.timer_changed(50);
        assert_eq!(woken(asleep), [false, false]);
        idle.timer_changed(49);
        assert_eq!(woken(asleep), [true, false], "it would be late");
        idle.found(|| false);
        idle.search();
    });
    // Its backup does.
    let idle = Idle::new(0);
    while_asleep(&idle, &timer_at(50), &[Worker, BlockOn], |asleep| {
        assert_eq!(idle.sleepers.lock()[1].until, 50 + BACKUP_NS);
        idle.notify();
        assert_eq!(woken(asleep), [true, false]);
        idle.timer_changed(50);
        assert_eq!(woken(asleep), [false, false]);
        idle.timer_changed(49);
        assert_eq!(woken(asleep), [false, true], "it would be late");
        idle.found(|| false);
        idle.search();
    });
    // No thread does, and one is woken.
    let (idle, time) = (Idle::new(0), no_timer());
    while_asleep(&idle, &time, &[Worker, BlockOn], |asleep| {
        time.0.set(Some(50));
        idle.timer_changed(50);
        assert_eq!(woken(asleep), [true, false]);
        idle.notify();
        assert_eq!(woken(asleep), [true, true]);
    });
    // No timer is pending, so none is woken.
    let idle = Idle::new(0);
    while_asleep(&idle, &no_timer(), &[Worker, BlockOn], |asleep| {
        idle.notify();
        assert_eq!(woken(asleep), [true, false]);
    });
}

#[test]
fn a_timekeeper_that_leaves_by_itself_wakes_only_a_thread_that_would_be_late() {
    let idle = Idle::new(0);
    let worker_comes_and_goes = |time: &Time| {
        idle.search();
        idle.park(&Arc::new(Parker::new()), true, time, &mut NoQueue, || true);
        idle.found(|| false);
    };
    for kind in [BlockOn, Worker] {
        while_asleep(&idle, &timer_at(BACKUP_NS + 50), &[kind, kind], |asleep| {
            let timekeeper = if kind == BlockOn { 1 } else { 0 };
            for due in [BACKUP_NS + 50, 50] {
                worker_comes_and_goes(&timer_at(due));
                assert_eq!(woken(asleep), [false, false], "it wakes soon enough");
            }
            if kind == BlockOn {
                worker_comes_and_goes(&timer_at(49));
                assert_eq!(
                    woken(asleep),
                    [true, false],
                    "it will park with the deadline"
                );
            } else {
                assert!(idle.sleepers.lock()[timekeeper].is_timekeeper);
            }
        });
    }
    while_asleep(&idle, &no_timer(), &[BlockOn], |asleep| {
        worker_comes_and_goes(&no_timer());
        assert_eq!(woken(asleep), [false], "there is no time to keep");
        worker_comes_and_goes(&timer_at(50));
        assert_eq!(woken(asleep), [true]);
    });
}

#[test]
fn a_backup_that_leaves_is_replaced_while_no_timekeeper_sleeps() {
    let (idle, time) = (Idle::new(0), timer_at(50));
    while_asleep(&idle, &no_timer(), &[BlockOn], |asleep| {
        // The timekeeper is a worker that has left for its timer; a backup stays, and is woken for
        // work.
        idle.sleepers.lock().get_mut(0).is_timekeeper = false;
        idle.search();
        idle.park(&Arc::new(Parker::new()), true, &time, &mut NoQueue, || {
            let mut sleepers = idle.sleepers.lock();
            let me = sleepers.iter().count() - 1;
            sleepers.get_mut(me).is_timekeeper = false;
            sleepers.get_mut(me).until = 50 + BACKUP_NS;
            drop(sleepers);
            idle.notify();
            true
        });
        idle.found(|| false);
        assert_eq!(woken(asleep), [true], "it would sleep for ever");
    });
}

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
            // The first two are timekeeper and backup; this thread comes and goes without a duty.
            idle.park(&lonely, true, &time, &mut NoQueue, || {
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
fn a_backup_leaves_for_a_timer_that_no_thread_has_fired() {
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
            // The thread does not really sleep: this time has come.
            self.now.set(ns);
            self.slept.set(self.slept.get() + 1);
            if self.slept.get() < 3 {
                // The timekeeper has fired the timer, and sleeps until the next one.
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
    while_asleep(&idle, &timer_at(5_000_000), &[BlockOn], |_| {
        idle.park(&Arc::new(Parker::new()), false, &time, &mut NoQueue, || {
            false
        });
        assert_eq!(time.slept.get(), 3);
        assert_eq!(time.now.get(), 3 * (5_000_000 + BACKUP_NS));
        assert!(time.next.get() < time.now.get(), "due, and not fired");
    });
}
