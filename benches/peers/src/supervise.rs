//! Children under a parent: spawned, counted, started and stopped one by one; by taskgrove's
//! services and by what is put beside the other executors for it. `cancel.rs` ends them all.

use crate::harness::per;
use crate::raw::{AsyncExecutor, GroveRoots, Raw, Tokio, grove};
use crate::raw_work::{Live, parked};
use futures::channel::oneshot;
use std::future::pending;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use taskgrove::{Manager, service_fn};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Children of one parent.
pub const WIDE: usize = 10_000;
const CYCLES: usize = 1_000;

type Handles = Vec<async_executor::Task<()>>;

static RAN: AtomicUsize = AtomicUsize::new(0);

async fn brief() {
    RAN.fetch_add(1, Ordering::Relaxed);
}

fn all_ran(elapsed: Duration) -> f64 {
    assert_eq!(RAN.swap(0, Ordering::SeqCst), WIDE);
    per(elapsed, WIDE)
}

/// ns a child: a service whose `run` schedules 10,000 children that end at once, up to its end.
pub fn grove_spawn() -> f64 {
    let elapsed = GroveRoots::drive(async {
        let service = service_fn("app", move |ctx| async move {
            for _ in 0..WIDE {
                ctx.run_task(async {
                    brief().await;
                    Ok(())
                })?;
            }
            Ok(())
        });
        let manager = Manager::builder(service).max_children(WIDE);
        let manager = manager.build().expect("a manager");
        let began = Instant::now();
        manager.run().await.expect("no child fails");
        let elapsed = began.elapsed();
        let stats = manager.stats().tasks;
        assert_eq!(
            (stats.total_count, stats.finished_count),
            (WIDE as u64, WIDE as u64)
        );
        elapsed
    });
    all_ran(elapsed)
}

/// The same with a `JoinSet`: spawn, then `join_next` to the end.
pub fn set_spawn() -> f64 {
    let elapsed = Tokio::drive(async {
        let began = Instant::now();
        let mut set = JoinSet::new();
        (0..WIDE).for_each(|_| drop(set.spawn(brief())));
        while let Some(end) = set.join_next().await {
            end.expect("no child fails");
        }
        began.elapsed()
    });
    all_ran(elapsed)
}

/// The same with a `TaskTracker` and a token that each child watches.
pub fn tracker_spawn() -> f64 {
    let elapsed = Tokio::drive(async {
        let began = Instant::now();
        let token = CancellationToken::new();
        let tracker = TaskTracker::new();
        for _ in 0..WIDE {
            let token = token.clone();
            tracker.spawn(async move {
                token.run_until_cancelled_owned(brief()).await;
            });
        }
        tracker.close();
        tracker.wait().await;
        began.elapsed()
    });
    all_ran(elapsed)
}

/// The same with a `Vec` of async-executor's tasks, awaited one by one.
pub fn tasks_spawn() -> f64 {
    let elapsed = AsyncExecutor::drive(async {
        let began = Instant::now();
        let tasks: Handles = (0..WIDE).map(|_| AsyncExecutor::spawn(brief())).collect();
        for task in tasks {
            task.await;
        }
        began.elapsed()
    });
    all_ran(elapsed)
}

/// ns a cycle: start a child service that waits, stop it, wait for its end; one after another.
pub fn grove_cycle() -> f64 {
    GroveRoots::drive(async {
        let (tx, rx) = oneshot::channel();
        let service = service_fn("app", move |ctx| async move {
            let began = Instant::now();
            for _ in 0..CYCLES {
                let child = ctx.run_child_service(service_fn("child", |_| pending()))?;
                child.stop().await?;
                assert!(child.is_finished());
            }
            let _ = tx.send(began.elapsed());
            Ok(())
        });
        Manager::run_service(service).await.expect("a clean end");
        per(rx.await.expect("a time"), CYCLES)
    })
}

/// The same with one task in a `JoinSet`.
pub fn set_cycle() -> f64 {
    Tokio::drive(async {
        let began = Instant::now();
        for _ in 0..CYCLES {
            let mut set = JoinSet::new();
            set.spawn(pending::<()>());
            set.shutdown().await;
            assert!(set.is_empty());
        }
        per(began.elapsed(), CYCLES)
    })
}

/// The same with a token and a `TaskTracker`.
pub fn tracker_cycle() -> f64 {
    Tokio::drive(async {
        let root = CancellationToken::new();
        let began = Instant::now();
        for _ in 0..CYCLES {
            let token = root.child_token();
            let tracker = TaskTracker::new();
            let watched = token.clone();
            tracker.spawn(async move { watched.cancelled().await });
            token.cancel();
            tracker.close();
            tracker.wait().await;
            assert!(tracker.is_empty());
        }
        per(began.elapsed(), CYCLES)
    })
}

/// The same with one async-executor task, cancelled and awaited.
pub fn tasks_cycle() -> f64 {
    AsyncExecutor::drive(async {
        let began = Instant::now();
        for _ in 0..CYCLES {
            let task = AsyncExecutor::spawn(pending::<()>());
            assert!(task.cancel().await.is_none());
        }
        per(began.elapsed(), CYCLES)
    })
}

const LOOKS: usize = 100_000;

/// ns a call of `look`, which must say [`WIDE`].
fn looks(look: impl Fn() -> usize) -> f64 {
    let began = Instant::now();
    for _ in 0..LOOKS {
        assert_eq!(black_box(&look)(), WIDE);
    }
    per(began.elapsed(), LOOKS)
}

/// ns for the counts of a service with 10,000 live children.
pub fn grove_stats() -> f64 {
    GroveRoots::drive(async {
        Live::reset(WIDE);
        let service = service_fn("app", move |ctx| async move {
            for _ in 0..WIDE {
                ctx.run_task(async {
                    parked().await;
                    Ok(())
                })?;
            }
            pending().await
        });
        let manager = Manager::builder(service).max_children(WIDE);
        let manager = manager.build().expect("a manager");
        let running = manager.clone();
        let run = grove().spawn(async move { running.run().await });
        Live::all_parked().await;
        let ns = looks(|| manager.stats().tasks.pending_count() as usize);
        manager.stop().await.expect("it runs");
        run.await.expect("not cancelled").expect("a clean stop");
        ns
    })
}

/// The length of a `JoinSet`.
pub fn set_stats() -> f64 {
    Tokio::drive(async {
        let mut set = JoinSet::new();
        (0..WIDE).for_each(|_| drop(set.spawn(pending::<()>())));
        let ns = looks(|| set.len());
        set.shutdown().await;
        ns
    })
}

/// The length of a `TaskTracker`.
pub fn tracker_stats() -> f64 {
    Tokio::drive(async {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        for _ in 0..WIDE {
            let token = token.clone();
            tracker.spawn(async move { token.cancelled().await });
        }
        let ns = looks(|| tracker.len());
        token.cancel();
        tracker.close();
        tracker.wait().await;
        ns
    })
}
