//! `Sleep::reset` and the missed ticks of intervals, in virtual time and on threads.

use crate::util::*;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use taskgrove::sim::{Sim, check};
use taskgrove::time::{Interval, MissedTicks, Sleep, interval, now, sleep, sleep_until};
use taskgrove::{Handle, spawn};

const SECOND: Duration = Duration::from_secs(1);

fn simulated(body: impl AsyncFn() + Send + Sync + 'static) {
    watchdog(move || check(0..20, body));
}

/// Polls once and expects nothing.
async fn register(sleep: &mut Pin<&mut Sleep>) {
    assert!(crate::common::poll_once(sleep).await.is_none());
}

/// After a reset of a sleep that was polled, the task is woken at the new time and polls nothing in between but once when
/// the old deadline passes.
#[test]
fn a_reset_sleep_resolves_at_its_new_deadline() {
    simulated(async || {
        for (first, then) in [(5, 9), (9, 5), (5, 5), (0, 3), (3, 0)] {
            for polled in [false, true] {
                let began = now();
                let mut sleep = pin!(sleep(first * SECOND));
                if polled && first > 0 {
                    register(&mut sleep).await;
                }
                sleep.as_mut().reset(began + then * SECOND);
                assert_eq!(sleep.deadline(), began + then * SECOND);
                sleep.as_mut().await;
                assert_eq!(now() - began, then * SECOND, "{first} {then} {polled}");
                // Also after it has resolved.
                sleep.as_mut().reset(began + 10 * SECOND);
                sleep.await;
                assert_eq!(now() - began, 10 * SECOND);
            }
        }
    });
}

/// The task that waits is woken without polling after the reset: another task resets it.
#[test]
fn a_reset_from_another_task_wakes_the_one_that_waits() {
    simulated(async || {
        for then in [2, 20] {
            let began = now();
            let shared = std::sync::Arc::new(std::sync::Mutex::new(Box::pin(sleep(10 * SECOND))));
            let mine = shared.clone();
            let waits = spawn(async move {
                poll_fn(|cx| mine.lock().unwrap().as_mut().poll(cx)).await;
                now()
            });
            sleep(SECOND).await;
            let deadline = began + then * SECOND;
            shared.lock().unwrap().as_mut().reset(deadline);
            assert_eq!(waits.await.unwrap() - began, then * SECOND);
        }
    });
}

/// Putting off adds no timer, and neither does a move; the drop removes the one.
#[test]
fn a_reset_reuses_the_timer() {
    watchdog(|| {
        let sim = Sim::new(1);
        let handle = sim.handle().clone();
        sim.block_on(async {
            let timers = || handle.metrics().timers;
            {
                let mut sleep = pin!(sleep(10 * SECOND));
                register(&mut sleep).await;
                let steps = sim.steps();
                for n in 0..1000 {
                    sleep.as_mut().reset(now() + (11 + n) * SECOND);
                    assert_eq!(timers(), 1);
                }
                sleep.as_mut().reset(now() + SECOND);
                assert_eq!(timers(), 1);
                assert_eq!(sim.steps(), steps);
            }
            assert_eq!(timers(), 0);
        });
    });
}

/// A timeout that is put off again and again costs one poll for each period, not one for each reset.
#[test]
fn putting_off_costs_one_poll_a_period() {
    watchdog(|| {
        let sim = Sim::new(1);
        sim.block_on(async {
            let (mut polls, mut resets) = (0_u32, 0_u32);
            let mut idle = pin!(sleep(60 * SECOND));
            let mut requests = interval(SECOND);
            poll_fn(|cx| {
                while requests.poll_tick(cx).is_ready() && resets < 600 {
                    resets += 1;
                    idle.as_mut().reset(now() + 60 * SECOND);
                }
                polls += 1;
                idle.as_mut().poll(cx)
            })
            .await;
            assert_eq!(resets, 600);
            assert_eq!(sim.elapsed(), Duration::from_secs(599 + 60));
        });
    });
}

