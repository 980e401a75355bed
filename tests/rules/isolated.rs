//! `TaskBuilder::isolated`: an error or a panic that is its handle's alone.

use crate::util::*;
use std::future::pending;
use std::time::Duration;
use taskgrove::{
    CauseKind, JoinError, SpawnError, cancel_cause, defer, finally, service_fn, spawn, time,
};

/// Neither an error nor a panic fails the service; the handle has it.
#[test]
fn its_failure_is_its_handles_alone() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let failing = ctx.task::<_, ()>(async { Err(boom("no luck")) });
        let failing = failing.name("failing").isolated().spawn().unwrap();
        let Err(JoinError::Failed(failure)) = failing.await else {
            panic!("it did not fail")
        };
        assert_eq!(failure.path(), "app/failing");
        assert!(failure.to_string().contains("no luck"));
        let panics = ctx.task::<_, ()>(async { panic!("intended") });
        assert!(
            panics
                .isolated()
                .spawn()
                .unwrap()
                .await
                .unwrap_err()
                .is_panic()
        );
        let daemon = ctx.task(async { Ok(5) }).daemon().isolated().spawn();
        assert_eq!(daemon.unwrap().await.unwrap(), 5);
        assert!(!m.did_error() && !m.is_cancelled());
        assert_eq!(m.stats().tasks.finished_count, 3);
        m.stop().await.unwrap();
        assert!(m.result().unwrap().is_ok());
    });
}

/// It is limited and counted as any other, and cancelled with its service.
#[test]
fn it_is_a_task_like_any_other() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let first = ctx.task::<_, ()>(pending()).isolated().spawn().unwrap();
        let second = ctx.task::<_, ()>(pending()).isolated().spawn();
        assert!(matches!(second, Err(SpawnError::TooManyChildren(_))));
        assert_eq!(m.stats().tasks.pending_count(), 1);
        m.cancel().unwrap();
        assert!(first.await.unwrap_err().is_cancelled());
        m.wait_finished().await;
    });
}

/// What it leaves behind is cancelled for its failure, and its deferred cleanup runs.
#[test]
fn what_it_leaves_behind_is_cancelled() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (seen, cleaned) = (Gift::new(), Event::new());
        let (give, set) = (seen.clone(), cleaned.clone());
        let task = ctx.task::<_, ()>(async move {
            let inside = Event::new();
            let begun = inside.clone();
            spawn(async move {
                let body = async move {
                    begun.set();
                    pending::<()>().await
                };
                finally(body, async move { give.put(cancel_cause()) }).await;
            });
            let _guard = defer(async move { set.set() });
            inside.wait().await;
            Err(boom("no luck"))
        });
        let task = task.isolated().spawn().unwrap();
        assert!(matches!(task.await, Err(JoinError::Failed(_))));
        let cause = seen.take().await.unwrap();
        assert!(matches!(cause.kind(), CauseKind::Failed(_)), "{cause}");
        assert!(cleaned.is_set() && !m.did_error());
        m.stop().await.unwrap();
    });
}

/// A child service that it runs through the context is the service's: its failure counts.
#[test]
fn what_it_schedules_is_not_isolated() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let inner = ctx.clone();
        let task = ctx.task::<_, ()>(async move {
            inner.run_child_service(service_fn("db", async |_| Err(boom("no disk"))))?;
            pending().await
        });
        let task = task.isolated().spawn().unwrap();
        assert!(task.await.unwrap_err().is_cancelled());
        m.wait_finished().await;
        assert!(m.did_error());
    });
}

/// In virtual time: accept loops go on over failing connections.
#[test]
fn a_service_goes_on_over_failing_tasks() {
    crate::virtual_time::simulated(async |h| {
        let (m, ctx) = app(&h).await;
        let start = time::now();
        for n in 1..=5 {
            let task = ctx.task::<_, ()>(async move {
                time::sleep(Duration::from_secs(n)).await;
                Err(boom("reset"))
            });
            drop(task.isolated().spawn().unwrap());
        }
        time::sleep(Duration::from_secs(6)).await;
        assert_eq!(m.stats().tasks.pending_count(), 0);
        assert!(m.is_running() && !m.did_error());
        m.stop().await.unwrap();
        assert_eq!(time::now() - start, Duration::from_secs(6));
    });
}
