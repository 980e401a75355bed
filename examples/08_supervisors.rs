//! A supervisor restarts its children when they end, and stops them in reverse order.
//!
//! Look at: `db` fails once, and is restarted after a short delay. `web` starts when `db` is ready, and
//! goes down and up with it. A handle adds a child, and looks at all of them. The stop goes from the last
//! child to the first. At the end a supervisor gives up, and says why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use taskgrove::supervisor::{Backoff, ChildSpec, Strategy, Supervisor};
use taskgrove::{BoxError, Runtime, finally, service_fn, time};

/// Whether the network is down, in which the first incarnations find an end.
static DOWN: AtomicBool = AtomicBool::new(false);

/// A child whose first incarnations fail.
fn child(name: &'static str, failures: usize) -> ChildSpec {
    let made = Arc::new(AtomicUsize::new(0));
    ChildSpec::new(name, move || {
        let fails = made.fetch_add(1, Ordering::Relaxed) < failures;
        service_fn(name, async move |ctx| {
            println!("{name} is up");
            ctx.set_ready();
            if fails {
                while !DOWN.load(Ordering::Relaxed) {
                    time::sleep(Duration::from_millis(1)).await;
                }
                return Err("the connection was lost".into());
            }
            finally(std::future::pending(), async { println!("{name} stops") }).await
        })
    })
    .wait_ready(Duration::from_secs(5))
}

fn main() -> taskgrove::Result {
    let runtime = Runtime::new()?;
    let backoff = Backoff::exponential(Duration::from_millis(5), Duration::from_secs(5));
    let app = Supervisor::new(Strategy::RestForOne)
        .child(child("db", 1).backoff(backoff.jitter(0.2)))
        .child(child("web", 0));
    let children = app.handle();
    let manager = runtime.start(app)?;
    runtime.block_on(async {
        manager.wait_ready().await?; // all of its children are
        DOWN.store(true, Ordering::Relaxed);
        while children.children()[0].restarts == 0 {
            time::sleep(Duration::from_millis(1)).await;
        }
        children.wait_child("web").await?;
        children.start_child(child("metrics", 0)).await?;
        for child in children.children() {
            let (name, state, restarts) = (child.name, child.state, child.restarts);
            println!("{name}: {state:?}, {restarts} restarts");
        }
        manager.stop().await?;
        Ok::<(), BoxError>(())
    })?;

    let hopeless = Supervisor::new(Strategy::OneForOne).child(child("hopeless", 9));
    println!("{}", runtime.run(hopeless).unwrap_err());
    Ok(())
}

//= db is up
//= web is up
//= web stops
//= db is up
//= web is up
//= metrics is up
//= db: Running, 1 restarts
//= metrics: Running, 0 restarts
//= metrics stops
//= web stops
//= db stops
//= The supervisor gave up: more than 1 restart within 5s
//= `Supervisor/hopeless` failed: the connection was lost
