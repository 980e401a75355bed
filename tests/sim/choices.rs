//! The seed makes every choice, and the fingerprint has it: over many seeds each order comes up, and runs
//! with the same fingerprint had the same order.

use crate::common::{Event, Log, OnDrop, Queue, watchdog};
use std::collections::{HashMap, HashSet};
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use taskgrove::time::sleep;
use taskgrove::{Task, sim::Sim, spawn, yield_now};

const SEEDS: u64 = 3000;

/// The orders in which a program's parts came up, of which there are so many.
#[track_caller]
fn has_orders(count: usize, body: impl Fn(&Sim, &Log<&'static str>) + Send + 'static) {
    let orders = watchdog(move || {
        let mut orders = HashMap::new();
        for seed in 0..SEEDS {
            let (sim, log) = (Sim::new(seed), Log::new());
            body(&sim, &log);
            let order = log.take();
            let known = orders.entry(sim.fingerprint()).or_insert(order.clone());
            assert_eq!(
                *known, order,
                "seed {seed}: the fingerprint of another order"
            );
        }
        orders.into_values().collect::<HashSet<_>>()
    });
    assert_eq!(orders.len(), count, "{orders:?}");
}

/// A task that is idle when this returns, and says so when it is dropped.
async fn idle(log: &Log<&'static str>, name: &'static str) -> Task<()> {
    let (there, log) = (Event::new(), log.clone());
    let set = there.clone();
    let task = spawn(async move {
        let _dropped = OnDrop::new(move || log.push(name));
        set.set();
        pending().await
    });
    there.wait().await;
    task
}

/// As [`idle`], with a child below: it takes a walk to cancel it.
async fn walked(log: &Log<&'static str>, name: &'static str) -> Task<()> {
    let (there, log) = (Event::new(), log.clone());
    let set = there.clone();
    let task = spawn(async move {
        let _dropped = OnDrop::new(move || log.push(name));
        spawn(pending::<()>());
        set.set();
        pending().await
    });
    there.wait().await;
    task
}

fn says(log: &Log<&'static str>, name: &'static str) -> impl Future<Output = ()> + Send + 'static {
    let log = log.clone();
    async move { log.push(name) }
}

#[test]
fn which_task() {
    has_orders(6, |sim, log| {
        sim.block_on(async {
            let tasks = ["a", "b", "c"].map(|name| spawn(says(log, name)));
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

#[test]
fn which_of_a_task_a_claimed_task_a_timer_and_the_caller() {
    struct Says(Log<&'static str>);
    impl Wake for Says {
        fn wake(self: Arc<Self>) {
            self.0.push("timer");
        }
    }
    has_orders(24, |sim, log| {
        sim.block_on(async {
            let idle = idle(log, "claimed").await;
            // Both are due at the same moment; this one was first.
            let moment = sleep(Duration::from_millis(1));
            let mut other = pin!(sleep(Duration::from_millis(1)));
            let waker = Waker::from(Arc::new(Says(log.clone())));
            let mut moment = pin!(moment);
            std::future::poll_fn(|cx| {
                let first = moment.as_mut().poll(cx);
                if first.is_pending() {
                    let second = other.as_mut().poll(&mut Context::from_waker(&waker));
                    assert!(second.is_pending());
                }
                first
            })
            .await;
            idle.cancel();
            let task = spawn(says(log, "task"));
            yield_now().await;
            log.push("caller");
            task.await.unwrap();
            idle.wait_done().await;
            while log.len() < 4 {
                yield_now().await;
            }
        });
    });
}

#[test]
fn when_a_walk_goes_on_and_which() {
    has_orders(6, |sim, log| {
        sim.block_on(async {
            let (a, b) = (walked(log, "a").await, walked(log, "b").await);
            // The children are idle, too.
            while sim.handle().snapshot().nodes().iter().any(|n| n.polls == 0) {
                yield_now().await;
            }
            a.cancel();
            b.cancel();
            spawn(says(log, "task")).await.unwrap();
            a.wait_done().await;
            b.wait_done().await;
        });
    });
}

#[test]
fn when_a_wake_and_a_cancellation_from_another_thread_land() {
    has_orders(24, |sim, log| {
        let (go, log) = (Event::new(), log.clone());
        let (woken, idle) = sim.block_on(async {
            let woken = ["a", "b"].map(|name| {
                let (gone, log) = (go.wait(), log.clone());
                spawn(async move {
                    gone.await;
                    log.push(name);
                })
            });
            while go.waiters() < 2 {
                yield_now().await;
            }
            (woken, idle(&log, "claimed").await)
        });
        let (gone, cancel) = (go.clone(), idle.cancel_handle());
        // It has done its part before the simulation goes on: nothing races with the clock on the wall.
        let other = std::thread::spawn(move || {
            cancel.cancel();
            gone.set();
        });
        other.join().unwrap();
        sim.block_on(async {
            spawn(says(&log, "own")).await.unwrap();
            for task in woken {
                task.await.unwrap();
            }
            idle.wait_done().await;
        });
    });
}

/// On a worker of many, time may pass between the end of a task and the moment its parent hears.
#[test]
fn when_a_parent_hears_that_its_child_is_done() {
    has_orders(2, |sim, log| {
        let log = log.clone();
        sim.block_on(async {
            let (children, end) = (Queue::new(), Event::new());
            let (send, ended) = (children.clone(), end.wait());
            let parent = spawn(async move { send.send(spawn(ended)) });
            let child = children.recv().await;
            let observer = spawn(async move {
                while !child.is_done() {
                    yield_now().await;
                }
                log.push(if parent.is_done() {
                    "both"
                } else {
                    "the child"
                });
            });
            end.set();
            observer.await.unwrap();
        });
    });
}
