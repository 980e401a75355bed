//! `cancel_cause`: why something is being cancelled.

use crate::util::*;
use std::future::pending;
use std::time::Duration;
use taskgrove::{
    CancelCause, CauseKind, Context, Manager, StopError, background_service, cancel_cause, defer,
    finally, service_fn, shielded, spawn, time, yield_now,
};

const LONG: Duration = Duration::from_secs(50);

#[track_caller]
fn says(cause: Option<CancelCause>, begins: &str, has: &str) {
    let cause = cause.expect("there is a cause");
    let text = cause.to_string();
    assert!(text.starts_with(begins), "{text} / {begins}");
    assert!(text.contains(has), "{text} / {has}");
    assert!(!text.contains('\n'), "{text}");
}

/// Each call says which it was, and where it was made.
#[test]
fn a_cause_names_the_call_and_its_place() {
    everywhere(async |h| {
        let (m, _ctx) = app(&h).await;
        assert!(m.cancel_cause().is_none());
        let line = line!() + 1;
        m.cancel().unwrap();
        says(m.cancel_cause(), "app: cancel() at ", file!());
        m.stop().await.unwrap();
        let cause = m.cancel_cause().unwrap();
        assert!(matches!(cause.kind(), CauseKind::Requested));
        assert_eq!(cause.location().unwrap().line(), line);
        assert_eq!(cause.location().unwrap().file(), file!());

        let (m, _ctx) = app(&h).await;
        let (stop, line) = (m.stop(), line!());
        stop.await.unwrap();
        says(m.cancel_cause(), "app: stop() at ", file!());
        assert_eq!(m.cancel_cause().unwrap().location().unwrap().line(), line);

        let (m, _ctx) = app(&h).await;
        m.cancel_with(format!("reload {}", 2)).unwrap();
        says(m.cancel_cause(), "app: cancel_with() at ", ": \"reload 2\"");
        m.wait_finished().await;
        assert_eq!(m.cancel_cause().unwrap().reason(), Some("reload 2"));
        assert_eq!(m.cancel_cause().unwrap().path(), "app");

        let (m, _ctx) = app(&h).await;
        m.kill().unwrap();
        assert!(matches!(
            m.cancel_cause().unwrap().kind(),
            CauseKind::Killed
        ));
        says(m.cancel_cause(), "app: kill() at ", file!());
        m.wait_finished().await;
    });
}

/// A task without children is cancelled in one step; its handle has the cause, before and after its end.
#[test]
fn a_leaf_has_its_cause() {
    everywhere(async |h| {
        let task = h.spawn(pending::<()>());
        assert!(task.cancel_cause().is_none());
        task.cancel();
        says(task.cancel_cause(), "Pending: cancel() at ", file!());
        task.wait_done().await;
        says(task.cancel_cause(), "Pending: cancel() at ", file!());
        let gift = Gift::new();
        let give = gift.clone();
        let parent = h.spawn(async move {
            give.put(spawn(pending::<()>()));
            pending::<()>().await;
        });
        let inner = gift.take().await;
        inner.cancel_handle().cancel();
        inner.wait_done().await;
        says(inner.cancel_cause(), "../Pending: cancel() at ", file!());
        drop(parent.cancel_on_drop());
        let done = h.spawn(async {});
        done.wait_done().await;
        done.cancel_with("too late");
        assert!(done.cancel_cause().is_none(), "it was not cancelled");
    });
}

