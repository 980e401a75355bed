//! Why something is being cancelled: the cause says who asked, where, and for what reason.
//!
//! Look at: a reason is given once, to `app`, and a cleanup deep below reads it. Snapshots show it, and so
//! does a stop that takes too long. A failure is a cause too, for what runs beside the task that failed.

use std::future::pending;
use std::time::Duration;
use taskgrove::{BoxError, CauseKind, Context, Manager, Runtime, Snapshot, StopError};
use taskgrove::{cancel_cause, finally, service_fn, time};

/// A connection that says goodbye, with the reason.
async fn connection() -> taskgrove::Result {
    let goodbye = async {
        let cause = cancel_cause().expect("it was cancelled");
        println!("goodbye: {}", cause.reason().expect("it has a reason"));
        time::sleep(Duration::from_secs(3600)).await; // a client that does not answer
    };
    finally(pending(), goodbye).await
}

async fn app(ctx: Context) -> taskgrove::Result {
    ctx.run_child_service(service_fn("db", async |ctx: Context| {
        ctx.task(connection()).name("conn-1").spawn()?;
        pending().await
    }))?;
    pending().await
}

/// Waits until that many tasks were polled, so that their cleanups run.
async fn all_have_begun(look: impl Fn() -> Snapshot, tasks: usize) {
    while look().nodes().iter().filter(|node| node.polls > 0).count() < tasks {
        taskgrove::yield_now().await;
    }
}

async fn reload(manager: &Manager) -> Result<(), BoxError> {
    all_have_begun(|| manager.snapshot(), 3).await;
    assert!(manager.cancel_cause().is_none());
    manager.cancel_with("reload")?;
    manager.cancel_with("too late: the first reason stays")?;
    // Nothing is written per task: a look finds the nearest cause above.
    println!("{}", manager.snapshot());
    if let Err(StopError::Timeout(late)) = manager.stop_or_kill(Duration::from_millis(50)).await {
        println!("{late}");
    }
    Ok(())
}

async fn fails(ctx: Context) -> taskgrove::Result {
    let beside = async {
        let cleanup = async {
            let cause = cancel_cause().expect("the service has failed");
            if let CauseKind::Failed(failure) = cause.kind() {
                println!("cancelled because of {}", failure.path());
            }
        };
        finally(pending::<taskgrove::Result>(), cleanup).await
    };
    ctx.task(beside).name("beside").spawn()?;
    all_have_begun(|| ctx.snapshot(), 2).await;
    Err("the disk is full".into())
}

fn main() -> taskgrove::Result {
    let runtime = Runtime::new()?;
    let manager = runtime.start(service_fn("app", app))?;
    runtime.block_on(reload(&manager))?;
    println!("{}", runtime.run(service_fn("log", fails)).unwrap_err());
    Ok(())
}

//= goodbye: reload
//= not stopped in time: 3 tasks are left
//= cancelled by app: cancel_with() at
//= app/db/conn-1
//= cancelled because of log
//= failed: the disk is full
