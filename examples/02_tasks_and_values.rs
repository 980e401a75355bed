//! A task is done only when everything below it is done.
//!
//! Look at: the parent never awaits its children, and its handle still resolves after theirs. A
//! handle is kept only for a value. Dropping a handle detaches the task; the parent waits all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use taskgrove::{Runtime, spawn, yield_now};

fn main() -> taskgrove::Result {
    let runtime = Runtime::new()?;
    let finished = Arc::new(AtomicU32::new(0));
    let counter = finished.clone();

    let parent = runtime.spawn(async move {
        for _ in 0..100 {
            let counter = counter.clone();
            spawn(async move {
                yield_now().await;
                counter.fetch_add(1, Ordering::Relaxed);
            });
        }
        let square = spawn(async { 12 * 12 });
        println!(
            "a value from a child: {}",
            square.await.expect("not cancelled")
        );
        "the parent returned first"
    });

    println!("{}", runtime.block_on(parent)?);
    println!("{} children are done", finished.load(Ordering::Relaxed));

    // A panic is an outcome like any other: the handle tells it.
    let panicked = runtime.block_on(runtime.spawn(async { panic!("no luck") }));
    println!("{}", panicked.unwrap_err());
    Ok(())
}

//= a value from a child: 144
//= the parent returned first
//= 100 children are done
//= no luck
