//! `Node::running_for`: how long the poll lasts that a task is in.

use crate::common::watchdog;
use crate::node;
use std::future::pending;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use taskgrove::{Builder, NodeState, Runtime};

/// Looks at a task while it is in a poll that began before `began` was read.
fn look_at_a_poll(builder: Builder) -> Option<Duration> {
    let rt = builder.workers(1).build().expect("a runtime");
    let (tell, told) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let task = rt.spawn(async move {
        tell.send(Instant::now()).expect("the test waits");
        let _ = goes_on.recv();
    });
    let parked = rt.spawn(pending::<()>());
    let began = told.recv().expect("the task runs");
    let at_least = began.elapsed();
    let snapshot = rt.snapshot();
    let seen = node(&snapshot, task.id());
    assert_eq!(seen.state, NodeState::Running);
    assert_eq!(node(&snapshot, parked.id()).running_for, None);
    drop(go_on);
    if let Some(running) = seen.running_for {
        assert!(running >= at_least, "{running:?}, and not {at_least:?}");
    }
    seen.running_for
}

#[test]
fn a_poll_that_is_observed_has_its_duration() {
    watchdog(|| {
        let far = Duration::from_secs(3600);
        for builder in [
            Runtime::builder().track_busy_time(true),
            Runtime::builder().on_stall(far, |_| {}),
        ] {
            assert!(look_at_a_poll(builder).is_some());
        }
        for builder in [Runtime::builder(), Runtime::builder().track_awaits(true)] {
            assert_eq!(look_at_a_poll(builder), None);
        }
    });
}
