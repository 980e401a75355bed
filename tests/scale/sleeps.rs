//! A million sleeps at once, in virtual time.

use crate::ALONE;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::Poll;
use std::time::Duration;
use taskgrove::time::{Sleep, now, sleep};
use taskgrove::{sim::Sim, spawn, yield_now};

const TIMERS: u64 = 1_000_000;
const EACH: u64 = 1000;

/// A thousand tasks with a thousand sleeps each, all of them entered at once: of each ten one resolves at
/// its time, and the others are dropped.
#[test]
#[ignore = "long: the stage `long`"]
fn a_million_sleeps_at_once() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let sim = Sim::new(1);
    let handle = sim.handle().clone();
    sim.block_on(async {
        let begin = now();
        let tasks: Vec<_> = (0..TIMERS / EACH)
            .map(|task| {
                spawn(async move {
                    // In an order that is far from sorted.
                    let after = |n| Duration::from_micros(1 + (n * 7919 + task * 104_729) % TIMERS);
                    let mut sleeps: Vec<Sleep> = (0..EACH).map(|n| sleep(after(n))).collect();
                    poll_fn(|cx| {
                        let mut ready = sleeps.iter_mut().map(|s| Pin::new(s).poll(cx).is_ready());
                        assert!(!ready.any(|ready| ready), "no time has passed");
                        Poll::Ready(())
                    })
                    .await;
                    // The clock stands while anything is ready: everybody gets here first.
                    yield_now().await;
                    for (n, sleep) in (0..).zip(sleeps) {
                        if n % 10 == 0 {
                            sleep.await;
                            assert!(now() >= begin + after(n));
                        }
                    }
                })
            })
            .collect();
        while handle.metrics().timers < TIMERS as usize && now() == begin {
            yield_now().await;
        }
        assert_eq!(handle.metrics().timers as u64, TIMERS);
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(handle.metrics().timers, 0);
}
