//! Closures that block, as tasks of the tree (the feature `blocking`).
#![allow(
    clippy::async_yields_async,
    reason = "handles are looked at outside of the runtime"
)]

#[path = "../common/mod.rs"]
mod common;

mod full;
mod inside;
mod simulated;

use common::{Event, OnDrop, Queue, on_workers, watchdog};
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use taskgrove::{
    Context, FailureKind, Handle, Node, NodeState, Runtime, ServiceError, StopError, Task, TaskId,
    run_blocking, service_fn, spawn,
};

fn everywhere(body: impl AsyncFn(Handle) + Send + Sync + 'static) {
    let body = Arc::new(body);
    for workers in [0, 1, 2] {
        let body = body.clone();
        on_workers(workers, async move || body(Handle::current()).await);
    }
}

/// A closure that says when it begins, and returns when it is told to.
struct Gate {
    began: Event,
    go: Option<Sender<()>>,
}

impl Gate {
    fn new() -> (Gate, impl FnOnce() + Send + 'static) {
        let began = Event::new();
        let set = began.clone();
        let (go, may): (_, Receiver<()>) = mpsc::channel();
        let closure = move || {
            set.set();
            // The gate may be dropped instead, which lets it go as well.
            let _ = may.recv();
        };
        let gate = Gate {
            began,
            go: Some(go),
        };
        (gate, closure)
    }

    fn open(&mut self) {
        self.go = None;
    }
}

fn node(h: &Handle, id: TaskId) -> Node {
    let snapshot = h.snapshot();
    let node = snapshot.nodes().iter().find(|node| node.id == id);
    node.expect("it is there").clone()
}

/// A root service `app` that waits for ever, and its inside.
async fn app(h: &Handle) -> (taskgrove::Manager, Context) {
    let inside = Queue::new();
    let give = inside.clone();
    let m = h
        .start(service_fn("app", async move |ctx: Context| {
            give.send(ctx);
            pending().await
        }))
        .unwrap();
    (m, inside.recv().await)
}

#[test]
fn a_closure_is_a_task_of_its_own() {
    everywhere(async |h| {
        let thread = std::thread::current().id();
        let parent = h.spawn(async move {
            let task = run_blocking(move || {
                assert_ne!(std::thread::current().id(), thread);
                (TaskId::current(), 7)
            });
            let (id, parent) = (task.id(), task.parent());
            assert_eq!(parent, TaskId::current());
            assert!(task.name().starts_with("a_closure_is_a_task_of_its_own"));
            assert_eq!(task.await.unwrap(), (Some(id), 7));
        });
        parent.await.unwrap();
        let root = run_blocking(|| 1);
        assert_eq!(root.parent(), None);
        assert_eq!(root.await.unwrap(), 1);
    });
}

/// The parent is not done before the closure, and neither is the closure's task before what it has spawned.
#[test]
fn what_it_spawns_is_below_it() {
    everywhere(async |h| {
        let (mut gate, wait) = Gate::new();
        let go = Event::new();
        let waits = go.clone();
        let parent = h.spawn(async move {
            run_blocking(move || {
                let me = TaskId::current();
                let child = spawn(async move { waits.wait().await });
                assert_eq!(child.parent(), me);
                let deeper = run_blocking(TaskId::current);
                assert_eq!(deeper.parent(), me);
                let id = deeper.id();
                assert_eq!(futures_lite::future::block_on(deeper).unwrap(), Some(id));
                wait();
            })
        });
        gate.began.wait().await;
        assert!(!parent.is_done());
        gate.open();
        go.set();
        parent.await.unwrap().await.unwrap();
        assert_eq!(h.metrics().live_tasks, 0);
    });
}

#[test]
fn it_may_block_on_its_runtime() {
    everywhere(async |h| {
        let own = h.clone();
        let task = run_blocking(move || {
            own.block_on(async {
                assert_eq!(TaskId::current(), None);
                taskgrove::time::sleep(Duration::from_millis(1)).await;
                spawn(async { 5 }).await.unwrap()
            })
        });
        assert_eq!(task.await.unwrap(), 5);
    });
}

