//! The end of a runtime: drop, `shutdown_timeout`, and handles that outlive it.

use crate::common::{Counter, OnDrop};
use crate::util::*;
use std::future::pending;
use std::sync::mpsc;
use std::time::Duration;
use taskgrove::{
    JoinError, LifecycleError, NodeState, defer, finally, service_fn, shielded, spawn, yield_now,
};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(50);

/// Dropping the runtime waits for no shield or cleanup: every future is dropped, leaves first.
#[test]
fn drop_waits_for_nothing() {
    watchdog(|| {
        for workers in [0, 1, 2] {
            let rt = build(workers);
            let (log, inside) = (Log::new(), [(); 3].map(|()| Event::new()));
            let names = ["root", "shield", "body"].map(|name| Writes(log.clone(), name));
            let [a, b, c] = names;
            let [x, y, z] = inside.clone();
            let unrun = Event::new();
            let (set, also) = (unrun.clone(), unrun.clone());
            rt.spawn(async move {
                let _a = a;
                let _deferred = defer(async move { also.set() });
                spawn(shielded(async move {
                    let _b = b;
                    x.set();
                    pending::<()>().await
                }));
                spawn(finally(
                    async move {
                        let _c = c;
                        y.set();
                        pending::<()>().await
                    },
                    async move { set.set() },
                ));
                z.set();
                pending::<()>().await
            });
            rt.block_on(async {
                for event in inside {
                    event.wait().await;
                }
            });
            drop(rt);
            let log = log.take();
            assert_eq!(log.len(), 3);
            assert_eq!(log[2], "root");
            assert!(!unrun.is_set());
        }
    });
}

