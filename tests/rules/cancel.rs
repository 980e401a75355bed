//! Section "Cancellation": order, turns, `cancelled()`.

use crate::common::suspend;
use crate::util::*;
use std::future::pending;
use std::sync::mpsc;
use taskgrove::{Context, JoinError, service_fn, shielded, spawn, yield_now};

/// Children die before their parents, down the whole line.
#[test]
fn children_before_parents() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (log, inside) = (Log::new(), Event::new());
        let guards = ["child", "middle", "low"].map(|name| Writes(log.clone(), name));
        let [a, b, c] = guards;
        let set = inside.clone();
        ctx.run_task(async move {
            let _a = a;
            spawn(async move {
                let _b = b;
                spawn(async move {
                    let _c = c;
                    set.set();
                    pending::<()>().await
                });
                pending::<()>().await
            });
            pending().await
        })
        .unwrap();
        inside.wait().await;
        m.stop().await.unwrap();
        assert_eq!(log.take(), ["low", "middle", "child"]);
    });
}

/// Also when the child is in a poll on another worker at that moment.
#[test]
fn a_child_in_a_poll_is_waited_for() {
    on(2, async |h| {
        let log = Log::new();
        let (a, b) = (Writes(log.clone(), "parent"), Writes(log.clone(), "child"));
        let (release, stuck) = mpsc::channel::<()>();
        let (inside, go) = (Event::new(), Event::new());
        let (set, wait) = (inside.clone(), go.wait());
        let task = h.spawn(async move {
            let _a = a;
            spawn(async move {
                let _b = b;
                wait.await;
                set.set();
                let _ = stuck.recv();
                suspend().await;
            });
            pending::<()>().await
        });
        go.set();
        inside.wait().await;
        task.cancel();
        for _ in 0..50 {
            yield_now().await;
            assert!(log.is_empty() && !task.is_done());
        }
        drop(release);
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
        assert_eq!(log.take(), ["child", "parent"]);
    });
}

/// Siblings are cancelled side by side: one that takes its time does not hold up another.
#[test]
fn siblings_side_by_side() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, met) = ([Event::new(), Event::new()], [Event::new(), Event::new()]);
        for n in 0..2 {
            let (set, inner) = (inside[n].clone(), ctx.clone());
            let (mine, other) = (met[n].clone(), met[1 - n].wait());
            ctx.run_task(shielded(async move {
                set.set();
                inner.cancelled().await;
                mine.set();
                other.await;
                Ok(())
            }))
            .unwrap();
            inside[n].wait().await;
        }
        m.stop().await.unwrap();
        assert!(met.iter().all(Event::is_set));
    });
}

/// Until its turn a task is polled as before, so that it can serve the cleanup of its children.
#[test]
fn a_parent_serves_its_children() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, asked, answered) = (Event::new(), Event::new(), Event::new());
        let (set, ask, hear, tell) = (
            inside.clone(),
            asked.clone(),
            asked.wait(),
            answered.clone(),
        );
        let inner = ctx.clone();
        let parent = ctx.run_task(async move {
            spawn(shielded(async move {
                set.set();
                inner.cancelled().await;
                ask.set();
                answered.wait().await;
            }));
            hear.await;
            suspend().await;
            tell.set();
            pending().await
        });
        inside.wait().await;
        m.stop().await.unwrap();
        assert!(matches!(parent.unwrap().await, Err(JoinError::Cancelled)));
    });
}

/// `cancel` runs no user code on the caller's stack.
#[test]
fn cancel_runs_nothing_here() {
    on(0, async |h| {
        let log = Log::new();
        let (m, ctx) = app(&h).await;
        let inside = Event::new();
        let (guard, set) = (Writes(log.clone(), "dropped"), inside.clone());
        let task = ctx.run_task(async move {
            let _guard = guard;
            set.set();
            pending().await
        });
        inside.wait().await;
        m.cancel().unwrap();
        assert!(log.is_empty());
        task.unwrap().wait_done().await;
        assert_eq!(log.take(), ["dropped"]);
        let (guard, task) = (Writes(log.clone(), "dropped"), Event::new());
        let set = task.clone();
        let raw = h.spawn(async move {
            let _guard = guard;
            set.set();
            pending::<()>().await
        });
        task.wait().await;
        raw.cancel();
        assert!(log.is_empty());
        raw.wait_done().await;
        assert_eq!(log.take(), ["dropped"]);
    });
}

/// What is scheduled after `cancel` has returned is born done, at once.
#[test]
fn scheduled_after_cancel_is_born_done() {
    everywhere(async |h| {
        for _ in 0..50 {
            let (m, ctx) = app(&h).await;
            m.cancel().unwrap();
            // The service may have ended meanwhile, which is `NotRunning`.
            if let Ok(task) = ctx.run_task(async { panic!("never polled") }) {
                assert!(task.is_done());
            }
            m.wait_finished().await;
            assert!(!m.did_error());
        }
    });
}

