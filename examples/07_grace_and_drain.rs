//! A shutdown that drains: grace periods and `stop_timeout`.
//!
//! Look at: every connection hears of the cancellation at once and has half a second to finish its
//! request; the one that does not is dropped then. A shutdown lasts as long as the longest grace, not
//! as their sum. What keeps a cleanup too long is named by `stop_timeout`.

use std::time::Duration;
use taskgrove::sim::Sim;
use taskgrove::{Context, Handle, Manager, finally, service_fn, time, time::sleep};

async fn connection(ctx: Context, request: Duration) -> taskgrove::Result {
    ctx.cancelled().await;
    sleep(request).await; // the request that is being served
    println!("drained after {request:?}");
    Ok(())
}

fn main() -> taskgrove::Result {
    let server = service_fn("server", async |ctx: Context| {
        for (n, millis) in [(1, 10), (2, 20), (3, 60_000)] {
            let request = Duration::from_millis(millis);
            ctx.task(connection(ctx.clone(), request))
                .name(format!("conn-{n}"))
                .spawn()?;
        }
        std::future::pending().await
    });
    let server = Manager::builder(server)
        .grace(Duration::from_millis(500))
        .build()?;
    // In the simulator, whose time is exact: a machine that is busy changes nothing.
    Sim::new(1).block_on(async {
        let running = taskgrove::spawn({
            let server = server.clone();
            async move { server.run().await }
        });
        while server.stats().tasks.total_count < 3 {
            taskgrove::yield_now().await;
        }
        let began = time::now();
        server.stop().await?;
        println!("the stop took {:?}", time::now() - began);
        running.await??;

        let slow = service_fn("slow", async |ctx: Context| {
            let cleanup = sleep(Duration::from_millis(300));
            ctx.task(finally(
                std::future::pending::<taskgrove::Result>(),
                cleanup,
            ))
            .name("upload")
            .spawn()?;
            std::future::pending().await
        });
        let slow = Handle::current().start(slow)?;
        while slow.snapshot().nodes().len() < 2 || slow.snapshot().nodes()[1].polls == 0 {
            taskgrove::yield_now().await;
        }
        println!(
            "{}",
            slow.stop_timeout(Duration::from_millis(50))
                .await
                .unwrap_err()
        );
        Ok(())
    })
}

//= drained after 10ms
//= drained after 20ms
//= the stop took 500ms
//= slow/upload
