//! Services: daemons, counts and waits, while the service is cancelled.
#![cfg(taskgrove_loom)]

use loom::thread;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use taskgrove::model::{Reference, World};
use taskgrove::{Context, FailureKind, Manager, service_fn};
use taskgrove_loom_tests::*;

/// Starts a service that calls `first` and then waits for its cancellation; also returns its context.
fn service(world: &World, first: impl FnOnce(&Context) + Send + 'static) -> (Manager, Context) {
    let place = Arc::new(Mutex::new(None));
    let inner = place.clone();
    let manager = world
        .handle()
        .start(service_fn("service", async move |ctx: Context| {
            first(&ctx);
            *inner.lock().unwrap() = Some(ctx.clone());
            drop((inner, ctx));
            pending().await
        }));
    let manager = manager.expect("the runtime is open");
    world.run();
    let context = place.lock().unwrap().take();
    (manager, context.expect("it ran"))
}

/// A daemon ends by itself while its service is cancelled.
#[test]
fn a_daemon_that_ends_is_one_failure_or_none() {
    explore_within(2, &["a failure", "no failure"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Gate::new());
        let daemon = gate.clone();
        let (manager, context) = service(&world, move |ctx| {
            let end = async move {
                daemon.pass().await;
                Ok(())
            };
            drop(ctx.run_daemon_task(end).expect("it runs"));
        });
        drop(context);
        let there = {
            let (gate, log) = (gate.clone(), log.clone());
            move || {
                log.note("opened");
                gate.open();
            }
        };
        race(&world, there, || {
            manager.cancel().expect("it was started");
            log.note("asked");
        });
        assert!(manager.is_finished() && manager.is_cancelled());
        match manager.result().expect("it has finished") {
            Ok(()) => seen.saw("no failure"),
            Err(error) => {
                assert_eq!(error.failures().len(), 1);
                let kind = error.failures()[0].kind();
                assert!(matches!(kind, FailureKind::DaemonExit), "{kind:?}");
                assert!(
                    log.at("opened") < log.at("asked"),
                    "a consequence of the cancellation"
                );
                seen.saw("a failure");
            }
        }
        assert_eq!(manager.stats().tasks.pending_count(), 0);
        drop((manager, gate));
        world.end();
    });
}

/// A task ends while another thread takes a snapshot, whose pin may be the last. Once a snapshot does
/// not have the task, the task is counted, and it is counted once.
#[test]
fn a_task_that_left_the_snapshot_is_counted_once() {
    explore(&["gone", "there"], |seen| {
        let world = World::new();
        let (manager, context) = service(&world, |_| ());
        drop(context.run_task(async { Ok(()) }).expect("it runs"));
        drop(context);
        let worker = thread::spawn({
            let world = world.clone();
            move || world.run()
        });
        let first = world.handle().snapshot();
        assert!(first.nodes().len() <= 2);
        let there = world.handle().snapshot().nodes().len() == 2;
        let counted = manager.stats().tasks.finished_count;
        assert!(there || counted == 1, "gone, and not counted");
        seen.saw(if there { "there" } else { "gone" });
        worker.join().unwrap();
        world.run();
        assert_eq!(manager.stats().tasks.finished_count, 1);
        assert_eq!(world.live_tasks(), 1);
        drop(manager);
        world.end();
    });
}

/// A child service fails while another thread takes a snapshot, whose pin may be the last. Once it is
/// counted as finished, its parent knows of the failure; and once it has finished, it is counted.
#[test]
fn a_child_service_that_is_counted_has_told_its_failure() {
    explore_within(2, &["running", "finished"], |seen| {
        let world = World::new();
        let (manager, context) = service(&world, |_| ());
        let child = service_fn("child", async |_: Context| Err("broken".into()));
        let child = context.run_child_service(child).expect("it runs");
        drop(context);
        let worker = thread::spawn({
            let world = world.clone();
            move || world.run()
        });
        drop(world.handle().snapshot());
        let counted = manager.stats().tasks.finished_count;
        assert!(counted == 0 || manager.did_error(), "a failure unheard");
        let finished = child.is_finished();
        assert!(!finished || manager.stats().tasks.finished_count == 1);
        seen.saw(if finished { "finished" } else { "running" });
        worker.join().unwrap();
        world.run();
        assert!(child.is_finished() && manager.is_finished());
        assert_eq!(manager.stats().tasks.finished_count, 1);
        drop((manager, child));
        world.end();
    });
}

