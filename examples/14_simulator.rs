//! The simulator finds a bug that depends on the order in which tasks run.
//!
//! Look at: two tasks read, yield and write a balance. In half of the orders nothing is lost.
//! `sim::check` runs the same code once a seed, each in an order of its own, and names the first seed
//! that fails; with that seed the failure repeats every time. The hour they sleep takes no time.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use taskgrove::{sim, spawn, time, yield_now};

async fn deposit(account: Arc<AtomicU32>) {
    time::sleep(Duration::from_secs(3600)).await;
    let balance = account.load(Ordering::Relaxed);
    yield_now().await; // the other deposit may come in between
    account.store(balance + 1, Ordering::Relaxed);
}

async fn bank() {
    let account = Arc::new(AtomicU32::new(0));
    let first = spawn(deposit(account.clone()));
    let second = spawn(deposit(account.clone()));
    first.await.expect("not cancelled");
    second.await.expect("not cancelled");
    assert_eq!(account.load(Ordering::Relaxed), 2, "a deposit is lost");
}

fn main() {
    std::panic::set_hook(Box::new(|_| {})); // the panics below are expected
    let last = Cell::new(0);
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sim::check(0..100, async || {
            last.set(last.get() + 1);
            bank().await;
        });
    }));
    println!("found: {}", found.is_err());
    println!("after at most 100 seeds: {}", last.get() <= 100);
}

//= found: true
//= after at most 100 seeds: true
