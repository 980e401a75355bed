//! Timers: taskgrove's against tokio's.

use crate::harness::{cpu_time, per, settle};
use crate::raw::{GroveRoots, Raw, Tokio};
use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

const TIMEOUTS: usize = 100_000;
/// Sleeps that are live at once.
pub const SLEEPS: usize = 1_000_000;

/// ns for a timeout around a future that is ready.
pub fn grove_timeout() -> f64 {
    GroveRoots::drive(async {
        let began = Instant::now();
        for i in 0..TIMEOUTS {
            let done = taskgrove::time::timeout(Duration::from_secs(5), ready(black_box(i)));
            assert_eq!(done.await.ok(), Some(i));
        }
        per(began.elapsed(), TIMEOUTS)
    })
}

pub fn tokio_timeout() -> f64 {
    Tokio::drive(async {
        let began = Instant::now();
        for i in 0..TIMEOUTS {
            let done = tokio::time::timeout(Duration::from_secs(5), ready(black_box(i)));
            assert_eq!(done.await.ok(), Some(i));
        }
        per(began.elapsed(), TIMEOUTS)
    })
}

/// Counts the timers that fired.
struct Fired(AtomicUsize);

impl Wake for Fired {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// ns a timer to make and poll a million sleeps, CPU ns to fire them, and ns to drop a million
/// that have not fired.
pub struct Sleeps {
    pub insert: f64,
    pub fire: f64,
    pub drop: f64,
}

/// Deadlines spread over one second, in an order that is not theirs.
fn spread(i: usize) -> Duration {
    Duration::from_nanos((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) % 1_000_000_000)
}

fn sleeps<S>(make: impl Fn(Instant) -> S) -> Sleeps
where
    S: Future<Output = ()> + Send + 'static,
{
    let fired = Arc::new(Fired(AtomicUsize::new(0)));
    let waker = Waker::from(fired.clone());
    let mut cx = Context::from_waker(&waker);
    let mut insert = |from: Instant| {
        let mut live: Vec<Pin<Box<S>>> = Vec::with_capacity(SLEEPS);
        let began = Instant::now();
        for i in 0..SLEEPS {
            let mut sleep = Box::pin(make(from + spread(i)));
            assert!(sleep.as_mut().poll(&mut cx).is_pending());
            live.push(sleep);
        }
        (live, per(began.elapsed(), SLEEPS))
    };

    let (live, insert_ns) = insert(Instant::now() + Duration::from_secs(3_600));
    let began = Instant::now();
    drop(live);
    let drop_ns = per(began.elapsed(), SLEEPS);

    // Far enough away for all to be in before the first is due.
    let from = Instant::now() + Duration::from_secs(4);
    let (live, _) = insert(from);
    assert!(Instant::now() < from, "the machine is too slow for this");
    settle(from.saturating_duration_since(Instant::now()) - Duration::from_millis(20));
    let before = cpu_time();
    while fired.0.load(Ordering::Relaxed) < SLEEPS {
        assert!(from.elapsed() < Duration::from_secs(20), "timers were lost");
        settle(Duration::from_millis(20));
    }
    let fire_ns = per(cpu_time() - before, SLEEPS);
    drop(live);
    Sleeps {
        insert: insert_ns,
        fire: fire_ns,
        drop: drop_ns,
    }
}

pub fn grove_sleeps() -> Sleeps {
    GroveRoots::drive(async { sleeps(taskgrove::time::sleep_until) })
}

pub fn tokio_sleeps() -> Sleeps {
    Tokio::drive(async { sleeps(|at| tokio::time::sleep_until(at.into())) })
}
