//! `cancel`, `stop` and `stop_timeout`.

use crate::util::*;
use std::future::pending;
use std::sync::mpsc;
use std::time::Duration;
use taskgrove::{LifecycleError, Manager, StopError, defer, service_fn, shielded, yield_now};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(50);

/// Nothing that never started can be stopped.
#[test]
fn not_before_the_start() {
    everywhere(async |_| {
        let m = Manager::new(service_fn("idle", |_| async { Ok(()) })).unwrap();
        let error = LifecycleError::NotStarted {
            service: "idle".into(),
        };
        assert_eq!(m.cancel().unwrap_err(), error);
        assert_eq!(m.stop().await.unwrap_err(), error);
        let Err(StopError::Lifecycle(seen)) = m.stop_timeout(SHORT).await else {
            panic!("no lifecycle error")
        };
        assert_eq!(seen, error);
        m.run().await.unwrap();
    });
}

/// Once finished, all of them are no-ops.
#[test]
fn nothing_after_the_end() {
    everywhere(async |h| {
        let m = h.start(service_fn("app", |_| async { Ok(()) })).unwrap();
        m.wait_finished().await;
        m.cancel().unwrap();
        m.stop().await.unwrap();
        m.stop_timeout(Duration::ZERO).await.unwrap();
        assert!(!m.is_cancelled());
    });
}

/// `stop` returns when the service is finished.
#[test]
fn stop_waits_for_the_end() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (fallen, inside) = (Event::new(), Event::new());
        let (guard, set) = (Falls(fallen.clone()), inside.clone());
        ctx.run_task(async move {
            let _cleanup = defer(async move {
                let _guard = guard;
                for _ in 0..20 {
                    yield_now().await;
                }
            });
            set.set();
            pending().await
        })
        .unwrap();
        inside.wait().await;
        m.stop().await.unwrap();
        assert!(m.is_finished() && fallen.is_set());
    });
}

/// `stop` has cancelled already when its future is dropped half way.
#[test]
fn a_dropped_stop_has_cancelled() {
    everywhere(async |h| {
        let (m, _ctx) = app(&h).await;
        let _ = at_once(m.stop()).await;
        assert!(m.is_cancelled());
        m.wait_finished().await;
    });
}

/// `stop_timeout` names every task that is left, and why; the service goes on ending.
#[test]
fn stop_timeout_names_what_is_left() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, go) = (Event::new(), Event::new());
        let (set, wait) = (inside.clone(), go.wait());
        ctx.task(shielded(async move {
            set.set();
            wait.await;
            Ok(())
        }))
        .name("stubborn")
        .spawn()
        .unwrap();
        ctx.task(pending::<taskgrove::Result>())
            .name("meek")
            .spawn()
            .unwrap();
        inside.wait().await;
        let Err(StopError::Timeout(left)) = m.stop_timeout(SHORT).await else {
            panic!("no timeout")
        };
        let paths: Vec<_> = left.remaining.nodes().iter().map(|n| &n.path).collect();
        assert_eq!(paths, ["app", "app/stubborn"]);
        let text = left.to_string();
        assert!(text.contains("app/stubborn"), "{text}");
        assert!(!text.contains("meek"), "{text}");
        assert!(m.is_running() && m.is_cancelled());
        go.set();
        m.stop_timeout(LONG).await.unwrap();
        assert!(m.is_finished());
    });
}

/// The limit holds while a worker is stuck in a poll, as long as another is free; the stuck task is named.
#[test]
fn stop_timeout_is_on_time_beside_a_stuck_poll() {
    for workers in [1, 2] {
        on(workers, async |h| {
            let (m, ctx) = app(&h).await;
            let (release, stuck) = mpsc::channel::<()>();
            let inside = Event::new();
            let set = inside.clone();
            ctx.task(async move {
                set.set();
                let _ = stuck.recv();
                Ok(())
            })
            .name("stuck")
            .spawn()
            .unwrap();
            inside.wait().await;
            let Err(StopError::Timeout(left)) = m.stop_timeout(SHORT).await else {
                panic!("no timeout")
            };
            assert!(left.to_string().contains("app/stuck"));
            drop(release);
            m.wait_finished().await;
        });
    }
}

/// What ends in time is no timeout.
#[test]
fn stop_timeout_in_time() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        ctx.run_task(pending()).unwrap();
        m.stop_timeout(LONG).await.unwrap();
        assert!(m.is_finished() && m.result().unwrap().is_ok());
    });
}