#[test]
fn a_sleep_that_never_ends_and_back() {
    simulated(async || {
        let began = now();
        let mut sleep = pin!(sleep(Duration::MAX));
        register(&mut sleep).await;
        sleep.as_mut().reset(began + SECOND);
        sleep.as_mut().await;
        assert_eq!(now() - began, SECOND);
        let far = sleep_until(sleep.deadline()).deadline() + Duration::from_secs(1 << 40);
        sleep.as_mut().reset(far);
        register(&mut sleep).await;
    });
}

#[test]
fn a_reset_after_the_end_of_the_runtime() {
    watchdog(|| {
        let rt = build(1);
        let entered = rt.enter();
        let mut sleep = pin!(sleep(3600 * SECOND));
        drop(entered);
        rt.block_on(register(&mut sleep));
        drop(rt);
        sleep
            .as_mut()
            .reset(std::time::Instant::now() + 1000 * SECOND);
        futures_lite::future::block_on(sleep.as_mut());
        sleep
            .as_mut()
            .reset(std::time::Instant::now() + 2000 * SECOND);
        futures_lite::future::block_on(sleep);
    });
}

/// On threads: a worker that sleeps until a far deadline wakes for the earlier one.
#[test]
fn a_sleeping_worker_wakes_for_an_earlier_deadline() {
    for workers in [1, 2] {
        on(workers, async |h: Handle| {
            let shared = std::sync::Arc::new(std::sync::Mutex::new(Box::pin(sleep(3600 * SECOND))));
            let mine = shared.clone();
            let polled = Event::new();
            let set = polled.clone();
            let waits = h.spawn(async move {
                poll_fn(|cx| {
                    let poll = mine.lock().unwrap().as_mut().poll(cx);
                    set.set();
                    poll
                })
                .await
            });
            polled.wait().await;
            let soon = now() + Duration::from_millis(1);
            shared.lock().unwrap().as_mut().reset(soon);
            waits.await.unwrap();
            assert!(now() >= soon);
        });
    }
}

/// The times of the ticks, when the second one is handled for 2.5 periods, and what each call returned.
async fn ticks(missed: MissedTicks) -> Vec<(f64, f64)> {
    let began = now();
    let mut ticks = interval(2 * SECOND).missed_ticks(missed);
    let mut all = Vec::new();
    for n in 0..6 {
        let due = ticks.tick().await - began;
        all.push((due.as_secs_f64(), (now() - began).as_secs_f64()));
        if n == 1 {
            sleep(5 * SECOND).await;
        }
    }
    all
}

#[test]
fn missed_ticks_are_skipped_made_up_for_or_put_off() {
    simulated(async || {
        // From 2 to 7 the second tick is handled: those of 4 and 6 are missed.
        assert_eq!(
            ticks(MissedTicks::default()).await,
            [
                (0., 0.),
                (2., 2.),
                (4., 7.),
                (8., 8.),
                (10., 10.),
                (12., 12.)
            ]
        );
        assert_eq!(
            ticks(MissedTicks::Burst).await,
            [(0., 0.), (2., 2.), (4., 7.), (6., 7.), (8., 8.), (10., 10.)]
        );
        assert_eq!(
            ticks(MissedTicks::Delay).await,
            [
                (0., 0.),
                (2., 2.),
                (4., 7.),
                (9., 9.),
                (11., 11.),
                (13., 13.)
            ]
        );
    });
}

/// A poll that is dropped loses no tick, and the latest task that polled is woken.
#[test]
fn polled_by_hand() {
    simulated(async || {
        let began = now();
        let mut ticks: Interval = interval(SECOND);
        assert_eq!(poll_fn(|cx| ticks.poll_tick(cx)).await, began);
        let first = poll_fn(|cx| Poll::Ready(ticks.poll_tick(cx))).await;
        assert!(first.is_pending());
        let other = spawn(async move { ticks.tick().await });
        assert_eq!(other.await.unwrap() - began, SECOND);
    });
}

#[test]
fn a_period_without_end() {
    simulated(async || {
        let mut ticks = interval(Duration::MAX).missed_ticks(MissedTicks::Delay);
        ticks.tick().await;
        let never = taskgrove::time::timeout(Duration::from_secs(1 << 33), ticks.tick()).await;
        assert!(never.is_err());
    });
}
