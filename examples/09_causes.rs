//! Why something is being cancelled: the cause says who asked, where, and for what reason.
//!
//! Look at: a reason is given once, to `app`, and a cleanup deep below reads it. Snapshots show it, and so
//! does a stop that takes too long. A failure is a cause too, for what runs beside the failed task.

use std::{future::pending, sync::Once, time::Duration};
use taskgrove::{CauseKind, Context, Manager, Runtime, Snapshot};
use taskgrove::{cancel_cause, finally, service_fn, time};

static GOODBYE: Once = Once::new();

/// A connection that says goodbye, with the reason.
async fn connection() -> taskgrove::Result {
    let goodbye = async {
        let cause = cancel_cause().expect("it was cancelled");
        let reason = cause.reason().expect("it has a reason");
        GOODBYE.call_once(|| println!("goodbye: {reason}"));
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

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        taskgrove::yield_now().await;
    }
}

/// Says whether that many tasks were polled, so that their cleanups run.
fn have_begun(tasks: usize, look: &Snapshot) -> bool {
    look.nodes().iter().filter(|node| node.polls > 0).count() == tasks
}

async fn reload(manager: Manager) -> taskgrove::Result {
    until(|| have_begun(3, &manager.snapshot())).await;
    manager.cancel_with("reload")?;
    manager.cancel_with("the first reason stays")?;
    // Nothing is written per task: a look finds the nearest cause above.
    println!("{}", manager.snapshot());
    until(|| GOODBYE.is_completed()).await;
    let stopped = manager.stop_or_kill(Duration::from_millis(50)).await;
    println!("{}", stopped.unwrap_err());
    Ok(())
}

async fn fails(ctx: Context) -> taskgrove::Result {
    let cleanup = async {
        let cause = cancel_cause().expect("the service has failed");
        if let CauseKind::Failed(failure) = cause.kind() {
            println!("cancelled because of {}", failure.path());
        }
    };
    ctx.task(finally(pending::<taskgrove::Result>(), cleanup))
        .name("beside")
        .spawn()?;
    until(|| have_begun(2, &ctx.snapshot())).await;
    Err("the disk is full".into())
}

fn main() -> taskgrove::Result {
    let runtime = Runtime::new()?;
    runtime.block_on(reload(runtime.start(service_fn("app", app))?))?;
    println!("{}", runtime.run(service_fn("log", fails)).unwrap_err());
    Ok(())
}

//= goodbye: reload
//= not stopped in time: 3 tasks are left
//= cancelled by app: cancel_with() at
//= app/db/conn-1
//= cancelled because of log
//= failed: the disk is full
