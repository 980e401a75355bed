//! Crates that need tokio, on taskgrove: reqwest, sqlx with SQLite and tonic, each in a future of `async_compat::Compat`.
//!
//! `Compat` enters tokio's runtime around each poll of a future. The future itself is a task of the tree as any
//! other. But what it spawns with `tokio::spawn` is not in the tree, and neither are the threads that it starts. Look
//! at `outside.rs`, which sees them; each of the other files says what escapes, and what to do about it.

mod database;
mod greeter;
mod outside;
mod own;
mod pages;
#[cfg(test)]
mod tests;

use async_compat::Compat;
use outside::{Outside, check};
use taskgrove::{Context, Runtime, service_fn};

fn main() -> taskgrove::Result {
    let runtime = Runtime::builder().workers(2).build()?;
    runtime.run(service_fn("app", app))?;
    println!("the tree has ended without a failure");
    Ok(())
}

async fn app(ctx: Context) -> taskgrove::Result {
    // The first `Compat` that is polled starts a runtime of tokio's, with a thread.
    let outside = Compat::new(async { Outside::here() }).await;
    outside.wait_for_thread("async-compat").await?;
    check("nothing runs there yet", outside.tasks() == 0)?;

    // Each step is a task with a name, so that a failure has a path: `app/reqwest`.
    let address = pages::start(&ctx).await?;
    let step = Compat::new(pages::fetch(address, outside.clone()));
    ctx.task(step).name("reqwest").spawn()?.await?;

    let step = Compat::new(database::count(outside.clone()));
    ctx.task(step).name("sqlx").spawn()?.await?;

    let step = Compat::new(database::cancel(outside.clone()));
    ctx.task(step).name("sqlx-cancelled").spawn()?.await?;

    let step = Compat::new(greeter::greet(ctx.clone(), outside.clone()));
    ctx.task(step).name("tonic").spawn()?.await?;

    let step = Compat::new(own::spawn(outside.clone()));
    ctx.task(step).name("own").spawn()?.await?;

    check("nothing is left outside of the tree", outside.tasks() == 0)?;
    ctx.cancel()?; // ends the server, which is a daemon
    Ok(())
}
