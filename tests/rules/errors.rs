//! Section "Errors": what the messages name, and where they lead.

use crate::util::*;
use std::error::Error;
use std::future::pending;
use std::num::ParseIntError;
use std::time::Duration;
use taskgrove::{
    FailureKind, JoinError, LifecycleError, Manager, ServiceError, SpawnError, service_fn, time,
};

/// Every lifecycle error names its service.
#[test]
fn lifecycle_errors_name_the_service() {
    let m = Manager::new(service_fn("millpond", |_| async { Ok(()) })).unwrap();
    let error = m.cancel().unwrap_err();
    assert!(error.to_string().contains("millpond"));
    assert!(
        SpawnError::from(error.clone())
            .to_string()
            .contains("millpond")
    );
    assert!(ServiceError::from(error).to_string().contains("millpond"));
    assert!(!LifecycleError::NoManager.to_string().is_empty());
}

/// A service error prints each failure, and its source is the first.
#[test]
fn a_service_error_prints_each_failure() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (first, set) = (Event::new(), Event::new());
        let (wait, go, inner) = (first.wait(), set.clone(), ctx.clone());
        ctx.task::<_, ()>(taskgrove::shielded(async move {
            go.set();
            wait.await;
            inner.cancelled().await;
            Err("too late")?
        }))
        .name("second")
        .spawn()
        .unwrap();
        set.wait().await;
        ctx.task::<_, ()>(async { Err("no water")? })
            .name("first")
            .spawn()
            .unwrap();
        ctx.cancelled().await;
        first.set();
        m.wait_finished().await;
        let error = m.result().unwrap().unwrap_err();
        let text = error.to_string();
        for part in ["app/first", "no water", "app/second", "too late"] {
            assert!(text.contains(part), "{text}");
        }
        let source = error.source().unwrap().to_string();
        assert!(
            source.contains("no water") && source.contains("app/first"),
            "{source}"
        );
    });
}

/// An error can be downcast, and is a source.
#[test]
fn an_error_can_be_downcast() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let task = ctx.run_task(async {
            "ten".parse::<u8>()?;
            Ok(())
        });
        let Err(JoinError::Failed(failure)) = task.unwrap().await else {
            panic!("not failed")
        };
        let FailureKind::Error(cause) = failure.kind() else {
            panic!("no error")
        };
        assert!(cause.is::<ParseIntError>());
        assert!(failure.source().is_some_and(|e| e.is::<ParseIntError>()));
        m.wait_finished().await;
    });
}

/// The failures nested in services are printed with their paths.
#[test]
fn nested_failures_are_printed() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        ctx.run_child_service(service_fn("db", |_| async { panic!("intended: dry") }))
            .unwrap();
        m.wait_finished().await;
        let text = m.result().unwrap().unwrap_err().to_string();
        assert!(
            text.contains("app/db") && text.contains("intended: dry"),
            "{text}"
        );
    });
}

/// A daemon's exit names the daemon.
#[test]
fn a_daemon_exit_names_the_daemon() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let probe = ctx.task(async { Ok(()) }).daemon().name("probe");
        probe.spawn().unwrap();
        m.wait_finished().await;
        let text = m.result().unwrap().unwrap_err().to_string();
        assert!(text.contains("app/probe"), "{text}");
    });
}

/// Join errors say what happened.
#[test]
fn join_errors_say_what_happened() {
    everywhere(async |h| {
        let task = h.spawn(pending::<()>());
        task.cancel();
        let cancelled = task.await.unwrap_err().to_string();
        assert!(cancelled.contains("cancel"), "{cancelled}");
        let panicked = h.spawn(async { panic!("intended: spill") }).await;
        let panicked: Result<(), _> = panicked;
        let text = panicked.unwrap_err().to_string();
        assert!(text.contains("intended: spill"), "{text}");
    });
}

/// `Elapsed` is a plain value.
#[test]
fn elapsed_is_a_plain_value() {
    everywhere(async |_| {
        let short = Duration::from_millis(1);
        let elapsed = time::timeout(short, pending::<()>()).await.unwrap_err();
        let (copy, again) = (elapsed, elapsed);
        assert!(!copy.to_string().is_empty() && again.source().is_none());
    });
}
