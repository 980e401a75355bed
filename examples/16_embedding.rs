//! A runtime without threads, driven from a loop that already exists: a game, a GUI, a C callback.
//!
//! Look at: `workers(0)` starts no thread. Nothing runs until somebody is in `block_on`, and then
//! everything runs on that thread. Here a frame loop gives the tasks a turn in each frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use taskgrove::{Runtime, yield_now};

fn main() -> taskgrove::Result {
    let runtime = Runtime::builder().workers(0).build()?;
    let steps = Arc::new(AtomicU32::new(0));
    let counter = steps.clone();
    let task = runtime.spawn(async move {
        for _ in 0..3 {
            counter.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
        }
        std::thread::current().id()
    });
    println!(
        "before the first frame: {} steps",
        steps.load(Ordering::Relaxed)
    );
    for frame in 1..=3 {
        runtime.block_on(yield_now()); // every ready task gets its turn
        println!("frame {frame}: {} steps", steps.load(Ordering::Relaxed));
    }
    let thread = runtime.block_on(task)?;
    println!("on this thread: {}", thread == std::thread::current().id());
    Ok(())
}

//= before the first frame: 0 steps
//= frame 1: 1 steps
//= frame 3: 3 steps
//= on this thread: true
