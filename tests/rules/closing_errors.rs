//! "While being cancelled": which errors count.

use crate::common::suspend;
use crate::util::*;
use std::future::pending;
use std::sync::mpsc;
use std::time::Duration;
use taskgrove::{
    Context, FailureKind, JoinError, Manager, Task, finally, service_fn, shielded, spawn, yield_now,
};

const HOUR: Duration = Duration::from_secs(3600);

/// How a service's only failure reads, if there is one.
async fn outcome(m: &Manager) -> Option<String> {
    let mut all = outcomes(m).await;
    assert!(all.len() < 2, "{all:?}");
    all.pop()
}

/// How a service's failures read.
async fn outcomes(m: &Manager) -> Vec<String> {
    m.wait_finished().await;
    let Err(error) = m.result().unwrap() else {
        return Vec::new();
    };
    let texts = error.failures().iter().map(|failure| match failure.kind() {
        FailureKind::Error(error) => error.to_string(),
        FailureKind::Panic(text) => text.clone(),
        other => format!("{other:?}"),
    });
    texts.collect()
}

/// A task below the app that is still polled after `cancel()`, since a child of it is shielded.
struct Consequence {
    task: Task<()>,
    /// Set when the task has ended.
    ended: Event,
    /// Ends the child.
    go: Event,
}

/// A task that ends as `end` says, once cancellation of the app has been asked for.
async fn consequence(
    ctx: &Context,
    end: impl FnOnce() -> taskgrove::Result + Send + 'static,
) -> Consequence {
    let (inside, told) = (Event::new(), Event::new());
    let (go, ended) = (Event::new(), Event::new());
    let (set, wait, tell, hear) = (inside.clone(), go.wait(), told.clone(), told.wait());
    let (inner, guard) = (ctx.clone(), Falls(ended.clone()));
    let task = ctx
        .run_task(async move {
            let _guard = guard;
            spawn(shielded(async move {
                set.set();
                inner.cancelled().await;
                tell.set();
                wait.await;
            }));
            hear.await;
            end()
        })
        .unwrap();
    inside.wait().await;
    registered(&told).await;
    Consequence { task, ended, go }
}

/// Somebody waits for the event: the poll they are in will not see it, and so will not end what they do.
async fn registered(event: &Event) {
    while event.waiters() == 0 {
        yield_now().await;
    }
}

/// An error that is a consequence of the shutdown is not recorded, and the handle reads `Cancelled`.
#[test]
fn a_consequence_is_nothing() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let c = consequence(&ctx, || Err(boom("channel closed"))).await;
        m.cancel().unwrap();
        c.ended.wait().await;
        c.go.set();
        assert!(matches!(c.task.await, Err(JoinError::Cancelled)));
        assert_eq!(outcome(&m).await, None);
        assert!(!m.did_error() && m.is_cancelled());
    });
}

/// A panic counts always.
#[test]
fn a_panic_counts() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let c = consequence(&ctx, || panic!("intended")).await;
        m.cancel().unwrap();
        c.ended.wait().await;
        c.go.set();
        assert!(matches!(c.task.await, Err(JoinError::Panicked(_))));
        assert_eq!(outcome(&m).await.unwrap(), "intended");
    });
}

/// `run` may end with an error as a consequence, too.
#[test]
fn a_consequence_in_run() {
    everywhere(async |h| {
        let (inside, go, told) = (Event::new(), Event::new(), Event::new());
        let (set, wait, hear) = (inside.clone(), go.wait(), told.wait());
        let ended = Event::new();
        let guard = Falls(ended.clone());
        let m = h
            .start(service_fn("app", |ctx: Context| async move {
                let _guard = guard;
                ctx.run_task(shielded(async move {
                    set.set();
                    wait.await;
                    Ok(())
                }))?;
                hear.await;
                Err("consequence")?
            }))
            .unwrap();
        inside.wait().await;
        registered(&told).await;
        m.cancel().unwrap();
        told.set();
        ended.wait().await;
        go.set();
        assert_eq!(outcome(&m).await, None);
    });
}

/// The consequences of another's failure are not recorded beside it.
#[test]
fn only_the_cause_is_recorded() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let c = consequence(&ctx, || Err(boom("consequence"))).await;
        ctx.run_task(async { Err("cause")? }).unwrap();
        c.ended.wait().await;
        c.go.set();
        assert_eq!(outcome(&m).await.unwrap(), "cause");
    });
}

/// An error from the poll that asks for the cancellation counts: in a task and in `run`.
#[test]
fn from_the_poll_that_asks() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let inner = ctx.clone();
        let task = ctx
            .run_task(async move {
                inner.cancel()?;
                Err("the same poll")?
            })
            .unwrap();
        assert!(matches!(task.await, Err(JoinError::Failed(_))));
        assert_eq!(outcome(&m).await.unwrap(), "the same poll");
        let m = h
            .start(service_fn("app", |ctx| async move {
                ctx.cancel()?;
                Err("in run")?
            }))
            .unwrap();
        assert_eq!(outcome(&m).await.unwrap(), "in run");
    });
}

/// An error from a poll that was under way when another thread asked counts.
#[test]
fn from_a_poll_under_way() {
    on(2, async |h| {
        let (m, ctx) = app(&h).await;
        let (release, wait) = mpsc::channel::<()>();
        let inside = Event::new();
        let set = inside.clone();
        ctx.run_task(async move {
            set.set();
            let _ = wait.recv();
            Err("under way")?
        })
        .unwrap();
        inside.wait().await;
        m.cancel().unwrap();
        drop(release);
        assert_eq!(outcome(&m).await.unwrap(), "under way");
    });
}

