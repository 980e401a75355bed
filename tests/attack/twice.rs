//! Futures that panic twice: in their poll, and in the drop that follows.

use crate::common::watchdog;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Cx, Poll};
use std::time::Duration;
use taskgrove::sim::Sim;
use taskgrove::{
    Context, FailureKind, JoinError, Result, Runtime, Service, background_service, defer, finally,
    service_fn, shielded, time,
};

/// Fails, or panics, and then panics in its drop, also while its thread panics already. So it ends the
/// process if it is dropped while something unwinds.
struct Twice {
    panics: bool,
}

impl Future for Twice {
    type Output = Result;

    fn poll(self: Pin<&mut Self>, _: &mut Cx<'_>) -> Poll<Result> {
        assert!(!self.panics, "intended first");
        Poll::Ready(Err("intended first".into()))
    }
}

impl Drop for Twice {
    fn drop(&mut self) {
        panic!("intended second");
    }
}

/// The same, as a cleanup.
struct Cleanup(Twice);

impl Future for Cleanup {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

struct Runs(bool);

impl Service for Runs {
    fn run(self: Arc<Self>, _: Context) -> impl Future<Output = Result> + Send {
        Twice { panics: self.0 }
    }
}

fn runtime() -> Runtime {
    let builder = Runtime::builder().workers(1);
    builder.build().expect("a runtime")
}

/// The failures of a service, as texts.
fn failures(service: impl Service) -> Vec<String> {
    let error = runtime().run(service).expect_err("it fails");
    let text = |kind: &FailureKind| match kind {
        FailureKind::Error(error) => error.to_string(),
        FailureKind::Panic(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let failures = error.failures().iter();
    failures.map(|failure| text(failure.kind())).collect()
}

/// The failures of a service with a task that does this.
fn of_task<F>(future: F) -> Vec<String>
where
    F: Future<Output = Result> + Send + 'static,
{
    failures(service_fn("app", async |ctx: Context| {
        ctx.run_task(future)?;
        Ok(())
    }))
}

const BOTH: [&str; 2] = ["intended first", "intended second"];

/// What `run` returns, or panics with, and the panic in the drop of its future both come out, also
/// if the service is boxed.
#[test]
fn both_ends_of_a_services_run_come_out() {
    watchdog(|| {
        for panics in [false, true] {
            assert_eq!(failures(Runs(panics)), BOTH);
            assert_eq!(failures(Runs(panics).boxed()), BOTH);
        }
    });
}

/// Of a future that something of the crate polls inside a task.
#[test]
fn both_ends_of_what_is_inside_a_task_come_out() {
    watchdog(|| {
        let long = Duration::from_secs(3600);
        for panics in [false, true] {
            let twice = || Twice { panics };
            assert_eq!(of_task(shielded(twice())), BOTH);
            assert_eq!(of_task(finally(twice(), async {})), BOTH);
            let timed = async move { time::timeout(long, Twice { panics }).await? };
            assert_eq!(of_task(timed), BOTH);
            let api = failures(service_fn("app", move |ctx: Context| async move {
                let manager = ctx.manager().clone();
                ctx.run_task(async move { manager.external_api(Twice { panics }).await? })?;
                Ok(())
            }));
            assert_eq!(api, BOTH);
            let beside = service_fn("beside", async |_| std::future::pending().await);
            let body = background_service(beside, move |_| Twice { panics });
            // What it returns is its task's, which a panic ends while it waits for the service.
            let last = if panics { &BOTH[..] } else { &BOTH[1..] };
            assert_eq!(of_task(async { body.await? }), last);
        }
    });
}

/// Of a cleanup, whose error is nobody's.
#[test]
fn both_panics_of_a_cleanup_come_out() {
    watchdog(|| {
        let cleanup = || Cleanup(Twice { panics: true });
        let body = async || Ok::<(), taskgrove::BoxError>(());
        assert_eq!(of_task(finally(body(), cleanup())), BOTH);
        assert_eq!(of_task(shielded(finally(body(), cleanup()))), BOTH);
        let deferred = async move {
            drop(defer(cleanup()));
            Ok(())
        };
        assert_eq!(of_task(deferred), BOTH);
    });
}

/// Of a cleanup that runs because its task is cancelled.
#[test]
fn both_panics_of_a_cleanup_at_the_turn_come_out() {
    watchdog(|| {
        let all = failures(service_fn("app", async |ctx: Context| {
            let body = std::future::pending::<Result>();
            let task = ctx.run_task(finally(body, Cleanup(Twice { panics: true })))?;
            taskgrove::yield_now().await;
            task.cancel();
            let _ = task.await;
            Ok(())
        }));
        assert!(all.is_empty() || all == BOTH, "{all:?}");
    });
}

/// `block_on` panics with the first.
#[test]
fn the_caller_of_block_on_gets_the_first() {
    watchdog(|| {
        let message = |f: &dyn Fn() -> Result| {
            let ended = catch_unwind(AssertUnwindSafe(f));
            let payload = ended.expect_err("it panics");
            let text = payload.downcast_ref::<&str>().copied();
            text.expect("a text").to_owned()
        };
        let (rt, sim) = (runtime(), Sim::new(1));
        for (panics, first) in [(false, "intended second"), (true, "intended first")] {
            assert_eq!(message(&|| rt.block_on(Twice { panics })), first);
            assert_eq!(message(&|| sim.block_on(Twice { panics })), first);
            let shield = || rt.block_on(shielded(Twice { panics }));
            assert_eq!(message(&shield), first);
        }
        let task = rt.spawn(shielded(Twice { panics: true }));
        let ended = rt.block_on(task);
        assert!(matches!(ended, Err(JoinError::Panicked(p)) if p.message() == "intended first"));
    });
}