#[test]
fn a_picture_shows_it() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (mut gate, wait) = Gate::new();
        let task = ctx
            .run_blocking(move || {
                wait();
                Ok(())
            })
            .unwrap();
        gate.began.wait().await;
        let node = node(&h, task.id());
        assert_eq!(node.state, NodeState::Blocking);
        assert_eq!(node.path, "app/a_picture_shows_it");
        assert_eq!((node.parent, node.polls), (m.id(), 1));
        assert!(h.snapshot().to_string().contains("blocking"));
        assert_eq!(m.stats().tasks.total_count, 1);
        gate.open();
        task.await.unwrap();
        assert_eq!(m.stats().tasks.finished_count, 1);
    });
}

#[test]
fn the_time_of_a_closure_is_busy_time() {
    watchdog(|| {
        for workers in [0, 1] {
            let rt = Runtime::builder().workers(workers).track_busy_time(true);
            let rt = rt.build().unwrap();
            let (mut child_gate, wait) = Gate::new();
            let took = Duration::from_millis(5);
            let closure = rt.spawn(async move {
                let closure = run_blocking(move || {
                    std::thread::sleep(took);
                    // It keeps the task in the tree.
                    spawn(async move { run_blocking(wait).await.unwrap() });
                });
                closure.await.unwrap();
            });
            rt.block_on(child_gate.began.wait());
            let blocking = rt.snapshot();
            let blocking = blocking.nodes().iter().filter(|node| {
                node.parent == Some(closure.id()) && node.state == NodeState::WaitingForChildren
            });
            let busy: Vec<_> = blocking.map(|node| node.busy).collect();
            assert!(busy.len() == 1 && busy[0] >= Some(took), "{busy:?}");
            child_gate.open();
            rt.block_on(closure).unwrap();
        }
    });
}

/// A cancellation of a running closure waits for it, reports name it, and its value counts.
#[test]
fn nothing_ends_a_closure_that_runs() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (mut gate, wait) = Gate::new();
        let task = ctx
            .run_blocking(move || {
                wait();
                Ok(3)
            })
            .unwrap();
        gate.began.wait().await;
        task.cancel();
        let Err(StopError::Timeout(timeout)) = m.stop_timeout(Duration::from_millis(1)).await
        else {
            panic!("it ended")
        };
        let text = timeout.to_string();
        assert!(
            text.contains("app/nothing_ends_a_closure_that_runs")
                && text.contains("in a blocking call, which nothing can end"),
            "{text}"
        );
        let states: Vec<_> = timeout.remaining.nodes().iter().map(|n| n.state).collect();
        assert_eq!(states, [NodeState::WaitingForChildren, NodeState::Blocking]);
        gate.open();
        m.wait_finished().await;
        assert_eq!(task.await.unwrap(), 3);
        assert!(m.result().unwrap().is_ok());
    });
}

/// A cleanup may run one: it is covered by the protection of the cleanup.
#[test]
fn a_cleanup_may_run_one() {
    everywhere(async |h| {
        let begun = Event::new();
        let set = begun.clone();
        let m = h
            .start(service_fn("app", async move |ctx: Context| {
                let body = async {
                    set.set();
                    pending::<()>().await
                };
                let cleanup = async {
                    let raw = run_blocking(|| 1).await.unwrap();
                    let own = ctx.run_blocking(|| Ok(2)).unwrap().await.unwrap();
                    assert_eq!(raw + own, 3);
                    Err::<(), taskgrove::BoxError>("cleaned up".into())
                };
                taskgrove::finally(body, async {
                    if let Err(error) = cleanup.await {
                        panic!("{error}");
                    }
                })
                .await;
                Ok(())
            }))
            .unwrap();
        begun.wait().await;
        m.stop().await.unwrap();
        // That the cleanup came to its end shows in its panic.
        let failed = m.result().unwrap().unwrap_err();
        assert!(failed.to_string().contains("cleaned up"), "{failed}");
    });
}

