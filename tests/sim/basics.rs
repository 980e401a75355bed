//! A simulation repeats with its seed, differs from seed to seed, and ends as a runtime does.

use crate::common::{Counter, Log, OnDrop, watchdog};
use std::collections::HashSet;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use taskgrove::time::sleep;
use taskgrove::{
    Context, Handle, LifecycleError, Runtime, TaskId, defer, finally, service_fn, shielded,
    sim::{self, Sim},
    spawn, yield_now,
};

/// Eight tasks that yield, and one that is cancelled; the order of what they do, with their ids.
fn run(seed: u64) -> (Vec<(u64, Option<TaskId>)>, u64, u64, Duration) {
    let sim = Sim::new(seed);
    let log = Log::new();
    sim.block_on(async {
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let log = log.clone();
                spawn(async move {
                    for _ in 0..n {
                        log.push((n, TaskId::current()));
                        yield_now().await;
                        sleep(Duration::from_millis(1)).await;
                    }
                })
            })
            .collect();
        tasks[7].cancel();
        for task in tasks {
            // One of them is cancelled, by design.
            let _ = task.await;
        }
    });
    (log.take(), sim.steps(), sim.fingerprint(), sim.elapsed())
}

#[test]
fn a_seed_repeats_and_seeds_differ() {
    watchdog(|| {
        let runs: Vec<_> = (0..200).map(run).collect();
        for (seed, first) in runs.iter().enumerate() {
            assert_eq!(*first, run(seed as u64), "seed {seed}");
        }
        let orders: HashSet<_> = runs.iter().map(|run| run.0.clone()).collect();
        let fingerprints: HashSet<_> = runs.iter().map(|run| run.2).collect();
        assert!(orders.len() > 50, "{} orders", orders.len());
        assert!(fingerprints.len() >= orders.len());
    });
}

#[test]
fn other_runtimes_on_the_thread_change_nothing() {
    watchdog(|| {
        let alone = run(11);
        let runtime = Runtime::builder().workers(0).build().unwrap();
        runtime.block_on(async { spawn(async {}).await.unwrap() });
        assert_eq!(run(11), alone);
        // Also in between.
        let ids = |disturb: &dyn Fn()| {
            Sim::new(3).block_on(async {
                let first = spawn(async {}).id();
                disturb();
                (first, spawn(async {}).id())
            })
        };
        let quiet = ids(&|| {});
        assert_eq!(quiet, ids(&|| drop(runtime.spawn(async {}))));
        assert_eq!(quiet, ids(&|| drop(run(1))));
        assert_ne!(quiet.0, quiet.1);
        // And the other way round: its ids stay unique.
        let (a, b) = runtime.block_on(async {
            let a = spawn(async {}).id();
            run(1);
            (a, spawn(async {}).id())
        });
        assert_ne!(a, b);
    });
}

#[test]
fn the_handle_does_what_a_runtimes_does() {
    watchdog(|| {
        let sim = Sim::new(1);
        let handle = sim.handle().clone();
        let task = handle.task(async { 5 }).name("five").spawn();
        assert_eq!(handle.snapshot().nodes()[0].path, "five");
        assert_eq!(handle.metrics().live_tasks, 1);
        assert_eq!(handle.metrics().workers, 0);
        assert_eq!(sim.steps(), 0);
        assert_eq!(sim.block_on(task).unwrap(), 5);
        let app = service_fn("app", async |ctx: Context| {
            ctx.cancelled().await;
            Ok(())
        });
        let manager = handle.start(app).unwrap();
        sim.block_on(manager.stop()).unwrap();
        assert_eq!(handle.metrics().live_tasks, 0);
        assert_eq!(sim.elapsed(), Duration::ZERO);
        drop(sim);
        let late = handle.spawn(async {});
        assert!(late.is_done());
        assert!(handle.snapshot().is_empty());
        let refused = handle.start(service_fn("late", async |_| Ok(())));
        assert!(matches!(refused, Err(LifecycleError::NotRunning { .. })));
    });
}

#[test]
fn ages_are_virtual() {
    watchdog(|| {
        let sim = Sim::new(2);
        sim.handle().spawn(pending::<()>());
        sim.block_on(async { sleep(Duration::from_secs(90)).await });
        let age = sim.handle().snapshot().nodes()[0].age;
        assert_eq!(age, Duration::from_secs(90));
    });
}

