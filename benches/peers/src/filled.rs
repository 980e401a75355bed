//! nexosim's executor: filled from outside, then run until everything is done or parked. It has no
//! handles, and nothing runs before all is spawned; its figures are no target.

use crate::harness::per;
use crate::nodes::{Live, parked};
use crate::raw::WORKERS;
use crate::raw_work::{TASKS, YIELDED, efficiency, work, yield_once};
use futures::channel::oneshot;
use nexosim::dev_hooks::Executor;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

pub const NAME: &str = "nexosim (fill, run)";

/// What the tasks add up, for want of handles.
static SUM: AtomicU64 = AtomicU64::new(0);

fn executor() -> MutexGuard<'static, Executor> {
    static EXECUTOR: OnceLock<Mutex<Executor>> = OnceLock::new();
    let executor = EXECUTOR.get_or_init(|| Mutex::new(Executor::new(WORKERS)));
    executor.lock().expect("executor")
}

/// Runs what `fill` spawns, whose sum must be that.
fn run(sum: u64, fill: impl FnOnce(&Executor)) -> Duration {
    let mut executor = executor();
    SUM.store(0, Ordering::SeqCst);
    let began = Instant::now();
    fill(&executor);
    executor.run();
    let elapsed = began.elapsed();
    assert_eq!(SUM.load(Ordering::SeqCst), sum);
    elapsed
}

fn add(value: u64) {
    SUM.fetch_add(value, Ordering::Relaxed);
}

pub fn spawn_join_external() -> f64 {
    let tasks = TASKS as u64;
    let elapsed = run(tasks * (tasks - 1) / 2, |executor| {
        (0..tasks).for_each(|i| executor.spawn_and_forget(async move { add(i) }));
    });
    per(elapsed, TASKS)
}

pub fn yield_many() -> f64 {
    let (tasks, yields) = YIELDED;
    let elapsed = run((tasks * yields) as u64, |executor| {
        for _ in 0..tasks {
            executor.spawn_and_forget(async move {
                let mut polls = 0;
                for _ in 0..yields {
                    yield_once().await;
                    polls += 1;
                }
                add(polls);
            });
        }
    });
    per(elapsed, tasks * yields)
}

pub fn ping_pong() -> f64 {
    const PAIRS: usize = 1_000;
    let elapsed = run(2 * PAIRS as u64, |executor| {
        for _ in 0..PAIRS {
            let (ping, pinged) = oneshot::channel();
            let (pong, ponged) = oneshot::channel();
            executor.spawn_and_forget(async move {
                let _ = ping.send(1);
                add(ponged.await.expect("no pong"));
            });
            executor.spawn_and_forget(async move {
                let value: u64 = pinged.await.expect("no ping");
                let _ = pong.send(value + 1);
            });
        }
    });
    per(elapsed, PAIRS)
}

pub fn fan_out_cpu(tasks: usize) -> f64 {
    efficiency(tasks, |expected| {
        run(expected, |executor| {
            (0..tasks as u64).for_each(|i| executor.spawn_and_forget(async move { add(work(i)) }));
        })
    })
}

/// Leaves `count` parked tasks behind.
pub fn hold(count: usize) {
    Live::reset(count);
    run(0, |executor| {
        (0..count).for_each(|_| executor.spawn_and_forget(parked()));
    });
    futures_lite::future::block_on(Live::all_parked());
}
