//! What each runtime has of its own: `block_on`, timers, supervised tasks, pictures.

use super::{Cliff, Took, Watch, all, drive};
use crate::raw::{GroveRoots, Raw, Tokio, executor, grove, tokio_runtime};
use crate::raw_work::yield_once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use taskgrove::service_fn;
use tokio_util::task::TaskTracker;

pub fn rows() -> Vec<Cliff> {
    let ours = "taskgrove";
    vec![
        Cliff::new(
            "block_on_ready",
            "block_on of a ready future; a call",
            &[
                (ours, || block_ready(|| grove().block_on(async {}))),
                ("tokio", || {
                    block_ready(|| tokio_runtime().block_on(async {}))
                }),
                ("async-executor", || {
                    block_ready(|| futures_lite::future::block_on(executor().run(async {})))
                }),
            ],
        ),
        Cliff::new(
            "block_on_spawn",
            "block_on of a task it spawns; a call",
            &[
                (ours, || {
                    block_spawn(|| {
                        grove().block_on(async { grove().spawn(async {}).await.expect("it ends") })
                    })
                }),
                ("tokio", || {
                    block_spawn(|| {
                        tokio_runtime()
                            .block_on(async { tokio::spawn(async {}).await.expect("it ends") })
                    })
                }),
                ("async-executor", || {
                    block_spawn(|| {
                        futures_lite::future::block_on(
                            executor().run(async { executor().spawn(async {}).await }),
                        )
                    })
                }),
            ],
        )
        .because(
            "a worker runs the task, on another thread, as in tokio; async-executor's caller runs it itself",
        ),
        Cliff::new(
            "timeouts",
            "a fresh 30 s timeout in 1,000 tasks, two workers; a timeout",
            &[
                (ours, || {
                    timeouts::<GroveRoots, _>(|| async {
                        taskgrove::time::timeout(LONG, yield_once())
                            .await
                            .expect("in time")
                    })
                }),
                ("tokio", || {
                    timeouts::<Tokio, _>(|| async {
                        tokio::time::timeout(LONG, yield_once())
                            .await
                            .expect("in time")
                    })
                }),
            ],
        ),
        Cliff::new(
            "timeout_ready",
            "a timeout of what is ready; a timeout",
            &[
                (ours, || {
                    timeout_ready::<GroveRoots, _>(|| async {
                        taskgrove::time::timeout(LONG, async {})
                            .await
                            .expect("in time")
                    })
                }),
                ("tokio", || {
                    timeout_ready::<Tokio, _>(|| async {
                        tokio::time::timeout(LONG, async {}).await.expect("in time")
                    })
                }),
            ],
        ),
        Cliff::new(
            "sleeps",
            "10,000 tasks sleep 5 ms; a task",
            &[
                (ours, || {
                    sleeps::<GroveRoots, _>(|| taskgrove::time::sleep(Duration::from_millis(5)))
                }),
                ("tokio", || {
                    sleeps::<Tokio, _>(|| tokio::time::sleep(Duration::from_millis(5)))
                }),
            ],
        ),
        Cliff::new(
            "sleep_1ms",
            "one task sleeps 1 ms, 20 times; a sleep",
            &[
                (ours, || {
                    naps::<GroveRoots, _>(|| taskgrove::time::sleep(Duration::from_millis(1)))
                }),
                ("tokio", || {
                    naps::<Tokio, _>(|| tokio::time::sleep(Duration::from_millis(1)))
                }),
            ],
        ),
        Cliff::new(
            "service_by_one",
            "10,000 tasks of one service by one worker; a task",
            &[(ours, || service(1, 1)), ("TaskTracker", || tracker(1))],
        ),
        Cliff::new(
            "service_by_both",
            "one service spawned into by both workers; a task",
            &[(ours, || service(1, 2)), ("TaskTracker", || tracker(2))],
        ),
        Cliff::new(
            "services_by_both",
            "two services, each by a worker; a task",
            &[(ours, || service(2, 1)), ("TaskTracker", || tracker(2))],
        ),
        Cliff::new(
            "picture",
            "a picture of 100,000 tasks beside work; a picture",
            &[(ours, picture)],
        ),
    ]
}

