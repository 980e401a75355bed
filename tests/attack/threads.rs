//! Threads that come and go.

use crate::common::{Event, LIMIT, watchdog};
use std::cell::OnceCell;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::{Duration, Instant};
use taskgrove::{Runtime, spawn, time};

fn threadless() -> Arc<Runtime> {
    Arc::new(Runtime::builder().workers(0).build().expect("a runtime"))
}

/// A thread in `block_on` that cannot have the core takes nothing from the one that has it: while that
/// one is in a poll, the other polls its own future only, however often it asks for the core.
#[test]
fn a_thread_that_cannot_drive_leaves_the_driver_alone() {
    watchdog(|| {
        let runtime = threadless();
        let (inside, leave) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let polled = Arc::new(AtomicBool::new(false));
        std::thread::scope(|scope| {
            let first = {
                let (inside, leave, polled) = (inside.clone(), leave.clone(), polled.clone());
                let runtime = &runtime;
                scope.spawn(move || {
                    runtime.block_on(async move {
                        let blocks = spawn(async move {
                            let other = spawn(async move { polled.store(true, Ordering::SeqCst) });
                            inside.wait();
                            leave.wait();
                            other.await
                        });
                        blocks.await
                    })
                })
            };
            inside.wait();
            runtime.block_on(async {
                for _ in 0..1000 {
                    taskgrove::yield_now().await;
                }
            });
            let was_polled = polled.load(Ordering::SeqCst);
            leave.wait();
            assert!(first.join().expect("the first").is_ok());
            assert!(!was_polled, "two threads had the core");
            assert!(polled.load(Ordering::SeqCst));
        });
    });
}

/// Three threads in `block_on` of a runtime without threads. The first drives; it ends, and with
/// it the second's future. Then the third has to drive.
#[test]
fn the_core_is_passed_on_past_a_thread_that_leaves() {
    watchdog(|| {
        for _ in 0..200 {
            let runtime = threadless();
            let (leave, others, last) = (Event::new(), Event::new(), Event::new());
            let driving = Event::new();
            std::thread::scope(|scope| {
                let first = scope.spawn(|| {
                    runtime.block_on(async {
                        taskgrove::yield_now().await;
                        driving.set();
                        leave.wait().await;
                        // Wakes the second, and is over.
                        others.set();
                    });
                });
                while !driving.is_set() {
                    std::thread::yield_now();
                }
                let second = scope.spawn(|| runtime.block_on(others.wait()));
                while others.waiters() < 1 {
                    std::thread::yield_now();
                }
                // So that it sleeps before the third does.
                for _ in 0..200 {
                    std::thread::yield_now();
                }
                let third = scope.spawn(|| {
                    runtime.block_on(async {
                        let last = last.clone();
                        let waits = spawn(async move { last.wait().await });
                        waits.await
                    })
                });
                while last.waiters() < 1 {
                    std::thread::yield_now();
                }
                for _ in 0..200 {
                    std::thread::yield_now();
                }
                leave.set();
                first.join().expect("the first");
                second.join().expect("the second");
                last.set();
                let ended = third.join().expect("the third");
                assert!(ended.is_ok());
            });
        }
    });
}

thread_local! {
    static OF_THREAD: OnceCell<Runtime> = const { OnceCell::new() };
}

/// The process in which a thread owns a runtime in a thread-local, or uses one from there.
#[test]
fn child_process_with_a_runtime_in_a_thread_local() {
    let Ok(how) = std::env::var("TASKGROVE_ATTACK_TLS") else {
        return;
    };
    let thread = std::thread::spawn(move || {
        OF_THREAD.with(|cell| {
            let workers = usize::from(how == "threads");
            let runtime = Runtime::builder().workers(workers).build();
            let runtime = cell.get_or_init(|| runtime.expect("a runtime"));
            let sum = runtime.block_on(async {
                drop(spawn(pending::<()>()));
                spawn(async { 1 + 2 }).await
            });
            assert_eq!(sum.expect("not cancelled"), 3);
        });
    });
    thread.join().expect("the thread");
}