/// Who asks below the target finds the cause above; the first that reached a task stays.
#[test]
fn a_look_walks_up_to_the_nearest() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, seen): (Event, Gift<Option<CancelCause>>) = (Event::new(), Gift::new());
        let (set, give, inner) = (inside.clone(), seen.clone(), ctx.clone());
        let hold = Event::new();
        let go = hold.clone();
        let outer = ctx
            .task::<_, ()>(async move {
                let cleanup = async move {
                    hold.wait().await;
                    give.put(cancel_cause());
                };
                let child = inner.task::<_, ()>(async move {
                    let body = async move {
                        set.set();
                        pending::<()>().await
                    };
                    finally(body, cleanup).await;
                    Ok(())
                });
                child.name("child").spawn()?;
                pending().await
            })
            .name("outer")
            .spawn()
            .unwrap();
        inside.wait().await;
        outer.cancel_with("first");
        the_turn_has_come().await;
        m.cancel_with("second").unwrap();
        outer.cancel_with("third");
        let before = m.cancel_cause();
        m.cancel().unwrap();
        assert_eq!(m.cancel_cause(), before, "the first stays");
        go.set();
        let cause = seen.take().await.unwrap();
        assert_eq!((cause.path(), cause.reason()), ("app/outer", Some("first")));
        assert_eq!(outer.cancel_cause().unwrap().reason(), Some("first"));
        assert_eq!(m.cancel_cause().unwrap().reason(), Some("second"));
        m.wait_finished().await;
        assert_eq!(m.cancel_cause().unwrap().reason(), Some("second"));
    });
}

/// Waiters for the cancellation, graceful tasks, deferred cleanups and destructors see it.
#[test]
fn whoever_still_runs_may_ask() {
    struct Asks(Log<Option<CancelCause>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.push(cancel_cause());
        }
    }
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (log, inside) = (Log::new(), [Event::new(), Event::new(), Event::new()]);
        let (all, waits, set) = (log.clone(), ctx.clone(), inside[0].clone());
        let graceful = ctx.task::<_, ()>(async move {
            set.set();
            waits.cancelled().await;
            all.push(cancel_cause());
            Ok(())
        });
        graceful.grace(LONG).spawn().unwrap();
        let (all, set) = (log.clone(), inside[1].clone());
        ctx.run_task(async move {
            let deferred = all.clone();
            let _guard = defer(async move { deferred.push(cancel_cause()) });
            let _asks = Asks(all);
            set.set();
            pending().await
        })
        .unwrap();
        let (all, waits, set) = (log.clone(), ctx.clone(), inside[2].clone());
        ctx.run_task(shielded(async move {
            set.set();
            waits.cancelled().await;
            all.push(cancel_cause());
            Ok(())
        }))
        .unwrap();
        for event in &inside {
            event.wait().await;
        }
        assert!(cancel_cause().is_none(), "this is no task");
        m.cancel_with("over").unwrap();
        m.wait_finished().await;
        let seen = log.read();
        assert_eq!(seen.len(), 4);
        for cause in seen {
            let cause = cause.unwrap();
            assert_eq!((cause.path(), cause.reason()), ("app", Some("over")));
        }
    });
}

/// A failure is the cause of its service, and of those around it.
#[test]
fn a_failure_is_a_cause() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let gift = Gift::new();
        let (give, stubborn) = (gift.clone(), Event::new());
        let wait = stubborn.wait();
        let db = ctx
            .run_child_service(service_fn("db", |ctx: Context| async move {
                ctx.run_task(shielded(async move {
                    wait.await;
                    Ok(())
                }))?;
                give.put(ctx);
                pending().await
            }))
            .unwrap();
        let inner = gift.take().await;
        let beside = ctx.task::<_, ()>(pending()).spawn().unwrap();
        inner
            .task::<_, ()>(async { Err(boom("no\ndisk")) })
            .name("write")
            .spawn()
            .unwrap();
        beside.wait_done().await;
        for (manager, path) in [(&db, "app/db"), (&m, "app")] {
            let cause = manager.cancel_cause().unwrap();
            let CauseKind::Failed(failure) = cause.kind() else {
                panic!("{cause}")
            };
            assert_eq!((cause.path(), failure.path()), (path, "app/db/write"));
            assert!(cause.location().is_none() && cause.reason().is_none());
            says(Some(cause), path, "no; disk");
        }
        stubborn.set();
        m.wait_finished().await;
        says(m.cancel_cause(), "app: `app/db/write`", "failed: no; disk");
    });
}

