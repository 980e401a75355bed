//! A simulated day with a million timers passes in seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use taskgrove::time::{now, sleep};
use taskgrove::{sim::Sim, spawn};

const DAY: Duration = Duration::from_secs(86_400);
const TIMERS: u64 = 1_000_000;

/// A hundred thousand timers at once, and nine hundred tasks with a thousand sleeps each. Some
/// seconds of processor time without optimisation; no watchdog, which would count the machine's other work.
#[test]
fn a_day_with_a_million_timers_passes_in_seconds() {
    let begin = Instant::now();
    let sim = Sim::new(86_400);
    let fired = Arc::new(AtomicU64::new(0));
    sim.block_on(async {
        let at_once = 100_000;
        let tasks: Vec<_> = (0..at_once)
            .map(|n| {
                let fired = fired.clone();
                spawn(async move {
                    sleep(Duration::from_micros(n * 863_999)).await;
                    fired.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        let sleepers = 900;
        let each = (TIMERS - at_once) / sleepers;
        for n in 0..sleepers {
            let fired = fired.clone();
            spawn(async move {
                for _ in 0..each {
                    let start = now();
                    let pause = Duration::from_micros(86_000_000 + n);
                    sleep(pause).await;
                    assert_eq!(now() - start, pause);
                    fired.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        sleep(DAY).await;
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(sim.elapsed(), DAY);
    assert_eq!(fired.load(Ordering::Relaxed), TIMERS);
    assert_eq!(sim.handle().metrics().timers, 0);
    println!(
        "{} steps and {TIMERS} timers in {:?}",
        sim.steps(),
        begin.elapsed()
    );
}
