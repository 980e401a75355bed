//! `Handle::enter`, `Handle::block_on` and the hooks of the threads.

use crate::util::*;
use std::cell::RefCell;
use std::future::{pending, ready};
use std::mem::ManuallyDrop;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use taskgrove::sim::Sim;
use taskgrove::time::{self, sleep};
use taskgrove::{Enter, Handle, Runtime, TaskId, service_fn, spawn, yield_now};

/// The number of workers of the runtime that the code is in.
fn here() -> Option<usize> {
    Handle::try_current().map(|handle| handle.metrics().workers)
}

#[test]
fn outside_of_a_runtime() {
    watchdog(|| {
        let rt = build(1);
        let (task, timer) = {
            let entered = rt.enter();
            assert_eq!(format!("{entered:?}"), "Enter");
            (spawn(async { TaskId::current() }), sleep(Duration::ZERO))
        };
        assert_eq!(here(), None);
        assert_eq!(task.parent(), None);
        let id = task.id();
        assert_eq!(rt.block_on(task).unwrap(), Some(id));
        rt.block_on(timer);
    });
}

#[test]
fn guards_may_be_dropped_in_any_order() {
    watchdog(|| {
        let all = [build(0), build(1), build(2)];
        // In each order of the three guards, the innermost one that is left counts.
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut guards = all.each_ref().map(|rt| Some(rt.enter()));
            for gone in order {
                let innermost = guards.iter().rposition(Option::is_some);
                assert_eq!(here(), innermost);
                guards[gone] = None;
            }
            assert_eq!(here(), None);
        }
    });
}

