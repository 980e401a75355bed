//! Looking at a running program: snapshots, paths, counts, metrics, Graphviz.
//!
//! Look at: the tree is drawn from the executor's own data while it runs; nothing is registered
//! anywhere. Each node says what it is doing, how often it was polled, and where it was spawned.

use std::time::Duration;
use taskgrove::{Context, NodeKind, NodeState, Runtime, service_fn, time::timeout, yield_now};

fn main() -> taskgrove::Result {
    let runtime = Runtime::builder()
        .workers(2)
        .track_busy_time(true)
        .build()?;
    let app = service_fn("app", async |ctx: Context| {
        ctx.run_child_service(service_fn("db", async |ctx: Context| {
            for n in 1..=3 {
                let task = ctx.task(std::future::pending::<taskgrove::Result>());
                task.name(format!("conn-{n}")).spawn()?;
            }
            ctx.set_ready();
            std::future::pending().await
        }))?
        .wait_ready()
        .await?;
        ctx.task(async { Ok(timeout(Duration::MAX, std::future::pending()).await?) })
            .name("ticker")
            .daemon()
            .spawn()?;
        ctx.set_ready();
        std::future::pending().await
    });
    let manager = runtime.start(app)?;
    runtime.block_on(manager.wait_ready())?;
    while manager
        .snapshot()
        .nodes()
        .iter()
        .any(|node| node.state != NodeState::Parked)
    {
        runtime.block_on(yield_now());
    }

    let snapshot = manager.snapshot();
    println!("{snapshot}");
    let services = snapshot
        .nodes()
        .iter()
        .filter(|node| node.kind == NodeKind::Service);
    println!("services: {}", services.count());
    for node in snapshot.nodes().iter().filter(|node| node.daemon) {
        println!(
            "daemon {} spawned at line {}",
            node.path,
            node.location.line()
        );
    }
    println!("tasks of app so far: {}", manager.stats().tasks.total_count);
    println!("live tasks: {}", runtime.metrics().live_tasks);
    println!("graphviz: {}", snapshot.to_dot().starts_with("digraph"));
    Ok(())
}

//= app #
//= ├─ db #
//= │  ├─ conn-1 #
//= services: 2
//= daemon app/ticker spawned at line
//= tasks of app so far: 2
//= live tasks: 6
//= graphviz: true