const LONG: Duration = Duration::from_secs(30);

fn block_ready(call: impl Fn()) -> Took {
    let watch = Watch::start();
    for _ in 0..10_000 {
        call();
    }
    watch.took(10_000)
}

fn block_spawn(call: impl Fn()) -> Took {
    let watch = Watch::start();
    for _ in 0..500 {
        call();
    }
    watch.took(500)
}

fn timeouts<R: Raw, F: Future<Output = ()> + Send + 'static>(timeout: fn() -> F) -> Took {
    let task = move |_| async move {
        for _ in 0..20 {
            timeout().await;
        }
    };
    drive::<R, _>(20_000, all::<R, _>(1_000, task))
}

fn timeout_ready<R: Raw, F: Future<Output = ()> + Send + 'static>(timeout: fn() -> F) -> Took {
    drive::<R, _>(20_000, async move {
        for _ in 0..20_000 {
            timeout().await;
        }
    })
}

fn sleeps<R: Raw, F: Future<Output = ()> + Send + 'static>(sleep: fn() -> F) -> Took {
    let task = move |_| async move { sleep().await };
    drive::<R, _>(10_000, all::<R, _>(10_000, task))
}

fn naps<R: Raw, F: Future<Output = ()> + Send + 'static>(sleep: fn() -> F) -> Took {
    drive::<R, _>(20, async move {
        for _ in 0..20 {
            sleep().await;
        }
    })
}

/// Spawns 20,000 tasks that end at once, by so many tasks for each of so many services, and waits for
/// all. No task ever waits for more than a part of its own.
fn service(services: usize, spawners: usize) -> Took {
    const TASKS: usize = 20_000;
    let each = TASKS / services / spawners;
    drive::<GroveRoots, _>(TASKS, async move {
        let managers = (0..services).map(|_| {
            let service = service_fn("many", move |ctx| async move {
                for _ in 0..spawners {
                    let below = ctx.clone();
                    ctx.run_task(async move {
                        for i in 0..each {
                            below.run_task(async { Ok(()) })?;
                            if i % 64 == 63 {
                                yield_once().await;
                            }
                        }
                        Ok(())
                    })?;
                }
                Ok(())
            });
            grove().start(service).expect("it starts")
        });
        for manager in managers.collect::<Vec<_>>() {
            manager.wait_finished().await;
        }
    })
}

/// The same with a `TaskTracker`, by so many tasks.
fn tracker(spawners: usize) -> Took {
    const TASKS: usize = 20_000;
    let each = TASKS / spawners;
    drive::<Tokio, _>(TASKS, async move {
        let tracker = TaskTracker::new();
        for _ in 0..spawners {
            let below = tracker.clone();
            tracker.spawn(async move {
                for i in 0..each {
                    below.spawn(async {});
                    if i % 64 == 63 {
                        yield_once().await;
                    }
                }
            });
        }
        tracker.close();
        tracker.wait().await;
    })
}

/// A picture of 100,000 parked tasks, while two others yield.
fn picture() -> Took {
    static OVER: AtomicBool = AtomicBool::new(false);
    OVER.store(false, Ordering::Relaxed);
    let parked: Vec<_> = (0..100_000)
        .map(|_| grove().spawn(std::future::pending::<()>()))
        .collect();
    for _ in 0..2 {
        drop(grove().spawn(async {
            while !OVER.load(Ordering::Relaxed) {
                yield_once().await;
            }
        }));
    }
    let watch = Watch::start();
    for _ in 0..3 {
        let picture = grove().snapshot();
        assert!(picture.len() >= 100_000);
    }
    let took = watch.took(3);
    OVER.store(true, Ordering::Relaxed);
    parked.iter().for_each(|task| task.cancel());
    took
}
