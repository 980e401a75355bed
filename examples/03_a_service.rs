//! A service: a long-running component with tasks of its own and an outside.
//!
//! Look at: inside, `Context` schedules; outside, `Manager` looks and stops. `external_api` calls work
//! while the service runs, and fail with a typed error as soon as it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use taskgrove::{Context, ManagerSlot, Runtime, Service, time::sleep};

#[derive(Default)]
struct Counter {
    slot: ManagerSlot,
    value: AtomicU64,
}

impl Counter {
    async fn add(&self, n: u64) -> Result<u64, taskgrove::LifecycleError> {
        let add = async { self.value.fetch_add(n, Ordering::Relaxed) + n };
        self.slot.external_api(add).await
    }
}

impl Service for Counter {
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        let this = self.clone();
        ctx.run_daemon_task(async move {
            loop {
                sleep(Duration::from_millis(1)).await;
                this.value.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        ctx.set_ready();
        std::future::pending().await // until somebody stops it
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.slot)
    }
}

fn main() -> taskgrove::Result {
    let runtime = Runtime::new()?;
    let counter = Arc::new(Counter::default());
    let manager = runtime.start(counter.clone())?;
    runtime.block_on(async {
        manager.wait_ready().await?;
        println!("ready: {}", counter.add(1_000).await? >= 1_000);
        manager.stop().await?;
        println!(
            "stopped cleanly: {}",
            matches!(manager.result(), Some(Ok(())))
        );
        println!("afterwards: {}", counter.add(1).await.unwrap_err());
        Ok(())
    })
}

//= ready: true
//= stopped cleanly: true
//= afterwards:
