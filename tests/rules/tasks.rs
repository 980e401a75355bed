//! Section "Tasks": handles, outcomes, children.

use crate::util::*;
use std::future::pending;
use taskgrove::{JoinError, TaskId, spawn, yield_now};

/// A handle resolves to the value.
#[test]
fn a_handle_gives_the_value() {
    everywhere(async |h| {
        let task = h.spawn(async {
            yield_now().await;
            String::from("value")
        });
        assert_eq!(task.await.unwrap(), "value");
    });
}

/// The handle's id is what the task sees as its own.
#[test]
fn the_id_is_the_tasks_own() {
    everywhere(async |h| {
        let task = h.spawn(async {
            let before = TaskId::current();
            yield_now().await;
            (before, TaskId::current())
        });
        let id = Some(task.id());
        assert_eq!(task.cancel_handle().id(), task.id());
        assert!(!task.is_daemon());
        assert_eq!(task.await.unwrap(), (id, id));
    });
}

/// Dropping a handle detaches: nothing is cancelled.
#[test]
fn dropping_a_handle_detaches() {
    everywhere(async |h| {
        let (go, went) = (Event::new(), Event::new());
        let (wait, set) = (go.wait(), went.clone());
        drop(h.spawn(async move {
            wait.await;
            set.set();
        }));
        go.set();
        went.wait().await;
    });
}

/// A task is done when its future has ended and every task below it is done; then its handle resolves.
#[test]
fn done_waits_for_the_subtree() {
    everywhere(async |h| {
        let (go, spawned) = (Event::new(), Event::new());
        let (wait, set) = (go.wait(), spawned.clone());
        let mut task = h.spawn(async move {
            spawn(async move {
                spawn(wait);
            });
            set.set();
            7
        });
        spawned.wait().await;
        for _ in 0..10 {
            yield_now().await;
            assert!(!task.is_done());
            assert!(at_once(task.wait_done()).await.is_none());
            assert!(poll_once(&mut task).await.is_none());
        }
        go.set();
        task.wait_done().await;
        assert!(task.is_done() && task.cancel_handle().is_done());
        assert_eq!(task.await.unwrap(), 7);
    });
}

/// `wait_done` may be awaited by many, and does not take the result.
#[test]
fn many_may_wait() {
    everywhere(async |h| {
        let go = Event::new();
        let wait = go.wait();
        let task = std::sync::Arc::new(h.spawn(wait));
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let task = task.clone();
                h.spawn(async move { task.wait_done().await })
            })
            .collect();
        go.set();
        for waiter in waiters {
            waiter.await.unwrap();
        }
        assert!(std::sync::Arc::into_inner(task).unwrap().await.is_ok());
    });
}

/// A panic gives `Panicked` with its message and payload.
#[test]
fn a_panic_is_in_the_handle() {
    everywhere(async |h| {
        let task = h.spawn(async { panic!("intended {}", 1) });
        let Err(JoinError::Panicked(panic)) = task.await else {
            panic!("not a panic")
        };
        assert_eq!(panic.message(), "intended 1");
        assert!(panic.to_string().contains("intended 1"));
        assert_eq!(message(panic.into_payload()), "intended 1");
    });
}

/// A task that panics has its children cancelled, and its handle waits for them.
#[test]
fn a_panic_cancels_the_children() {
    everywhere(async |h| {
        let log = Log::new();
        let (inner, parked) = (log.clone(), Event::new());
        let (set, wait) = (parked.clone(), parked.wait());
        let task = h.spawn(async move {
            let guard = Writes(inner, "child");
            spawn(async move {
                let _guard = guard;
                set.set();
                pending::<()>().await
            });
            wait.await;
            panic!("intended")
        });
        let result: Result<(), _> = task.await;
        assert!(matches!(result, Err(JoinError::Panicked(_))));
        assert_eq!(log.take(), ["child"]);
    });
}

