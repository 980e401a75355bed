//! Bytes and allocations of a parked task or child, counted in a process that has done nothing else.

use crate::filled;
use crate::raw::{AsyncExecutor, FuturesPool, GroveChildren, GroveRoots, Raw, Static, Tokio};
use crate::raw_work::park;
use crate::supervisors::{
    Boxes, Graceful, Grove, Kameo, Ractor, Set, Supervisor, Tasks, Tracker, hold,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

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

/// A name, what parks `n` of it, and how many are parked at once.
type Thing = (&'static str, fn(usize), usize);

const MANY: usize = 100_000;
/// For what takes kilobytes each.
const FEWER: usize = 10_000;

/// Everything that can be weighed.
const THINGS: [Thing; 16] = [
    (GroveRoots::NAME, park::<GroveRoots>, MANY),
    (GroveChildren::NAME, park::<GroveChildren>, MANY),
    (Tokio::NAME, park::<Tokio>, MANY),
    (AsyncExecutor::NAME, park::<AsyncExecutor>, MANY),
    (Static::NAME, park::<Static>, MANY),
    (FuturesPool::NAME, park::<FuturesPool>, MANY),
    (filled::NAME, filled::hold, MANY),
    (Grove::NAME, hold::<Grove>, MANY),
    (Grove::LOADED, Grove::hold_loaded, MANY),
    (Set::NAME, hold::<Set>, MANY),
    (Tracker::NAME, hold::<Tracker>, MANY),
    (Tasks::NAME, hold::<Tasks>, MANY),
    (Ractor::NAME, hold::<Ractor>, FEWER),
    (Kameo::NAME, hold::<Kameo>, FEWER),
    (Graceful::NAME, hold::<Graceful>, FEWER),
    (Boxes::NAME, Boxes::hold, MANY),
];

/// The part of the fresh process: prints bytes and allocations a task.
pub fn weigh(name: &str) {
    let (_, park, count) = THINGS
        .iter()
        .find(|thing| thing.0 == name)
        .expect("a known name");
    ON.store(true, Relaxed);
    // What an executor needs once is no task's.
    park(1_000);
    let (bytes, calls) = (BYTES.load(Relaxed), CALLS.load(Relaxed));
    park(*count);
    let each = |after: usize, before: usize| (after as f64 - before as f64) / *count as f64;
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
