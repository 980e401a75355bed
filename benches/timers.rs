//! Timers. `cargo bench --bench timers`.
// What criterion's macros make has no docs.
#![allow(missing_docs)]

mod common;

use common::{drive, runtime, total};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
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
        group.bench_function(format!("insert/{count}"), |b| {
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
        group.bench_function(format!("drop/{count}"), |b| {
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
