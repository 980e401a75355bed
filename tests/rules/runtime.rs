//! Section "Runtime": building, driving, handles.

use crate::common::Counter;
use crate::util::*;
use std::collections::HashSet;
use std::future::pending;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;
use taskgrove::{Handle, Manager, Runtime, TaskId, service_fn, shielded, spawn, time, yield_now};

/// `new` has one worker for each available core.
#[test]
fn new_has_a_worker_per_core() {
    watchdog(|| {
        let rt = Runtime::new().unwrap();
        let cores = thread::available_parallelism().unwrap().get();
        assert_eq!(rt.metrics().workers, cores);
    });
}

/// The builder decides the number of workers.
#[test]
fn the_builder_sets_the_workers() {
    watchdog(|| {
        for workers in [0, 1, 3] {
            assert_eq!(build(workers).metrics().workers, workers);
        }
    });
}

/// Worker threads carry the name of the builder.
#[test]
fn threads_carry_the_name() {
    watchdog(|| {
        let rt = Runtime::builder()
            .workers(1)
            .thread_name("acorn")
            .build()
            .unwrap();
        let (tx, rx) = mpsc::channel();
        rt.spawn(async move { tx.send(thread::current().name().map(str::to_owned)) });
        let name = rx.recv().unwrap().unwrap();
        assert!(name.starts_with("acorn"), "{name}");
    });
}

/// Without workers, every task runs on the thread in `block_on`, and none while nobody is there.
#[test]
fn no_workers_means_the_callers_thread() {
    watchdog(|| {
        let rt = build(0);
        let ran = Event::new();
        let set = ran.clone();
        let task = rt.spawn(async move {
            set.set();
            let child = spawn(async { thread::current().id() });
            (thread::current().id(), child.await.unwrap())
        });
        assert!(!ran.is_set());
        let here = thread::current().id();
        assert_eq!(rt.block_on(task).unwrap(), (here, here));
        let later = Event::new();
        let set = later.clone();
        rt.spawn(async move { set.set() });
        assert!(!later.is_set());
        rt.block_on(later.wait());
    });
}

/// What `block_on` is given need be neither `Send` nor `'static`.
#[test]
fn block_on_takes_any_future() {
    watchdog(|| {
        for workers in [0, 2] {
            let rt = build(workers);
            let local = Rc::new(AtomicUsize::new(1));
            let borrowed = &local;
            let sum = rt.block_on(async move {
                yield_now().await;
                borrowed.fetch_add(1, Ordering::Relaxed);
                Rc::clone(borrowed)
            });
            assert_eq!(sum.load(Ordering::Relaxed), 2);
        }
    });
}

/// Several threads may be in `block_on` at once.
#[test]
fn several_threads_block_on_at_once() {
    watchdog(|| {
        for workers in [0, 2] {
            let rt = build(workers);
            let meeting = Barrier::new(3);
            let total: usize = thread::scope(|scope| {
                let threads: Vec<_> = (0..3)
                    .map(|n| {
                        let (rt, meeting) = (&rt, &meeting);
                        scope.spawn(move || {
                            rt.block_on(async {
                                meeting.wait();
                                spawn(async move { n }).await.unwrap()
                            })
                        })
                    })
                    .collect();
                threads.into_iter().map(|t| t.join().unwrap()).sum()
            });
            assert_eq!(total, 3);
        }
    });
}

/// The future in `block_on` is no task, and what it spawns are roots.
#[test]
fn block_on_is_no_task() {
    everywhere(async |h| {
        assert_eq!(TaskId::current(), None);
        let root = spawn(async { TaskId::current() });
        assert_eq!(root.parent(), None);
        let id = root.id();
        assert_eq!(root.await.unwrap(), Some(id));
        assert!(h.snapshot().is_empty());
        assert_eq!(shielded(async { 5 }).await, 5);
    });
}

/// `spawn` makes a child of the task that calls it, `Handle::spawn` a root.
#[test]
fn spawn_is_a_child_and_handle_spawn_a_root() {
    everywhere(async |h| {
        let inner = h.clone();
        let task = h.spawn(async move {
            let child = spawn(async {});
            let root = inner.spawn(async {});
            let named = inner.task(async {}).name("named").spawn();
            assert_eq!(named.name(), "named");
            (child.parent(), root.parent(), named.parent())
        });
        let id = task.id();
        assert_eq!(task.await.unwrap(), (Some(id), None, None));
    });
}

/// `current` is the runtime one is on, in tasks and in `block_on`; outside there is none.
#[test]
fn current_is_the_runtime_one_is_on() {
    assert!(Handle::try_current().is_none());
    let text = panics(Handle::current);
    assert!(text.contains("runtime"), "{text}");
    everywhere(async |h| {
        assert!(Handle::try_current().is_some());
        let seen = h
            .spawn(async { Handle::current().spawn(async { 4 }).await })
            .await;
        assert_eq!(seen.unwrap().unwrap(), 4);
    });
    assert!(Handle::try_current().is_none());
}

