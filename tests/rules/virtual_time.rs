//! Rules about time, on the simulator's clock, where they are exact.

use crate::util::*;
use std::future::pending;
use std::time::Duration;
use taskgrove::time::{interval, now, sleep, timeout};
use taskgrove::{Handle, defer, sim::Sim, spawn};

const SECOND: Duration = Duration::from_secs(1);
/// The clock's grain, added up over the timers of a test.
const GRAIN: Duration = Duration::from_millis(20);

/// Runs the body for a few seeds.
pub(crate) fn simulated(body: impl AsyncFn(Handle) + Send + 'static) {
    watchdog(move || {
        quiet();
        for seed in 0..10 {
            let sim = Sim::new(seed);
            sim.block_on(body(sim.handle().clone()));
        }
    });
}

#[track_caller]
fn lasted(start: std::time::Instant, length: Duration) {
    let passed = now().duration_since(start);
    assert!(
        passed >= length && passed <= length + GRAIN,
        "{passed:?} instead of {length:?}"
    );
}

/// Grace counts from one moment for all: a shutdown lasts as long as the longest, not the sum.
#[test]
fn grace_counts_from_one_moment() {
    simulated(async |h| {
        let (m, ctx) = app_with(&h, |b| b.grace(10 * SECOND)).await;
        let inside = Event::new();
        let (set, inner) = (inside.clone(), ctx.clone());
        ctx.run_task(async move {
            let innermost = inner.clone();
            inner.run_task(async move {
                innermost
                    .task::<_, ()>(pending())
                    .grace(7 * SECOND)
                    .spawn()?;
                spawn(pending::<()>());
                set.set();
                pending().await
            })?;
            pending().await
        })
        .unwrap();
        inside.wait().await;
        let start = now();
        m.stop().await.unwrap();
        lasted(start, 10 * SECOND);
    });
}

/// Asking again does not start the time again.
#[test]
fn grace_counts_from_the_first() {
    simulated(async |h| {
        let (m, _ctx) = app_with(&h, |b| b.grace(10 * SECOND)).await;
        let start = now();
        m.cancel().unwrap();
        sleep(6 * SECOND).await;
        m.stop().await.unwrap();
        lasted(start, 10 * SECOND);
    });
}

/// Without grace a shutdown takes no time; with an opt-out neither.
#[test]
fn no_grace_takes_no_time() {
    simulated(async |h| {
        let (m, ctx) = app(&h).await;
        ctx.run_task(pending()).unwrap();
        let start = now();
        m.stop().await.unwrap();
        lasted(start, Duration::ZERO);
    });
}

/// Cleanups of siblings run side by side, those of one task one after another.
#[test]
fn cleanups_take_their_time() {
    simulated(async |h| {
        let (m, ctx) = app(&h).await;
        for _ in 0..3 {
            let inside = Event::new();
            let set = inside.clone();
            ctx.run_task(async move {
                let _a = defer(sleep(2 * SECOND));
                let _b = defer(sleep_from_its_start());
                set.set();
                pending().await
            })
            .unwrap();
            inside.wait().await;
        }
        let start = now();
        m.stop().await.unwrap();
        // `_b` first, three seconds; `_a`'s deadline was fixed when it was made and is past.
        lasted(start, 3 * SECOND);
    });
}

async fn sleep_from_its_start() {
    sleep(3 * SECOND).await
}

/// `stop_timeout` gives up on time.
#[test]
fn stop_timeout_is_on_time() {
    simulated(async |h| {
        let (m, _ctx) = app_with(&h, |b| b.grace(10 * SECOND)).await;
        let start = now();
        assert!(m.stop_timeout(4 * SECOND).await.is_err());
        lasted(start, 4 * SECOND);
        assert!(m.stop_timeout(40 * SECOND).await.is_ok());
        lasted(start, 10 * SECOND);
    });
}

/// Sleeps and timeouts last as long as asked for.
#[test]
fn sleeps_are_exact() {
    simulated(async |h| {
        let start = now();
        let task = h.spawn(async { sleep(5 * SECOND).await });
        sleep(3 * SECOND).await;
        lasted(start, 3 * SECOND);
        task.await.unwrap();
        lasted(start, 5 * SECOND);
        assert!(timeout(2 * SECOND, pending::<()>()).await.is_err());
        lasted(start, 7 * SECOND);
    });
}

/// The ticks an interval has missed are skipped.
#[test]
fn missed_ticks_are_skipped() {
    simulated(async |_| {
        let start = now();
        let mut ticks = interval(SECOND);
        ticks.tick().await;
        ticks.tick().await;
        lasted(start, SECOND);
        sleep(Duration::from_millis(20_500)).await;
        // At most one that was missed comes late; the others are not made up for.
        let before = now();
        ticks.tick().await;
        ticks.tick().await;
        assert!(now() > before);
        ticks.tick().await;
        assert!(now().duration_since(before) >= SECOND);
    });
}
