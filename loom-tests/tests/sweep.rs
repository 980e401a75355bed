//! Two workers share the sweep of a cancellation.
#![cfg(taskgrove_loom)]

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::future::pending;
use taskgrove::Task;
use taskgrove::model::{Offer, World};
use taskgrove_loom_tests::*;

/// Blocks threads until it is opened.
#[derive(Clone)]
struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    fn new() -> Latch {
        Latch(Arc::new((Mutex::new(false), Condvar::new())))
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
    }
}

/// Runs a closure when it is dropped.
struct Falls<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for Falls<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

fn falls(f: impl FnOnce() + Send + 'static) -> impl Future<Output = ()> + Send + 'static {
    let falls = Falls(Some(f));
    async move {
        let _falls = falls;
        pending::<()>().await;
    }
}

/// The destructor of one of three siblings blocks until those of the other two have run. A worker that
/// becomes idle while it blocks runs them.
fn one_waits_for_the_others(waits: usize) {
    explore_within(2, &["helped"], move |seen| {
        let world = World::new();
        let (inside, others) = (Latch::new(), [Latch::new(), Latch::new()]);
        let log = Log::default();
        let root = {
            let log = log.clone();
            world.handle().spawn(falls(move || log.note("root")))
        };
        let mut opens = others.iter().cloned();
        let children: Vec<Task<()>> = (0..3)
            .map(|at| {
                let (inside, others, log) = (inside.clone(), others.clone(), log.clone());
                let opens = if at == waits { None } else { opens.next() };
                world.spawn_under(
                    &root,
                    falls(move || match opens {
                        Some(latch) => latch.open(),
                        None => {
                            inside.open();
                            others.iter().for_each(Latch::wait);
                            log.note("blocked");
                        }
                    }),
                )
            })
            .collect();
        drop(children);
        world.run();
        let helper = thread::spawn({
            let world = world.clone();
            move || {
                inside.wait();
                world.run();
            }
        });
        root.cancel();
        world.run();
        helper.join().unwrap();
        world.run();
        assert!(log.at("blocked") < log.at("root"), "{log:?}");
        seen.saw("helped");
        drop((root, others));
        world.end();
    });
}

#[test]
fn the_first_destructor_may_wait_for_its_siblings() {
    one_waits_for_the_others(0);
}

#[test]
fn a_later_destructor_may_wait_for_its_siblings() {
    one_waits_for_the_others(1);
}

/// Two workers sweep a tree with two branches together. Each future is dropped once, and before its
/// parent's.
#[test]
fn two_workers_that_sweep_together_are_leaves_first() {
    explore_within(2, &["both took part", "one did it all"], |seen| {
        let world = World::new();
        let (log, order) = (Log::default(), Exclusive::new());
        let by = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let root = {
            let dropped = OnDrop(log.clone(), "root", order.clone());
            world.handle().spawn(async move {
                let _dropped = dropped;
                pending::<()>().await;
            })
        };
        let names = [["a", "a1"], ["b", "b1"]];
        for [inner, leaf] in names {
            let (by, inner_log, leaf_log) = (by.clone(), log.clone(), log.clone());
            let inner = world.spawn_under(&root, falls(move || inner_log.note(inner)));
            drop(world.spawn_under(
                &inner,
                falls(move || {
                    by.lock().unwrap().push(thread::current().id());
                    leaf_log.note(leaf);
                }),
            ));
        }
        world.run();
        race(&world, || {}, || root.cancel());
        for [inner, leaf] in names {
            assert!(log.at(leaf) < log.at(inner), "{log:?}");
            assert!(log.at(inner) < log.at("root"), "{log:?}");
        }
        let by = by.lock().unwrap().clone();
        seen.saw(if by[0] == by[1] {
            "one did it all"
        } else {
            "both took part"
        });
        drop(root);
        world.end();
    });
}

/// The end of a child lets its parent be dropped, whose destructor waits for the next task in the queue.
/// An idle worker runs that task, or the destructor.
#[test]
fn a_parents_destructor_may_wait_for_the_next_task() {
    explore_within(2, &["helped"], |seen| {
        let world = World::new();
        let (inside, ran) = (Latch::new(), Latch::new());
        let parent = {
            let (inside, ran) = (inside.clone(), ran.clone());
            world.handle().spawn(falls(move || {
                inside.open();
                ran.wait();
            }))
        };
        let child = Signal::new();
        drop(world.spawn_under(&parent, taskgrove::shielded(child.wait())));
        world.run();
        parent.cancel();
        world.run();
        child.send();
        drop(world.handle().spawn(async move { ran.open() }));
        let helper = thread::spawn({
            let world = world.clone();
            move || {
                inside.wait();
                world.run();
            }
        });
        world.run();
        helper.join().unwrap();
        world.run();
        let mut parent = parent;
        assert!(ready(&mut parent).unwrap_err().is_cancelled());
        seen.saw("helped");
        drop((parent, child));
        world.end();
    });
}

/// Two threads take a task from one place. One of them gets it, and gives it back: then the task ends, once.
fn one_of_two_takes_it(offer: fn(&Task<()>) -> Offer) {
    explore_within(2, &["this one", "the other"], move |seen| {
        let world = World::new();
        let (log, order) = (Log::default(), Exclusive::new());
        let mut task = {
            let dropped = OnDrop(log.clone(), "drop", order.clone());
            world.handle().spawn(async move {
                let _dropped = dropped;
                pending::<()>().await;
            })
        };
        world.run();
        order.touch();
        let offer = offer(&task);
        task.cancel();
        world.run();
        assert_eq!(log.count("drop"), 0, "the place has it");
        let took = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let take = |name: &'static str| {
            let (offer, took) = (offer.clone(), took.clone());
            move || {
                if offer.take() {
                    took.lock().unwrap().push(name);
                }
            }
        };
        race(&world, take("the other"), take("this one"));
        let took = took.lock().unwrap().clone();
        assert_eq!(took.len(), 1, "{took:?}");
        seen.saw(took[0]);
        log.at("drop");
        assert!(ready(&mut task).unwrap_err().is_cancelled());
        drop((task, offer));
        world.end();
    });
}

