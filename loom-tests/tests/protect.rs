//! Protection: cleanups that run while the tree around them is cancelled.
#![cfg(taskgrove_loom)]

use loom::thread;
use std::future::pending;
use taskgrove::model::World;
use taskgrove::{finally, shielded};
use taskgrove_loom_tests::*;

/// The cleanup of a child asks its parent, which is being cancelled, and waits for the answer. The
/// parent is polled, answers, and is dropped after the child.
#[test]
fn a_parent_serves_the_cleanup_of_a_child() {
    explore(&["answered"], |seen| {
        let world = World::new();
        let log = Log::default();
        let (question, answer) = (Signal::new(), Signal::new());
        let parent = {
            let (question, answer) = (question.clone(), answer.clone());
            let dropped = OnDrop(log.clone(), "parent", Exclusive::new());
            world.handle().spawn(async move {
                let _dropped = dropped;
                question.wait().await;
                answer.send();
                pending::<()>().await;
            })
        };
        let mut child = {
            let log = log.clone();
            let cleanup = async move {
                question.send();
                answer.wait().await;
                log.note("answered");
            };
            world.spawn_under(&parent, finally(pending::<()>(), cleanup))
        };
        world.run();
        let other = thread::spawn({
            let world = world.clone();
            move || world.run()
        });
        parent.cancel();
        world.run();
        other.join().unwrap();
        world.run();
        assert!(log.at("answered") < log.at("parent"));
        assert!(ready(&mut child).unwrap_err().is_cancelled());
        seen.saw("answered");
        drop((parent, child));
        world.end();
    });
}

/// A protected task is idle when the last task below it is done, on another thread. Its cleanup runs
/// once.
#[test]
fn an_idle_protected_task_cleans_up_after_its_last_child() {
    explore(&["the child ended", "the child was dropped"], |seen| {
        let world = World::new();
        let log = Log::default();
        let gate = Gate::new();
        let mut parent = {
            let log = log.clone();
            let cleanup = async move { log.note("cleanup") };
            world.handle().spawn(finally(pending::<()>(), cleanup))
        };
        let mut child = {
            let gate = gate.clone();
            world.spawn_under(&parent, gate.pass())
        };
        world.run();
        let other = thread::spawn({
            let world = world.clone();
            move || {
                gate.open();
                world.run();
            }
        });
        parent.cancel();
        world.run();
        other.join().unwrap();
        world.run();
        log.at("cleanup");
        assert!(ready(&mut parent).unwrap_err().is_cancelled());
        seen.saw(match ready(&mut child) {
            Ok(()) => "the child ended",
            Err(_) => "the child was dropped",
        });
        drop((parent, child));
        world.end();
    });
}

/// A task is cancelled while its shield ends. The code inside always runs to its end; the code after
/// the shield runs up to its next suspension at most.
#[test]
fn what_a_shield_holds_runs_to_its_end() {
    explore(&["after it", "before it"], |seen| {
        let world = World::new();
        let log = Log::default();
        let gate = Gate::new();
        let mut task = {
            let (log, inner) = (log.clone(), gate.clone());
            let dropped = OnDrop(log.clone(), "dropped", Exclusive::new());
            world.handle().spawn(async move {
                let _dropped = dropped;
                shielded(async {
                    inner.pass().await;
                    log.note("inside");
                })
                .await;
                log.note("after");
                pending::<()>().await;
                log.note("never");
            })
        };
        world.run();
        let cancel = task.cancel_handle();
        let other = thread::spawn({
            let log = log.clone();
            move || {
                cancel.cancel();
                log.note("asked");
            }
        });
        gate.open();
        world.run();
        other.join().unwrap();
        world.run();
        assert!(ready(&mut task).unwrap_err().is_cancelled());
        assert!(log.at("inside") < log.at("after") && log.at("after") < log.at("dropped"));
        assert_eq!(log.count("never"), 0);
        let before = log.at("asked") < log.at("inside");
        seen.saw(if before { "before it" } else { "after it" });
        drop((task, gate));
        world.end();
    });
}

/// A kill overtakes a cancellation whose cleanup is running. The cleanup is dropped.
#[test]
fn a_kill_waits_for_no_cleanup() {
    explore(&["it had ended", "it was dropped"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Signal::new());
        let task = {
            let (log, inner) = (log.clone(), gate.clone());
            let dropped = OnDrop(log.clone(), "dropped", Exclusive::new());
            let cleanup = async move {
                let _dropped = dropped;
                inner.wait().await;
                log.note("cleaned up");
            };
            world.handle().spawn(finally(pending::<()>(), cleanup))
        };
        world.run();
        task.cancel();
        world.run();
        assert!(!task.is_done(), "its cleanup waits");
        let there = {
            let gate = gate.clone();
            move || {
                gate.send();
            }
        };
        race(&world, there, || {
            world.kill_all();
            world.close();
        });
        log.at("dropped");
        seen.saw(match log.count("cleaned up") {
            0 => "it was dropped",
            1 => "it had ended",
            _ => panic!("{log:?}"),
        });
        drop((task, gate));
        world.end();
    });
}
