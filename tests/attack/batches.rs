//! Siblings that end one after another, of which their parent hears later: what else must not wait.

use crate::common::{Event, watchdog};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use taskgrove::{Context, NodeState, Runtime, Snapshot, service_fn, spawn, yield_now};

fn runtime(workers: usize) -> Runtime {
    let built = Runtime::builder().workers(workers).build();
    built.expect("a runtime")
}

/// A value whose drop takes until it is told.
struct Slow(Sender<()>, Receiver<()>);

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.send(()).expect("the test waits for it");
        let _ = self.1.recv();
    }
}

/// A worker finds nothing more to do, and tells the parent of what it has ended. That takes its
/// time, in code of the user's; another worker sleeps, and is woken for what comes meanwhile.
#[test]
fn a_sleeper_is_woken_while_a_searcher_ends_a_parent() {
    watchdog(|| {
        let runtime = runtime(2);
        let gate = Event::new();
        let (dropping, is_dropping) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let open = gate.clone();
        drop(runtime.spawn(async move {
            spawn(async move { open.wait().await });
            Slow(dropping, may_go_on)
        }));
        until(&runtime, |picture| {
            picture.nodes().len() == 2
                && picture.nodes()[0].state == NodeState::WaitingForChildren
                && picture.nodes()[1].state == NodeState::Parked
        });
        gate.set();
        is_dropping.recv().expect("the parent's output is dropped");
        let other = runtime.spawn(async move { go_on.send(()) });
        let sent = runtime
            .block_on(other)
            .expect("it runs on the other worker");
        sent.expect("the drop waits for it");
    });
}

/// Waits until the runtime's tree looks like this.
fn until(runtime: &Runtime, is_so: impl Fn(&Snapshot) -> bool) {
    while !is_so(&runtime.snapshot()) {
        std::thread::yield_now();
    }
}

/// What is done is not live, whatever its worker does next.
#[test]
fn what_is_done_is_not_live_while_a_sibling_blocks() {
    watchdog(|| {
        let runtime = runtime(1);
        let (tx, rx) = mpsc::channel::<()>();
        let handle = runtime.handle().clone();
        let spawner = runtime.spawn(async move {
            let quick: Vec<_> = (0..40).map(|_| handle.spawn(async {})).collect();
            let stuck = handle.spawn(async move { rx.recv().is_err() });
            (quick, stuck)
        });
        let (quick, stuck) = runtime.block_on(spawner).expect("a value");
        for task in quick {
            runtime.block_on(task).expect("a value");
        }
        assert_eq!(runtime.metrics().live_tasks, 1);
        drop(tx);
        assert!(runtime.block_on(stuck).expect("a value"));
    });
}

/// The counts of a service say the same as its picture, whatever a worker does next.
#[test]
fn what_has_left_the_picture_is_counted_while_a_sibling_blocks() {
    watchdog(|| {
        let runtime = runtime(1);
        let (tx, rx) = mpsc::channel::<()>();
        let service = service_fn("service", async move |ctx: Context| {
            for _ in 0..40 {
                ctx.run_task(async { Ok(()) })?;
            }
            ctx.run_task(async move {
                let _ = rx.recv();
                Ok(())
            })?;
            pending().await
        });
        let manager = runtime.start(service).expect("started");
        while manager.stats().tasks.total_count < 41 {
            std::thread::yield_now();
        }
        until(&runtime, |picture| {
            picture.nodes().len() == 2 && picture.nodes()[1].state == NodeState::Running
        });
        let tasks = manager.stats().tasks;
        assert_eq!((tasks.total_count, tasks.finished_count), (41, 40));
        drop(tx);
        runtime.block_on(async {
            while manager.stats().tasks.finished_count < 41 {
                yield_now().await;
            }
        });
    });
}

/// Whoever counts while tasks come and go never counts more ends than births.
#[test]
fn live_tasks_never_wrap() {
    watchdog(|| {
        let runtime = runtime(1);
        let over = Arc::new(AtomicBool::new(false));
        let (handle, stop) = (runtime.handle().clone(), over.clone());
        let looker = std::thread::spawn(move || {
            let mut most = 0;
            while !stop.load(Ordering::Relaxed) {
                most = most.max(handle.metrics().live_tasks);
            }
            most
        });
        const TASKS: usize = 500_000;
        for _ in 0..TASKS {
            drop(runtime.spawn(async {}));
        }
        over.store(true, Ordering::Relaxed);
        let most = looker.join().expect("no panic");
        assert!(most <= TASKS, "{most} live tasks");
    });
}