#[test]
fn one_of_two_threads_takes_a_pin() {
    one_of_two_takes_it(Offer::of_pin);
}

#[test]
fn one_of_two_threads_takes_a_claim() {
    one_of_two_takes_it(Offer::of_claim);
}

/// Two workers share a sweep, and one of them leaves: it drops the token that it has in hand. What no
/// worker has taken by then is given back, so that every future is dropped once, and before its parent's.
#[test]
fn a_sweep_whose_token_is_dropped_ends() {
    explore_within(2, &["before the other", "after it"], |seen| {
        let world = World::new();
        let (log, order) = (Log::default(), Exclusive::new());
        let mut root = {
            let dropped = OnDrop(log.clone(), "root", order);
            world.handle().spawn(async move {
                let _dropped = dropped;
                pending::<()>().await;
            })
        };
        for _ in 0..5 {
            let log = log.clone();
            drop(world.spawn_under(&root, falls(move || log.note("child"))));
        }
        world.run();
        root.cancel();
        // The first worker goes down, and leaves the way back after its first stretch.
        while log.count("child") == 0 {
            assert!(world.run_one(), "the sweep has not begun");
        }
        let begun = log.count("child");
        assert!(begun < 5, "nothing is left to share");
        let other = thread::spawn({
            let world = world.clone();
            move || {
                world.run_one();
            }
        });
        let dropped = world.drop_walk();
        let met = log.count("child") > begun;
        other.join().unwrap();
        world.run();
        assert_eq!((log.count("child"), log.before("child", "root")), (5, 5));
        assert!(ready(&mut root).unwrap_err().is_cancelled());
        if dropped {
            seen.saw(if met { "after it" } else { "before the other" });
        }
        drop(root);
        world.end();
    });
}