/// Another thread schedules a task while its service is cancelled. The task is counted and cancelled,
/// or done from the start; it never runs if `cancel` has returned before.
#[test]
fn a_task_scheduled_after_a_cancel_does_not_run() {
    explore(
        &["born done", "cancelled", "not running any more", "ran"],
        |seen| {
            let world = World::new();
            let log = Log::default();
            let (manager, context) = service(&world, |_| ());
            let other = thread::spawn({
                let (world, log) = (world.clone(), log.clone());
                move || {
                    log.note("scheduling");
                    let future = noted(&log, "poll", "drop", Box::pin(pending()));
                    let task = context.run_task(future);
                    drop(context);
                    if task.as_ref().is_ok_and(|task| task.is_done()) {
                        log.note("born done");
                    }
                    world.run_one();
                    task
                }
            });
            manager.cancel().expect("it was started");
            log.note("asked");
            world.run();
            let task = other.join().unwrap();
            world.run();
            log.at("drop");
            let Ok(mut task) = task else {
                assert!(manager.is_finished());
                seen.saw("not running any more");
                drop(manager);
                return world.end();
            };
            assert!(ready(&mut task).unwrap_err().is_cancelled());
            if log.at("asked") < log.at("scheduling") {
                assert_eq!(log.count("born done"), 1, "it was cancelled before");
            }
            let stats = manager.stats().tasks;
            assert_eq!(stats.pending_count(), 0);
            match (log.count("born done"), log.count("poll")) {
                (1, 0) => seen.saw("born done"),
                (0, 0) => seen.saw("cancelled"),
                (0, 1) => seen.saw("ran"),
                _ => panic!("{log:?}"),
            }
            assert!(manager.result().expect("it has finished").is_ok());
            drop((manager, task));
            world.end();
        },
    );
}

/// A service ends while another thread begins to wait for it: the wait is over at once, or is woken.
#[test]
fn a_wait_for_the_end_of_a_service_is_woken() {
    explore(&["it was over", "woken"], |seen| {
        let world = World::new();
        let (manager, context) = service(&world, |_| ());
        drop(context);
        let counter = Counter::new();
        let waiter = thread::spawn({
            let (manager, waker) = (manager.clone(), Waker::from(counter.clone()));
            move || {
                let mut wait = Box::pin(async move { manager.wait_finished().await });
                (poll_once(&mut wait, &waker).is_ready(), wait)
            }
        });
        manager.cancel().expect("it was started");
        world.run();
        let (over, wait) = waiter.join().unwrap();
        if over {
            seen.saw("it was over");
        } else {
            assert!(counter.wakes() > 0, "it was not over, and has to be woken");
            seen.saw("woken");
        }
        drop(wait);
        drop(manager);
        world.end();
    });
}

/// `Context::cancelled`, outside of tasks, is first polled while the service is cancelled: it resolves
/// at once, or is woken.
#[test]
fn cancelled_resolves_at_a_cancel() {
    explore(&["it had been asked", "woken"], |seen| {
        let world = World::new();
        let log = Log::default();
        let (manager, context) = service(&world, |_| ());
        let counter = Counter::new();
        let waiter = thread::spawn({
            let (log, waker) = (log.clone(), Waker::from(counter.clone()));
            move || {
                let mut wait = Box::pin(async move { context.cancelled().await });
                let over = poll_once(&mut wait, &waker).is_ready();
                log.note(if over { "over" } else { "waits" });
                wait
            }
        });
        manager.cancel().expect("it was started");
        world.run();
        let wait = waiter.join().unwrap();
        if log.count("waits") == 1 {
            assert!(counter.wakes() > 0, "cancellation was asked for");
            seen.saw("woken");
        } else {
            seen.saw("it had been asked");
        }
        drop((wait, manager));
        world.end();
    });
}

/// A `cancelled()` that was moved out of its task is dropped while that task ends. It pins the task to
/// leave the task's list, and gives the pin back.
#[test]
fn a_wait_that_was_moved_out_keeps_no_task() {
    explore(&["before the end", "after the end"], |seen| {
        let world = World::new();
        let (manager, context) = service(&world, |_| ());
        let (place, gate) = (Arc::new(Mutex::new(None)), Gate::new());
        let mut task = world.handle().spawn({
            let (place, gate) = (place.clone(), gate.clone());
            async move {
                let mut wait = Box::pin(async move { context.cancelled().await });
                assert!(poll_once(&mut wait, Waker::noop()).is_pending());
                *place.lock().unwrap() = Some(wait);
                drop(place);
                gate.pass().await;
            }
        });
        world.run();
        let wait = place.lock().unwrap().take().expect("it was polled");
        let reference = Reference::of(&task);
        let worker = thread::spawn({
            let world = world.clone();
            move || {
                gate.open();
                drop(gate);
                world.run();
            }
        });
        let over = reference.is_done();
        drop(wait);
        seen.saw(if over {
            "after the end"
        } else {
            "before the end"
        });
        worker.join().unwrap();
        world.run();
        assert!(reference.is_done(), "it is held for ever");
        ready(&mut task).expect("it ended by itself");
        drop((reference, task));
        manager.cancel().expect("it was started");
        drop(manager);
        world.run();
        world.end();
    });
}
