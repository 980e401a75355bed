//! Protection covers what is spawned inside it.
#![cfg(taskgrove_loom)]

use loom::thread;
use std::future::pending;
use taskgrove::model::World;
use taskgrove::{shielded, spawn};
use taskgrove_loom_tests::*;

/// A task spawns inside a shield while it is cancelled. What it spawns runs to its end if the shield has
/// begun.
#[test]
fn a_spawn_inside_protection_meets_a_cancel() {
    explore(&["it ran", "the shield did not begin"], |seen| {
        let world = World::new();
        let log = Log::default();
        let mut task = {
            let log = log.clone();
            world.handle().spawn(async move {
                shielded(async {
                    log.note("begun");
                    let inner = log.clone();
                    let child = spawn(async move { inner.note("ran") });
                    assert!(child.await.is_ok());
                })
                .await;
                pending::<()>().await;
            })
        };
        let cancel = task.cancel_handle();
        race(&world, move || cancel.cancel(), || world.run());
        world.run();
        assert!(ready(&mut task).unwrap_err().is_cancelled());
        assert_eq!(log.count("begun"), log.count("ran"));
        seen.saw(match log.count("begun") {
            0 => "the shield did not begin",
            _ => "it ran",
        });
        drop(task);
        world.end();
    });
}

/// A task spawns inside a shield while everything is killed. The child is dropped before its parent, or is
/// refused.
#[test]
fn a_spawn_inside_protection_meets_a_kill() {
    explore(&["dropped first", "refused", "not begun"], |seen| {
        let world = World::new();
        let log = Log::default();
        let task = {
            let log = log.clone();
            let dropped = OnDrop(log.clone(), "parent", Exclusive::new());
            world.handle().spawn(async move {
                let _dropped = dropped;
                shielded(async {
                    let dropped = OnDrop(log.clone(), "child", Exclusive::new());
                    let child = spawn(async move {
                        let _dropped = dropped;
                        pending::<()>().await;
                    });
                    log.note(if child.is_done() {
                        "refused"
                    } else {
                        "adopted"
                    });
                    pending::<()>().await;
                })
                .await;
            })
        };
        let there = {
            let world = world.clone();
            move || {
                world.kill_all();
                world.close();
            }
        };
        race(&world, there, || world.run());
        world.run();
        assert!(task.is_done());
        seen.saw(match (log.count("refused"), log.count("adopted")) {
            (0, 0) => "not begun",
            (1, 0) => "refused",
            _ => {
                assert!(log.at("child") < log.at("parent"));
                "dropped first"
            }
        });
        drop(task);
        world.end();
    });
}

/// A protection ends while something above its task is cancelled. What it has left is dropped, before the
/// task.
#[test]
fn the_end_of_a_protection_meets_a_cancel_from_above() {
    explore(&["the end came first", "the cancel came first"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Gate::new());
        let top = world.handle().spawn(pending::<()>());
        let task = {
            let (log, inner) = (log.clone(), gate.clone());
            let dropped = OnDrop(log.clone(), "parent", Exclusive::new());
            let left = OnDrop(log.clone(), "child", Exclusive::new());
            world.spawn_under(&top, async move {
                let _dropped = dropped;
                shielded(async {
                    drop(spawn(async move {
                        let _left = left;
                        pending::<()>().await;
                    }));
                    inner.pass().await;
                    log.note("end");
                })
                .await;
                pending::<()>().await;
            })
        };
        world.run();
        let cancel = top.cancel_handle();
        let other = thread::spawn({
            let (world, log) = (world.clone(), log.clone());
            move || {
                cancel.cancel();
                log.note("asked");
                world.run();
            }
        });
        gate.open();
        world.run();
        other.join().unwrap();
        world.run();
        assert!(top.is_done() && task.is_done());
        assert!(log.at("end") < log.at("child") && log.at("child") < log.at("parent"));
        let first = log.at("end") < log.at("asked");
        seen.saw(if first {
            "the end came first"
        } else {
            "the cancel came first"
        });
        drop((top, task, gate));
        world.end();
    });
}
