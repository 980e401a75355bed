//! Section "time", on the real clock: nothing here fails because a machine is slow.

use crate::util::*;
use std::future::{pending, ready};
use std::time::{Duration, Instant};
use taskgrove::time::{Elapsed, interval, now, sleep, sleep_until, timeout};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn unpin<T: Unpin + Send + Sync>(t: T) -> T {
    t
}

/// `now` is the clock of the runtime, which does not go back.
#[test]
fn now_goes_on() {
    everywhere(async |h| {
        let start = now();
        sleep(5 * MS).await;
        let later = h.spawn(async { now() }).await.unwrap();
        assert!(later >= start + 4 * MS);
        assert!(later <= Instant::now() + 5 * MS);
    });
}

/// A sleep is at least as long as asked for.
#[test]
fn a_sleep_is_long_enough() {
    everywhere(async |h| {
        for length in [Duration::ZERO, MS, 15 * MS] {
            let start = Instant::now();
            unpin(sleep(length)).await;
            assert!(start.elapsed() + 2 * MS >= length);
            let task = h.spawn(async move {
                let start = Instant::now();
                sleep(length).await;
                start.elapsed()
            });
            assert!(task.await.unwrap() + 2 * MS >= length);
        }
    });
}

/// The deadline is fixed at the call, not at the first poll.
#[test]
fn the_deadline_is_fixed_at_the_call() {
    everywhere(async |_| {
        let early = sleep(5 * MS);
        let (late, far) = (sleep(30 * MS), sleep(HOUR));
        late.await;
        assert!(at_once(early).await.is_some());
        assert!(at_once(far).await.is_none());
    });
}

/// `sleep_until` what is past is ready.
#[test]
fn the_past_is_ready() {
    everywhere(async |_| {
        let start = now();
        sleep(3 * MS).await;
        assert!(at_once(sleep_until(start)).await.is_some());
        assert!(at_once(sleep_until(now() + HOUR)).await.is_none());
    });
}

/// `Duration::MAX` is fine: it only never ends.
#[test]
fn max_is_fine() {
    everywhere(async |h| {
        let task = h.spawn(sleep(Duration::MAX));
        assert!(at_once(sleep(Duration::MAX)).await.is_none());
        assert_eq!(timeout(Duration::MAX, ready(1)).await, Ok(1));
        let mut ticks = interval(Duration::MAX);
        ticks.tick().await;
        assert!(at_once(ticks.tick()).await.is_none());
        sleep(MS).await;
        task.cancel();
        task.wait_done().await;
    });
}

/// Sleeps end in the order of their deadlines.
#[test]
fn in_the_order_of_the_deadlines() {
    on(0, async |h| {
        let log = Log::new();
        let start = now();
        let tasks: Vec<_> = [30, 10, 20]
            .into_iter()
            .map(|n| {
                let log = log.clone();
                h.spawn(async move {
                    sleep_until(start + n * MS).await;
                    log.push(n);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(log.take(), [10, 20, 30]);
    });
}

/// `timeout` polls its future first.
#[test]
fn timeout_polls_first() {
    everywhere(async |_| {
        assert_eq!(timeout(Duration::ZERO, ready(5)).await, Ok(5));
    });
}

/// `timeout` ends with `Elapsed`, not before its time, and drops the future.
#[test]
fn timeout_elapses() {
    everywhere(async |_| {
        let start = Instant::now();
        let fallen = Event::new();
        let guard = Falls(fallen.clone());
        let result: Result<(), Elapsed> = timeout(10 * MS, async move {
            let _guard = guard;
            pending().await
        })
        .await;
        assert!(result.is_err() && fallen.is_set());
        assert!(start.elapsed() + 2 * MS >= 10 * MS);
    });
}

/// A timeout that is not needed changes nothing.
#[test]
fn timeout_in_time() {
    everywhere(async |h| {
        let result = timeout(HOUR, h.spawn(async { 2 })).await;
        assert_eq!(result.unwrap().unwrap(), 2);
    });
}

/// An interval ticks at once, then once a period.
#[test]
fn an_interval_ticks() {
    everywhere(async |_| {
        let mut ticks = interval(5 * MS);
        let first = at_once(ticks.tick()).await.expect("the first at once");
        let second = ticks.tick().await;
        let third = ticks.tick().await;
        assert!(second >= first + 4 * MS);
        assert!(third >= second);
        assert!(third >= first + 9 * MS);
    });
}

/// A zero period panics.
#[test]
fn a_zero_period_panics() {
    everywhere(async |_| {
        let text = panics(|| interval(Duration::ZERO));
        assert!(!text.is_empty());
    });
}

/// Many timers at once all end.
#[test]
fn many_timers() {
    everywhere(async |h| {
        let tasks: Vec<_> = (0..2000)
            .map(|n| h.spawn(sleep(Duration::from_micros(n * 5))))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}
