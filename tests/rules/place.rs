//! "Place": whose child a scheduled task is.

use crate::util::*;
use std::future::pending;
use taskgrove::{TaskId, service_fn};

/// What `run` schedules is the service's child.
#[test]
fn from_run_it_is_the_services() {
    everywhere(async |h| {
        let seen = Gift::new();
        let give = seen.clone();
        let m = h
            .start(service_fn("app", |ctx| async move {
                let current = TaskId::current();
                let task = ctx.run_task(async { Ok(()) })?;
                let child = ctx.run_child_service(service_fn("child", |_| async { Ok(()) }))?;
                give.put((current, ctx.id(), task.parent(), child.id()));
                pending().await
            }))
            .unwrap();
        let (current, own, parent, child) = seen.take().await;
        assert_eq!((current, own, parent), (m.id(), m.id(), m.id()));
        assert!(child.is_some() && child != m.id());
    });
}

/// What one of the service's tasks schedules is that task's child.
#[test]
fn from_a_task_it_is_the_tasks() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let seen = Gift::new();
        let (give, inner) = (seen.clone(), ctx.clone());
        let task = ctx
            .task(async move {
                let below = inner.run_daemon_task(pending())?;
                let service = service_fn("child", |_| pending());
                let child = inner.child_service(service).spawn()?;
                give.put((below.parent(), child));
                pending::<taskgrove::Result>().await
            })
            .name("worker")
            .spawn()
            .unwrap();
        let (parent, child) = seen.take().await;
        assert_eq!(task.parent(), m.id());
        assert_eq!(parent, Some(task.id()));
        let tree = m.snapshot();
        let node = tree.nodes().iter().find(|n| Some(n.id) == child.id());
        let node = node.expect("the child service is in the tree");
        assert_eq!(node.parent, Some(task.id()));
        assert_eq!(node.path, "app/worker/child");
    });
}

/// What is scheduled from outside is the service's child.
#[test]
fn from_outside_it_is_the_services() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let here = ctx.run_task(async { Ok(()) }).unwrap();
        let ctx2 = ctx.clone();
        let there = h.spawn(async move { ctx2.run_task(async { Ok(()) }).unwrap().parent() });
        assert_eq!(here.parent(), m.id());
        assert_eq!(there.await.unwrap(), m.id());
    });
}

/// What is scheduled from another service's task is the service's child.
#[test]
fn from_another_service_it_is_the_services() {
    everywhere(async |h| {
        let (first, ctx) = app(&h).await;
        let (_second, other) = app(&h).await;
        let seen = Gift::new();
        let give = seen.clone();
        other
            .run_task(async move {
                give.put(ctx.run_task(async { Ok(()) })?.parent());
                Ok(())
            })
            .unwrap();
        assert_eq!(seen.take().await, first.id());
    });
}

/// The `run` of a child service is another service's to its parent's context.
#[test]
fn from_a_child_service_it_is_the_parents() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let seen = Gift::new();
        let (give, outer) = (seen.clone(), ctx.clone());
        ctx.run_child_service(service_fn("child", |inner| async move {
            let a = outer.run_task(async { Ok(()) })?.parent();
            let b = inner.run_task(async { Ok(()) })?.parent();
            give.put((a, b, inner.id()));
            Ok(())
        }))
        .unwrap();
        let (a, b, child) = seen.take().await;
        assert_eq!(a, m.id());
        assert_eq!(b, child);
    });
}