/// A service that only waits for a child service ends with it, and knows the cause: its failure is that of the child.
#[test]
fn a_service_that_ends_with_its_child_has_the_cause() {
    everywhere(async |h| {
        let (go, gift) = (Event::new(), Gift::new());
        let (wait, give) = (go.wait(), gift.clone());
        let app = service_fn("app", async move |ctx: Context| {
            let middle = service_fn("middle", async move |ctx: Context| {
                let db = service_fn("db", async move |_| {
                    wait.await;
                    Err(boom("no disk"))
                });
                ctx.run_child_service(db)?;
                Ok(())
            });
            give.put(ctx.run_child_service(middle)?);
            Ok(())
        });
        let app = h.start(app).unwrap();
        let middle: Manager = gift.take().await;
        while middle.stats().tasks.total_count == 0 {
            yield_now().await;
        }
        the_turn_has_come().await;
        go.set();
        app.wait_finished().await;
        for manager in [&middle, &app] {
            assert!(manager.is_cancelled());
            let cause = manager.cancel_cause().unwrap();
            let CauseKind::Failed(failure) = cause.kind() else {
                panic!("{cause}")
            };
            assert_eq!(failure.path(), "app/middle/db");
        }
    });
}

/// The panic of a raw task is the cause of what it had below.
#[test]
fn the_panic_of_a_raw_task_is_a_cause() {
    everywhere(async |h| {
        let gift = Gift::new();
        let give = gift.clone();
        let task = h.spawn(async move {
            let (inside, seen) = (Event::new(), Gift::new());
            let (set, put) = (inside.clone(), seen.clone());
            spawn(async move {
                let cleanup = async move { put.put(cancel_cause()) };
                let body = async move {
                    set.set();
                    pending::<()>().await
                };
                finally(body, cleanup).await;
            });
            inside.wait().await;
            give.put(seen);
            panic!("intended");
        });
        let cause = gift.take().await.take().await.unwrap();
        assert!(matches!(cause.kind(), CauseKind::Failed(_)), "{cause}");
        assert!(task.await.unwrap_err().is_panic());
    });
}

/// Drops of what owns a task or a service are causes; so is the end of the body of `background_service`.
#[test]
fn a_drop_is_a_cause() {
    everywhere(async |h| {
        let (gift, inside) = (Gift::new(), Event::new());
        let (give, set) = (gift.clone(), inside.clone());
        let task = h.spawn(async move {
            let body = async move {
                set.set();
                pending::<()>().await
            };
            finally(body, async move { give.put(cancel_cause()) }).await;
        });
        inside.wait().await;
        drop(task.cancel_on_drop());
        let cause = gift.take().await.unwrap();
        assert!(matches!(cause.kind(), CauseKind::Dropped), "{cause}");

        let service = service_fn("idle", async |_| pending().await);
        let m = Manager::new(service).unwrap();
        let _ = at_once(m.run()).await;
        m.wait_finished().await;
        let cause = m.cancel_cause().unwrap();
        assert!(matches!(cause.kind(), CauseKind::Dropped), "{cause}");

        let service = service_fn("idle", async |_| pending().await);
        let m = background_service(service, async |m| m).await.unwrap();
        let cause = m.cancel_cause().unwrap();
        assert!(matches!(cause.kind(), CauseKind::Requested), "{cause}");
        says(Some(cause), "", "body of background_service() at ");
    });
}

/// A stop that was not in time shows the cause, in its text too.
#[test]
fn a_timeout_shows_the_cause() {
    on(1, async |h| {
        let (m, ctx) = app(&h).await;
        let inside = Event::new();
        let set = inside.clone();
        ctx.run_task(shielded(async move {
            set.set();
            pending().await
        }))
        .unwrap();
        inside.wait().await;
        m.cancel_with("reload").unwrap();
        let Err(StopError::Timeout(timeout)) = m.stop_or_kill(Duration::ZERO).await else {
            panic!("no timeout")
        };
        assert_eq!(timeout.cause.as_ref().unwrap().reason(), Some("reload"));
        let text = timeout.to_string();
        assert!(
            text.contains("cancelled by app: cancel_with() at "),
            "{text}"
        );
    });
}

