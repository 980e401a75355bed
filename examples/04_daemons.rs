//! A daemon lasts as long as its service: one that ends earlier is a failure.
//!
//! Look at: the first service ends by itself when `run` and its tasks are done. In the second the
//! daemon returns, which fails the service. In the third the service cancels itself, and then its
//! daemon may end.

use taskgrove::{Context, Runtime, service_fn, yield_now};

fn main() -> taskgrove::Result {
    let runtime = Runtime::new()?;

    let plain = service_fn("plain", async |ctx: Context| {
        ctx.run_task(async {
            yield_now().await;
            Ok(())
        })?;
        Ok(())
    });
    println!("plain: {:?}", runtime.run(plain).is_ok());

    let watched = service_fn("watched", async |ctx: Context| {
        ctx.task(async { Ok(()) })
            .name("heartbeat")
            .daemon()
            .spawn()?;
        std::future::pending().await
    });
    println!("{}", runtime.run(watched).unwrap_err());

    let stopped = service_fn("stopped", async |ctx: Context| {
        ctx.run_daemon_task(async { std::future::pending().await })?;
        ctx.cancel()?;
        Ok(())
    });
    println!("stopped: {:?}", runtime.run(stopped).is_ok());
    Ok(())
}

//= plain: true
//= watched/heartbeat
//= stopped: true
