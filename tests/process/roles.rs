//! What the child does.

use std::future::pending;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use taskgrove::process::{self, Process};
use taskgrove::supervisor::{ChildSpec, Strategy, Supervisor};
use taskgrove::{
    CauseKind, Context, Handle, Manager, ManagerSlot, Node, NodeState, Runtime, Service,
    cancel_cause, finally, service_fn, spawn, yield_now,
};

const SOON: Duration = Duration::from_millis(100);
const NEVER: Duration = Duration::from_secs(3600);

fn process() -> Process {
    with_workers(2)
}

fn with_workers(workers: usize) -> Process {
    Process::new().runtime(Runtime::builder().workers(workers))
}

/// A service that waits for its cancellation.
async fn waits(ctx: Context) -> taskgrove::Result {
    ctx.task({
        let ctx = ctx.clone();
        async move {
            println!("up");
            ctx.cancelled().await;
            let cause = cancel_cause().expect("it is being cancelled");
            assert!(matches!(cause.kind(), CauseKind::Requested) && cause.location().is_none());
            println!("cancelled by {cause}");
            Ok(())
        }
    })
    .name("waiter")
    .grace(NEVER)
    .spawn()?;
    Ok(())
}

/// A service whose cleanup calls `says`, and does not end.
async fn stubborn_and(says: impl FnOnce()) -> taskgrove::Result {
    let body = async {
        println!("up");
        pending::<()>().await
    };
    let cleanup = async {
        says();
        pending::<()>().await
    };
    finally(body, cleanup).await;
    Ok(())
}

/// A service whose cleanup does not end.
async fn stubborn(_: Context) -> taskgrove::Result {
    stubborn_and(|| println!("cleans up")).await
}

/// As [`stubborn`], and says when its cleanup waits: before, it is in a poll.
async fn stubborn_aloud(_: Context) -> taskgrove::Result {
    let root = Handle::current();
    let says = move || {
        std::thread::spawn(move || {
            let waits = |node: &Node| node.state == NodeState::CleaningUp;
            while !root.snapshot().nodes().iter().any(waits) {
                std::thread::yield_now();
            }
            println!("cleans up");
        });
    };
    stubborn_and(says).await
}

/// An error whose text panics.
#[derive(Debug)]
struct Unprintable;

impl std::fmt::Display for Unprintable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an error")?;
        panic!("its text cannot be made");
    }
}

impl std::error::Error for Unprintable {}

/// An error whose destructor panics.
#[derive(Debug)]
struct Undroppable;

impl std::fmt::Display for Undroppable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an error")
    }
}

impl std::error::Error for Undroppable {}

impl Drop for Undroppable {
    fn drop(&mut self) {
        panic!("it cannot be dropped");
    }
}

/// An error whose text never comes to its end.
#[derive(Debug)]
struct Endless;

impl std::fmt::Display for Endless {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        loop {
            std::thread::park();
        }
    }
}

impl std::error::Error for Endless {}

/// Says when it is dropped.
struct Falls;

impl Drop for Falls {
    fn drop(&mut self) {
        println!("falls");
    }
}

/// Waits until each other task has begun, so that its cleanup runs.
async fn has_begun() {
    let root = Handle::current();
    while root.snapshot().nodes().iter().any(|node| node.polls == 0) {
        yield_now().await;
    }
}

/// Fails with this error, while a cleanup does not end.
async fn stubborn_with(
    ctx: Context,
    error: impl std::error::Error + Send + Sync + 'static,
) -> taskgrove::Result {
    let hangs = stubborn_and(|| println!("cleans up"));
    ctx.task(hangs).name("hangs").spawn()?;
    ctx.task(async move {
        has_begun().await;
        Err::<(), _>(error.into())
    })
    .name("odd")
    .spawn()?;
    Ok(())
}

/// Blocks the thread for ever.
fn block() -> ! {
    println!("up");
    loop {
        std::thread::park();
    }
}

async fn stuck(ctx: Context) -> taskgrove::Result {
    ctx.set_ready();
    let waiter = ctx.clone();
    let waiter = async move {
        waiter.cancelled().await;
        println!("cancelled");
        Ok(())
    };
    ctx.task(waiter).grace(NEVER).spawn()?;
    ctx.task::<_, ()>(async { block() }).name("stuck").spawn()?;
    Ok(())
}

/// Writes to stderr until nobody reads it any more, and holds its lock then.
async fn floods(_: Context) -> taskgrove::Result {
    println!("up");
    let mut err = std::io::stderr().lock();
    loop {
        err.write_all(&[b'x'; 1 << 12])?;
    }
}

/// A service that cannot be managed, because it is managed.
#[derive(Default)]
struct Managed(ManagerSlot);

impl Service for Managed {
    async fn run(self: std::sync::Arc<Self>, _: Context) -> taskgrove::Result {
        Ok(())
    }
    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.0)
    }
}

