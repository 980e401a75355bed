//! With all threads of the pool taken: in a process of its own, whose pool has one.

use crate::common::{Event, OnDrop, watchdog};
use crate::{Gate, node};
use std::process::Command;
use taskgrove::{Handle, NodeState, Runtime, Task, run_blocking};

/// The `blocking` crate reads it once, when its pool is first used.
const VARIABLE: &str = "BLOCKING_MAX_THREADS";

#[test]
fn a_closure_that_waits_for_a_thread_is_cancelled_at_once() {
    if std::env::var_os(VARIABLE).is_some() {
        return watchdog(in_a_full_pool);
    }
    let this = std::env::current_exe().unwrap();
    let name = "full::a_closure_that_waits_for_a_thread_is_cancelled_at_once";
    let output = Command::new(this)
        .args(["--exact", name, "--nocapture"])
        .env(VARIABLE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn in_a_full_pool() {
    for workers in [0, 1] {
        let rt = Runtime::builder().workers(workers).build().unwrap();
        rt.block_on(async {
            let h = Handle::current();
            let (mut gate, wait) = Gate::new();
            let first = run_blocking(wait);
            gate.began.wait().await;
            let dropped = Event::new();
            let falls = OnDrop::new({
                let dropped = dropped.clone();
                move || dropped.set()
            });
            let second: Task<()> = run_blocking(move || {
                let _falls = falls;
                unreachable!("it was cancelled")
            });
            let third = run_blocking(|| 3);
            assert_eq!(node(&h, second.id()).state, NodeState::Queued);
            second.cancel();
            // The first one still has the only thread.
            second.wait_done().await;
            assert!(dropped.is_set() && !first.is_done() && !third.is_done());
            assert!(second.await.unwrap_err().is_cancelled());
            gate.open();
            first.await.unwrap();
            assert_eq!(third.await.unwrap(), 3);
        });
        // The runtime's drop drops those that wait.
        let (mut gate, wait) = Gate::new();
        let first = rt.block_on(async {
            let first = run_blocking(wait);
            gate.began.wait().await;
            first
        });
        let waits: Task<()> = {
            let _entered = rt.enter();
            run_blocking(|| unreachable!("its runtime was dropped"))
        };
        gate.open();
        drop(rt);
        assert!(first.is_done() && waits.is_done());
    }
}
