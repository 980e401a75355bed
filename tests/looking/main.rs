//! Looking at a program that runs: what each task waits for, which polls last, what has changed.

#[path = "../common/mod.rs"]
#[allow(unreachable_pub)]
mod common;

mod awaits;
mod causes;
mod crowd;
mod own_end;
mod running;
mod stall;

use common::watchdog;
use taskgrove::sim::check;
use taskgrove::{Node, Runtime, Snapshot, TaskId};

/// What the task with this id waits for.
fn awaiting(snapshot: &Snapshot, id: TaskId) -> Option<&str> {
    node(snapshot, id).awaiting.as_deref()
}

#[track_caller]
fn node(snapshot: &Snapshot, id: TaskId) -> &Node {
    let found = snapshot.nodes().iter().find(|node| node.id == id);
    found.unwrap_or_else(|| panic!("{id} is not there:\n{snapshot}"))
}

/// Runs a body in simulations, and on threads.
fn everywhere<F: AsyncFn() + Copy + Send + 'static>(body: F) {
    check(0..20, body);
    watchdog(move || {
        for workers in [0, 1, 2] {
            let rt = Runtime::builder().workers(workers).build();
            rt.expect("a runtime").block_on(body());
        }
    });
}

fn tracked(workers: usize) -> Runtime {
    let builder = Runtime::builder().workers(workers).track_awaits(true);
    builder.build().expect("a runtime")
}
