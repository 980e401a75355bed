//! The workloads of a plain executor, written once for all of them.

use crate::harness::{per, quantile, settle};
use crate::nodes::{Live, breathe, parked};
use crate::raw::{Raw, WORKERS};
use futures::channel::oneshot;
use std::future::poll_fn;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Tasks of most workloads.
pub const TASKS: usize = 10_000;

/// Spawns `TASKS` tasks that return at once, from inside a task, and awaits them all; ns a task.
pub fn spawn_join_local<R: Raw>() -> f64 {
    R::drive(async {
        let began = Instant::now();
        let mut tasks = Vec::with_capacity(TASKS);
        for i in 0..TASKS {
            tasks.push(R::spawn(async move { i }));
        }
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        let elapsed = began.elapsed();
        assert_eq!(sum, TASKS * (TASKS - 1) / 2);
        per(elapsed, TASKS)
    })
}

/// The same from a thread that is no worker.
pub fn spawn_join_external<R: Raw>() -> f64 {
    let began = Instant::now();
    let mut tasks = Vec::with_capacity(TASKS);
    for i in 0..TASKS {
        tasks.push(R::spawn_outside(async move { i }));
    }
    let sum = futures_lite::future::block_on(async {
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        sum
    });
    let elapsed = began.elapsed();
    assert_eq!(sum, TASKS * (TASKS - 1) / 2);
    per(elapsed, TASKS)
}

/// Each task spawns the next and ends; ns a task.
pub fn chained_spawn<R: Raw>() -> f64 {
    fn link<R: Raw>(left: usize, done: oneshot::Sender<()>) {
        R::detach(R::spawn(async move {
            if left == 1 {
                let _ = done.send(());
            } else {
                link::<R>(left - 1, done);
            }
        }));
    }
    R::drive(async {
        let (tx, rx) = oneshot::channel();
        let began = Instant::now();
        link::<R>(TASKS, tx);
        rx.await.expect("the last task was lost");
        per(began.elapsed(), TASKS)
    })
}

/// Wakes its own task, once, and suspends.
pub async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Tasks that yield, and how often each.
pub const YIELDED: (usize, usize) = (1_000, 100);

/// 1,000 tasks yield 100 times each; ns a yield.
pub fn yield_many<R: Raw>() -> f64 {
    const TASKS: usize = YIELDED.0;
    const YIELDS: usize = YIELDED.1;
    R::drive(async {
        let began = Instant::now();
        let mut tasks = Vec::with_capacity(TASKS);
        for _ in 0..TASKS {
            tasks.push(R::spawn(async {
                let mut polls = 0;
                for _ in 0..YIELDS {
                    yield_once().await;
                    polls += 1;
                }
                polls
            }));
        }
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        let elapsed = began.elapsed();
        assert_eq!(sum, TASKS * YIELDS);
        per(elapsed, TASKS * YIELDS)
    })
}

/// 1,000 tasks, each with a partner to which it sends one message and which answers; ns a pair.
pub fn ping_pong<R: Raw>() -> f64 {
    const PAIRS: usize = 1_000;
    R::drive(async {
        let began = Instant::now();
        let mut tasks = Vec::with_capacity(PAIRS);
        for _ in 0..PAIRS {
            tasks.push(R::spawn(async {
                let (ping, pinged) = oneshot::channel();
                let (pong, ponged) = oneshot::channel();
                R::detach(R::spawn(async move {
                    let value: usize = pinged.await.expect("no ping");
                    let _ = pong.send(value + 1);
                }));
                let _ = ping.send(1);
                ponged.await.expect("no pong")
            }));
        }
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        let elapsed = began.elapsed();
        assert_eq!(sum, 2 * PAIRS);
        per(elapsed, PAIRS)
    })
}

/// Work of five microseconds that depends on no clock.
pub fn work(seed: u64) -> u64 {
    let mut x = seed | 1;
    for _ in 0..WORK_LOOPS.load(Ordering::Relaxed) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    black_box(x)
}

const WORK: Duration = Duration::from_micros(5);
static WORK_LOOPS: AtomicUsize = AtomicUsize::new(0);

