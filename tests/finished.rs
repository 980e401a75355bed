//! A task whose future is gone keeps no more than its slot and its output, whoever still has a
//! reference to it. The tests look at one count of live bytes, so they are one after another.

#[path = "churn/live.rs"]
mod live;

mod common;

use std::future::poll_fn;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};

use common::watchdog;
use live::live;
use taskgrove::{CancelHandle, Node, NodeState, Runtime, Task, yield_now};

const N: usize = 100;
/// What a task's future keeps.
const LARGE: usize = 128 * 1024;
/// The size of an output, which a poll returns by value.
const OUTPUT: usize = 16 * 1024;
/// What may stay of a task: its slot, and what a test has of it.
const SMALL: isize = 1024;
/// What the runtime and the arena make for themselves meanwhile.
const SLACK: isize = 2 * 64 * 1024;

static ALONE: Mutex<()> = Mutex::new(());

/// Runs `keep` on the same runtime twice, and holds what the second one returns against the bytes
/// that live before it. What `keep` has been given a large future for is over when it returns.
fn assert_small<T: Send + 'static>(keep: impl Fn(&Runtime, usize) -> T + Send + 'static) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    watchdog(move || {
        let runtime = Runtime::builder().workers(2).build().expect("a runtime");
        drop((0..N).map(|n| keep(&runtime, n)).collect::<Vec<_>>());
        let mut kept = Vec::with_capacity(N);
        let before = live();
        kept.extend((0..N).map(|n| keep(&runtime, n)));
        let bytes = live() - before;
        let most = N as isize * SMALL + SLACK;
        assert!(bytes <= most, "{bytes} bytes, of which {most} would do");
    });
}

/// A future that keeps `LARGE` bytes, and hands its waker out.
async fn large(waker: std::sync::mpsc::Sender<Waker>) {
    let room = [1_u8; LARGE];
    poll_fn(|cx| {
        waker.send(cx.waker().clone()).expect("the test waits");
        Poll::Ready(())
    })
    .await;
    yield_now().await;
    black_box(&room);
}

/// Spawns a large task and waits until it is done; its handle and a waker of it.
fn finished(runtime: &Runtime) -> (Task<()>, Waker) {
    let (send, receive) = std::sync::mpsc::channel();
    let task = runtime.spawn(large(send));
    runtime.block_on(task.wait_done());
    (task, receive.recv().expect("it was polled"))
}

#[test]
fn a_waker_keeps_no_finished_future() {
    assert_small(|runtime, _| {
        let (task, waker) = finished(runtime);
        drop(task);
        waker
    });
}

#[test]
fn an_unawaited_handle_keeps_no_finished_future() {
    assert_small(|runtime, _| finished(runtime).0);
}

#[test]
fn a_cancel_handle_keeps_no_finished_future() {
    assert_small(|runtime, _| -> CancelHandle { finished(runtime).0.cancel_handle() });
}

#[test]
fn a_cancelled_task_keeps_no_future() {
    assert_small(|runtime, _| {
        let task = runtime.spawn(async {
            let room = [1_u8; LARGE];
            std::future::pending::<()>().await;
            black_box(&room);
        });
        task.cancel();
        runtime.block_on(task.wait_done());
        task
    });
}

#[test]
fn a_task_that_panicked_keeps_no_future() {
    std::panic::set_hook(Box::new(|_| {}));
    assert_small(|runtime, n| {
        let task = runtime.spawn(async move {
            let room = [1_u8; LARGE];
            yield_now().await;
            assert_eq!(usize::from(black_box(&room)[n]), 0);
        });
        runtime.block_on(task.wait_done());
        task
    });
}

#[test]
fn a_task_that_waits_for_a_child_keeps_no_future() {
    assert_small(|runtime, _| {
        let (send, receive) = std::sync::mpsc::channel();
        let task = runtime.spawn(async move {
            let room = [1_u8; LARGE];
            yield_now().await;
            drop(taskgrove::spawn(async move {
                send.send(()).expect("the test waits");
                std::future::pending::<()>().await;
            }));
            black_box(&room);
        });
        receive.recv().expect("the child runs");
        // The parent may still be at the end of its poll.
        let waits = |node: &Node| node.state == NodeState::WaitingForChildren;
        let roots = |node: &&Node| node.parent.is_none();
        while !runtime.snapshot().nodes().iter().filter(roots).all(waits) {
            std::thread::yield_now();
        }
        task
    });
}

#[test]
fn an_output_that_fits_no_slot_is_freed_when_it_is_taken() {
    assert_small(|runtime, _| {
        let task = runtime.spawn(async {
            yield_now().await;
            [1_u8; OUTPUT]
        });
        let cancel = task.cancel_handle();
        let output = runtime.block_on(task).expect("a value");
        assert!(output.iter().all(|byte| *byte == 1));
        cancel
    });
}

#[test]
fn an_output_is_dropped_with_its_handle() {
    assert_small(|runtime, _| {
        let task = runtime.spawn(async { [1_u8; OUTPUT] });
        runtime.block_on(task.wait_done());
        let cancel = task.cancel_handle();
        drop(task);
        cancel
    });
}

#[test]
fn a_task_with_a_large_output_costs_no_more_than_a_slot_until_it_has_it() {
    assert_small(|runtime, _| runtime.spawn(std::future::pending::<[u8; OUTPUT]>()));
}
