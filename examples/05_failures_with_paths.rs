//! Every failure comes out, with the path of the task it came from and the place that spawned it.
//!
//! Look at: the failure of a task three levels down cancels its service, climbs to whoever runs the
//! outermost one, and can be downcast there. What breaks only because of the shutdown is not reported.

use std::io;
use taskgrove::{Context, FailureKind, Runtime, service_fn};

fn main() -> taskgrove::Result {
    let app = service_fn("app", async |ctx: Context| {
        ctx.run_child_service(service_fn("db", async |ctx: Context| {
            let dial =
                async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused).into()) };
            ctx.task(dial).name("conn-3").spawn()?;
            Ok(())
        }))?;
        ctx.run_child_service(service_fn("web", async |ctx: Context| {
            ctx.cancelled().await;
            Err("the database is gone: a consequence, not a cause".into())
        }))?;
        std::future::pending().await
    });

    let error = Runtime::new()?.run(app).unwrap_err();
    println!("{error}");
    for cause in error.root_causes() {
        println!("root cause: {}", cause.path());
        if let FailureKind::Error(error) = cause.kind() {
            println!(
                "downcast: {:?}",
                error.downcast_ref::<io::Error>().map(io::Error::kind)
            );
        }
    }
    Ok(())
}

//= `app/db/conn-3` (spawned at examples/05_failures_with_paths.rs:
//= root cause: app/db/conn-3
//= downcast: Some(ConnectionRefused)
