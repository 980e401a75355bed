//! "Failures": what is recorded, where it comes out, and daemons.

use crate::util::*;
use std::future::pending;
use taskgrove::{
    Context, FailureKind, JoinError, Manager, ServiceError, TaskFailure, service_fn, spawn,
};

/// The failures of a service, as soon as it is finished.
async fn failures(m: &Manager) -> Vec<TaskFailure> {
    m.wait_finished().await;
    match m.result().unwrap() {
        Ok(()) => {
            assert!(!m.did_error());
            Vec::new()
        }
        Err(error) => {
            assert!(m.did_error() && m.is_cancelled());
            error.failures().to_vec()
        }
    }
}

fn only(failures: Vec<TaskFailure>) -> TaskFailure {
    assert_eq!(failures.len(), 1, "{failures:?}");
    failures.into_iter().next().unwrap()
}

/// An error in `run` cancels the service and comes out of `run()` and `result()`.
#[test]
fn an_error_in_run() {
    everywhere(async |h| {
        let gift = Gift::new();
        let give = gift.clone();
        let m = Manager::new(service_fn("app", |ctx: Context| async move {
            give.put(ctx.run_task(pending())?);
            Err("wrong")?
        }))
        .unwrap();
        let error = m.run().await.unwrap_err();
        assert_eq!(error.failures().len(), 1);
        let failure = only(failures(&m).await);
        assert_eq!(failure.path(), "app");
        assert_eq!(Some(failure.task()), m.id());
        let FailureKind::Error(cause) = failure.kind() else {
            panic!("{failure:?}")
        };
        assert_eq!(cause.to_string(), "wrong");
        let task = gift.take().await;
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
        drop(h);
    });
}

/// The same for a panic in `run`.
#[test]
fn a_panic_in_run() {
    everywhere(async |h| {
        let m = h
            .start(service_fn("app", |_| async { panic!("intended run") }))
            .unwrap();
        let failure = only(failures(&m).await);
        assert!(matches!(failure.kind(), FailureKind::Panic(text) if text == "intended run"));
    });
}

/// An error or a panic in a task is a failure with the task's path, id and place; the rest is cancelled.
#[test]
fn a_failure_in_a_task() {
    everywhere(async |h| {
        for panics in [false, true] {
            let (m, ctx) = app(&h).await;
            let other = ctx.run_task(pending()).unwrap();
            let (line, task) = (
                line!() + 1,
                ctx.task::<_, ()>(async move {
                    assert!(!panics, "intended");
                    Err("wrong")?
                })
                .name("job"),
            );
            let task = task.spawn().unwrap();
            let id = task.id();
            let outcome = task.await;
            match outcome {
                Err(JoinError::Panicked(panic)) => assert!(panics && panic.message() == "intended"),
                Err(JoinError::Failed(failure)) => assert!(!panics && failure.task() == id),
                _ => panic!("{outcome:?}"),
            }
            let failure = only(failures(&m).await);
            assert_eq!((failure.path(), failure.task()), ("app/job", id));
            assert!(failure.location().file().ends_with("failures.rs"));
            assert!(failure.location().line() >= line);
            assert_eq!(matches!(failure.kind(), FailureKind::Panic(_)), panics);
            assert!(matches!(other.await, Err(JoinError::Cancelled)));
        }
    });
}

/// The failure of a child service fails the parent, and on up; the leaves are the root causes.
#[test]
fn a_failure_in_a_child_service() {
    everywhere(async |h| {
        let m = h
            .start(service_fn("app", |ctx| async move {
                ctx.run_child_service(service_fn("db", |ctx| async move {
                    ctx.child_service(service_fn("pool", |_| async { Err("down")? }))
                        .spawn()?;
                    pending().await
                }))?;
                pending().await
            }))
            .unwrap();
        let failure = only(failures(&m).await);
        assert_eq!(failure.path(), "app/db");
        let FailureKind::Service(below) = failure.kind() else {
            panic!("{failure:?}")
        };
        assert_eq!(below.failures()[0].path(), "app/db/pool");
        let error = m.result().unwrap().unwrap_err();
        let causes: Vec<_> = error.root_causes().collect();
        assert_eq!(causes.len(), 1);
        assert_eq!(causes[0].path(), "app/db/pool");
        assert!(matches!(causes[0].kind(), FailureKind::Error(_)));
    });
}

/// One that fails in a poll during which cancellation is asked for comes out beside the cause, in their order.
#[test]
fn two_failures_at_once() {
    on(2, async |h| {
        let (m, ctx) = app(&h).await;
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let inside = Event::new();
        let set = inside.clone();
        ctx.task::<_, ()>(async move {
            set.set();
            let _ = wait.recv();
            Err("second")?
        })
        .name("b")
        .spawn()
        .unwrap();
        inside.wait().await;
        ctx.task::<_, ()>(async { Err("first")? })
            .name("a")
            .spawn()
            .unwrap();
        ctx.cancelled().await;
        drop(release);
        let all = failures(&m).await;
        let texts: Vec<_> = all.iter().map(|f| (f.path(), kind(f))).collect();
        assert_eq!(
            texts,
            [
                ("app/a", "first".to_owned()),
                ("app/b", "second".to_owned())
            ]
        );
        let error = m.result().unwrap().unwrap_err();
        assert!(matches!(&error, ServiceError::Failed(list) if list.len() == 2));
    });
}

