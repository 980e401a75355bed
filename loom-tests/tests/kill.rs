//! A kill of a subtree, against what it meets there.
#![cfg(taskgrove_loom)]

use std::future::pending;
use taskgrove::model::World;
use taskgrove::{finally, shielded, spawn};
use taskgrove_loom_tests::*;

/// A task is killed while its parent is cancelled, and waits in a cleanup that never ends. The cleanup
/// is dropped, and the parent after it.
#[test]
fn a_kill_below_a_cancellation_frees_it() {
    explore(&["cancelled first", "killed first"], |seen| {
        let world = World::new();
        let log = Log::default();
        let root = {
            let dropped = OnDrop(log.clone(), "root", Exclusive::new());
            world.handle().spawn(async move {
                let _dropped = dropped;
                pending::<()>().await;
            })
        };
        let leaf = {
            let dropped = OnDrop(log.clone(), "leaf", Exclusive::new());
            world.spawn_under(
                &root,
                finally(
                    async move {
                        let _dropped = dropped;
                        pending::<()>().await;
                    },
                    pending(),
                ),
            )
        };
        world.run();
        let there = {
            let (cancel, log) = (root.cancel_handle(), log.clone());
            move || {
                cancel.cancel();
                log.note("cancel");
            }
        };
        race(&world, there, || {
            leaf.kill();
            log.note("kill");
        });
        assert!(root.is_done() && leaf.is_done());
        assert!(log.at("leaf") < log.at("root"), "{log:?}");
        seen.saw(if log.at("cancel") < log.at("kill") {
            "cancelled first"
        } else {
            "killed first"
        });
        drop((root, leaf));
        world.end();
    });
}

/// A task at its turn is killed while its shield ends, or is polled. It is dropped once, and what is in
/// the shield runs to its end or not at all.
#[test]
fn a_kill_meets_the_end_of_protection() {
    explore(&["it had ended", "it was dropped"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Gate::new());
        let mut task = {
            let (log, gate) = (log.clone(), gate.clone());
            let dropped = OnDrop(log.clone(), "dropped", Exclusive::new());
            world.handle().spawn(async move {
                let _dropped = dropped;
                shielded(async {
                    gate.pass().await;
                    log.note("ended");
                })
                .await;
                pending::<()>().await;
            })
        };
        world.run();
        task.cancel();
        world.run();
        assert!(!task.is_done(), "the shield holds");
        let there = {
            let gate = gate.clone();
            move || {
                gate.open();
            }
        };
        race(&world, there, || task.kill());
        assert!(ready(&mut task).unwrap_err().is_cancelled());
        log.at("dropped");
        seen.saw(match log.count("ended") {
            0 => "it was dropped",
            1 => "it had ended",
            _ => panic!("{log:?}"),
        });
        drop((task, gate));
        world.end();
    });
}

/// A task spawns a shielded child while it is killed: the child is refused, or killed with it, before it.
#[test]
fn a_kill_misses_no_child() {
    explore(&["it was killed", "it was refused"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Gate::new());
        let task = {
            let (log, gate) = (log.clone(), gate.clone());
            let dropped = OnDrop(log.clone(), "task", Exclusive::new());
            world.handle().spawn(async move {
                let _dropped = dropped;
                gate.pass().await;
                let child = OnDrop(log.clone(), "child", Exclusive::new());
                let child = spawn(shielded(async move {
                    let _child = child;
                    pending::<()>().await;
                }));
                log.note(if child.is_done() { "refused" } else { "linked" });
                pending::<()>().await;
            })
        };
        world.run();
        let there = {
            let gate = gate.clone();
            move || {
                gate.open();
            }
        };
        race(&world, there, || task.kill());
        assert!(task.is_done());
        let child = log.count("child");
        if child == 1 {
            assert!(log.at("child") < log.at("task"), "{log:?}");
        }
        // If the kill came first, the task was not polled at all.
        seen.saw(if log.count("linked") == 1 {
            "it was killed"
        } else {
            "it was refused"
        });
        drop((task, gate));
        world.end();
    });
}

/// A kill meets the end of a grace period. The task is dropped once, and no timer is left.
#[test]
fn a_kill_meets_the_end_of_a_grace() {
    explore(&["done"], |seen| {
        let world = World::new();
        let log = Log::default();
        let root = world.spawn_graceful(100, noted(&log, "poll", "root", pending::<()>()));
        let child = world.spawn_under(&root, noted(&log, "poll", "child", pending::<()>()));
        world.run();
        root.cancel();
        world.run();
        assert!(!root.is_done(), "the grace runs");
        let there = {
            let world = world.clone();
            move || world.advance_to(100)
        };
        race(&world, there, || root.kill());
        assert!(root.is_done() && child.is_done());
        assert!(log.at("child") < log.at("root"), "{log:?}");
        seen.saw("done");
        drop((root, child));
        world.end();
    });
}