/// A supervised task that fails has its children cancelled, and its handle is `Failed`.
#[test]
fn a_failure_cancels_the_children() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let fallen = Event::new();
        let guard = Falls(fallen.clone());
        let task = ctx
            .run_task(async move {
                spawn(async move {
                    let _guard = guard;
                    pending::<()>().await
                });
                Err(boom("wrong"))
            })
            .unwrap();
        let path = String::from("app/") + task.name();
        let Err(JoinError::Failed(failure)) = task.await else {
            panic!("not failed")
        };
        assert_eq!(failure.path(), path);
        assert!(fallen.is_set());
        m.wait_finished().await;
        assert!(m.did_error());
    });
}

/// `cancel` reaches this task and its subtree, and nothing else.
#[test]
fn cancel_is_for_the_subtree() {
    everywhere(async |h| {
        let log = Log::new();
        let (a, b, c) = (
            Writes(log.clone(), "sibling"),
            Writes(log.clone(), "target"),
            Writes(log.clone(), "below"),
        );
        let (handle, parked, go) = (Gift::new(), Event::new(), Event::new());
        let (give, set, wait) = (handle.clone(), parked.clone(), go.wait());
        let root = h.spawn(async move {
            let sibling = spawn(async move {
                let _a = a;
                wait.await;
            });
            let target = spawn(async move {
                let _b = b;
                spawn(async move {
                    let _c = c;
                    set.set();
                    pending::<()>().await
                });
                pending::<()>().await
            });
            give.put(target.cancel_handle());
            (target.await, sibling.await)
        });
        parked.wait().await;
        let target = handle.take().await;
        target.cancel();
        while !target.is_done() {
            yield_now().await;
        }
        assert_eq!(log.take(), ["below", "target"]);
        assert!(!root.is_done());
        go.set();
        let (target, sibling) = root.await.unwrap();
        assert!(matches!(target, Err(JoinError::Cancelled)));
        assert!(sibling.is_ok());
        assert_eq!(log.take(), ["sibling"]);
    });
}

/// Cancelling what has ended changes nothing, and neither does doing it twice.
#[test]
fn cancelling_the_done_does_nothing() {
    everywhere(async |h| {
        let task = h.spawn(async { 3 });
        task.wait_done().await;
        task.cancel();
        task.cancel_handle().cancel();
        assert_eq!(task.await.unwrap(), 3);
        let task = h.spawn(pending::<()>());
        task.cancel();
        task.cancel();
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
    });
}

/// A task cancelled before its first poll is never polled, and its future is dropped.
#[test]
fn cancelled_before_the_first_poll() {
    on(0, async |h| {
        let (polled, fallen) = (Event::new(), Event::new());
        let (set, guard) = (polled.clone(), Falls(fallen.clone()));
        let task = h.spawn(async move {
            let _guard = guard;
            set.set();
        });
        task.cancel();
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
        assert!(fallen.is_set() && !polled.is_set());
    });
}

/// `cancel_on_drop` cancels when it is dropped, and is the task otherwise.
#[test]
fn cancel_on_drop() {
    everywhere(async |h| {
        let task = h.spawn(pending::<()>());
        let handle = task.cancel_handle();
        let guard = task.cancel_on_drop();
        assert_eq!(guard.id(), handle.id());
        drop(guard);
        while !handle.is_done() {
            yield_now().await;
        }
        assert_eq!(h.spawn(async { 1 }).cancel_on_drop().await.unwrap(), 1);
    });
}

/// Raw tasks of a service are in the tree and go with it, but are neither counted nor limited, and their panics stay their own.
#[test]
fn raw_tasks_are_unsupervised() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let parked = Event::new();
        let (set, fallen) = (parked.clone(), Event::new());
        let guard = Falls(fallen.clone());
        let result = Gift::new();
        let give = result.clone();
        ctx.run_task(async move {
            for _ in 0..5 {
                spawn(pending::<()>());
            }
            give.put(spawn(async { panic!("intended") }).await.map(|()| 0));
            let _inside = spawn(async move {
                let _guard = guard;
                set.set();
                pending::<()>().await
            });
            pending().await
        })
        .unwrap();
        parked.wait().await;
        assert!(matches!(result.take().await, Err(JoinError::Panicked(_))));
        assert!(m.is_running() && !m.is_cancelled());
        assert_eq!(m.stats().tasks.total_count, 1);
        assert_eq!(m.snapshot().nodes().len(), 8);
        m.stop().await.unwrap();
        assert!(fallen.is_set() && !m.did_error());
    });
}