/// The code is outside of its task as long as one of the guards is left, and in it after that.
#[test]
fn in_a_task() {
    everywhere(async |h| {
        let other = Arc::new(build(1));
        let own = h.clone();
        let task = h.spawn(async move {
            let me = TaskId::current();
            for order in [[0, 1], [1, 0]] {
                let mut guards = [Some(other.enter()), Some(own.enter())];
                for gone in order {
                    assert_eq!(TaskId::current(), None);
                    let root = spawn(async {});
                    assert_eq!(root.parent(), None);
                    guards[gone] = None;
                }
                assert_eq!(TaskId::current(), me);
                assert_eq!(spawn(async {}).parent(), me);
            }
            // A wake-up of the task's own is not lost in between.
            let mut woken = false;
            std::future::poll_fn(|cx| {
                if std::mem::replace(&mut woken, true) {
                    return std::task::Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                let _entered = own.enter();
                std::task::Poll::Pending
            })
            .await;
            yield_now().await;
            assert_eq!(TaskId::current(), me);
        });
        task.await.unwrap();
    });
}

/// An error that is returned after an enter is judged as without it.
#[test]
fn an_error_after_an_enter_in_a_cancelled_task_is_a_consequence() {
    everywhere(async |h| {
        let own = h.clone();
        let m = h
            .start(service_fn("app", |ctx| async move {
                // Its turn does not come before the child's.
                spawn(pending::<()>());
                ctx.cancel()?;
                ctx.cancelled().await;
                drop(own.enter());
                Err(boom("late"))
            }))
            .unwrap();
        m.wait_finished().await;
        assert!(m.result().unwrap().is_ok());
    });
}

thread_local! {
    static KEPT: RefCell<Vec<ManuallyDrop<Enter<'static>>>> = const { RefCell::new(Vec::new()) };
}

fn keep(guard: Enter<'static>) {
    KEPT.with(|kept| kept.borrow_mut().push(ManuallyDrop::new(guard)));
}

fn let_go() -> usize {
    let kept = KEPT.with(|kept| std::mem::take(&mut *kept.borrow_mut()));
    let count = kept.len();
    kept.into_iter()
        .for_each(|guard| drop(ManuallyDrop::into_inner(guard)));
    count
}

/// A guard that outlives the poll in which it was made puts no other poll outside of its task, and the task that made it
/// goes on although it was woken before.
#[test]
fn a_guard_that_is_kept_beyond_the_poll() {
    static OTHER: std::sync::OnceLock<Runtime> = std::sync::OnceLock::new();
    for workers in [0, 1] {
        on(workers, async |h| {
            let other = OTHER.get_or_init(|| build(0));
            let first = h.spawn(async {
                let me = TaskId::current();
                let mut polls = 0;
                std::future::poll_fn(|cx| {
                    polls += 1;
                    if polls == 1 {
                        cx.waker().wake_by_ref();
                        keep(other.enter());
                        assert_eq!(TaskId::current(), None);
                        return std::task::Poll::Pending;
                    }
                    std::task::Poll::Ready(())
                })
                .await;
                assert_eq!(TaskId::current(), me);
            });
            first.await.unwrap();
            let second = h.spawn(async {
                let me = TaskId::current();
                assert!(me.is_some(), "in its own poll");
                // Dropped in another task's poll, on top of that poll's own guard.
                let own = Handle::current();
                let entered = own.enter();
                assert_eq!(let_go(), 1);
                assert_eq!(TaskId::current(), None);
                drop(entered);
                assert_eq!(TaskId::current(), me);
                yield_now().await;
                assert_eq!(TaskId::current(), me);
            });
            second.await.unwrap();
        });
    }
}

#[test]
fn across_block_on() {
    watchdog(|| {
        let (outer, inner) = (build(1), build(2));
        // One that is dropped inside a call.
        let guard = outer.enter();
        inner.block_on(async move {
            assert_eq!(here(), Some(2));
            yield_now().await;
            drop(guard);
            assert_eq!(here(), Some(2));
        });
        assert_eq!(here(), None);
        // One that comes out of a call, and one that goes in and out.
        let around = outer.enter();
        let kept = inner.block_on(async { outer.enter() });
        assert_eq!(here(), Some(1));
        drop(around);
        assert_eq!(here(), None);
        drop(kept);
        assert_eq!(here(), None);
        // One that is held across an await.
        outer.block_on(async {
            let _inner = inner.enter();
            yield_now().await;
            assert_eq!(here(), Some(2));
            assert_eq!(spawn(async { here() }).await.unwrap(), Some(2));
        });
        // A call under a guard.
        let _entered = outer.enter();
        assert_eq!(inner.block_on(async { here() }), Some(2));
        assert_eq!(here(), Some(1));
    });
}

#[test]
fn after_the_end() {
    watchdog(|| {
        let rt = build(1);
        let handle = rt.handle().clone();
        let entered = handle.enter();
        drop(rt);
        let task = spawn(async {});
        assert!(task.is_done());
        let mut sleep = pin!(sleep(Duration::from_secs(3600)));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(sleep.as_mut().poll(&mut cx).is_ready());
        drop(entered);
        assert_eq!(here(), None);
        let text = panics(|| handle.block_on(async {}));
        assert!(text.contains("the runtime is not running"), "{text}");
    });
}

#[test]
fn block_on_by_handles_from_several_threads() {
    for workers in [0, 1, 2] {
        watchdog(move || {
            let rt = build(workers);
            std::thread::scope(|s| {
                let threads: Vec<_> = (0..4)
                    .map(|n| {
                        let handle = rt.handle().clone();
                        s.spawn(move || {
                            handle.block_on(async move {
                                sleep(Duration::from_millis(1)).await;
                                spawn(async move { n }).await.unwrap()
                            })
                        })
                    })
                    .collect();
                for (n, thread) in threads.into_iter().enumerate() {
                    assert_eq!(thread.join().unwrap(), n);
                }
            });
        });
    }
}

#[test]
fn block_on_by_a_handle_on_a_worker() {
    on(1, async |h| {
        let own = h.clone();
        let text = h.spawn(async move { panics(|| own.block_on(async {})) });
        let text = text.await.unwrap();
        assert!(text.contains("on a worker of the same runtime"), "{text}");
    });
}

/// The runtime is dropped on another thread: its tasks are dropped, and the future goes on.
#[test]
fn the_runtime_ends_during_a_handles_block_on() {
    for workers in [0, 1] {
        watchdog(move || {
            let rt = build(workers);
            let handle = rt.handle().clone();
            let (tx, rx) = mpsc::channel();
            let dropped = Event::new();
            let falls = Falls(dropped.clone());
            let thread = std::thread::spawn(move || {
                handle.block_on(async move {
                    let task = spawn(async move {
                        let _falls = falls;
                        tx.send(()).unwrap();
                        pending::<()>().await
                    });
                    assert!(task.await.unwrap_err().is_cancelled());
                    sleep(Duration::from_secs(3600)).await;
                    assert!(spawn(async {}).await.unwrap_err().is_cancelled());
                    "gone on"
                })
            });
            rx.recv().unwrap();
            drop(rt);
            assert!(dropped.is_set(), "before the drop has returned");
            assert_eq!(thread.join().unwrap(), "gone on");
        });
    }
}

/// The runtime is dropped by the future of its own handle's `block_on`, which is the only worker.
#[test]
fn the_runtime_is_dropped_inside_its_only_workers_block_on() {
    watchdog(|| {
        let rt = build(0);
        let handle = rt.handle().clone();
        let dropped = Event::new();
        let falls = Falls(dropped.clone());
        handle.block_on(async move {
            let task = spawn(async move {
                let _falls = falls;
                pending::<()>().await
            });
            // From the second poll on the thread is the worker.
            yield_now().await;
            drop(task);
            drop(rt);
        });
        assert!(dropped.is_set());
    });
}

#[test]
fn a_shutdown_beside_a_handles_block_on_has_its_limit() {
    watchdog(|| {
        let rt = build(0);
        let handle = rt.handle().clone();
        let (tx, rx) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            handle.block_on(async move {
                let here = Handle::current();
                let task = here.task(async move {
                    tx.send(()).unwrap();
                    taskgrove::finally(pending::<()>(), pending::<()>()).await
                });
                let _ = task.name("hangs").spawn().await;
            })
        });
        rx.recv().unwrap();
        let left = rt.shutdown_timeout(Duration::from_millis(5)).unwrap_err();
        assert_eq!(left.remaining.nodes()[0].path, "hangs");
        thread.join().unwrap();
    });
}

