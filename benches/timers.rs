//! Timers. `cargo bench --bench timers`.
// What criterion's macros make has no docs.
#![allow(missing_docs)]

mod common;

use common::{drive, runtime, total};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};
use taskgrove::Handle;
use taskgrove::time::{Sleep, sleep_until, timeout};

const TIMEOUTS: usize = 10_000;

/// Sleeps that are live, with deadlines spread over a second an hour from now.
fn live(count: usize) -> Vec<Sleep> {
    let mut cx = Context::from_waker(Waker::noop());
    let from = Instant::now() + Duration::from_secs(3_600);
    let sleeps = (0..count as u64).map(|i| {
        let nanos = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 1_000_000_000;
        let mut sleep = sleep_until(from + Duration::from_nanos(nanos));
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
        sleep
    });
    sleeps.collect()
}

/// Counts down the timers that have yet to fire; the last one says when.
struct Fired {
    left: AtomicUsize,
    done: mpsc::SyncSender<Instant>,
}

impl Wake for Fired {
    fn wake(self: Arc<Self>) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = self.done.send(Instant::now());
        }
    }
}

/// The time from one deadline, common to `count` sleeps, until the last has fired.
fn fire(runtime: &Handle, count: usize) -> Duration {
    let (done, when) = mpsc::sync_channel(1);
    let left = AtomicUsize::new(count);
    let (due, sleeps) = drive(runtime, async move {
        let waker = Waker::from(Arc::new(Fired { left, done }));
        let mut cx = Context::from_waker(&waker);
        // Far enough away for all to be in.
        let inserting = Duration::from_micros(3 * count as u64);
        let due = Instant::now() + Duration::from_millis(20) + inserting;
        let sleeps = (0..count).map(|_| {
            let mut sleep = sleep_until(due);
            assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
            sleep
        });
        (due, sleeps.collect::<Vec<_>>())
    });
    let last = when.recv().expect("a timer was lost");
    drop(sleeps);
    last.saturating_duration_since(due)
}

fn timers(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("timers");
    group.throughput(Throughput::Elements(TIMEOUTS as u64));
    group.bench_function("timeout_ready", |b| {
        b.iter_custom(|rounds| {
            total(rounds, || {
                drive(&runtime, async {
                    let began = Instant::now();
                    for i in 0..TIMEOUTS {
                        let done = timeout(Duration::from_secs(5), ready(black_box(i)));
                        assert_eq!(done.await.ok(), Some(i));
                    }
                    began.elapsed()
                })
            })
        });
    });
    group.sample_size(10);
    for count in [10_000, 1_000_000] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("sleep_insert/{count}"), |b| {
            b.iter_custom(|rounds| {
                total(rounds, || {
                    drive(&runtime, async move {
                        let began = Instant::now();
                        let sleeps = live(count);
                        let elapsed = began.elapsed();
                        drop(sleeps);
                        elapsed
                    })
                })
            });
        });
        group.bench_function(format!("sleep_fire/{count}"), |b| {
            b.iter_custom(|rounds| total(rounds, || fire(&runtime, count)));
        });
        group.bench_function(format!("sleep_drop/{count}"), |b| {
            b.iter_custom(|rounds| {
                total(rounds, || {
                    drive(&runtime, async move {
                        let sleeps = live(count);
                        let began = Instant::now();
                        drop(sleeps);
                        began.elapsed()
                    })
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, timers);
criterion_main!(benches);
