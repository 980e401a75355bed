//! A cancellation's walk, while the tree changes under it.
#![cfg(taskgrove_loom)]

use loom::thread;
use std::future::{pending, poll_fn};
use taskgrove::Task;
use taskgrove::model::World;
use taskgrove_loom_tests::*;

/// A task below `parent` that ends when its gate opens.
fn gated(world: &World, parent: &Task<()>, log: &Log, name: &'static str, gate: &Gate) -> Task<()> {
    let gate = gate.clone();
    world.spawn_under(
        parent,
        noted(log, "poll", name, poll_fn(move |cx| gate.poll(cx))),
    )
}

fn idle(world: &World, log: &Log, name: &'static str) -> Task<()> {
    world.handle().spawn(noted(log, "poll", name, pending()))
}

fn idle_under(world: &World, parent: &Task<()>, log: &Log, name: &'static str) -> Task<()> {
    world.spawn_under(parent, noted(log, "poll", name, pending()))
}

/// The middle one of three siblings ends by itself, and then the oldest, while their parent is cancelled.
/// Each future is dropped once, and before the parent's.
#[test]
fn the_siblings_of_a_child_that_ends_are_cancelled() {
    explore_within(2, &["it was cancelled", "it was first"], |seen| {
        let world = World::new();
        let (log, gates) = (Log::default(), [Gate::new(), Gate::new()]);
        let parent = idle(&world, &log, "parent");
        let oldest = gated(&world, &parent, &log, "oldest", &gates[1]);
        let mut middle = gated(&world, &parent, &log, "middle", &gates[0]);
        let youngest = idle_under(&world, &parent, &log, "youngest");
        drop((oldest, youngest));
        world.run();
        let there = {
            let gates = gates.clone();
            move || {
                for gate in gates {
                    gate.open();
                }
            }
        };
        race(&world, there, || {
            parent.cancel();
        });
        for child in ["oldest", "middle", "youngest"] {
            assert!(log.at(child) < log.at("parent"), "{log:?}");
        }
        seen.saw(match ready(&mut middle) {
            Ok(()) => "it was first",
            Err(_) => "it was cancelled",
        });
        drop((parent, middle, gates));
        world.end();
    });
}

/// The last child of a task whose future is gone ends while a walk is at that child. The task stays
/// until the walk has left it, and is done then.
#[test]
fn a_task_is_not_done_while_the_walk_is_at_its_child() {
    explore(&["it ended", "it was dropped"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Gate::new());
        let root = idle(&world, &log, "root");
        let mut inner = world.spawn_under(&root, async {});
        let mut last = gated(&world, &inner, &log, "last", &gate);
        world.run();
        assert!(!inner.is_done());
        let there = {
            let gate = gate.clone();
            move || {
                gate.open();
            }
        };
        race(&world, there, || {
            root.cancel();
        });
        assert!(log.at("last") < log.at("root"), "{log:?}");
        ready(&mut inner).expect("its future had ended before");
        seen.saw(match ready(&mut last) {
            Ok(()) => "it ended",
            Err(_) => "it was dropped",
        });
        drop((root, inner, last, gate));
        world.end();
    });
}

/// A child is queued or polled while its grandparent is cancelled.
#[test]
fn a_child_that_is_polled_is_dropped_before_its_parent() {
    explore(&["it ended", "it was dropped"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Gate::new());
        let order = Exclusive::new();
        let grand = {
            let _in_order = OnDrop(log.clone(), "grand", order.clone());
            world.handle().spawn(async move {
                let _in_order = _in_order;
                pending::<()>().await;
            })
        };
        let parent = {
            let in_order = OnDrop(log.clone(), "parent", order.clone());
            world.spawn_under(&grand, async move {
                let _in_order = in_order;
                pending::<()>().await;
            })
        };
        let mut child = {
            let (gate, in_order) = (gate.clone(), OnDrop(log.clone(), "child", order));
            world.spawn_under(&parent, async move {
                let _in_order = in_order;
                gate.pass().await;
            })
        };
        drop(parent);
        world.run();
        let there = {
            let gate = gate.clone();
            move || {
                gate.open();
            }
        };
        race(&world, there, || {
            grand.cancel();
        });
        assert!(log.at("child") < log.at("parent"), "{log:?}");
        assert!(log.at("parent") < log.at("grand"), "{log:?}");
        seen.saw(match ready(&mut child) {
            Ok(()) => "it ended",
            Err(_) => "it was dropped",
        });
        drop((grand, child, gate));
        world.end();
    });
}