/// Sets the amount of [`work`], once, by the least disturbed of many tries.
pub fn calibrate() {
    if WORK_LOOPS.load(Ordering::Relaxed) > 0 {
        return;
    }
    WORK_LOOPS.store(1_000, Ordering::Relaxed);
    let time = || {
        let began = Instant::now();
        assert_ne!((0..200).fold(0, |sum, i| sum ^ work(i)), 1);
        began.elapsed().as_secs_f64() / 200.0
    };
    let one = (0..100).map(|_| time()).fold(f64::MAX, f64::min);
    let loops = 1_000.0 * WORK.as_secs_f64() / one;
    WORK_LOOPS.store(loops as usize, Ordering::Relaxed);
}

/// Percent of what two cores could do: `run` does the [`work`] of that many tasks, whose sum it is
/// told, and says how long it took.
pub fn efficiency(tasks: usize, run: impl FnOnce(u64) -> Duration) -> f64 {
    calibrate();
    let expected = (0..tasks as u64).fold(0, |sum: u64, i| sum.wrapping_add(work(i)));
    let ideal = WORK.as_secs_f64() * tasks as f64 / WORKERS as f64;
    100.0 * ideal / run(expected).as_secs_f64()
}

/// `tasks` tasks of five microseconds of work each.
pub fn fan_out_cpu<R: Raw>(tasks: usize) -> f64 {
    let run = |expected| {
        R::drive(async move {
            let began = Instant::now();
            let mut handles = Vec::with_capacity(tasks);
            for i in 0..tasks as u64 {
                handles.push(R::spawn(async move { work(i) }));
            }
            let mut sum = 0u64;
            for task in handles {
                sum = sum.wrapping_add(task.await);
            }
            let elapsed = began.elapsed();
            assert_eq!(sum, expected);
            elapsed
        })
    };
    efficiency(tasks, run)
}

/// Time from a wake by another thread to the poll, on a runtime with nothing else to do: the
/// median and the 99th percentile of 300, in microseconds.
pub fn wake_latency<R: Raw>() -> (f64, f64) {
    const WAKES: usize = 300;
    struct Bell {
        waker: futures::task::AtomicWaker,
        rung: std::sync::Mutex<Option<Instant>>,
    }
    let bell = Arc::new(Bell {
        waker: futures::task::AtomicWaker::new(),
        rung: std::sync::Mutex::new(None),
    });
    let (tx, rx) = std::sync::mpsc::channel();
    let ringer = bell.clone();
    R::detach(R::spawn_outside(async move {
        for _ in 0..WAKES {
            let rung = poll_fn(|cx| {
                bell.waker.register(cx.waker());
                match bell.rung.lock().expect("bell").take() {
                    Some(at) => Poll::Ready(at),
                    None => Poll::Pending,
                }
            });
            let at = rung.await;
            let _ = tx.send(at.elapsed());
        }
    }));
    let mut samples = Vec::with_capacity(WAKES);
    for _ in 0..WAKES {
        settle(Duration::from_micros(300));
        *ringer.rung.lock().expect("bell") = Some(Instant::now());
        ringer.waker.wake();
        let took = rx.recv().expect("a wake was lost");
        samples.push(took.as_nanos() as f64 / 1e3);
    }
    samples.sort_by(f64::total_cmp);
    (quantile(&samples, 0.5), quantile(&samples, 0.99))
}

/// Cancels `TASKS` parked tasks by their handles, one after another, until every future has been
/// dropped; ns a task.
pub fn cancel_by_handle<R: Raw>() -> f64 {
    R::drive(async {
        Live::reset(TASKS);
        let mut tasks = Vec::with_capacity(TASKS);
        for _ in 0..TASKS {
            tasks.push(R::spawn(parked()));
        }
        Live::all_parked().await;
        let began = Instant::now();
        tasks.into_iter().for_each(R::cancel);
        Live::all_dropped().await;
        let elapsed = began.elapsed();
        assert_eq!(Live::dropped(), TASKS);
        per(elapsed, TASKS)
    })
}

/// Spawns `count` parked tasks and waits until each has been polled.
pub fn park<R: Raw>(count: usize) {
    R::drive(async move {
        Live::reset(count);
        for i in 0..count {
            // A handle that is dropped may end the task, also where it is called detaching: nobody
            // holds a waker of it.
            std::mem::forget(R::spawn(parked()));
            breathe(i).await;
        }
        Live::all_parked().await;
    });
}