/// An error from inside a shield counts: returned by it, or in the poll in which it ends.
#[test]
fn from_a_shield() {
    everywhere(async |h| {
        for whole in [true, false] {
            let (m, ctx) = app(&h).await;
            let (inside, inner) = (Event::new(), ctx.clone());
            let set = inside.clone();
            let wait = async move {
                set.set();
                inner.cancelled().await;
                suspend().await;
            };
            let task = if whole {
                ctx.run_task(shielded(async {
                    wait.await;
                    Err("shield")?
                }))
            } else {
                ctx.run_task(async {
                    shielded(wait).await;
                    Err("shield")?
                })
            };
            inside.wait().await;
            m.cancel().unwrap();
            assert!(matches!(task.unwrap().await, Err(JoinError::Failed(_))));
            assert_eq!(outcome(&m).await.unwrap(), "shield");
        }
    });
}

/// Also if its task was not protected when that poll began, nor when it ended.
#[test]
fn from_a_shield_that_one_poll_goes_through() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, told, go) = (Event::new(), Event::new(), Event::new());
        let (set, hear, wait, ended) = (inside.clone(), told.wait(), go.wait(), Event::new());
        let guard = Falls(ended.clone());
        let task = ctx
            .run_task(async move {
                let _guard = guard;
                spawn(shielded(async move {
                    set.set();
                    wait.await;
                }));
                hear.await;
                shielded(async { Err(boom("inside")) }).await
            })
            .unwrap();
        inside.wait().await;
        m.cancel().unwrap();
        the_turn_has_come().await;
        told.set();
        ended.wait().await;
        go.set();
        assert_eq!(outcome(&m).await.as_deref(), Some("inside"));
        assert!(matches!(task.await, Err(JoinError::Failed(_))));
    });
}

/// What a body had returned before counts, however long its cleanup takes; a panic in a cleanup does,
/// and hides nothing.
#[test]
fn from_a_cleanup() {
    everywhere(async |h| {
        for panics in [false, true] {
            let (m, ctx) = app(&h).await;
            let (inside, inner) = (Event::new(), ctx.clone());
            let set = inside.clone();
            ctx.run_task(finally(async { Err("body")? }, async move {
                set.set();
                inner.cancelled().await;
                suspend().await;
                assert!(!panics, "intended cleanup");
            }))
            .unwrap();
            inside.wait().await;
            m.cancel().unwrap();
            let all = outcomes(&m).await;
            assert_eq!(all[0], "body");
            assert_eq!(all[1..], ["intended cleanup"][..usize::from(panics)]);
        }
    });
}

/// An error in grace counts.
#[test]
fn from_grace() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, inner) = (Event::new(), ctx.clone());
        let set = inside.clone();
        ctx.task::<_, ()>(async move {
            set.set();
            inner.cancelled().await;
            suspend().await;
            Err("in grace")?
        })
        .grace(HOUR)
        .spawn()
        .unwrap();
        inside.wait().await;
        m.cancel().unwrap();
        assert_eq!(outcome(&m).await.unwrap(), "in grace");
    });
}

/// A child service that fails while its parent is being cancelled has counted only if its own error counts.
#[test]
fn through_a_child_service() {
    everywhere(async |h| {
        for counts in [false, true] {
            let (m, ctx) = app(&h).await;
            let (inside, go, told) = (Event::new(), Event::new(), Event::new());
            let (set, wait, hear) = (inside.clone(), go.wait(), told.wait());
            let ended = Event::new();
            let guard = Falls(ended.clone());
            let child = ctx
                .run_child_service(service_fn("child", move |ctx: Context| async move {
                    let _guard = guard;
                    let inner = ctx.clone();
                    ctx.run_task(shielded(async move {
                        set.set();
                        inner.cancelled().await;
                        wait.await;
                        if counts { Err("leaf")? } else { Ok(()) }
                    }))?;
                    hear.await;
                    Err("consequence")?
                }))
                .unwrap();
            inside.wait().await;
            registered(&told).await;
            m.cancel().unwrap();
            told.set();
            ended.wait().await;
            go.set();
            m.wait_finished().await;
            assert_eq!((child.did_error(), m.did_error()), (counts, counts));
            if let Err(error) = m.result().unwrap() {
                let causes: Vec<_> = error.root_causes().map(ToString::to_string).collect();
                assert!(causes.len() == 1 && causes[0].contains("leaf"));
            }
        }
    });
}

/// A task that sees its child's handle end is clean, in a loop of many shutdowns.
#[test]
fn a_clean_stop_is_clean() {
    everywhere(async |h| {
        for _ in 0..50 {
            let (m, ctx) = app(&h).await;
            for _ in 0..4 {
                let (inside, inner) = (Event::new(), ctx.clone());
                let set = inside.clone();
                ctx.run_task(async move {
                    let child = inner.run_task(async move {
                        set.set();
                        pending().await
                    })?;
                    child.await?;
                    Ok(())
                })
                .unwrap();
                inside.wait().await;
            }
            m.stop().await.unwrap();
            assert_eq!(outcome(&m).await, None);
        }
    });
}
