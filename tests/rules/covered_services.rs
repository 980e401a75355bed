//! Protection covers what is spawned inside it: through contexts, in child services, failures and limits.

use crate::covered::{SECOND, simulated};
use crate::util::*;
use std::future::pending;
use taskgrove::time::{now, sleep};
use taskgrove::{
    Context, FailureKind, JoinError, Manager, NodeState, SpawnError, cancel_cause, finally,
    service_fn, shielded, spawn, yield_now,
};

/// A cleanup may use its service's context, and run a child service; what is in there schedules in turn.
#[test]
fn through_a_context() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let client = Gift::new();
        let give = client.clone();
        let app = service_fn("app", move |ctx: Context| async move {
            let (own, inner) = (ctx.clone(), d.clone());
            let cleanup = async move {
                let d = inner.clone();
                let child = service_fn("client", move |ctx: Context| async move {
                    let (task, d2) = (ctx.clone(), d.clone());
                    ctx.run_task(async move {
                        let d3 = d2.clone();
                        task.run_task(async move {
                            d3.at(4).await;
                            d3.add("below");
                            Ok(())
                        })?;
                        d2.at(3).await;
                        d2.add("task");
                        Ok(())
                    })?;
                    d.at(2).await;
                    Ok(())
                });
                let manager = own.run_child_service(child).unwrap();
                give.put(manager.clone());
                manager.wait_finished().await;
                let d = inner.clone();
                let task = own.run_task(async move {
                    d.at(5).await;
                    Ok(())
                });
                task.unwrap().await.unwrap();
                inner.add("cleanup");
            };
            finally(pending::<()>(), cleanup).await;
            Ok(())
        });
        let manager = h.start(app).unwrap();
        diary.at(1).await;
        manager.cancel().unwrap();
        let client: Manager = client.take().await;
        assert!(client.is_running() && !client.is_cancelled());
        client.wait_finished().await;
        assert!(!client.is_cancelled() && client.result().unwrap().is_ok());
        manager.wait_finished().await;
        assert!(manager.result().unwrap().is_ok());
        let expected = [(3, "task"), (4, "below"), (5, "cleanup")];
        assert_eq!(diary.take(), expected);
        assert_eq!(manager.stats().tasks.total_count, 2);
        assert_eq!(manager.stats().tasks.finished_count, 2);
    });
}

/// A child service is not cancelled before the protection ends.
#[test]
fn a_child_service_is_cancelled_when_the_protection_ends() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let gift = Gift::new();
        let give = gift.clone();
        let app = service_fn("app", move |ctx: Context| async move {
            shielded(async {
                let inner = d.clone();
                let child = service_fn("child", move |ctx: Context| async move {
                    ctx.cancelled().await;
                    inner.add("told");
                    pending().await
                });
                give.put(ctx.run_child_service(child).unwrap());
                ctx.cancelled().await;
                d.add("cancelled");
                d.at(3).await;
            })
            .await;
            Ok(())
        });
        let manager = h.start(app).unwrap();
        let child: Manager = gift.take().await;
        diary.at(1).await;
        manager.cancel().unwrap();
        diary.at(2).await;
        assert!(child.is_running() && !child.is_cancelled());
        let tasks = manager.snapshot();
        assert_eq!(tasks.nodes()[0].state, NodeState::CleaningUp, "{tasks}");
        manager.wait_finished().await;
        assert!(child.is_cancelled() && child.is_finished());
        assert_eq!(diary.take(), [(1, "cancelled")]);
    });
}

