//! `defer`: in every way a guard can be dropped.

use crate::common::suspend_times;
use crate::util::*;
use std::future::pending;
use std::sync::mpsc;
use taskgrove::{Defer, JoinError, TaskId, defer, shielded, time, yield_now};

/// A cleanup that writes this name, some suspensions later.
fn writes(log: &Log<&'static str>, name: &'static str) -> Defer {
    let log = log.clone();
    defer(async move {
        suspend_times(3).await;
        yield_now().await;
        log.push(name);
    })
}

/// At the end of a scope, and before the task is done.
#[test]
fn at_the_end_of_a_scope() {
    everywhere(async |h| {
        let log = Log::new();
        let inner = log.clone();
        let task = h.spawn(async move {
            let _cleanup = writes(&inner, "cleanup");
            2
        });
        assert_eq!(task.await.unwrap(), 2);
        assert_eq!(log.take(), ["cleanup"]);
    });
}

/// A cleanup is the task's own: it runs as that task, beside its future.
#[test]
fn it_runs_as_the_task() {
    everywhere(async |h| {
        let seen = Gift::new();
        let give = seen.clone();
        let task = h.spawn(async move {
            let read = seen.clone();
            drop(defer(async move { give.put(TaskId::current()) }));
            read.take().await
        });
        let id = task.id();
        assert_eq!(task.await.unwrap(), Some(id));
    });
}

/// By `?`.
#[test]
fn by_a_question_mark() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let log = Log::new();
        let inner = log.clone();
        let task = ctx.run_task(async move {
            let _cleanup = writes(&inner, "cleanup");
            "x".parse::<u8>()?;
            Ok(())
        });
        assert!(matches!(task.unwrap().await, Err(JoinError::Failed(_))));
        assert_eq!(log.take(), ["cleanup"]);
        m.wait_finished().await;
    });
}

/// By a panic.
#[test]
fn by_a_panic() {
    everywhere(async |h| {
        let log = Log::new();
        let inner = log.clone();
        let task = h.spawn(async move {
            let _cleanup = writes(&inner, "cleanup");
            panic!("intended")
        });
        let result: Result<(), _> = task.await;
        assert!(matches!(result, Err(JoinError::Panicked(_))));
        assert_eq!(log.take(), ["cleanup"]);
    });
}

/// By the cancellation, which it outlives.
#[test]
fn by_the_cancellation() {
    everywhere(async |h| {
        let (log, inside) = (Log::new(), Event::new());
        let (inner, set) = (log.clone(), inside.clone());
        let task = h.spawn(async move {
            let _cleanup = writes(&inner, "cleanup");
            let _guard = Writes(inner, "future");
            set.set();
            pending::<()>().await
        });
        inside.wait().await;
        task.cancel();
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
        assert_eq!(log.take(), ["future", "cleanup"]);
    });
}

/// By losing a select.
#[test]
fn by_losing_a_select() {
    everywhere(async |h| {
        let log = Log::new();
        let inner = log.clone();
        let task = h.spawn(async move {
            let loser = async {
                let _cleanup = writes(&inner, "cleanup");
                pending::<()>().await
            };
            let lost = time::timeout(std::time::Duration::ZERO, loser).await;
            assert!(lost.is_err());
        });
        task.await.unwrap();
        assert_eq!(log.take(), ["cleanup"]);
    });
}

/// While the task is being cancelled, from inside its shield.
#[test]
fn while_being_cancelled() {
    everywhere(async |h| {
        let (log, inside, go) = (Log::new(), Event::new(), Event::new());
        let (inner, set, wait) = (log.clone(), inside.clone(), go.wait());
        let task = h.spawn(shielded(async move {
            set.set();
            wait.await;
            drop(writes(&inner, "cleanup"));
        }));
        inside.wait().await;
        task.cancel();
        go.set();
        task.wait_done().await;
        assert_eq!(log.take(), ["cleanup"]);
    });
}

/// One after another, in the order of the drops.
#[test]
fn in_the_order_of_the_drops() {
    everywhere(async |h| {
        let (log, running) = (Log::new(), crate::common::Counter::new());
        let inner = log.clone();
        let task = h.spawn(async move {
            let guards: Vec<_> = (0..5)
                .map(|n| {
                    let (log, running) = (inner.clone(), running.clone());
                    defer(async move {
                        assert_eq!(running.add(), 1);
                        suspend_times(5 - n).await;
                        log.push(n);
                        assert_eq!(running.sub(), 0);
                    })
                })
                .collect();
            for guard in guards.into_iter().rev() {
                drop(guard);
            }
        });
        task.await.unwrap();
        assert_eq!(log.take(), [4, 3, 2, 1, 0]);
    });
}

