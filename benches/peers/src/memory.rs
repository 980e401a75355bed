//! Bytes and allocations of a parked task, counted in a process that has done nothing else.

use crate::raw::{
    AsyncExecutor, FuturesPool, GroveChildren, GroveRoots, Raw, Static, Tokio, grove,
};
use crate::raw_work::{Live, park, parked, yield_once};
use std::alloc::{GlobalAlloc, Layout, System};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use taskgrove::{Manager, service_fn};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The system's allocator, which counts when it is asked to: a process that measures time does not.
pub struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static BYTES: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to `System` as it came; the counters are no part of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            BYTES.fetch_add(layout.size(), Relaxed);
            CALLS.fetch_add(1, Relaxed);
        }
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if ON.load(Relaxed) {
            BYTES.fetch_sub(layout.size(), Relaxed);
        }
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tasks that are parked at once.
const COUNT: usize = 100_000;

/// A name, and what parks `n` of it.
type Thing = (&'static str, fn(usize));

/// Everything that can be weighed.
const THINGS: [Thing; 9] = [
    (GroveRoots::NAME, park::<GroveRoots>),
    (GroveChildren::NAME, park::<GroveChildren>),
    (Tokio::NAME, park::<Tokio>),
    (AsyncExecutor::NAME, park::<AsyncExecutor>),
    (Static::NAME, park::<Static>),
    (FuturesPool::NAME, park::<FuturesPool>),
    ("taskgrove supervised", park_supervised),
    ("tokio JoinSet", park_set),
    ("token + TaskTracker", park_tracker),
];

fn park_supervised(count: usize) {
    GroveRoots::drive(async move {
        Live::reset(count);
        let service = service_fn("app", move |ctx| async move {
            for i in 0..count {
                ctx.run_task(async {
                    parked().await;
                    Ok(())
                })?;
                if i % 64 == 0 {
                    yield_once().await;
                }
            }
            std::future::pending().await
        });
        let manager = Manager::builder(service).max_children(usize::MAX);
        let manager = manager.build().expect("a manager");
        drop(grove().spawn(async move { manager.run().await }));
        Live::all_parked().await;
    });
}

fn park_set(count: usize) {
    Tokio::drive(async move {
        Live::reset(count);
        let mut set = JoinSet::new();
        for i in 0..count {
            set.spawn(parked());
            if i % 64 == 0 {
                yield_once().await;
            }
        }
        Live::all_parked().await;
        std::mem::forget(set);
    });
}

fn park_tracker(count: usize) {
    Tokio::drive(async move {
        Live::reset(count);
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        for i in 0..count {
            let token = token.clone();
            tracker.spawn(async move {
                let _live = Live::new();
                token.cancelled().await;
            });
            if i % 64 == 0 {
                yield_once().await;
            }
        }
        Live::all_parked().await;
        std::mem::forget((tracker, token));
    });
}

/// The part of the fresh process: prints bytes and allocations a task.
pub fn weigh(name: &str) {
    let (_, park) = THINGS
        .iter()
        .find(|thing| thing.0 == name)
        .expect("a known name");
    ON.store(true, Relaxed);
    // What an executor needs once is no task's.
    park(1_000);
    let (bytes, calls) = (BYTES.load(Relaxed), CALLS.load(Relaxed));
    park(COUNT);
    let each = |after: usize, before: usize| (after as f64 - before as f64) / COUNT as f64;
    println!(
        "{} {}",
        each(BYTES.load(Relaxed), bytes),
        each(CALLS.load(Relaxed), calls)
    );
    std::process::exit(0);
}

/// Bytes and allocations a parked task, from a fresh process.
pub fn weighed(name: &str) -> (f64, f64) {
    let me = std::env::current_exe().expect("a path");
    let out = Command::new(me)
        .args(["--weigh", name])
        .output()
        .expect("a process");
    let text = String::from_utf8_lossy(&out.stdout);
    let mut figures = text
        .split_whitespace()
        .map(|word| word.parse().expect("a number"));
    let mut next = || figures.next().expect("a figure");
    (next(), next())
}