fn kind(failure: &TaskFailure) -> String {
    match failure.kind() {
        FailureKind::Error(error) => error.to_string(),
        FailureKind::Panic(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// A daemon that ends with a value is `DaemonExit`; what it leaves behind is cancelled.
#[test]
fn a_daemon_that_ends() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let fallen = Event::new();
        let guard = Falls(fallen.clone());
        let daemon = ctx
            .task(async move {
                spawn(async move {
                    let _guard = guard;
                    pending::<()>().await
                });
                Ok(())
            })
            .daemon()
            .name("probe")
            .spawn()
            .unwrap();
        assert!(daemon.is_daemon());
        let failure = only(failures(&m).await);
        assert_eq!(failure.path(), "app/probe");
        assert!(matches!(failure.kind(), FailureKind::DaemonExit));
        assert!(fallen.is_set());
    });
}

/// A daemon that ends with an error or a panic is that, and not a `DaemonExit`.
#[test]
fn a_daemon_that_fails() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        ctx.run_daemon_task(async { Err("wrong")? }).unwrap();
        let failure = only(failures(&m).await);
        assert!(matches!(failure.kind(), FailureKind::Error(_)));
        let (m, ctx) = app(&h).await;
        ctx.run_daemon_task(async { panic!("intended") }).unwrap();
        let failure = only(failures(&m).await);
        assert!(matches!(failure.kind(), FailureKind::Panic(_)));
    });
}

/// A daemon child service that ends is `DaemonExit` in the parent; one that fails is its failure.
#[test]
fn a_daemon_child_service() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let child = ctx
            .run_daemon_child_service(service_fn("child", |_| async { Ok(()) }))
            .unwrap();
        let failure = only(failures(&m).await);
        assert_eq!(failure.path(), "app/child");
        assert!(matches!(failure.kind(), FailureKind::DaemonExit));
        assert!(child.is_finished() && !child.did_error());
        let (m, ctx) = app(&h).await;
        let child = ctx.child_service(service_fn("child", |_| async { Err("wrong")? }));
        child.daemon().spawn().unwrap();
        let failure = only(failures(&m).await);
        assert!(matches!(failure.kind(), FailureKind::Service(_)));
    });
}

/// What is cancelled by hand is no failure, daemon or not, task or service.
#[test]
fn cancelled_by_hand_is_nothing() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let tasks = [
            ctx.run_task(pending()).unwrap(),
            ctx.run_daemon_task(pending()).unwrap(),
        ];
        let services = [
            ctx.run_child_service(service_fn("a", |_| pending()))
                .unwrap(),
            ctx.run_daemon_child_service(service_fn("b", |_| pending()))
                .unwrap(),
        ];
        for task in tasks {
            task.cancel();
            assert!(matches!(task.await, Err(JoinError::Cancelled)));
        }
        for service in services {
            service.stop().await.unwrap();
        }
        assert!(m.is_running() && !m.is_cancelled() && !m.did_error());
        m.stop().await.unwrap();
        assert!(failures(&m).await.is_empty());
    });
}

/// A daemon that ends because its service is being cancelled is no failure.
#[test]
fn a_daemon_may_end_while_being_cancelled() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let inside = Event::new();
        let (set, inner) = (inside.clone(), ctx.clone());
        ctx.run_daemon_task(taskgrove::shielded(async move {
            set.set();
            inner.cancelled().await;
            Ok(())
        }))
        .unwrap();
        inside.wait().await;
        m.stop().await.unwrap();
        assert!(failures(&m).await.is_empty());
    });
}

/// Also a daemon child service, and if that asks for the cancellation in its own last poll.
#[test]
fn a_daemon_child_service_may_end_as_it_cancels_its_parent() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let parent = m.clone();
        let child = service_fn("child", async move |_: Context| {
            parent.cancel()?;
            Ok(())
        });
        let child = ctx.run_daemon_child_service(child).unwrap();
        assert_eq!(failures(&m).await.len(), 0);
        assert!(child.is_cancelled() && !child.did_error());
    });
}

/// A daemon does not end the service, and a service with a live one does not end by itself.
#[test]
fn a_live_daemon_keeps_the_service() {
    everywhere(async |h| {
        let m = h
            .start(service_fn("app", |ctx| async move {
                ctx.run_daemon_task(pending())?;
                Ok(())
            }))
            .unwrap();
        for _ in 0..20 {
            taskgrove::yield_now().await;
            assert!(m.is_running());
        }
        m.stop().await.unwrap();
        assert!(failures(&m).await.is_empty());
    });
}

/// A supervised task's value comes out of its handle.
#[test]
fn a_value_from_a_task() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let task = ctx.task(async { Ok("value") }).spawn().unwrap();
        assert_eq!(task.await.unwrap(), "value");
        assert!(m.is_running());
    });
}