/// The end of the runtime is a cause, with the place of the call if there was one.
#[test]
fn a_shutdown_is_a_cause() {
    watchdog(|| {
        let (tx, rx) = std::sync::mpsc::channel();
        let rt = build(1);
        let inside = Event::new();
        let set = inside.clone();
        let task = rt.spawn(async move {
            set.set();
            finally(
                pending::<()>(),
                async move { tx.send(cancel_cause()).unwrap() },
            )
            .await;
        });
        rt.block_on(inside.wait());
        rt.shutdown_timeout(LONG).unwrap();
        let cause = rx.recv().unwrap().unwrap();
        assert!(matches!(cause.kind(), CauseKind::Shutdown), "{cause}");
        assert_eq!(cause.path(), "");
        says(Some(cause), "the shutdown of the runtime at ", file!());
        assert!(task.is_done() && task.cancel_cause().is_none());
        let rt = build(0);
        let idle = rt.spawn(pending::<()>());
        drop(rt);
        idle.cancel_with("dead");
        assert!(idle.cancel_cause().is_none(), "its own was too late");
    });
}

/// In a simulation: the cause of a child that is cancelled while its parent waits for grace.
#[test]
fn a_cause_in_virtual_time() {
    crate::virtual_time::simulated(async |h| {
        let (m, ctx) = app_with(&h, |b| b.grace(Duration::from_secs(10))).await;
        let (log, inner) = (Log::new(), ctx.clone());
        let all = log.clone();
        ctx.run_task(async move {
            inner.cancelled().await;
            for _ in 0..3 {
                time::sleep(Duration::from_secs(2)).await;
                all.push(cancel_cause().map(|cause| cause.to_string()));
            }
            Ok(())
        })
        .unwrap();
        let start = time::now();
        m.cancel_with("drain").unwrap();
        m.cancel_with("again").unwrap();
        m.wait_finished().await;
        assert_eq!(time::now() - start, Duration::from_secs(10));
        let all = log.read();
        assert_eq!(all.len(), 3);
        for text in all {
            assert!(text.unwrap().ends_with(": \"drain\""));
        }
    });
}

/// A snapshot shows the cause at each node that is being cancelled, and at no other.
#[test]
fn a_snapshot_shows_the_cause() {
    on(1, async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, inner) = (Event::new(), ctx.clone());
        let set = inside.clone();
        let outer = ctx.task::<_, ()>(async move {
            inner
                .task::<_, ()>(shielded(async move {
                    set.set();
                    pending().await
                }))
                .name("inner")
                .spawn()?;
            pending().await
        });
        let outer = outer.name("outer").spawn().unwrap();
        inside.wait().await;
        let causes = || {
            let taken = h.snapshot();
            let cause = |node: &taskgrove::Node| (node.name.clone(), node.cause.clone());
            taken.nodes().iter().map(cause).collect::<Vec<_>>()
        };
        assert!(causes().iter().all(|(_, cause)| cause.is_none()));
        outer.cancel_with("over");
        let text = outer.cancel_cause().unwrap().to_string();
        for (name, cause) in causes() {
            assert_eq!(cause.as_ref(), (name != "app").then_some(&text), "{name}");
        }
        let below = m.snapshot().nodes()[1].cause.clone();
        assert_eq!(below, Some(text));
        m.kill().unwrap();
        m.wait_finished().await;
    });
}

/// A request that was made before a failure is the cause, though its walk comes after both.
#[test]
fn a_failure_that_follows_a_request_is_not_the_cause() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (seen, manager): (Gift<Option<CancelCause>>, _) = (Gift::new(), m.clone());
        let give = seen.clone();
        let task = ctx.task::<_, ()>(async move {
            let _last = defer(async move { give.put(cancel_cause()) });
            let _first = defer(async { panic!("a cleanup") });
            manager.cancel_with("first")?;
            Err("an error")?
        });
        let task = task.isolated().spawn().unwrap();
        says(seen.take().await, "app: cancel_with() at ", "first");
        task.wait_done().await;
        assert!(task.cancel_cause().is_none(), "the target was the service");
        m.wait_finished().await;
    });
}
