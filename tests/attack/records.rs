//! What is recorded, and what handles say.

use crate::common::{Event, announced, on_two_workers, on_workers, suspend_times, watchdog};
use std::future::pending;
use std::time::Duration;
use taskgrove::{
    Context, LifecycleError, Manager, Runtime, ServiceError, defer, finally, service_fn, spawn,
    yield_now,
};

/// `run` of a child service that has been started is an error, and no more than that.
#[test]
fn a_refused_run_does_not_take_a_child_service_out_of_its_parent() {
    on_two_workers(async || {
        let (tx, rx) = std::sync::mpsc::channel();
        let started = Event::new();
        let told = started.clone();
        let app = service_fn("app", async move |ctx: Context| {
            let child = ctx.run_child_service(service_fn("child", async |_| pending().await))?;
            tx.send(child)?;
            told.set();
            pending().await
        });
        let app = taskgrove::Handle::current().start(app).expect("started");
        started.wait().await;
        let child: Manager = rx.recv().expect("sent");
        let again = child.run().await;
        assert!(matches!(
            again,
            Err(ServiceError::Lifecycle(
                LifecycleError::AlreadyStarted { .. }
            ))
        ));
        app.stop().await.expect("it was started");
        assert!(child.is_finished());
        assert!(child.is_cancelled(), "its parent was cancelled");
    });
}

/// The error of a poll that began after cancellation was asked for is a consequence, whatever
/// else is cancelled during that poll.
#[test]
fn an_unrelated_cancel_makes_no_failure_of_a_consequence() {
    on_workers(0, async || {
        let (tx, rx) = std::sync::mpsc::channel();
        let ready = Event::new();
        let told = ready.clone();
        let helper = spawn(async {
            let child = spawn(pending::<()>());
            let _ = child.await;
        });
        let service = Manager::builder(service_fn("service", async move |ctx: Context| {
            let inner = ctx.clone();
            // The oldest child: a walk comes to it last.
            ctx.run_task(announced(told, async move {
                inner.cancelled().await;
                helper.cancel();
                Err("stopped, as told".into())
            }))?;
            for _ in 0..20_000 {
                ctx.run_task(pending())?;
            }
            pending().await
        }))
        .max_children(100_000)
        .build()
        .expect("a manager");
        let manager = service.clone();
        let outer = spawn(async move {
            tx.send(()).expect("received");
            service.run().await
        });
        ready.wait().await;
        rx.recv().expect("sent");
        // Until all have been polled.
        suspend_times(2000).await;
        outer.cancel();
        assert!(outer.await.is_err_and(|e| e.is_cancelled()));
        let result = manager.result().expect("finished");
        assert!(result.is_ok(), "{:?}", result.map_err(|e| e.to_string()));
    });
}

/// A panic in a cleanup is the task's panic: its children are cancelled, as for any panic.
#[test]
fn children_are_cancelled_when_a_cleanup_panics() {
    on_two_workers(async || {
        let task = spawn(async {
            drop(spawn(pending::<()>()));
            let _cleanup = defer(async {
                suspend_times(1).await;
                panic!("in the cleanup");
            });
        });
        let result = task.await;
        assert!(result.is_err_and(|e| e.is_panic()));
    });
}

/// A guard in an output that gives way to a panic is dropped in the task: its cleanup runs.
#[test]
fn a_guard_in_an_output_that_is_replaced_is_not_lost() {
    on_two_workers(async || {
        let cleaned = Event::new();
        let told = cleaned.clone();
        let task = spawn(async move {
            let _panics = defer(async { panic!("in the first cleanup") });
            defer(async move { told.set() })
        });
        assert!(task.await.is_err_and(|e| e.is_panic()));
        suspend_times(1000).await;
        assert!(cleaned.is_set());
    });
}

/// The first of several panics in cleanups is the task's.
#[test]
fn the_first_panic_of_several_cleanups_counts() {
    on_two_workers(async || {
        let task = spawn(async move {
            let _second = defer(async { panic!("second") });
            let _first = defer(async { panic!("first") });
        });
        match task.await {
            Err(taskgrove::JoinError::Panicked(panic)) => assert_eq!(panic.message(), "first"),
            other => panic!("{other:?}"),
        }
    });
}

/// A guard dropped outside of tasks: its root is a cleanup, which a shutdown waits for.
#[test]
fn a_shutdown_waits_for_a_cleanup_that_became_a_root() {
    watchdog(|| {
        let runtime = Runtime::builder().workers(0).build().expect("a runtime");
        let cleaned = Event::new();
        let told = cleaned.clone();
        runtime.block_on(async move {
            let guard = defer(async move {
                yield_now().await;
                told.set();
            });
            yield_now().await;
            drop(guard);
        });
        let ended = runtime.shutdown_timeout(Duration::from_secs(20));
        assert!(ended.is_ok());
        assert!(cleaned.is_set(), "the cleanup was dropped unrun");
    });
}

/// Cancelled before its first poll, alone, with idle workers: it never runs, and neither does
/// its `finally`.
#[test]
fn what_is_cancelled_before_its_first_poll_never_runs() {
    on_workers(1, async || {
        for _ in 0..1000 {
            let ran = Event::new();
            let told = ran.clone();
            let task = spawn(async move {
                let task = spawn(finally(async move { told.set() }, async {}));
                task.cancel();
                task.await
            });
            let inner = task.await.expect("not cancelled");
            assert!(inner.is_err() && !ran.is_set());
        }
    });
}
