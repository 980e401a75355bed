//! Values that go down the tree: a task sees what it, or the nearest task above it, was spawned with.
//!
//! Look at: no function takes the id of a request, yet each line is logged with it, also by tasks deep
//! below. A value that is set further down hides the one above, for its subtree alone. Nothing is copied at
//! a spawn.

use std::sync::{Arc, Mutex};
use taskgrove::{Context, Manager, Runtime, TaskLocal, service_fn, spawn};

/// The request that the calling task works for.
static REQUEST: TaskLocal<String> = TaskLocal::new();
/// Where the lines go. What may change is behind a lock of its own.
static LOG: TaskLocal<Arc<Mutex<Vec<String>>>> = TaskLocal::new();

fn log(text: &str) {
    let request = REQUEST.get().unwrap_or("no request".to_owned());
    LOG.with(|log| {
        let log = log.expect("the service was started with a log");
        log.lock().unwrap().push(format!("{request}: {text}"));
    });
}

/// Asks the database, in a task of its own.
async fn query() -> taskgrove::Result {
    spawn(async { log("asks the database") }).await?;
    Ok(())
}

async fn serve(ctx: Context) -> taskgrove::Result {
    log("begins");
    query().await?;
    let retry = ctx.task(query()).local(&REQUEST, "a retry".to_owned());
    retry.spawn()?.await?;
    log("ends");
    Ok(())
}

async fn app(ctx: Context) -> taskgrove::Result {
    log("is up");
    for n in 1..=2 {
        let request = ctx.task(serve(ctx.clone()));
        let request = request.local(&REQUEST, format!("request {n}"));
        request.spawn()?.await?;
    }
    Ok(())
}

fn main() -> taskgrove::Result {
    let runtime = Runtime::new()?;
    let lines = Arc::new(Mutex::new(Vec::new()));
    let app = Manager::builder(service_fn("app", app)).local(&LOG, lines.clone());
    let manager = app.start(&runtime)?;
    runtime.block_on(manager.wait_finished());
    manager.result().expect("it is finished")?;
    for line in lines.lock().unwrap().iter() {
        println!("{line}");
    }
    // The value is dropped with its task, after everything below.
    println!("owners of the log: {}", Arc::strong_count(&lines));
    Ok(())
}

//= no request: is up
//= request 1: begins
//= request 1: asks the database
//= a retry: asks the database
//= request 1: ends
//= request 2: begins
//= request 2: asks the database
//= a retry: asks the database
//= request 2: ends
