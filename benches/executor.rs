//! The plain executor: spawning, joining, waking, cancelling. `cargo bench --bench executor`.
// What criterion's macros make has no docs.
#![allow(missing_docs)]

mod common;

use common::{Live, drive, parked, runtime, total, yield_once};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_lite::future;
use std::future::poll_fn;
use std::hint::black_box;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use taskgrove::{Handle, Task};

const TASKS: usize = 10_000;

async fn join_all<T>(tasks: Vec<Task<T>>) -> usize {
    let mut ended = 0;
    for task in tasks {
        ended += usize::from(task.await.is_ok());
    }
    ended
}

fn spawning(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("spawn");
    group.throughput(Throughput::Elements(TASKS as u64));
    group.bench_function("spawn_join_local_roots", |b| {
        b.iter_custom(|rounds| {
            total(rounds, || {
                drive(&runtime, async {
                    let (began, handle) = (Instant::now(), Handle::current());
                    let tasks = (0..TASKS).map(|i| handle.spawn(async move { i })).collect();
                    assert_eq!(join_all(tasks).await, TASKS);
                    began.elapsed()
                })
            })
        });
    });
    group.bench_function("spawn_join_local_children", |b| {
        b.iter_custom(|rounds| {
            total(rounds, || {
                drive(&runtime, async {
                    let began = Instant::now();
                    let tasks = (0..TASKS)
                        .map(|i| taskgrove::spawn(async move { i }))
                        .collect();
                    assert_eq!(join_all(tasks).await, TASKS);
                    began.elapsed()
                })
            })
        });
    });
    group.bench_function("spawn_join_external", |b| {
        b.iter(|| {
            let tasks = (0..TASKS)
                .map(|i| runtime.spawn(async move { i }))
                .collect();
            assert_eq!(future::block_on(join_all(tasks)), TASKS);
        });
    });
    group.bench_function("chained_spawn", |b| {
        fn link(handle: Handle, left: usize, done: mpsc::Sender<()>) {
            let next = handle.clone();
            drop(handle.spawn(async move {
                if left == 1 {
                    let _ = done.send(());
                } else {
                    link(next, left - 1, done);
                }
            }));
        }
        b.iter(|| {
            let (tx, rx) = mpsc::channel();
            link(runtime.handle().clone(), TASKS, tx);
            rx.recv().expect("the last task was lost");
        });
    });
    group.finish();
}

fn waking(c: &mut Criterion) {
    const YIELDS: usize = 100;
    const PAIRS: usize = 1_000;
    let runtime = runtime();
    let mut group = c.benchmark_group("wake");
    group.throughput(Throughput::Elements((PAIRS * YIELDS) as u64));
    group.bench_function("yield_many", |b| {
        b.iter(|| {
            let tasks = drive(&runtime, async {
                let yields = || async {
                    for _ in 0..YIELDS {
                        yield_once().await;
                    }
                };
                join_all((0..PAIRS).map(|_| taskgrove::spawn(yields())).collect()).await
            });
            assert_eq!(tasks, PAIRS);
        });
    });
    group.throughput(Throughput::Elements(PAIRS as u64));
    group.bench_function("ping_pong", |b| {
        /// A place for one message.
        type Mail = Arc<Mutex<(bool, Option<Waker>)>>;
        fn send(mail: &Mail) {
            let waker = {
                let mut mail = mail.lock().expect("mail");
                mail.0 = true;
                mail.1.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        async fn receive(mail: Mail) {
            poll_fn(|cx| {
                let mut mail = mail.lock().expect("mail");
                if mail.0 {
                    return Poll::Ready(());
                }
                mail.1 = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
        }
        let pair = || async {
            let (ping, pong) = (Mail::default(), Mail::default());
            let (pinged, ponging) = (ping.clone(), pong.clone());
            drop(taskgrove::spawn(async move {
                receive(pinged).await;
                send(&ponging);
            }));
            send(&ping);
            receive(pong).await;
        };
        b.iter(|| {
            let pairs = drive(&runtime, async move {
                join_all((0..PAIRS).map(|_| taskgrove::spawn(pair())).collect()).await
            });
            assert_eq!(pairs, PAIRS);
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("wake_latency", |b| {
        b.iter_custom(|rounds| {
            // A task that is woken from outside while both workers sleep.
            let bell = Arc::new(Mutex::new((None::<Instant>, None::<Waker>)));
            let (tx, rx) = mpsc::channel();
            let rung = bell.clone();
            drop(runtime.spawn(async move {
                for _ in 0..rounds {
                    let at = poll_fn(|cx| {
                        let mut bell = rung.lock().expect("bell");
                        bell.1 = Some(cx.waker().clone());
                        bell.0.take().map_or(Poll::Pending, Poll::Ready)
                    });
                    let _ = tx.send(at.await.elapsed());
                }
            }));
            total(rounds, || {
                let quiet = Instant::now() + Duration::from_micros(300);
                while let Some(left) = quiet.checked_duration_since(Instant::now()) {
                    std::thread::park_timeout(left);
                }
                let waker = {
                    let mut bell = bell.lock().expect("bell");
                    bell.0 = Some(Instant::now());
                    bell.1.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
                rx.recv().expect("a wake was lost")
            })
        });
    });
    group.finish();
}

fn fan_out(c: &mut Criterion) {
    /// About five microseconds.
    fn work(seed: u64) -> u64 {
        (0..3_000).fold(seed | 1, |x, _| {
            let x = x ^ (x << 13);
            let x = x ^ (x >> 7);
            black_box(x ^ (x << 17))
        })
    }
    let runtime = runtime();
    let mut group = c.benchmark_group("fan_out_cpu");
    for tasks in [1_000, 10_000] {
        group.throughput(Throughput::Elements(tasks));
        group.bench_function(tasks.to_string(), |b| {
            b.iter(|| {
                let ended = drive(&runtime, async move {
                    let tasks = 0..tasks;
                    join_all(
                        tasks
                            .map(|i| taskgrove::spawn(async move { work(i) }))
                            .collect(),
                    )
                    .await
                });
                assert_eq!(ended, tasks as usize);
            });
        });
    }
    group.finish();
}

fn cancelling(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("cancel");
    group.throughput(Throughput::Elements(TASKS as u64));
    group.bench_function("cancel_by_handle", |b| {
        b.iter_custom(|rounds| {
            total(rounds, || {
                drive(&runtime, async {
                    let handle = Handle::current();
                    let tasks: Vec<_> = (0..TASKS).map(|_| handle.spawn(parked())).collect();
                    Live::reach(TASKS).await;
                    let began = Instant::now();
                    tasks.iter().for_each(Task::cancel);
                    assert_eq!(join_all(tasks).await, 0);
                    let elapsed = began.elapsed();
                    assert_eq!(Live::count(), 0);
                    elapsed
                })
            })
        });
    });
    group.finish();
}

criterion_group!(benches, spawning, waking, fan_out, cancelling);
criterion_main!(benches);
