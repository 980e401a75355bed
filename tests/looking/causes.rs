//! `Node::cause`: why a task is being cancelled, as data and in the picture.

use crate::{everywhere, node};
use std::future::pending;
use std::time::Duration;
use taskgrove::sim::check;
use taskgrove::time::sleep;
use taskgrove::{Context, Handle, Manager, Task, service_fn, shielded, yield_now};

const MS: Duration = Duration::from_millis(1);

/// A service with a subtree below one task that outlives its cancellation, and a task beside it.
async fn start() -> (Manager, Vec<Task<()>>) {
    let (tell, told) = std::sync::mpsc::channel();
    let service = service_fn("app", async move |ctx: Context| {
        let inner = ctx.clone();
        let told = tell.clone();
        let outer = ctx.task(async move {
            let deep = inner.task(shielded(pending())).name("deep");
            told.send(deep.spawn()?).expect("the test waits");
            pending().await
        });
        tell.send(outer.name("outer").spawn()?)
            .expect("the test waits");
        tell.send(ctx.task(pending()).name("beside").spawn()?)
            .expect("the test waits");
        pending().await
    });
    let m = Handle::current().start(service).expect("it starts");
    let mut tasks: Vec<Task<()>> = Vec::new();
    // The shield is active once the task was polled.
    while tasks.len() < 3 || m.snapshot().nodes().iter().any(|node| node.polls == 0) {
        yield_now().await;
        tasks.extend(told.try_iter());
    }
    tasks.sort_by(|one, two| one.name().cmp(two.name()));
    (m, tasks)
}

/// A task has the cause of the nearest target above it, also in a snapshot that begins below the target.
async fn the_nearest_target_is_the_cause() {
    let (m, tasks) = start().await;
    let [beside, deep, outer] = &tasks[..] else {
        panic!("three tasks")
    };
    let all = Handle::current().snapshot();
    assert!(all.nodes().iter().all(|node| node.cause.is_none()));
    assert!(!all.to_string().contains("cancelled by"), "{all}");

    outer.cancel_with("rebalance");
    let all = Handle::current().snapshot();
    let cause = outer.cancel_cause().expect("it is being cancelled");
    let text = cause.to_string();
    assert!(text.starts_with("app/outer: cancel_with() at tests/looking/causes.rs:"));
    assert!(text.ends_with(": \"rebalance\""), "{text}");
    for task in [outer, deep] {
        assert_eq!(node(&all, task.id()).cause.as_ref(), Some(&text));
    }
    let app = m.id().expect("it runs");
    for id in [app, beside.id()] {
        assert_eq!(node(&all, id).cause, None);
    }
    let drawn = all.to_string();
    let line = format!(", cancelled by {text}");
    assert_eq!(drawn.matches(&line).count(), 2, "{drawn}");

    // A later request above adds nothing to what has a cause.
    m.cancel_with("reload").expect("it was started");
    let below = m.snapshot();
    let above = m.cancel_cause().expect("it is being cancelled").to_string();
    assert!(above.contains("\"reload\""), "{above}");
    assert_eq!(node(&below, app).cause.as_ref(), Some(&above));
    assert_eq!(node(&below, deep.id()).cause.as_ref(), Some(&text));
    m.kill().expect("it was started");
    m.wait_finished().await;
}

#[test]
fn a_node_shows_the_cause_of_the_nearest_target() {
    everywhere(the_nearest_target_is_the_cause);
}

/// A stop that was not in time shows the cause beside the snapshot.
#[test]
fn a_stop_that_is_late_shows_the_cause() {
    check(0..3, async || {
        let (m, _tasks) = start().await;
        m.cancel_with("reload").expect("it was started");
        sleep(MS).await;
        let late = m.stop_or_kill(MS).await.expect_err("a shield is left");
        let text = late.to_string();
        let line = "\n  cancelled by app: cancel_with() at tests/looking/causes.rs:";
        assert!(text.contains(line) && text.contains("\"reload\""), "{text}");
        assert!(text.contains("app/outer/deep"), "{text}");
    });
}