/// A task is not done before its cleanups are, and neither are its ancestors.
#[test]
fn done_waits_for_the_cleanups() {
    everywhere(async |h| {
        let (go, inside) = (Event::new(), Event::new());
        let (wait, set) = (go.wait(), inside.clone());
        let task = h.spawn(async move {
            taskgrove::spawn(async move {
                drop(defer(async move {
                    set.set();
                    wait.await;
                }));
            });
        });
        inside.wait().await;
        task.cancel();
        for _ in 0..20 {
            yield_now().await;
            assert!(!task.is_done());
        }
        go.set();
        task.wait_done().await;
    });
}

/// It belongs to the task in whose poll the guard is dropped, not to the one that made it.
#[test]
fn it_belongs_to_who_drops_it() {
    everywhere(async |h| {
        let (gift, seen) = (Gift::new(), Gift::new());
        let (give, tell) = (gift.clone(), seen.clone());
        let maker = h.spawn(async move {
            give.put(defer(async move { tell.put(TaskId::current()) }));
        });
        maker.await.unwrap();
        let dropper = h.spawn(async move { drop(gift.take().await) });
        let id = dropper.id();
        dropper.await.unwrap();
        assert_eq!(seen.take().await, Some(id));
    });
}

/// Dropped in no task, it becomes a root task of the runtime it was made in: in `block_on`, or on a foreign thread.
#[test]
fn outside_it_becomes_a_root() {
    everywhere(async |h| {
        for foreign in [false, true] {
            let (gift, seen, go) = (Gift::new(), Gift::new(), Event::new());
            let (give, tell, wait) = (gift.clone(), seen.clone(), go.wait());
            let maker = h.spawn(async move {
                give.put(defer(async move {
                    tell.put(TaskId::current());
                    wait.await;
                }));
            });
            let id = maker.id();
            maker.await.unwrap();
            let guard = gift.take().await;
            if foreign {
                std::thread::spawn(move || drop(guard)).join().unwrap();
            } else {
                drop(guard);
            }
            let current = seen.take().await.unwrap();
            assert_ne!(current, id);
            let all = h.snapshot();
            let node = all.nodes().iter().find(|n| n.id == current).unwrap();
            assert_eq!((node.parent, node.path.as_str()), (None, "defer"));
            go.set();
        }
    });
}

/// Made outside a runtime, it still belongs to the task that drops it; dropped outside, it is dropped unrun.
#[test]
fn made_without_a_runtime() {
    let (ran, fallen) = (Event::new(), Event::new());
    let (set, guard) = (ran.clone(), Falls(fallen.clone()));
    drop(defer(async move {
        let _guard = guard;
        set.set();
    }));
    assert!(fallen.is_set() && !ran.is_set());
    watchdog(|| {
        let ran = Event::new();
        let set = ran.clone();
        let guard = defer(async move { set.set() });
        let rt = build(2);
        rt.block_on(rt.spawn(async move { drop(guard) })).unwrap();
        assert!(ran.is_set());
    });
}

/// Once its runtime has ended, it is dropped unrun.
#[test]
fn after_the_runtime() {
    watchdog(|| {
        for workers in [0, 2] {
            let rt = build(workers);
            let (ran, fallen) = (Event::new(), Event::new());
            let (set, guard) = (ran.clone(), Falls(fallen.clone()));
            let made = rt.block_on(async {
                defer(async move {
                    let _guard = guard;
                    set.set();
                })
            });
            drop(rt);
            assert!(!fallen.is_set());
            drop(made);
            assert!(fallen.is_set() && !ran.is_set());
        }
    });
}

/// Dropping the runtime drops cleanups: those under way and those to come.
#[test]
fn the_runtime_drops_it() {
    watchdog(|| {
        for workers in [0, 2] {
            let rt = build(workers);
            let (ran, inside) = (Event::new(), Event::new());
            let (tx, rx) = mpsc::channel::<()>();
            let (set, tell, hold) = (ran.clone(), inside.clone(), tx.clone());
            rt.spawn(async move {
                drop(defer(async move {
                    let _hold = hold;
                    tell.set();
                    pending().await
                }));
                let _later = defer(async move {
                    let _hold = tx;
                    set.set();
                });
                pending::<()>().await
            });
            rt.block_on(inside.wait());
            drop(rt);
            assert_eq!(rx.recv(), Err(mpsc::RecvError));
            assert!(!ran.is_set());
        }
    });
}

/// A panic in a cleanup is the task's: the task ends, as after a panic of its own, whether there is
/// anything below it or not.
#[test]
fn a_panic_ends_a_task_that_goes_on() {
    everywhere(async |h| {
        for children in [0, 1] {
            let task = h.spawn(async move {
                for _ in 0..children {
                    taskgrove::spawn(pending::<()>());
                }
                drop(defer(async { panic!("intended") }));
                pending::<()>().await
            });
            assert!(matches!(task.await, Err(JoinError::Panicked(_))));
        }
    });
}
