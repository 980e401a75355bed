//! The thread pool with its workers: parking, waking, and the end.
#![cfg(taskgrove_loom)]

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::future::pending;
use std::task::{Wake, Waker};
use taskgrove::model::{Crew, Sleeper, World};
use taskgrove_loom_tests::*;

fn worker(crew: &Crew, index: usize) -> thread::JoinHandle<()> {
    let crew = crew.clone();
    thread::spawn(move || crew.work(index))
}

/// A thread outside pushes a task while the only worker parks. The task runs.
#[test]
fn a_push_reaches_the_last_worker_that_parks() {
    taskgrove::model::loosen_queues(true);
    explore_within(2, &["awake", "parked"], |seen| {
        let crew = Crew::new(1);
        let worker = worker(&crew, 0);
        let parked = crew.all_sleep();
        let task = crew.handle().spawn(async { 7 });
        assert_eq!(block_on(task).expect("a value"), 7);
        seen.saw(if parked { "parked" } else { "awake" });
        crew.kill();
        worker.join().unwrap();
        crew.end();
    });
}

/// A thread outside spawns while two workers park. The task runs, also if a worker that was woken is
/// still on its way, or parks again.
#[test]
fn a_second_push_reaches_a_worker_on_its_way() {
    explore_within(1, &["run"], |seen| {
        let crew = Crew::new(2);
        let workers = [worker(&crew, 0), worker(&crew, 1)];
        let task = crew.handle().spawn(async { 7 });
        assert_eq!(block_on(task).expect("a value"), 7);
        seen.saw("run");
        crew.kill();
        for worker in workers {
            worker.join().unwrap();
        }
        crew.end();
    });
}

/// A task spawns more tasks than its worker's queue has places, while a thread outside pushes one. Each
/// runs once, also those that the full queue gives away.
#[test]
fn each_task_of_an_overflow_runs_once() {
    explore_within(1, &["run"], |seen| {
        let crew = Crew::new(1);
        let log = Log::default();
        let worker = worker(&crew, 0);
        let task = crew.handle().spawn({
            let log = log.clone();
            async move {
                for _ in 0..5 {
                    let log = log.clone();
                    drop(taskgrove::spawn(async move { log.note("run") }));
                }
            }
        });
        let other = crew.handle().spawn(async {});
        block_on(task).expect("a value");
        block_on(other).expect("a value");
        assert_eq!(log.count("run"), 5);
        seen.saw("run");
        crew.kill();
        worker.join().unwrap();
        crew.end();
    });
}

/// The runtime is dropped while a thread outside spawns. The task runs, is cancelled or refused, and
/// the worker leaves.
#[test]
fn a_drop_that_meets_a_spawn_ends() {
    explore_within(1, &["cancelled", "value"], |seen| {
        let crew = Crew::new(1);
        let worker = worker(&crew, 0);
        let outside = thread::spawn({
            let handle = crew.handle();
            move || block_on(handle.spawn(async { 7 }))
        });
        crew.kill();
        worker.join().unwrap();
        seen.saw(match outside.join().unwrap() {
            Ok(_) => "value",
            Err(_) => "cancelled",
        });
        crew.end();
    });
}

/// The runtime is dropped while a thread outside wakes a task. The worker leaves.
#[test]
fn a_drop_that_meets_a_wake_ends() {
    explore_within(2, &["cancelled", "value"], |seen| {
        let crew = Crew::new(1);
        let signal = Signal::new();
        let task = crew.handle().spawn(signal.wait());
        let worker = worker(&crew, 0);
        let outside = thread::spawn({
            let signal = signal.clone();
            move || signal.send()
        });
        crew.kill();
        worker.join().unwrap();
        // From here on only the waker keeps the runtime.
        drop(crew);
        outside.join().unwrap();
        let mut task = task;
        seen.saw(match ready(&mut task) {
            Ok(_) => "value",
            Err(_) => "cancelled",
        });
        drop((task, signal));
        assert_eq!(World::slots(), 0, "slots are left");
    });
}

/// The runtime is shut down, with all the time it needs, while a thread outside cancels a task.
#[test]
fn a_shutdown_that_meets_a_cancel_ends() {
    explore_within(1, &["over"], |seen| {
        let crew = Crew::new(1);
        let task = crew.handle().spawn(pending::<()>());
        let worker = worker(&crew, 0);
        let cancel = task.cancel_handle();
        let outside = thread::spawn(move || cancel.cancel());
        crew.shut_down();
        worker.join().unwrap();
        outside.join().unwrap();
        let mut task = task;
        assert!(ready(&mut task).unwrap_err().is_cancelled());
        seen.saw("over");
        drop(task);
        crew.end();
    });
}

/// A worker takes a share of the injector, and its next poll blocks until a task of that share has
/// run. The other worker found nothing and parks; it is woken, and steals the task.
#[test]
fn a_task_behind_a_long_poll_runs_on_the_other_worker() {
    explore_within(1, &["run"], |seen| {
        let crew = Crew::new(2);
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let long = crew.handle().spawn({
            let over = over.clone();
            async move {
                let mut is_over = over.0.lock().unwrap();
                while !*is_over {
                    is_over = over.1.wait(is_over).unwrap();
                }
            }
        });
        let behind = crew.handle().spawn(async move {
            *over.0.lock().unwrap() = true;
            over.1.notify_all();
        });
        drop(crew.handle().spawn(async {}));
        let workers = [worker(&crew, 0), worker(&crew, 1)];
        block_on(behind).expect("a value");
        block_on(long).expect("a value");
        seen.saw("run");
        crew.kill();
        for worker in workers {
            worker.join().unwrap();
        }
        crew.end();
    });
}

/// A poll starts a timer and blocks until it fires. The other worker, which is parked or about to park,
/// wakes and fires it.
#[test]
fn a_sleeping_worker_fires_a_timer_that_a_poll_waits_for() {
    struct Bell(Mutex<bool>, Condvar);

    impl Wake for Bell {
        fn wake(self: std::sync::Arc<Self>) {
            *self.0.lock().unwrap() = true;
            self.1.notify_all();
        }
    }

    explore_within(1, &["run"], |seen| {
        let crew = Crew::new(2);
        let workers = [worker(&crew, 0), worker(&crew, 1)];
        let waits = crew.handle().spawn(async {
            let bell = std::sync::Arc::new(Bell(Mutex::new(false), Condvar::new()));
            let mut sleep = taskgrove::time::sleep(std::time::Duration::from_nanos(10));
            assert!(poll_once(&mut sleep, &Waker::from(bell.clone())).is_pending());
            let mut rung = bell.0.lock().unwrap();
            while !*rung {
                rung = bell.1.wait(rung).unwrap();
            }
        });
        block_on(waits).expect("a value");
        seen.saw("run");
        crew.kill();
        for worker in workers {
            worker.join().unwrap();
        }
        crew.end();
    });
}

/// A thread is unparked twice while it parks with a deadline.
#[test]
fn a_token_is_taken_once_and_not_lost() {
    explore(&["early", "woken"], |seen| {
        let sleeper = Sleeper::new();
        let other = thread::spawn({
            let sleeper = sleeper.clone();
            move || {
                sleeper.unpark();
                sleeper.unpark();
            }
        });
        let early = sleeper.park_no_longer();
        if early {
            seen.saw("early");
        } else {
            sleeper.park();
            seen.saw("woken");
        }
        other.join().unwrap();
    });
}
