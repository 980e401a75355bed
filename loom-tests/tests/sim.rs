//! A simulation, and another thread that takes a snapshot, spawns, wakes, cancels or completes.
#![cfg(taskgrove_loom)]

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use taskgrove::Handle;
use taskgrove::model::World;
use taskgrove::sim::{Sim, external_work};
use taskgrove::{Task, time};
use taskgrove_loom_tests::*;

/// Creates a simulation with a task that notes its polls and its drop, and waits for the signal.
fn idle(log: &Log, signal: &Signal) -> (Sim, Task<()>) {
    assert_eq!(World::slots(), 0, "a model begins");
    let sim = Sim::new(1);
    let task = sim
        .handle()
        .spawn(noted(log, "poll", "drop", signal.wait()));
    let polled = log.clone();
    sim.block_on(poll_fn(move |cx| {
        if polled.count("poll") > 0 {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    }));
    (sim, task)
}

/// Drops a simulation while another thread calls `there`. The task's future is dropped once, before
/// the simulation is gone, and nothing is left.
fn drop_against(
    log: &Log,
    signal: Signal,
    sim: Sim,
    task: Task<()>,
    there: impl FnOnce() + Send + 'static,
) {
    let other = thread::spawn(there);
    drop(sim);
    // Noted once: the future was dropped with the simulation, although the other thread goes on.
    log.at("drop");
    assert!(task.is_done());
    other.join().unwrap();
    drop((task, signal));
    assert_eq!(World::slots(), 0, "slots are left");
}

#[test]
fn a_drop_waits_for_a_snapshot() {
    explore(&["seen", "not seen"], |seen| {
        let (log, signal) = (Log::default(), Signal::new());
        let (sim, task) = idle(&log, &signal);
        let (handle, outcome) = (sim.handle().clone(), seen.clone());
        drop_against(&log, signal, sim, task, move || {
            let empty = handle.snapshot().is_empty();
            outcome.saw(if empty { "not seen" } else { "seen" });
        });
    });
}

#[test]
fn a_drop_waits_for_a_wake() {
    explore(&["woken", "dropped"], |seen| {
        let (log, signal) = (Log::default(), Signal::new());
        let (sim, task) = idle(&log, &signal);
        let sent = signal.clone();
        let noted = log.clone();
        drop_against(&log, signal, sim, task, move || {
            sent.send();
            noted.note("sent");
        });
        seen.saw(if log.at("sent") < log.at("drop") {
            "woken"
        } else {
            "dropped"
        });
    });
}

#[test]
fn a_drop_waits_for_a_spawn() {
    explore(&["in time", "late"], |seen| {
        let (log, signal) = (Log::default(), Signal::new());
        let (sim, task) = idle(&log, &signal);
        let (handle, outcome, second) = (sim.handle().clone(), seen.clone(), Log::default());
        let noted_there = second.clone();
        drop_against(&log, signal, sim, task, move || {
            let task = handle.spawn(noted(&noted_there, "poll", "drop", pending::<()>()));
            outcome.saw(if task.is_done() { "late" } else { "in time" });
        });
        second.at("drop");
        assert_eq!(second.count("poll"), 0, "nothing is polled any more");
    });
}

#[test]
fn a_drop_waits_for_a_cancel() {
    explore(&["before its end", "after it"], |seen| {
        let (log, signal) = (Log::default(), Signal::new());
        let (sim, task) = idle(&log, &signal);
        let (cancel, outcome) = (task.cancel_handle(), seen.clone());
        drop_against(&log, signal, sim, task, move || {
            let done = cancel.is_done();
            cancel.cancel();
            outcome.saw(if done { "after it" } else { "before its end" });
        });
    });
}

/// A thread that takes a snapshot pins the task as it ends. The simulation waits for that thread: it
/// neither reports a deadlock nor lets time pass (each would be a panic).
#[test]
fn a_snapshot_lets_no_time_pass() {
    for with_timeout in [false, true] {
        explore_within(2, &["seen", "not seen"], move |seen| {
            let (log, signal) = (Log::default(), Signal::new());
            let (sim, task) = idle(&log, &signal);
            let (handle, outcome) = (sim.handle().clone(), seen.clone());
            let other = thread::spawn(move || {
                let empty = handle.snapshot().is_empty();
                outcome.saw(if empty { "not seen" } else { "seen" });
            });
            signal.send();
            sim.block_on(async {
                if with_timeout {
                    let long = std::time::Duration::from_secs(1);
                    let in_time = time::timeout(long, task.wait_done()).await;
                    in_time.expect("that takes no time");
                } else {
                    task.wait_done().await;
                }
            });
            assert!(sim.elapsed().is_zero());
            other.join().unwrap();
            drop(sim);
            drop((task, signal));
            log.at("drop");
            assert_eq!(World::slots(), 0, "slots are left");
        });
    }
}

/// The simulation waits for a future that another thread completes while that thread's work is
/// announced.
#[test]
fn announced_work_is_waited_for() {
    explore(&["there", "waited for"], |seen| {
        let (log, signal) = (Log::default(), Signal::new());
        let (sim, task) = idle(&log, &signal);
        let polls = log.count("poll");
        let sent = signal.clone();
        let noted = log.clone();
        let other = sim.block_on(async {
            let work = external_work();
            thread::spawn(move || {
                sent.send();
                noted.note("sent");
                drop(work);
            })
        });
        let there = log.count("sent") == 1;
        seen.saw(if there { "there" } else { "waited for" });
        sim.block_on(task).unwrap();
        assert_eq!(log.count("poll"), polls + 1);
        other.join().unwrap();
        drop(sim);
        drop(signal);
        assert_eq!(World::slots(), 0, "slots are left");
    });
}

/// The simulation runs a task that another thread spawns while that thread's work is announced.
#[test]
fn a_task_that_announced_work_spawns_runs() {
    explore(&["7"], |seen| {
        assert_eq!(World::slots(), 0, "a model begins");
        let sim = Sim::new(1);
        let (handle, work): (Handle, _) =
            sim.block_on(async { (Handle::current(), external_work()) });
        let signal = Signal::new();
        let sent = signal.clone();
        let other = thread::spawn(move || {
            let task = handle.spawn(async { 7 });
            sent.send();
            drop(work);
            task
        });
        sim.block_on(signal.wait());
        let task = other.join().unwrap();
        assert_eq!(sim.block_on(task).unwrap(), 7);
        seen.saw("7");
        drop(sim);
        drop(signal);
        assert_eq!(World::slots(), 0, "slots are left");
    });
}

/// Another thread wakes the main future twice and writes in between. The second wake may come while the
/// simulation takes note of the first; a poll that follows sees what was written.
#[test]
fn a_wake_that_follows_a_wake_is_not_lost() {
    explore(&["1 poll", "2 polls", "3 polls"], |seen| {
        assert_eq!(World::slots(), 0, "a model begins");
        let sim = Sim::new(1);
        let value = Arc::new(AtomicUsize::new(0));
        let mut other = None;
        let mut polls = 0;
        sim.block_on(poll_fn(|cx| {
            polls += 1;
            other.get_or_insert_with(|| {
                let (work, waker, value) = (external_work(), cx.waker().clone(), value.clone());
                thread::spawn(move || {
                    waker.wake_by_ref();
                    // Relaxed: the wake alone makes it visible.
                    value.store(1, Ordering::Relaxed);
                    waker.wake();
                    drop(work);
                })
            });
            match value.load(Ordering::Relaxed) {
                1 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        }));
        seen.saw(["1 poll", "2 polls", "3 polls"][polls - 1]);
        other.unwrap().join().unwrap();
        drop(sim);
        assert_eq!(World::slots(), 0, "slots are left");
    });
}
