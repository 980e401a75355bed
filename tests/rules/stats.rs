//! Stats.

use crate::util::*;
use std::future::pending;
use taskgrove::{Manager, service_fn, spawn};

fn counts(m: &Manager) -> (u64, u64, u64) {
    let tasks = m.stats().tasks;
    (
        tasks.total_count,
        tasks.finished_count,
        tasks.pending_count(),
    )
}

/// `run` is not counted; tasks are, pending and finished.
#[test]
fn run_is_not_counted() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        assert_eq!(counts(&m), (0, 0, 0));
        let go = Event::new();
        for _ in 0..3 {
            let wait = go.wait();
            let task = async move {
                wait.await;
                Ok(())
            };
            ctx.run_task(task).unwrap();
        }
        let done = ctx.run_daemon_task(pending()).unwrap();
        assert_eq!(counts(&m), (4, 0, 4));
        done.cancel();
        done.wait_done().await;
        assert_eq!(counts(&m), (4, 1, 3));
        go.set();
        m.stop().await.unwrap();
        assert_eq!(counts(&m), (4, 4, 0));
    });
}

/// A task counts as finished when it is done, not when its future has ended.
#[test]
fn finished_is_done() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (go, ended) = (Event::new(), Event::new());
        let (wait, guard) = (go.wait(), Falls(ended.clone()));
        let task = ctx
            .run_task(async move {
                let _guard = guard;
                spawn(wait);
                Ok(())
            })
            .unwrap();
        ended.wait().await;
        assert_eq!(counts(&m), (1, 0, 1));
        go.set();
        task.await.unwrap();
        assert_eq!(counts(&m), (1, 1, 0));
    });
}

/// A failed task and a cancelled one are finished.
#[test]
fn failed_is_finished() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let other = ctx.run_task(pending()).unwrap();
        let failed = ctx.run_task(async { Err("wrong")? }).unwrap();
        assert!(failed.await.is_err() && other.await.is_err());
        m.wait_finished().await;
        assert_eq!(counts(&m), (2, 2, 0));
    });
}

/// Tasks are counted at any depth.
#[test]
fn any_depth() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let inner = ctx.clone();
        let task = ctx.run_task(async move {
            let innermost = inner.clone();
            let below = inner.run_task(async move {
                innermost.run_task(async { Ok(()) })?;
                Ok(())
            })?;
            below.await?;
            Ok(())
        });
        task.unwrap().await.unwrap();
        assert_eq!(counts(&m), (3, 3, 0));
    });
}

/// A child service is one task of its parent; what is in it is its own.
#[test]
fn a_child_service_is_one() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let ready = Event::new();
        let set = ready.clone();
        let child = ctx
            .run_child_service(service_fn("child", |ctx| async move {
                ctx.run_task(pending())?;
                ctx.run_task(pending())?;
                set.set();
                pending().await
            }))
            .unwrap();
        ready.wait().await;
        assert_eq!(counts(&m), (1, 0, 1));
        assert_eq!(counts(&child), (2, 0, 2));
        child.stop().await.unwrap();
        assert_eq!(counts(&child), (2, 2, 0));
        assert_eq!(counts(&m), (1, 1, 0));
    });
}

/// What has finished leaves the tree and stays counted.
#[test]
fn the_finished_leave_the_tree() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        for _ in 0..500 {
            let task = ctx.run_task(async { Ok(()) }).unwrap();
            task.await.unwrap();
        }
        assert_eq!(counts(&m), (500, 500, 0));
        assert_eq!(m.snapshot().nodes().len(), 1);
    });
}
