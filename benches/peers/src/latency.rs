//! How long what comes from outside waits beside tasks that keep every worker busy.

use crate::harness::{quantile, settle};
use crate::raw::{GroveRoots, Raw, Tokio, grove, tokio_runtime};
use crate::raw_work::yield_once;
use futures::channel::oneshot;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

/// Tasks that yield after each piece of work, for as long as this is not ended.
pub struct Crowd {
    over: Arc<AtomicBool>,
    left: mpsc::Receiver<()>,
}

impl Crowd {
    pub fn start<R: Raw>(tasks: usize, piece: Duration) -> Crowd {
        let over = Arc::new(AtomicBool::new(false));
        let (here, left) = mpsc::channel::<()>();
        for _ in 0..tasks {
            let (over, here) = (over.clone(), here.clone());
            R::detach(R::spawn_outside(async move {
                while !over.load(Ordering::Relaxed) {
                    let until = Instant::now() + piece;
                    while Instant::now() < until {
                        std::hint::spin_loop();
                    }
                    yield_once().await;
                }
                drop(here);
            }));
        }
        settle(20 * MS);
        Crowd { over, left }
    }

    /// Returns when the last of them is gone.
    pub fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        let gone = self.left.recv();
        assert!(gone.is_err(), "nobody sends anything");
    }
}

/// The 90th percentile, in microseconds.
fn p90(waits: impl Iterator<Item = Duration>) -> f64 {
    let mut waits: Vec<f64> = waits.map(|wait| wait.as_nanos() as f64 / 1e3).collect();
    waits.sort_by(f64::total_cmp);
    quantile(&waits, 0.9)
}

/// Another thread spawns a thousand a second, beside 20 tasks of 100 us.
pub fn spawn_beside<R: Raw>() -> f64 {
    const SPAWNS: usize = 300;
    let crowd = Crowd::start::<R>(20, MS / 10);
    let (tx, rx) = mpsc::channel();
    for _ in 0..SPAWNS {
        let (tx, at) = (tx.clone(), Instant::now());
        R::detach(R::spawn_outside(async move {
            let _ = tx.send(at.elapsed());
        }));
        settle(MS);
    }
    drop(tx);
    let waited = p90(rx.iter());
    crowd.end();
    waited
}

/// Another thread wakes a task, beside four of 1 ms.
pub fn wake_beside<R: Raw>() -> f64 {
    const WAKES: usize = 60;
    let crowd = Crowd::start::<R>(4, MS);
    let (tx, rx) = mpsc::channel();
    let parked: Vec<_> = (0..WAKES)
        .map(|_| {
            let (bell, rung) = oneshot::channel::<Instant>();
            let tx = tx.clone();
            R::detach(R::spawn_outside(async move {
                if let Ok(at) = rung.await {
                    let _ = tx.send(at.elapsed());
                }
            }));
            bell
        })
        .collect();
    drop(tx);
    settle(100 * MS);
    for bell in parked {
        let _ = bell.send(Instant::now());
        settle(3 * MS);
    }
    let waited = p90(rx.iter());
    crowd.end();
    waited
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task sleeps, beside four of 5 ms; how late it is. `blocked` has another thread wait for it in the
/// runtime's `block_on`, if it does.
fn timer_beside<R: Raw>(sleep: fn(Duration) -> Sleep, blocked: Option<fn(Sleep)>) -> f64 {
    const SLEEPS: u32 = 25;
    let crowd = Crowd::start::<R>(4, 5 * MS);
    let (tx, rx) = mpsc::channel();
    let (over, ended) = oneshot::channel::<()>();
    R::detach(R::spawn_outside(async move {
        for round in 0..SLEEPS {
            let nap = 12 * MS + round * Duration::from_micros(317);
            let began = Instant::now();
            sleep(nap).await;
            let _ = tx.send(began.elapsed().saturating_sub(nap));
        }
        let _ = over.send(());
    }));
    if let Some(block_on) = blocked {
        block_on(Box::pin(async {
            let _ = ended.await;
        }));
    }
    let late = p90(rx.iter());
    crowd.end();
    late
}

fn grove_sleep(time: Duration) -> Sleep {
    Box::pin(taskgrove::time::sleep(time))
}

fn tokio_sleep(time: Duration) -> Sleep {
    Box::pin(tokio::time::sleep(time))
}

pub fn grove_timer_in_block_on() -> f64 {
    timer_beside::<GroveRoots>(grove_sleep, Some(|wait| grove().block_on(wait)))
}

pub fn tokio_timer_in_block_on() -> f64 {
    timer_beside::<Tokio>(tokio_sleep, Some(|wait| tokio_runtime().block_on(wait)))
}

pub fn grove_timer() -> f64 {
    timer_beside::<GroveRoots>(grove_sleep, None)
}

pub fn tokio_timer() -> f64 {
    timer_beside::<Tokio>(tokio_sleep, None)
}
