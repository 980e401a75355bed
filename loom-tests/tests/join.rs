//! The handle of a task against the task's end.
#![cfg(taskgrove_loom)]

use loom::thread;
use std::sync::Arc;
use std::task::{Poll, Waker};
use taskgrove::model::World;
use taskgrove_loom_tests::*;

/// The handle is polled with one waker and then with another while the task ends. If the second poll is
/// pending, its waker is woken; nothing is leaked.
#[test]
fn the_last_waker_of_a_handle_is_woken() {
    let expected = ["ready at once", "ready at the second poll", "woken"];
    explore(&expected, |seen| {
        let world = World::new();
        let log = Log::default();
        let mut task = world.handle().spawn({
            let log = log.clone();
            async move { OnDrop(log, "output dropped", Exclusive::new()) }
        });
        let counters = [Counter::new(), Counter::new()];
        let poller = thread::spawn({
            let counters = counters.clone();
            move || {
                for counter in &counters {
                    let waker = Waker::from(counter.clone());
                    if let Poll::Ready(output) = poll_once(&mut task, &waker) {
                        drop(output.expect("a value"));
                        return Err(counter.clone());
                    }
                }
                Ok(task)
            }
        });
        world.run();
        let [first, second] = &counters;
        match poller.join().unwrap() {
            Ok(mut task) => {
                seen.saw("woken");
                assert_eq!((first.wakes(), second.wakes()), (0, 1));
                drop(ready(&mut task).expect("a value"));
            }
            Err(counter) if Arc::ptr_eq(&counter, first) => {
                seen.saw("ready at once");
                assert_eq!((first.wakes(), second.wakes()), (0, 0));
            }
            Err(_) => {
                seen.saw("ready at the second poll");
                assert_eq!(second.wakes(), 0);
            }
        }
        log.at("output dropped");
        for counter in counters {
            assert_eq!(Arc::strong_count(&counter), 1, "wakers are dropped");
        }
        world.end();
    });
}

/// The handle is polled once and then dropped while the task ends. Output and waker are dropped once.
#[test]
fn a_dropped_handle_leaves_nothing_behind() {
    let expected = ["dropped first", "dropped last, and woken"];
    explore(&expected, |seen| {
        let world = World::new();
        let log = Log::default();
        let mut task = world.handle().spawn({
            let log = log.clone();
            async move { OnDrop(log, "output dropped", Exclusive::new()) }
        });
        let counter = Counter::new();
        assert!(poll_once(&mut task, &Waker::from(counter.clone())).is_pending());
        let dropper = thread::spawn(move || drop(task));
        world.run();
        dropper.join().unwrap();
        log.at("output dropped");
        assert_eq!(Arc::strong_count(&counter), 1, "the waker is dropped");
        match counter.wakes() {
            0 => seen.saw("dropped first"),
            1 => seen.saw("dropped last, and woken"),
            _ => unreachable!(),
        }
        world.end();
    });
}

/// A task ends while a thread begins to wait for it with `wait_done`: the wait is over at once, or is
/// woken.
#[test]
fn a_wait_for_the_end_is_woken() {
    explore(&["it was over", "woken"], |seen| {
        let world = World::new();
        let task = world.handle().spawn(async {});
        let mut wait = Box::pin(async move {
            task.wait_done().await;
            drop(task);
        });
        let counter = Counter::new();
        let waiter = thread::spawn({
            let waker = Waker::from(counter.clone());
            move || (poll_once(&mut wait, &waker).is_ready(), wait)
        });
        world.run();
        let (over, wait) = waiter.join().unwrap();
        if over {
            seen.saw("it was over");
        } else {
            assert_eq!(counter.wakes(), 1, "it was not over, and has to be woken");
            seen.saw("woken");
        }
        drop(wait);
        world.end();
    });
}