fn run_child(how: &str) {
    let this = std::env::current_exe().expect("this test");
    let out = std::process::Command::new(this)
        .args([
            "--exact",
            "threads::child_process_with_a_runtime_in_a_thread_local",
        ])
        .arg("--nocapture")
        .env("TASKGROVE_ATTACK_TLS", how)
        .output()
        .expect("a process");
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}\n{text}", out.status);
}

#[test]
fn a_threadless_runtime_can_be_dropped_as_a_thread_local() {
    run_child("none");
}

#[test]
fn a_runtime_can_be_dropped_as_a_thread_local() {
    run_child("threads");
}

/// On its own worker, though inside another runtime: it stops everything without joining.
#[test]
fn a_runtime_dropped_on_its_own_worker_inside_another_runtime_is_not_joined() {
    watchdog(|| {
        let outer = Runtime::builder().workers(1).build().expect("a runtime");
        let handle = outer.handle().clone();
        let cell = Arc::new(Mutex::new(None));
        let own = cell.clone();
        let (tx, rx) = mpsc::channel();
        let go = Event::new();
        let wait = go.clone();
        let task = handle.spawn(async move {
            wait.wait().await;
            let inner = threadless();
            let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                inner.block_on(async {
                    taskgrove::yield_now().await;
                    drop(own.lock().expect("not poisoned").take());
                });
            }));
            tx.send(dropped.is_ok()).expect("received");
        });
        drop(task);
        *cell.lock().expect("not poisoned") = Some(outer);
        go.set();
        assert!(rx.recv_timeout(LIMIT / 2).expect("no end"), "it panicked");
    });
}

/// On a worker of the same runtime, though inside another runtime, `block_on` panics.
#[test]
fn block_on_inside_another_runtime_on_a_worker_of_the_same_panics() {
    watchdog(|| {
        let outer = Arc::new(Runtime::builder().workers(1).build().expect("a runtime"));
        let again = outer.clone();
        let (tx, rx) = mpsc::channel();
        let task = outer.spawn(async move {
            let inner = threadless();
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                inner.block_on(async {
                    taskgrove::yield_now().await;
                    let other = again.spawn(async {});
                    let _ = again.block_on(other);
                });
            }));
            std::mem::forget(again);
            tx.send(run.is_err()).expect("received");
        });
        drop(task);
        let panicked = rx.recv_timeout(Duration::from_secs(10));
        std::mem::forget(outer);
        assert_eq!(panicked, Ok(true), "it has hung, or did not panic");
    });
}

/// A thread that is stuck in a poll is left behind, whatever timers still tick.
#[test]
fn a_shutdown_leaves_a_stuck_thread_behind_while_timers_fire() {
    watchdog(|| {
        let runtime = Runtime::builder().workers(2).build().expect("a runtime");
        let mut ticks = runtime.block_on(async { time::interval(Duration::from_millis(20)) });
        let (stuck, free) = (Event::new(), Arc::new(AtomicBool::new(false)));
        let (told, until) = (stuck.clone(), free.clone());
        drop(runtime.spawn(async move {
            told.set();
            while !until.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
        }));
        runtime.block_on(stuck.wait());
        let begun = Arc::new(Barrier::new(2));
        let (ready, until) = (begun.clone(), free.clone());
        let ticking = std::thread::spawn(move || {
            let other = threadless();
            other.block_on(async {
                ticks.tick().await;
                ready.wait();
                while !until.load(Ordering::Acquire) {
                    ticks.tick().await;
                }
            });
        });
        begun.wait();
        let (tx, rx) = mpsc::channel();
        let shutdown = std::thread::spawn(move || {
            let begun = Instant::now();
            let left = runtime.shutdown_timeout(Duration::from_millis(10));
            let _ = tx.send((left.is_err(), begun.elapsed()));
        });
        let ended = rx.recv_timeout(Duration::from_secs(10));
        free.store(true, Ordering::Release);
        shutdown.join().expect("the shutdown");
        ticking.join().expect("the ticks");
        assert!(ended.is_ok(), "it waited for the stuck thread");
    });
}