pub(crate) fn run(role: &str) -> ExitCode {
    match role {
        "clean" => process::run(service_fn("app", async |_| Ok(()))),
        "fails" => process().run(service_fn("app", async |ctx: Context| {
            let fails = async { Err::<(), _>("no disk".into()) };
            ctx.task(fails).name("db").spawn()?;
            pending().await
        })),
        "unprintable" => process().run(service_fn("app", async |ctx: Context| {
            let cleans = finally(pending::<()>(), async { panic!("no disk") });
            let cleans = async {
                cleans.await;
                Ok(())
            };
            ctx.task(cleans).name("db").spawn()?;
            let fails = async {
                has_begun().await;
                Err::<(), _>(Unprintable.into())
            };
            ctx.task(fails).name("odd").spawn()?;
            Ok(())
        })),
        "unprintable and stubborn" => process().drain(SOON).run(service_fn("app", async |ctx| {
            stubborn_with(ctx, Unprintable).await
        })),
        "no drain" => process()
            .drain(Duration::ZERO)
            .run(service_fn("app", async |_| Ok(()))),
        "undroppable" => process().run(service_fn("app", async |_| Err(Undroppable.into()))),
        "endless text" => process().run(service_fn("app", async |_| Err(Endless.into()))),
        "endless text and stubborn" => process().drain(SOON).run(service_fn("app", async |ctx| {
            stubborn_with(ctx, Endless).await
        })),
        "named" => {
            let spec = ChildSpec::new("db", || service_fn("db", async |_| Err("no disk".into())));
            let app = Supervisor::new(Strategy::OneForOne).intensity(0, SOON);
            process().run_builder(Manager::builder(app.child(spec)).name("shop"))
        }
        "managed" => {
            let service = std::sync::Arc::new(Managed::default());
            let _manager = Manager::new(service.clone()).unwrap();
            process().run(service)
        }
        "waits" => process().run(service_fn("app", waits)),
        "waits alone" => with_workers(0).run(service_fn("app", waits)),
        "stubborn" => process().drain(SOON).run(service_fn("app", stubborn)),
        "stubborn for ever" => process()
            .drain(Duration::MAX)
            .run(service_fn("app", stubborn_aloud)),
        "stuck" => process().drain(SOON).run(service_fn("app", stuck)),
        "stuck alone" => with_workers(0).drain(SOON).run(service_fn("app", stuck)),
        "stuck for ever" => process().drain(NEVER).run(service_fn("app", stuck)),
        "stuck worker" => with_workers(1).drain(SOON).run(service_fn("app", stuck)),
        "floods" => process().drain(SOON).run(service_fn("app", floods)),
        "leaves" => process().drain(SOON).run(service_fn("app", async |_| {
            let root = Handle::current();
            let cleans = async { finally(pending::<()>(), pending::<()>()).await };
            root.task(cleans).name("left").spawn();
            root.task(pending::<()>()).name("harmless").spawn();
            // It has begun, so that its cleanup runs.
            while root.snapshot().nodes().iter().any(|node| node.polls == 0) {
                taskgrove::yield_now().await;
            }
            Ok(())
        })),
        "leaves at a signal" => process().drain(SOON).run(service_fn("app", async |_| {
            let cleans = async { finally(pending::<()>(), pending::<()>()).await };
            Handle::current().task(cleans).name("left").spawn();
            has_begun().await;
            println!("up");
            pending().await
        })),
        "leaves for ever" => process()
            .drain(Duration::MAX)
            .run(service_fn("app", async |_| {
                let root = Handle::current();
                let cleans = async {
                    let _falls = Falls;
                    finally(pending::<()>(), async {
                        println!("cleans up");
                        pending::<()>().await
                    })
                    .await
                };
                root.task(cleans).name("left").spawn();
                has_begun().await;
                Ok(())
            })),
        "afterwards" => {
            let code = process().run(service_fn("app", async |_| Ok(())));
            assert_eq!(code, ExitCode::SUCCESS);
            block()
        }
        "twice" => {
            let first = process().run(service_fn("app", async |_| Ok(())));
            assert_eq!(first, ExitCode::SUCCESS);
            process().run(service_fn("app", waits))
        }
        "says" => process().run(service_fn("app", async |ctx: Context| {
            taskgrove::time::sleep(SOON).await;
            println!("ready");
            ctx.set_ready();
            waits(ctx).await
        })),
        "says, and is heard" => with_workers(1).run(service_fn("app", async |ctx: Context| {
            let root = Handle::current();
            // On the only worker a poll that has begun has ended.
            let polled = async |times| {
                let is_polled = |node: &Node| node.name == "sd_notify" && node.polls >= times;
                while !root.snapshot().nodes().iter().any(is_polled) {
                    yield_now().await;
                }
            };
            polled(1).await;
            ctx.set_ready();
            polled(2).await;
            waits(ctx).await
        })),
        "never says" => process().ready_within(SOON).run(service_fn("app", waits)),
        "fails later" => process().run(service_fn("app", async |_| {
            spawn(async {}).await?;
            Err("no disk".into())
        })),
        other => panic!("there is no role {other:?}"),
    }
}