/// A failure in there counts, also during a shutdown, and so does one in a task that is asked for its end by
/// hand.
#[test]
fn errors_count() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let app = service_fn("app", move |ctx: Context| async move {
            let own = ctx.clone();
            let cleanup = async move {
                let inner = own.clone();
                let failing = own.task::<_, ()>(async move {
                    let late = inner
                        .task::<_, ()>(async { Err(boom("below")) })
                        .name("below");
                    drop(late.spawn()?);
                    yield_now().await;
                    Err(boom("covered"))
                });
                let task = failing.name("covered").spawn().unwrap();
                let Err(JoinError::Failed(failure)) = task.await else {
                    panic!("it failed")
                };
                assert_eq!(failure.path(), "app/covered");
                let child = service_fn("child", async |_| Err(boom("service")));
                let child = own.run_child_service(child).unwrap();
                child.wait_finished().await;
                // A daemon that ends during the shutdown is none.
                let daemon = own.run_daemon_task(async { Ok(()) }).unwrap();
                daemon.await.unwrap();
                let daemon = service_fn("daemon", async |_| Ok(()));
                let daemon = own.run_daemon_child_service(daemon).unwrap();
                daemon.wait_finished().await;
                d.add("cleanup");
            };
            finally(pending::<()>(), cleanup).await;
            Ok(())
        });
        let manager = h.start(app).unwrap();
        diary.at(1).await;
        let stopped = manager.stop().await;
        assert!(stopped.is_ok());
        let error = manager.result().unwrap().unwrap_err();
        let mut causes: Vec<_> = error.root_causes().map(|f| f.path().to_owned()).collect();
        causes.sort_unstable();
        assert_eq!(causes, ["app/child", "app/covered", "app/covered/below"]);
        let errors = error.root_causes();
        assert!(
            errors
                .into_iter()
                .all(|f| matches!(f.kind(), FailureKind::Error(_)))
        );
        assert_eq!(diary.take(), [(1, "cleanup")]);
    });
}

/// The limit of children applies.
#[test]
fn the_limit_applies() {
    simulated(async |h, diary| {
        let began = now();
        let app = service_fn("app", move |ctx: Context| async move {
            let own = ctx.clone();
            let cleanup = async move {
                let wait = || async {
                    sleep(SECOND).await;
                    Ok(())
                };
                let _one = own.run_task(wait()).unwrap();
                let _two = own.run_task(wait()).unwrap();
                let Err(SpawnError::TooManyChildren(error)) = own.run_task(wait()) else {
                    panic!("there is no room")
                };
                assert_eq!(error.limit, 2);
                sleep(2 * SECOND).await;
                own.run_task(wait()).unwrap().await.unwrap();
            };
            finally(pending::<()>(), cleanup).await;
            Ok(())
        });
        let manager = Manager::builder(app).max_children(2).build().unwrap();
        let runner = manager.clone();
        let task = h.spawn(async move { runner.run().await });
        diary.at(1).await;
        manager.stop().await.unwrap();
        task.await.unwrap().unwrap();
        assert_eq!(now().duration_since(began), 4 * SECOND);
    });
}

/// The cause of the parent's cancellation is none of a covered task's, before it reaches that. A kill does.
#[test]
fn a_cause_does_not_reach_through_a_protection() {
    simulated(async |h, diary| {
        for kills in [false, true] {
            let gift = Gift::new();
            let give = gift.clone();
            let app = service_fn("app", move |ctx: Context| async move {
                shielded(async {
                    let task = spawn(async {
                        let _asks = spawn(async { pending::<()>().await });
                        sleep(SECOND * 2).await;
                        assert!(cancel_cause().is_none());
                        shielded(sleep(SECOND * 2)).await;
                        assert!(cancel_cause().is_some());
                    });
                    let child = service_fn("child", async |_| pending().await);
                    give.put((ctx.run_child_service(child).unwrap(), task));
                    sleep(SECOND * 3).await;
                })
                .await;
                pending().await
            });
            let manager = h.start(app).unwrap();
            let (child, task) = gift.take().await;
            sleep(SECOND).await;
            manager.cancel_with("intended").unwrap();
            yield_now().await;
            assert!(manager.cancel_cause().is_some());
            assert!(child.cancel_cause().is_none() && task.cancel_cause().is_none());
            let tasks = manager.snapshot();
            let caused: Vec<_> = tasks.nodes().iter().map(|n| n.cause.is_some()).collect();
            assert_eq!(caused, [true, false, false, false], "{tasks}");
            if kills {
                manager.kill().unwrap();
                let reason = child
                    .cancel_cause()
                    .map(|cause| cause.reason() == Some("intended"));
                assert_eq!(reason, Some(true));
                manager.wait_finished().await;
                continue;
            }
            sleep(SECOND + SECOND / 2).await;
            assert!(child.is_running() && child.cancel_cause().is_none());
            sleep(SECOND).await;
            assert!(task.cancel_cause().is_some());
            manager.wait_finished().await;
            assert!(task.await.is_ok());
        }
        drop(diary);
    });
}