#[test]
fn dropping_it_ends_everything_leaves_first_and_waits_for_nothing() {
    watchdog(|| {
        for seed in 0..100 {
            let order = Log::new();
            let unrun = Counter::new();
            let sim = Sim::new(seed);
            let says = |name: &'static str| {
                let order = order.clone();
                OnDrop::new(move || order.push(name))
            };
            let (root, leaf, bystander) = (says("root"), says("leaf"), says("bystander"));
            let ran = unrun.clone();
            sim.handle().spawn(async move {
                let _root = root;
                spawn(shielded(async move {
                    let _leaf = leaf;
                    pending::<()>().await
                }));
                let late = ran.clone();
                let _late = defer(async move { _ = late.add() });
                finally(pending::<()>(), async move { _ = ran.add() }).await
            });
            sim.handle().spawn(async move {
                let _bystander = bystander;
                loop {
                    yield_now().await
                }
            });
            let begun = || {
                let snapshot = sim.handle().snapshot();
                let polled = snapshot.nodes().iter().filter(|node| node.polls > 0);
                polled.count() == 3
            };
            sim.block_on(async {
                while !begun() {
                    yield_now().await;
                }
            });
            drop(sim);
            let order = order.take();
            assert_eq!(order.len(), 3, "seed {seed}: {order:?}");
            let at = |name| order.iter().position(|n| *n == name).unwrap();
            assert!(at("leaf") < at("root"), "seed {seed}: {order:?}");
            assert_eq!(unrun.get(), 0);
        }
    });
}

#[test]
fn wakes_and_tasks_come_in_from_other_threads() {
    watchdog(|| {
        for seed in 0..20 {
            let sim = Sim::new(seed);
            let handle: Handle = sim.handle().clone();
            // The thread has done its part before the simulation goes on: no race with its end.
            let task = std::thread::spawn(move || handle.spawn(async { 7 }))
                .join()
                .unwrap();
            assert_eq!(sim.block_on(task).unwrap(), 7);
            let waiting = sim.handle().spawn(pending::<()>());
            let cancel = waiting.cancel_handle();
            std::thread::spawn(move || cancel.cancel()).join().unwrap();
            assert!(sim.block_on(waiting).unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn it_says_so_when_it_is_entered_twice() {
    watchdog(|| {
        let sim = Arc::new(Sim::new(0));
        let caught = catch_unwind(AssertUnwindSafe(|| {
            sim.block_on(async { sim.block_on(async {}) })
        }));
        let message = *caught.unwrap_err().downcast::<&str>().unwrap();
        assert!(message.contains("inside itself"), "{message}");
        // A panic leaves it usable, and what it ran goes on.
        assert_eq!(sim.block_on(async { 1 }), 1);
    });
}

/// A call that is refused takes nothing from the one that drives: the next is refused, too.
#[test]
fn it_says_so_each_time_it_is_entered_again() {
    let sim = Sim::new(1);
    sim.block_on(async {
        for _ in 0..3 {
            let entered = catch_unwind(AssertUnwindSafe(|| sim.block_on(async {})));
            assert!(entered.is_err());
        }
    });
    sim.block_on(async {});
}

#[test]
fn random_numbers_follow_from_the_seed_and_do_not_disturb() {
    watchdog(|| {
        let draw = |seed| Sim::new(seed).block_on(async { (sim::random(), sim::random()) });
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let steps = |draws: u32| {
            let sim = Sim::new(9);
            sim.block_on(async {
                for _ in 0..draws {
                    sim::random();
                }
                let tasks: Vec<_> = (0..9).map(|_| spawn(yield_now())).collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
            sim.fingerprint()
        };
        assert_eq!(steps(0), steps(100));
        assert!(catch_unwind(sim::random).is_err());
    });
}

/// Says which of its seeds were run, and how one goes; read by the test below.
#[test]
fn says_what_was_run() {
    sim::check(0..3, async || println!("drew {}", sim::random()));
    println!("went {}", run(77).2);
}

#[test]
fn a_seed_is_replayed_by_another_process() {
    watchdog(|| {
        let program = std::env::current_exe().unwrap();
        let output = std::process::Command::new(program)
            .args(["--exact", "basics::says_what_was_run", "--nocapture"])
            .env("TASKGROVE_SEED", "77")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let drawn = Sim::new(77).block_on(async { sim::random() });
        let drew: Vec<_> = text.lines().filter_map(|l| l.split_once("drew ")).collect();
        assert_eq!(drew.len(), 1, "{text}");
        assert_eq!(drew[0].1, drawn.to_string());
        assert!(text.contains(&format!("went {}", run(77).2)), "{text}");
    });
}
