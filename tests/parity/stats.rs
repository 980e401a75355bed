//! Behaviour 22: what is counted, and what is kept.

use crate::common::{Counter, Event, Queue};
use crate::drive::scenario;
use crate::util::{Idle, forever, in_background, oops};
use std::sync::Arc;
use taskgrove::{Context, Handle, Manager, Task, background_service, service_fn, yield_now};

/// Total, finished and pending.
fn counts(manager: &Manager) -> (u64, u64, u64) {
    let tasks = manager.stats().tasks;
    (
        tasks.total_count,
        tasks.finished_count,
        tasks.pending_count(),
    )
}

fn named(manager: &Manager, name: &str) -> usize {
    let snapshot = manager.snapshot();
    snapshot.nodes().iter().filter(|n| n.name == name).count()
}

async fn briefly() -> taskgrove::Result {
    yield_now().await;
    Ok(())
}

/// `test_trio_manager_stats`
#[test]
fn b22_everything_scheduled_is_counted_at_any_depth() {
    scenario(async || {
        let service = Idle::new();
        let manager = background_service(service.clone(), async |manager: Manager| {
            let ctx = service.slot.context().unwrap();
            let ended: Queue<Task<()>> = Queue::new();
            for _ in 0..2 {
                ctx.task(forever()).name("forever").spawn().unwrap();
                ended.send(ctx.run_task(briefly()).unwrap());
            }
            // Its future ends, but it is not done before what it has started.
            let (inner, there) = (ctx.clone(), Event::new());
            let set = there.clone();
            let nesting = async move {
                for _ in 0..4 {
                    inner.task(forever()).name("nested").spawn()?;
                }
                set.set();
                Ok(())
            };
            ctx.task(nesting).name("nesting").spawn().unwrap();
            ended.send(service.schedule(briefly()).unwrap());
            there.wait().await;
            for _ in 0..3 {
                ended.recv().await.wait_done().await;
            }
            assert_eq!(counts(&manager), (10, 3, 7));

            for (name, live) in [("forever", 2), ("nested", 4), ("nesting", 1)] {
                assert_eq!(named(&manager, name), live, "{name}");
            }
            manager
        })
        .await
        .unwrap();
        assert_eq!(counts(&manager), (10, 10, 0));
        assert!(manager.snapshot().is_empty());
    });
}

/// `test_trio_manager_stats_does_not_count_main_run_method`
#[test]
fn b22_run_is_not_counted() {
    scenario(async || {
        let there = Event::new();
        let set = there.clone();
        let service = service_fn("app", |ctx: Context| async move {
            ctx.run_task(forever())?;
            set.set();
            forever().await
        });
        let manager = background_service(service, async |manager| {
            there.wait().await;
            assert_eq!(counts(&manager), (1, 0, 1));
            manager
        })
        .await
        .unwrap();
        assert_eq!(counts(&manager), (1, 1, 0));
    });
}

#[test]
fn b22_child_service_is_one_task_and_counts_its_own() {
    scenario(async || {
        let managers = Queue::new();
        let send = managers.clone();
        let child = service_fn("child", |ctx: Context| async move {
            for _ in 0..3 {
                ctx.run_task(briefly())?;
            }
            Ok(())
        });
        let parent = service_fn("parent", |ctx: Context| async move {
            send.send(ctx.run_child_service(child)?);
            Ok(())
        });
        let manager = Handle::current().start(parent).unwrap();
        let child = managers.recv().await;
        manager.wait_finished().await;
        assert_eq!(counts(&child), (3, 3, 0));
        assert_eq!(counts(&manager), (1, 1, 0));
    });
}

#[test]
fn b22_failed_cancelled_and_refused_tasks() {
    scenario(async || {
        let service = Idle::new();
        let manager = Manager::new(service.clone()).unwrap();
        let run = in_background(&manager);
        manager.wait_started().await;

        let by_hand = service.schedule(forever()).unwrap();
        by_hand.cancel();
        by_hand.wait_done().await;
        assert_eq!(counts(&manager), (1, 1, 0), "a cancelled task is finished");
        assert!(!manager.is_cancelled(), "and nothing else is");

        // What is spawned raw is in the tree, but unsupervised: it is not counted.
        let (there, go) = (Event::new(), Event::new());
        let (set, gone) = (there.clone(), go.wait());
        service
            .schedule(async move {
                taskgrove::spawn(forever());
                set.set();
                gone.await;
                oops("on command")
            })
            .unwrap();
        there.wait().await;
        assert_eq!(counts(&manager), (2, 1, 1));
        go.set();
        assert!(run.await.unwrap().is_err());
        assert_eq!(counts(&manager), (2, 2, 0), "a failed task is finished");
        assert!(service.schedule(briefly()).is_err());
        assert_eq!(counts(&manager), (2, 2, 0), "a refused task is none");
    });
}

/// Finished tasks leave the tree, and the memory that they held, but stay counted.
#[test]
fn b22_finished_tasks_leave_the_tree_and_stay_counted() {
    const ROUNDS: u64 = 2_000;
    scenario(async || {
        let (there, live) = (Event::new(), Counter::new());
        let set = there.clone();
        let count = live.clone();
        let service = service_fn("app", |ctx: Context| async move {
            let count = Arc::new(count);
            for _ in 0..ROUNDS {
                let guard = count.live();
                let inner = ctx.clone();
                // More than a thousand in all: the limit on children is one on those that live.
                let task = ctx.run_task(async move {
                    let _guard = guard;
                    inner.run_task(briefly())?;
                    Ok(())
                })?;
                task.await?;
            }
            set.set();
            forever().await
        });
        background_service(service, async |manager: Manager| {
            there.wait().await;
            assert_eq!(counts(&manager), (2 * ROUNDS, 2 * ROUNDS, 0));
            assert_eq!(live.get(), 0);
            let nodes = manager.snapshot().nodes().len();
            // The service itself, and whatever a worker is just about to unlink.
            assert!((1..=8).contains(&nodes), "{nodes} nodes are left");
        })
        .await
        .unwrap();
    });
}
