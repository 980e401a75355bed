//! A service as the program: Ctrl-C and SIGTERM cancel it, and it has a limited time to drain.
//!
//! Look at: `main` returns the exit code that `Process::run` makes. Here the program sends the signal to
//! itself. Run with `--features process`; without the last lines of `run` it waits for Ctrl-C, prints its tree at
//! Ctrl-\, and tells systemd when it is ready.

use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use taskgrove::process::Process;
use taskgrove::{Context, Runtime, service_fn, time};

static SERVED: AtomicU64 = AtomicU64::new(0);

/// Serves until the cancellation, and then finishes what it has begun.
async fn serve(ctx: Context) -> taskgrove::Result {
    while ctx
        .until_cancelled(time::sleep(Duration::from_millis(1)))
        .await
        .is_some()
    {
        SERVED.fetch_add(1, Ordering::Relaxed);
    }
    println!("no more requests");
    time::sleep(Duration::from_millis(10)).await;
    println!("drained");
    Ok(())
}

async fn run(ctx: Context) -> taskgrove::Result {
    let server = ctx.clone();
    let server = ctx.task(async move { serve(server).await }).name("server");
    server.grace(Duration::from_secs(5)).spawn()?;
    ctx.set_ready();
    println!("ready");
    while SERVED.load(Ordering::Relaxed) < 10 {
        time::sleep(Duration::from_millis(1)).await;
    }
    // What a user, or an init system, does otherwise.
    let this = std::process::id().to_string();
    Command::new("kill").args(["-TERM", &this]).status()?;
    Ok(())
}

fn main() -> ExitCode {
    let code = Process::new()
        .drain(Duration::from_secs(10))
        .runtime(Runtime::builder().workers(2))
        .run(service_fn("app", run));
    println!("ended well: {}", code == ExitCode::SUCCESS);
    code
}

//= ready
//= no more requests
//= drained
//= ended well: true