/// A task that is in a poll is dropped after that poll.
#[test]
fn after_the_current_poll() {
    on(2, async |h| {
        let log = Log::new();
        let (release, stuck) = mpsc::channel::<()>();
        let inside = Event::new();
        let (inner, set, guard) = (log.clone(), inside.clone(), Writes(log.clone(), "dropped"));
        let task = h.spawn(async move {
            let _guard = guard;
            set.set();
            let _ = stuck.recv();
            inner.push("still in the poll");
            suspend().await;
            inner.push("polled again");
        });
        inside.wait().await;
        task.cancel();
        drop(release);
        assert!(task.await.is_err());
        assert_eq!(log.take(), ["still in the poll", "dropped"]);
    });
}

/// A task that ends in the poll during which it is cancelled has its value.
#[test]
fn a_value_from_the_current_poll() {
    on(2, async |h| {
        let (release, stuck) = mpsc::channel::<()>();
        let inside = Event::new();
        let set = inside.clone();
        let task = h.spawn(async move {
            set.set();
            let _ = stuck.recv();
            8
        });
        inside.wait().await;
        task.cancel();
        drop(release);
        match task.await {
            Ok(value) => assert_eq!(value, 8),
            Err(error) => assert!(matches!(error, JoinError::Cancelled)),
        }
    });
}

/// A task that never suspends for long, but looks, is stopped.
#[test]
fn a_loop_that_looks() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let inside = Event::new();
        let (set, inner) = (inside.clone(), ctx.clone());
        ctx.run_task(async move {
            while inner.is_running() {
                set.set();
                yield_now().await;
            }
            Ok(())
        })
        .unwrap();
        inside.wait().await;
        m.stop().await.unwrap();
        assert!(!m.did_error());
    });
}

/// `cancelled` resolves for parent and child side by side, not leaf by leaf.
#[test]
fn cancelled_is_side_by_side() {
    everywhere(async |h| {
        let (inside, told) = (Event::new(), Event::new());
        let (set, tell, hear) = (inside.clone(), told.clone(), told.wait());
        let m = h
            .start(service_fn("app", |ctx: Context| async move {
                let inner = ctx.clone();
                ctx.run_task(shielded(async move {
                    set.set();
                    inner.cancelled().await;
                    hear.await;
                    Ok(())
                }))?;
                ctx.cancelled().await;
                tell.set();
                Ok(())
            }))
            .unwrap();
        inside.wait().await;
        m.stop().await.unwrap();
        assert!(m.is_finished() && told.is_set());
    });
}

/// `cancelled` hears the cancellation of the calling task alone.
#[test]
fn cancelled_is_of_the_calling_task() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, heard) = (Event::new(), Event::new());
        let (set, tell, inner) = (inside.clone(), heard.clone(), ctx.clone());
        let task = ctx
            .run_task(shielded(async move {
                set.set();
                inner.cancelled().await;
                tell.set();
                Ok(())
            }))
            .unwrap();
        inside.wait().await;
        task.cancel();
        task.wait_done().await;
        assert!(heard.is_set() && !m.is_cancelled());
        assert!(at_once(ctx.cancelled()).await.is_none());
    });
}

/// In another's task, it hears both that task and the service of the context.
#[test]
fn cancelled_hears_both() {
    everywhere(async |h| {
        for service in [true, false] {
            let (m, ctx) = app(&h).await;
            let (inside, heard) = (Event::new(), Event::new());
            let (set, tell, inner) = (inside.clone(), heard.clone(), ctx.clone());
            let task = h.spawn(shielded(async move {
                set.set();
                inner.cancelled().await;
                tell.set();
            }));
            inside.wait().await;
            if service {
                m.cancel().unwrap();
            } else {
                task.cancel();
            }
            heard.wait().await;
            task.wait_done().await;
            assert_eq!(m.is_cancelled(), service);
        }
    });
}

/// Outside tasks it is the service's; after the end it resolves at once.
#[test]
fn cancelled_outside_and_after() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        assert!(at_once(ctx.cancelled()).await.is_none());
        m.cancel().unwrap();
        ctx.cancelled().await;
        m.wait_finished().await;
        assert!(at_once(ctx.cancelled()).await.is_some());
        let gift = Gift::new();
        let give = gift.clone();
        let m = h.start(service_fn("short", |ctx| async move {
            give.put(ctx);
            Ok(())
        }));
        m.unwrap().wait_finished().await;
        assert!(at_once(gift.take().await.cancelled()).await.is_some());
    });
}