/// A task stuck in a poll holds up the drop, and its ancestors' futures.
#[test]
fn drop_waits_for_a_poll() {
    watchdog(|| {
        let rt = build(2);
        let (release, stuck) = mpsc::channel::<()>();
        let (parent, other, inside) = (Event::new(), Event::new(), Event::new());
        let (a, b, set) = (Falls(parent.clone()), Falls(other.clone()), inside.clone());
        rt.spawn(async move {
            let _a = a;
            let child = async move {
                set.set();
                let _ = stuck.recv();
                pending::<()>().await
            };
            spawn(child);
            pending::<()>().await
        });
        rt.spawn(async move {
            let _b = b;
            pending::<()>().await
        });
        rt.block_on(inside.wait());
        let ended = Event::new();
        let set = ended.clone();
        let dropper = std::thread::spawn(move || {
            drop(rt);
            set.set();
        });
        let (tx, rx) = mpsc::channel();
        let waiter = std::thread::spawn(move || {
            let own = build(0);
            own.block_on(other.wait());
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
        assert!(!ended.is_set() && !parent.is_set());
        drop(release);
        dropper.join().unwrap();
        waiter.join().unwrap();
        assert!(ended.is_set() && parent.is_set());
    });
}

/// `shutdown_timeout` waits for what is protected.
#[test]
fn shutdown_waits_for_the_protected() {
    watchdog(|| {
        for workers in [0, 2] {
            let rt = build(workers);
            let (log, inside) = (Log::new(), [(); 3].map(|()| Event::new()));
            let (a, b, c) = (log.clone(), log.clone(), log.clone());
            let [x, y, z] = inside.clone();
            rt.spawn(shielded(async move {
                x.set();
                taskgrove::time::sleep(SHORT).await;
                a.push(1);
            }));
            let body = async move {
                y.set();
                pending::<()>().await
            };
            rt.spawn(finally(body, async move {
                yield_now().await;
                b.push(1);
            }));
            rt.spawn(async move {
                let _cleanup = defer(async move {
                    yield_now().await;
                    c.push(1);
                });
                z.set();
                pending::<()>().await
            });
            rt.block_on(async {
                for event in inside {
                    event.wait().await;
                }
            });
            rt.shutdown_timeout(LONG).unwrap();
            assert_eq!(log.take(), [1, 1, 1]);
        }
    });
}

/// What has not ended in time is reported, and dropped all the same.
#[test]
fn shutdown_reports_what_was_left() {
    watchdog(|| {
        for workers in [0, 2] {
            let rt = build(workers);
            let (fallen, inside) = (Event::new(), Event::new());
            let (guard, set) = (Falls(fallen.clone()), inside.clone());
            let body = shielded(async move {
                let _guard = guard;
                set.set();
                pending::<()>().await
            });
            rt.task(body).name("stubborn").spawn();
            rt.task(pending::<()>()).name("meek").spawn();
            rt.block_on(inside.wait());
            let left = rt.shutdown_timeout(SHORT).unwrap_err();
            let nodes = left.remaining.nodes();
            assert_eq!(nodes.len(), 1);
            assert_eq!(nodes[0].path, "stubborn");
            assert!(left.to_string().contains("stubborn"));
            assert!(fallen.is_set());
        }
    });
}

/// A thread that is stuck in a poll is left behind, and its task is reported.
#[test]
fn shutdown_leaves_a_stuck_thread() {
    watchdog(|| {
        let rt = build(2);
        let (release, stuck) = mpsc::channel::<()>();
        let inside = Event::new();
        let set = inside.clone();
        let (tx, rx) = mpsc::channel::<()>();
        let stuck = async move {
            let _tx = tx;
            set.set();
            let _ = stuck.recv();
        };
        let task = rt.task(stuck).name("stuck").spawn();
        rt.block_on(inside.wait());
        let left = rt.shutdown_timeout(SHORT).unwrap_err();
        let node = &left.remaining.nodes()[0];
        assert_eq!((node.path.as_str(), node.id), ("stuck", task.id()));
        assert_eq!(node.state, NodeState::Running);
        drop(release);
        assert_eq!(rx.recv(), Err(mpsc::RecvError));
    });
}

/// Workers that drop one future after another get on, however long all of that takes.
#[test]
fn shutdown_waits_while_futures_are_dropped() {
    const TASKS: usize = 60;
    const DROP: Duration = Duration::from_millis(5);
    watchdog(|| {
        for workers in [1, 2] {
            let rt = build(workers);
            let (there, fallen) = (Counter::new(), Counter::new());
            for _ in 0..TASKS {
                let (there, fallen) = (there.clone(), fallen.clone());
                let guard = OnDrop::new(move || {
                    std::thread::sleep(DROP);
                    fallen.add();
                });
                rt.spawn(async move {
                    let _guard = guard;
                    there.add();
                    pending::<()>().await
                });
            }
            rt.block_on(async {
                while there.get() < TASKS {
                    yield_now().await;
                }
            });
            // Nothing is waited for, but the drops themselves.
            let _ = rt.shutdown_timeout(Duration::ZERO);
            assert_eq!(fallen.get(), TASKS);
        }
    });
}

/// A runtime with nothing in it shuts down at once.
#[test]
fn an_idle_shutdown() {
    watchdog(|| {
        for workers in [0, 1, 2] {
            build(workers).shutdown_timeout(Duration::ZERO).unwrap();
        }
    });
}

/// A runtime dropped on one of its own workers stops everything, and joins nothing.
#[test]
fn dropped_on_its_own_worker() {
    watchdog(|| {
        for workers in [1, 2] {
            let rt = build(workers);
            let h = rt.handle().clone();
            let (tx, rx) = mpsc::channel::<()>();
            let (guard, inside) = (tx.clone(), Event::new());
            let set = inside.clone();
            h.spawn(async move {
                let _guard = guard;
                set.set();
                pending::<()>().await
            });
            rt.block_on(inside.wait());
            h.spawn(async move {
                let _guard = tx;
                drop(rt);
                pending::<()>().await
            });
            assert_eq!(rx.recv(), Err(mpsc::RecvError));
        }
    });
}

/// A handle may outlive the runtime: `spawn` gives a cancelled task, `start` is `NotRunning`, the snapshot is empty.
#[test]
fn a_handle_outlives_it() {
    watchdog(|| {
        for workers in [0, 2] {
            let rt = build(workers);
            let h = rt.handle().clone();
            h.spawn(pending::<()>());
            drop(rt);
            let fallen = Event::new();
            let guard = Falls(fallen.clone());
            let task = h.spawn(async move {
                let _guard = guard;
                pending::<()>().await
            });
            assert!(task.is_done() && fallen.is_set());
            let result = build(0).block_on(task);
            assert!(matches!(result, Err(JoinError::Cancelled)));
            let named = h.task(async {}).name("late").spawn();
            assert!(named.is_done());
            let refused = h.start(service_fn("late", |_| async { Ok(()) }));
            assert_eq!(
                refused.unwrap_err(),
                LifecycleError::NotRunning {
                    service: "late".into()
                }
            );
            assert!(h.snapshot().is_empty());
        }
    });
}

/// Handles to tasks of a dropped runtime resolve.
#[test]
fn handles_resolve_after_the_drop() {
    watchdog(|| {
        for workers in [0, 2] {
            let rt = build(workers);
            let task = rt.spawn(pending::<()>());
            let m = rt.start(service_fn("app", |_| pending())).unwrap();
            drop(rt);
            assert!(task.is_done());
            let other = build(0);
            other.block_on(task.wait_done());
            other.block_on(m.wait_finished());
            assert!(m.is_finished() && !m.did_error());
        }
    });
}