/// A kill does not end it either, and drops those that have not begun.
#[test]
fn a_kill_waits_for_a_closure_that_runs() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (mut gate, wait) = Gate::new();
        let task = ctx
            .run_blocking(move || {
                wait();
                Ok(3)
            })
            .unwrap();
        gate.began.wait().await;
        task.kill();
        m.kill().unwrap();
        let late = ctx.run_blocking(|| -> taskgrove::Result { unreachable!("it was killed") });
        assert!(late.unwrap().is_done());
        taskgrove::time::sleep(Duration::from_millis(1)).await;
        assert!(!task.is_done() && !m.is_finished());
        gate.open();
        m.wait_finished().await;
        assert_eq!(task.await.unwrap(), 3);
    });
}

#[test]
fn an_error_or_a_panic_is_a_failure() {
    everywhere(async |h| {
        let failing: [fn() -> taskgrove::Result; 2] =
            [|| Err("no disk".into()), || panic!("split")];
        for fails in failing {
            let m = h
                .start(service_fn("app", async move |ctx: Context| {
                    ctx.run_blocking(fails)?;
                    pending().await
                }))
                .unwrap();
            m.wait_finished().await;
            let Some(Err(ServiceError::Failed(failures))) = m.result() else {
                panic!("it did not fail")
            };
            assert_eq!(failures.len(), 1);
            assert!(failures[0].path().starts_with("app/"), "{failures:?}");
            match failures[0].kind() {
                FailureKind::Error(error) => assert_eq!(error.to_string(), "no disk"),
                FailureKind::Panic(panic) => assert_eq!(panic, "split"),
                other => panic!("{other:?}"),
            }
        }
        let raw = run_blocking(|| panic!("split"));
        assert!(raw.await.unwrap_err().is_panic());
    });
}

/// An error that it returns after the cancellation is a failure, too: it knows nothing of that.
#[test]
fn an_error_of_a_closure_that_was_cancelled_is_a_failure() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (mut gate, wait) = Gate::new();
        ctx.run_blocking(move || -> taskgrove::Result {
            wait();
            Err("no disk".into())
        })
        .unwrap();
        gate.began.wait().await;
        m.cancel().unwrap();
        gate.open();
        m.wait_finished().await;
        assert!(
            m.result()
                .unwrap()
                .unwrap_err()
                .to_string()
                .contains("no disk")
        );
    });
}

#[test]
fn it_is_limited_and_refused() {
    everywhere(async |h| {
        let m = taskgrove::Manager::builder(service_fn("app", async |ctx: Context| {
            let (mut gate, wait) = Gate::new();
            let one = ctx.run_blocking(move || {
                wait();
                Ok(())
            })?;
            let many = ctx.run_blocking(|| Ok(())).unwrap_err();
            assert!(many.to_string().contains("children"), "{many}");
            gate.open();
            one.await?;
            ctx.run_blocking(|| Ok(()))?.await?;
            Ok(())
        }))
        .max_children(1)
        .start(&h)
        .unwrap();
        m.wait_finished().await;
        m.result().unwrap().unwrap();
        // What is scheduled while the service is cancelled never runs, and is dropped by the caller.
        let (m, ctx) = app(&h).await;
        let (mut gate, wait) = Gate::new();
        let runs = ctx.run_blocking(move || {
            wait();
            Ok(())
        });
        gate.began.wait().await;
        m.cancel().unwrap();
        let dropped = Event::new();
        let falls = OnDrop::new({
            let dropped = dropped.clone();
            move || dropped.set()
        });
        let late: Task<()> = ctx
            .run_blocking(move || {
                let _falls = falls;
                unreachable!("it never runs")
            })
            .unwrap();
        assert!(dropped.is_set() && late.is_done());
        gate.open();
        runs.unwrap().await.unwrap();
    });
}

/// The drop of the runtime waits for the closure.
#[test]
fn the_runtimes_drop_waits() {
    for workers in [0, 1] {
        watchdog(move || {
            let rt = Runtime::builder().workers(workers).build().unwrap();
            let (gate, wait) = Gate::new();
            let ended = Arc::new(AtomicBool::new(false));
            let end = ended.clone();
            let task = rt.block_on(async {
                let task = run_blocking(move || {
                    wait();
                    std::thread::sleep(Duration::from_millis(20));
                    end.store(true, Ordering::SeqCst);
                    9
                });
                gate.began.wait().await;
                task
            });
            let opener = std::thread::spawn(move || drop(gate));
            drop(rt);
            assert!(ended.load(Ordering::SeqCst), "{workers}");
            assert_eq!(futures_lite::future::block_on(task).unwrap(), 9);
            opener.join().unwrap();
        });
    }
}