#[test]
fn a_simulations_handle() {
    watchdog(|| {
        let sim = Sim::new(3);
        let handle = sim.handle().clone();
        let begun = handle.block_on(async {
            sleep(Duration::from_secs(60)).await;
            time::now()
        });
        assert_eq!(sim.elapsed(), Duration::from_secs(60));
        {
            let _entered = sim.handle().enter();
            assert_eq!(time::now(), begun);
        }
        let text = panics(|| handle.block_on(async { handle.block_on(ready(())) }));
        assert!(text.contains("inside itself"), "{text}");
        // Dropped by its own future: the tasks are dropped before the call returns.
        let dropped = Event::new();
        let falls = Falls(dropped.clone());
        handle.block_on(async move {
            spawn(async move {
                let _falls = falls;
                pending::<()>().await
            });
            drop(sim);
        });
        assert!(dropped.is_set());
        let text = panics(|| handle.block_on(async {}));
        assert!(text.contains("the runtime is not running"), "{text}");
    });
}

#[test]
fn a_manager_is_started_on_a_runtime() {
    everywhere(async |h| {
        let rt = build(0);
        let gone = rt.handle().clone();
        drop(rt);
        let make = || service_fn("app", |_| async { Ok(()) });
        let m = taskgrove::Manager::new(make()).unwrap();
        m.start(&h).unwrap();
        let again = m.start(&h).unwrap_err();
        assert!(again.to_string().contains("started already"), "{again}");
        m.wait_finished().await;
        assert!(m.result().unwrap().is_ok());
        let late = taskgrove::Manager::builder(make())
            .start(&gone)
            .unwrap_err();
        assert!(late.to_string().contains("not running"), "{late}");
        let own = h.clone();
        let task = h.spawn(async move {
            let m = taskgrove::Manager::builder(make()).name("b").start(&own);
            let m = m.unwrap();
            m.wait_finished().await;
            (m.name().to_owned(), own.snapshot().len())
        });
        assert_eq!(task.await.unwrap(), ("b".to_owned(), 1));
    });
}

#[test]
fn threads_call_their_hooks() {
    watchdog(|| {
        quiet();
        let log = Arc::new(Mutex::new(Vec::new()));
        let polls = Arc::new(AtomicUsize::new(0));
        let note = |what: &'static str| {
            let (log, polls) = (log.clone(), polls.clone());
            move || {
                let workers = Handle::current().metrics().workers;
                let entry = (what, workers, polls.load(Ordering::SeqCst));
                log.lock().unwrap().push(entry);
                panic!("intended: a hook that panics ends nothing");
            }
        };
        let rt = Runtime::builder()
            .workers(1)
            .on_thread_start(|| unreachable!("the second replaces it"))
            .on_thread_start(note("start"))
            .on_thread_stop(note("stop"))
            .build()
            .unwrap();
        let count = polls.clone();
        rt.block_on(rt.spawn(async move { count.fetch_add(1, Ordering::SeqCst) }))
            .unwrap();
        assert_eq!(*log.lock().unwrap(), [("start", 1, 0)]);
        drop(rt);
        assert_eq!(*log.lock().unwrap(), [("start", 1, 0), ("stop", 1, 1)]);
        let none = Runtime::builder()
            .workers(0)
            .on_thread_start(|| unreachable!("there is no thread"))
            .on_thread_stop(|| unreachable!("there is no thread"));
        assert!(format!("{none:?}").contains("workers: Some(0)"));
        none.build()
            .unwrap()
            .block_on(async { spawn(async {}).await })
            .unwrap();
    });
}
