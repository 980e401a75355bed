//! Spawning children and finishing tasks, from two threads.
#![cfg(taskgrove_loom)]

use loom::thread;
use std::future::{pending, poll_fn};
use taskgrove::model::World;
use taskgrove_loom_tests::*;

/// A child is spawned while its parent ends. Either the child is in the tree and done before the
/// parent, or it is refused.
#[test]
fn a_child_is_done_before_its_parent_or_refused() {
    explore(&["in the tree", "refused"], |seen| {
        let world = World::new();
        let log = Log::default();
        let parent = world.handle().spawn(async {});
        let spawner = thread::spawn({
            let (world, log) = (world.clone(), log.clone());
            move || {
                let future = noted(&log, "poll", "drop", Box::pin(async {}));
                let child = world.spawn_under(&parent, future);
                let parent_done = parent.is_done();
                assert!(child.is_done() || !parent_done, "it outlives its parent");
                (parent, child)
            }
        });
        world.run();
        let (mut parent, mut child) = spawner.join().unwrap();
        world.run();
        log.at("drop");
        ready(&mut parent).expect("a value");
        match ready(&mut child) {
            Ok(()) => seen.saw("in the tree"),
            Err(e) if e.is_cancelled() => seen.saw("refused"),
            Err(e) => panic!("{e:?}"),
        }
        assert_eq!(log.count("poll"), usize::from(log.count("poll") > 0));
        drop((parent, child));
        world.end();
    });
}

/// A child is spawned under a task whose parent is being cancelled. The child is cancelled with them, or
/// refused.
#[test]
fn no_child_escapes_a_cancel_above() {
    explore(&["cancelled in the tree", "ran", "refused"], |seen| {
        let world = World::new();
        let log = Log::default();
        let grand = world.handle().spawn(pending::<()>());
        let parent = world.spawn_under(&grand, pending::<()>());
        world.run();
        let spawner = thread::spawn({
            let (world, log) = (world.clone(), log.clone());
            move || {
                let future = noted(&log, "poll", "drop", pending::<()>());
                let child = world.spawn_under(&parent, future);
                if child.is_done() {
                    log.note("refused");
                }
                world.run_one();
                (parent, child)
            }
        });
        grand.cancel();
        world.run();
        let (mut parent, mut child) = spawner.join().unwrap();
        world.run();
        log.at("drop");
        let mut grand = grand;
        assert!(ready(&mut grand).unwrap_err().is_cancelled());
        assert!(ready(&mut parent).unwrap_err().is_cancelled());
        assert!(ready(&mut child).unwrap_err().is_cancelled());
        match (log.count("poll"), log.count("refused")) {
            (0, 1) => seen.saw("refused"),
            (0, 0) => seen.saw("cancelled in the tree"),
            (1, 0) => seen.saw("ran"),
            _ => panic!("{log:?}"),
        }
        drop((grand, parent, child));
        world.end();
    });
}

/// Two children of a task whose future is gone are done at the same time, and nothing else keeps that
/// task. The last child finishes it, and nothing touches it later.
#[test]
fn the_last_child_finishes_its_parent() {
    explore(&["left last", "right last"], |seen| {
        let world = World::new();
        let log = Log::default();
        let parent = world.handle().spawn(async {});
        let gates = [Gate::new(), Gate::new()];
        for (gate, name) in gates.iter().zip(["left", "right"]) {
            let gate = gate.clone();
            let future = poll_fn(move |cx| gate.poll(cx));
            drop(world.spawn_under(&parent, noted(&log, "poll", name, future)));
        }
        drop(parent);
        world.run();
        assert_eq!(world.live_tasks(), 3);
        let [left, right] = gates;
        let other = thread::spawn({
            let world = world.clone();
            move || {
                right.open();
                world.run();
            }
        });
        left.open();
        world.run();
        other.join().unwrap();
        world.run();
        assert_eq!(world.live_tasks(), 0);
        let left_last = log.at("left") > log.at("right");
        seen.saw(if left_last { "left last" } else { "right last" });
        drop(left);
        world.end();
    });
}

/// A snapshot is taken while a child and its parent end. Its walk uses no task that is gone.
#[test]
fn a_snapshot_keeps_the_tasks_that_it_shows() {
    explore(&["0 nodes", "1 node", "2 nodes"], |seen| {
        let world = World::new();
        let parent = world.handle().spawn(async {});
        drop(world.spawn_under(&parent, async {}));
        drop(parent);
        let looker = thread::spawn({
            let handle = world.handle();
            move || handle.snapshot()
        });
        world.run();
        let snapshot = looker.join().unwrap();
        world.run();
        seen.saw(["0 nodes", "1 node", "2 nodes"][snapshot.nodes().len()]);
        assert_eq!(world.live_tasks(), 0);
        world.end();
    });
}