/// Outside a runtime `spawn`, timers and `Manager::run` panic, and say so.
#[test]
fn outside_a_runtime_it_panics_and_says_so() {
    use std::task::{Context, Waker};
    watchdog(|| {
        fn polled<F: Future>(make: impl FnOnce() -> F) -> String {
            panics(|| {
                let mut future = std::pin::pin!(make());
                let _ = future
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
            })
        }
        let manager = Manager::new(service_fn("early", |_| async { Ok(()) })).unwrap();
        let hour = Duration::from_secs(3600);
        let texts = [
            polled(|| spawn(async {})),
            polled(|| time::sleep(hour)),
            polled(|| time::sleep_until(std::time::Instant::now() + hour)),
            polled(|| time::timeout(hour, pending::<()>())),
            polled(|| async { time::interval(hour).tick().await }),
            polled(|| manager.run()),
        ];
        for text in texts {
            assert!(text.contains("runtime"), "{text}");
        }
    });
}

/// `block_on` and `run` panic on a worker of the same runtime.
#[test]
fn block_on_panics_on_its_own_worker() {
    watchdog(|| {
        let rt = Arc::new(build(2));
        let inner = rt.clone();
        let (tx, rx) = mpsc::channel();
        rt.spawn(async move {
            let first = panics(|| inner.block_on(async {}));
            let second = panics(|| inner.run(service_fn("nested", |_| async { Ok(()) })));
            drop(inner);
            tx.send((first, second))
        });
        let (first, second) = rx.recv().unwrap();
        assert!(first.contains("block_on"), "{first}");
        assert!(!second.is_empty());
    });
}

/// `run` runs a service to its end and gives its result.
#[test]
fn run_is_for_synchronous_code() {
    watchdog(|| {
        for workers in [0, 2] {
            let rt = build(workers);
            let seen = Event::new();
            let set = seen.clone();
            let result = rt.run(service_fn("good", |ctx| async move {
                ctx.run_task(async move {
                    set.set();
                    Ok(())
                })?;
                Ok(())
            }));
            assert!(result.is_ok() && seen.is_set());
            let result = rt.run(service_fn("bad", |_| async { Err("no luck")? }));
            assert_eq!(result.unwrap_err().failures().len(), 1);
        }
    });
}

/// `start` gives a started manager of a root service.
#[test]
fn start_gives_a_started_root() {
    everywhere(async |h| {
        let m = h.start(service_fn("root", |_| async { Ok(()) })).unwrap();
        assert!(m.is_started() && m.id().is_some());
        m.wait_finished().await;
        assert!(m.is_started() && !m.is_running());
    });
}

/// A suspended task lets the others of its thread run.
#[test]
fn yield_now_lets_others_run() {
    for workers in [0, 1] {
        on(workers, async |h| {
            let turn = Arc::new(AtomicUsize::new(0));
            let players: Vec<_> = (0..2)
                .map(|me| {
                    let turn = turn.clone();
                    h.spawn(async move {
                        while turn.load(Ordering::Acquire) < 100 {
                            if turn.load(Ordering::Acquire) % 2 == me {
                                turn.fetch_add(1, Ordering::AcqRel);
                            }
                            yield_now().await;
                        }
                    })
                })
                .collect();
            for player in players {
                player.await.unwrap();
            }
            assert!(turn.load(Ordering::Acquire) >= 100);
        });
    }
}

/// Ids are not used twice, and are ordered and printable.
#[test]
fn ids_are_not_reused() {
    everywhere(async |h| {
        let mut seen = HashSet::new();
        for _ in 0..500 {
            let task = h.spawn(async {});
            assert!(seen.insert(task.id()));
            assert!(!task.id().to_string().is_empty());
            task.await.unwrap();
        }
    });
}

/// What one worker spawns has increasing ids.
#[test]
fn ids_increase_on_a_worker() {
    everywhere(async |h| {
        let ids = h.spawn(async {
            // One poll, so one worker; more than one block of ids.
            (0..500).map(|_| spawn(async {}).id()).collect::<Vec<_>>()
        });
        assert!(ids.await.unwrap().is_sorted_by(|a, b| a < b));
    });
}

/// The metrics count the living and the polls.
#[test]
fn metrics_count() {
    on(0, async |h| {
        let before = h.metrics();
        let polled = Counter::new();
        let tasks: Vec<_> = (0..7)
            .map(|_| {
                let polled = polled.clone();
                h.spawn(async move {
                    polled.add();
                    pending::<()>().await
                })
            })
            .collect();
        while polled.get() < 7 {
            yield_now().await;
        }
        assert_eq!(h.metrics().live_tasks, before.live_tasks + 7);
        assert!(h.metrics().polls >= before.polls + 7);
        for task in &tasks {
            task.cancel();
        }
        for task in tasks {
            task.wait_done().await;
        }
        assert_eq!(h.metrics().live_tasks, before.live_tasks);
    });
}
