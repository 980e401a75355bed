//! A worker: a service that does one job after the other, and may fail.
//!
//! It does not catch the failures of its jobs. After a failure nobody knows what state a worker is in, so it
//! ends, and its supervisor makes a new one, which begins as the first one did.

use async_channel::{Receiver, Sender};
use std::hint::black_box;
use std::time::Duration;
use taskgrove::supervisor::ChildSpec;
use taskgrove::{Context, service_fn, time};

/// How long a worker may take to become ready beyond the time that it is known to need.
const LATE: Duration = Duration::from_secs(10);

/// What a request wants to have done.
pub(crate) struct Job {
    pub(crate) number: u64,
    /// How long it waits for something, such as a database.
    pub(crate) takes: Duration,
    /// How long it blocks its thread, as no task should.
    pub(crate) blocks: Duration,
    pub(crate) fails: bool,
    /// Where the answer goes. If the worker fails, this is dropped, and the request hears of it.
    pub(crate) answer: Sender<String>,
}

/// Describes a worker to its supervisor.
pub(crate) fn spec(number: usize, jobs: Receiver<Job>, warm_up: Duration) -> ChildSpec {
    let name = format!("worker-{number}");
    ChildSpec::new(name.clone(), move || {
        let (name, jobs) = (name.clone(), jobs.clone());
        service_fn(name.clone(), move |ctx| work(ctx, name, jobs, warm_up))
    })
    .wait_ready(warm_up.saturating_add(LATE))
}

async fn work(
    ctx: Context,
    name: String,
    jobs: Receiver<Job>,
    warm_up: Duration,
) -> taskgrove::Result {
    // Stands for what a worker needs first: a connection, a cache.
    time::sleep(warm_up).await;
    ctx.set_ready();
    // Nothing here asks for a cancellation. When it comes, all connections are gone, so no job is under way,
    // and the future is dropped where it waits.
    while let Ok(job) = jobs.recv().await {
        time::sleep(job.takes).await;
        if !job.blocks.is_zero() {
            std::thread::sleep(job.blocks);
        }
        if job.fails {
            return Err(format!("job {} was told to fail", job.number).into());
        }
        let sum = compute(job.number);
        let answer = format!("job {} done by {name}: {sum}\n", job.number);
        // If the client has left meanwhile, nobody wants the answer.
        let _ = job.answer.send(answer).await;
    }
    Ok(())
}

/// Keeps a core busy for a moment.
fn compute(number: u64) -> u64 {
    let step = |sum: u64, n: u64| sum.rotate_left(5) ^ black_box(n);
    (0..20_000).fold(number, step)
}