/// Two threads cancel a task and its parent, and then both work the queue off.
#[test]
fn cancels_of_a_subtree_and_its_root_are_leaves_first() {
    explore(&["root asked first", "subtree asked first"], |seen| {
        let world = World::new();
        let log = Log::default();
        let root = idle(&world, &log, "root");
        let inner = idle_under(&world, &root, &log, "inner");
        let leaf = idle_under(&world, &inner, &log, "leaf");
        drop(leaf);
        world.run();
        let other = thread::spawn({
            let (world, log) = (world.clone(), log.clone());
            move || {
                inner.cancel();
                log.note("subtree asked");
                world.run();
                inner
            }
        });
        root.cancel();
        log.note("root asked");
        world.run();
        let mut inner = other.join().unwrap();
        world.run();
        let mut root = root;
        assert!(ready(&mut inner).unwrap_err().is_cancelled());
        assert!(ready(&mut root).unwrap_err().is_cancelled());
        assert!(log.at("leaf") < log.at("inner") && log.at("inner") < log.at("root"));
        let root_first = log.at("root asked") < log.at("subtree asked");
        seen.saw(if root_first {
            "root asked first"
        } else {
            "subtree asked first"
        });
        drop((root, inner));
        world.end();
    });
}

/// Two threads cancel the same task, and the destructor of a child cancels it once more.
#[test]
fn a_destructor_may_cancel_again() {
    struct CancelOnDrop(taskgrove::CancelHandle);
    impl Drop for CancelOnDrop {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    explore_within(2, &["all done"], |seen| {
        let world = World::new();
        let log = Log::default();
        let root = idle(&world, &log, "root");
        let child = {
            let (log, again) = (log.clone(), CancelOnDrop(root.cancel_handle()));
            world.spawn_under(&root, async move {
                let _dropped = OnDrop(log, "child", Exclusive::new());
                let _again = again;
                pending::<()>().await;
            })
        };
        drop(child);
        world.run();
        let cancel = root.cancel_handle();
        let other = thread::spawn({
            let world = world.clone();
            move || {
                cancel.cancel();
                drop(cancel);
                world.run();
            }
        });
        root.cancel();
        world.run();
        other.join().unwrap();
        world.run();
        assert!(log.at("child") < log.at("root"));
        let mut root = root;
        assert!(ready(&mut root).unwrap_err().is_cancelled());
        seen.saw("all done");
        drop(root);
        world.end();
    });
}

/// A kill walks through a tree while a cancellation does.
#[test]
fn a_kill_overtakes_a_cancel() {
    explore(&["asked before the kill", "asked after it"], |seen| {
        let world = World::new();
        let log = Log::default();
        let root = idle(&world, &log, "root");
        let inner = idle_under(&world, &root, &log, "inner");
        let leaf = idle_under(&world, &inner, &log, "leaf");
        drop((inner, leaf));
        world.run();
        let other = thread::spawn({
            let (world, log) = (world.clone(), log.clone());
            move || {
                root.cancel();
                log.note("asked");
                world.run();
                root
            }
        });
        world.kill_all();
        log.note("killed");
        world.close();
        world.run();
        drop(other.join().unwrap());
        world.run();
        let asked_first = log.at("asked") < log.at("killed");
        seen.saw(if asked_first {
            "asked before the kill"
        } else {
            "asked after it"
        });
        assert!(log.at("leaf") < log.at("inner") && log.at("inner") < log.at("root"));
        world.end();
    });
}

/// A kill meets a task that has just been woken, or is being polled. The task is dropped once, before
/// its parent.
#[test]
fn a_kill_drops_a_queued_task_once() {
    explore(&["it ended", "it was dropped"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Gate::new());
        let root = idle(&world, &log, "root");
        let mut leaf = gated(&world, &root, &log, "leaf", &gate);
        world.run();
        let there = {
            let gate = gate.clone();
            move || {
                gate.open();
            }
        };
        race(&world, there, || {
            world.kill_all();
            world.close();
        });
        assert!(log.at("leaf") < log.at("root"), "{log:?}");
        seen.saw(match ready(&mut leaf) {
            Ok(()) => "it ended",
            Err(_) => "it was dropped",
        });
        drop((root, leaf, gate));
        world.end();
    });
}
