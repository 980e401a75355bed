//! Work that blocks: a closure on a thread of its own is a task of the tree like any other.
//!
//! Look at: the picture names the closures; an error fails the service with its path; a closure that runs
//! is waited for, whatever is cancelled. Run with `--features blocking`.

use std::sync::mpsc;
use std::time::Duration;
use taskgrove::{Context, NodeState, Runtime, StopError, service_fn};

fn main() -> taskgrove::Result {
    let runtime = Runtime::new()?;

    // Files, databases without an asynchronous driver, long computations.
    let reader = service_fn("reader", async |ctx: Context| {
        let length = ctx.run_blocking(|| Ok(std::fs::read_to_string("Cargo.toml")?.len()))?;
        println!("read something: {}", length.await? > 0);
        ctx.run_blocking(open_what_is_not_there)?;
        std::future::pending().await // until the failure cancels it
    });
    let failed = runtime.run(reader).unwrap_err();
    println!("{}", failed.to_string().lines().last().unwrap_or_default());

    // Nothing can end a closure that runs, so a stop names it, and the service is done when it returns.
    let (go, wait) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let job = service_fn("job", async move |ctx: Context| {
        ctx.run_blocking(move || {
            begin.send(())?;
            let _ = wait.recv();
            Ok(())
        })?;
        Ok(())
    });
    let manager = runtime.start(job)?;
    begun.recv()?;
    let stopped = runtime.block_on(manager.stop_timeout(Duration::from_millis(10)));
    let Err(StopError::Timeout(timeout)) = stopped else {
        panic!("it does not stop")
    };
    let blocks = |node: &&taskgrove::Node| node.state == NodeState::Blocking;
    for node in timeout.remaining.nodes().iter().filter(blocks) {
        println!("still {}: {}", node.state, node.path);
    }
    drop(go);
    runtime.block_on(manager.wait_finished());
    println!(
        "stopped: {}",
        manager.result().is_some_and(|result| result.is_ok())
    );
    Ok(())
}

fn open_what_is_not_there() -> taskgrove::Result {
    std::fs::File::open("/nowhere/at/all")?;
    Ok(())
}

//= read something: true
//= reader/open_what_is_not_there
//= still blocking: job/main
//= stopped: true