/// A shutdown with a limit leaves the closure behind, and names it.
#[test]
fn a_shutdown_leaves_it_behind() {
    for workers in [0, 1, 2] {
        watchdog(move || {
            let rt = Runtime::builder().workers(workers).build().unwrap();
            let (mut gate, wait) = Gate::new();
            let task = rt.block_on(async {
                let task = run_blocking(move || {
                    wait();
                    4
                });
                gate.began.wait().await;
                task
            });
            let left = rt.shutdown_timeout(Duration::from_millis(5)).unwrap_err();
            assert_eq!(left.remaining.nodes()[0].state, NodeState::Blocking);
            assert!(left.to_string().contains("a_shutdown_leaves_it_behind"));
            assert!(!task.is_done());
            gate.open();
            assert_eq!(futures_lite::future::block_on(task).unwrap(), 4);
        });
    }
}

/// Closures that end one after another hold up no shutdown that has time for them.
#[test]
fn a_shutdown_with_time_waits_for_it() {
    watchdog(|| {
        let rt = Runtime::builder().workers(1).build().unwrap();
        let (mut gate, wait) = Gate::new();
        let task = rt.block_on(async {
            let task = run_blocking(wait);
            gate.began.wait().await;
            task
        });
        gate.open();
        rt.shutdown_timeout(Duration::from_secs(3600)).unwrap();
        futures_lite::future::block_on(task).unwrap();
    });
}

#[test]
fn outside_and_after_the_end() {
    watchdog(|| {
        let text = std::panic::catch_unwind(|| run_blocking(|| ())).unwrap_err();
        let text = text.downcast::<String>().unwrap();
        assert!(text.contains("no taskgrove runtime here"), "{text}");
        let rt = Runtime::builder().workers(1).build().unwrap();
        let handle = rt.handle().clone();
        drop(rt);
        let _entered = handle.enter();
        let task: Task<()> = run_blocking(|| unreachable!("it never runs"));
        assert!(task.is_done());
    });
}

/// A closure that does not fit a slot.
#[test]
fn large_closures() {
    let thread = std::thread::Builder::new().stack_size(4 << 20);
    let thread = thread.spawn(|| {
        on_workers(1, async || {
            let large = Box::new([1_u8; 1 << 16]);
            let by_value = *large;
            let task = run_blocking(move || by_value.iter().map(|&n| u32::from(n)).sum::<u32>());
            assert_eq!(task.await.unwrap(), 1 << 16);
        });
    });
    thread.unwrap().join().unwrap();
}

/// Many at once, from several tasks, while some are cancelled: each runs once or is dropped, none is lost.
#[test]
fn many_at_once() {
    everywhere(async |h| {
        let (begun, dropped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let mut parents = Vec::new();
        for n in 0..20 {
            let (begun, dropped) = (begun.clone(), dropped.clone());
            parents.push(h.spawn(async move {
                for m in 0..20 {
                    let (begun, dropped) = (begun.clone(), dropped.clone());
                    let falls = OnDrop::new(move || *dropped.lock().unwrap() += 1);
                    let task = run_blocking(move || {
                        let _falls = falls;
                        begun.lock().unwrap().push((n, m));
                    });
                    if m % 3 == 0 {
                        task.cancel();
                    }
                }
            }));
        }
        for parent in parents.drain(..10) {
            parent.cancel();
        }
        for parent in parents {
            let _ = parent.await;
        }
        while h.metrics().live_tasks > 0 {
            taskgrove::yield_now().await;
        }
        let mut begun = begun.lock().unwrap().clone();
        let count = begun.len();
        begun.sort_unstable();
        begun.dedup();
        assert_eq!(begun.len(), count, "none has run twice");
        assert!(count >= 10 * 13, "those that nobody has cancelled have run");
        assert!(*dropped.lock().unwrap() >= 200);
    });
}
