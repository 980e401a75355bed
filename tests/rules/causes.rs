//! "Order": the first failure is the first cause, and parents are told when it happens.

use crate::common::suspend;
use crate::util::*;
use std::error::Error;
use std::future::pending;
use taskgrove::{Context, FailureKind, Manager, ServiceError, finally, service_fn, shielded};

async fn error(m: &Manager) -> ServiceError {
    m.wait_finished().await;
    m.result().unwrap().unwrap_err()
}

fn paths<'a>(failures: impl IntoIterator<Item = &'a taskgrove::TaskFailure>) -> Vec<&'a str> {
    failures.into_iter().map(|failure| failure.path()).collect()
}

/// A child service whose `run` fails and lets go of `gone`, and whose cleanup waits for `go`.
fn failing(gone: Event, go: &Event) -> impl taskgrove::Service {
    let (guard, wait) = (Falls(gone), go.wait());
    service_fn("child", move |ctx: Context| async move {
        let inside = Event::new();
        let set = inside.clone();
        ctx.run_task(shielded(async move {
            set.set();
            wait.await;
            Ok(())
        }))?;
        // A shield that a cancellation finds unpolled does not start.
        inside.wait().await;
        drop(guard);
        Err("the cause")?
    })
}

/// A daemon that ends because a child service has failed is no failure: its service is being
/// cancelled by then, though the child is still cleaning up.
#[test]
fn a_daemon_that_follows_a_failed_child_is_not_the_cause() {
    everywhere(async |h| {
        for _ in 0..20 {
            let (m, ctx) = app(&h).await;
            let (gone, go, over) = (Event::new(), Event::new(), Event::new());
            let (follow, guard) = (gone.wait(), Falls(over.clone()));
            let service = m.clone();
            ctx.task(async move {
                let _guard = guard;
                follow.await;
                // The child lets go before it has failed.
                while !service.is_cancelled() {
                    suspend().await;
                }
                suspend().await;
                Ok(())
            })
            .daemon()
            .name("follower")
            .spawn()
            .unwrap();
            let child = ctx.run_child_service(failing(gone, &go)).unwrap();
            over.wait().await;
            assert!(!child.is_finished());
            go.set();
            let error = error(&m).await;
            let failed = paths(error.failures());
            // Another thread may have run it to its end between the child's letting go and its return.
            if h.metrics().workers > 0 && failed == ["app/follower", "app/child"] {
                continue;
            }
            assert_eq!(failed, ["app/child"]);
            assert!(error.source().unwrap().to_string().contains("the cause"));
        }
    });
}

/// A parent is told of a failure when it happens, on every level, while the child is still ending.
#[test]
fn parents_are_told_when_it_happens() {
    everywhere(async |h| {
        let (go, gone, gift) = (Event::new(), Event::new(), Gift::new());
        let (give, wait) = (gift.clone(), go.clone());
        let m = h
            .start(service_fn("app", |ctx: Context| async move {
                let middle = service_fn("middle", move |ctx: Context| async move {
                    let child = ctx.run_child_service(failing(gone, &wait))?;
                    give.put((ctx.manager().clone(), child));
                    pending().await
                });
                ctx.run_child_service(middle)?;
                pending().await
            }))
            .unwrap();
        let (middle, child) = gift.take().await;
        let told = m.external_api(pending::<()>()).await;
        assert!(told.is_err());
        for m in [&m, &middle, &child] {
            assert!(m.did_error() && m.is_cancelled() && !m.is_finished());
        }
        go.set();
        let error = error(&m).await;
        assert_eq!(paths(error.failures()), ["app/middle"]);
        assert_eq!(paths(error.root_causes()), ["app/middle/child"]);
    });
}

/// Failures and root causes are in the order of the leaves, not in that of what the parent heard.
#[test]
fn failures_are_in_the_order_of_their_leaves() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let go: [Event; 3] = std::array::from_fn(|_| Event::new());
        let fails = |n: usize, text: &'static str| {
            let wait = go[n].wait();
            shielded(async move {
                wait.await;
                Err(boom(text))
            })
        };
        let gift = Gift::new();
        let (give, first, third) = (gift.clone(), fails(0, "first"), fails(2, "third"));
        let child = service_fn("child", |ctx: Context| async move {
            let first = ctx.task::<_, ()>(first).name("first").spawn()?;
            ctx.task::<_, ()>(third).name("third").spawn()?;
            give.put(first);
            pending().await
        });
        ctx.run_child_service(child).unwrap();
        let second = ctx.task::<_, ()>(fails(1, "second")).name("second");
        let second = second.spawn().unwrap();
        let first = gift.take().await;
        // All of them have begun: a shield holds.
        while go.iter().any(|go| go.waiters() == 0) {
            suspend().await;
        }
        go[0].set();
        first.wait_done().await;
        go[1].set();
        second.wait_done().await;
        go[2].set();
        let error = error(&m).await;
        assert_eq!(paths(error.failures()), ["app/child", "app/second"]);
        let causes = ["app/child/first", "app/second", "app/child/third"];
        assert_eq!(paths(error.root_causes()), causes);
    });
}

/// The error of a body has happened when the body returned it, not when its cleanup is over.
#[test]
fn a_body_has_failed_when_it_has_returned() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (cleaning, go) = (Event::new(), Event::new());
        let (set, wait) = (cleaning.clone(), go.wait());
        let body = finally(async { Err(boom("body")) }, async move {
            set.set();
            wait.await;
        });
        ctx.task::<_, ()>(body).name("body").spawn().unwrap();
        cleaning.wait().await;
        let other = ctx
            .task::<_, ()>(async { Err(boom("other")) })
            .name("other");
        other.spawn().unwrap().wait_done().await;
        go.set();
        let error = error(&m).await;
        assert_eq!(paths(error.failures()), ["app/body", "app/other"]);
        let source = error.source().unwrap().to_string();
        assert!(source.contains("app/body"), "{source}");
    });
}

/// A daemon's exit that comes first stays first.
#[test]
fn a_daemon_that_ends_first_is_the_cause() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, inner) = (Event::new(), ctx.clone());
        let set = inside.clone();
        let child = service_fn("child", |_| {
            shielded(async move {
                set.set();
                inner.cancelled().await;
                Err("too late")?
            })
        });
        ctx.run_child_service(child).unwrap();
        inside.wait().await;
        let probe = ctx.task(async { Ok(()) }).daemon().name("probe");
        probe.spawn().unwrap();
        let error = error(&m).await;
        assert_eq!(paths(error.failures()), ["app/probe", "app/child"]);
        assert!(matches!(
            error.failures()[0].kind(),
            FailureKind::DaemonExit
        ));
    });
}
