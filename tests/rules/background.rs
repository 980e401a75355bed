//! Services run from inside a task: `run`, `run_service` and `background_service`.

use crate::util::*;
use std::future::pending;
use std::pin::pin;
use taskgrove::{
    Manager, Service, ServiceError, TaskId, background_service, finally, service_fn, shielded,
    yield_now,
};

fn stays() -> impl Service {
    service_fn("stays", |_| pending())
}

/// A service run by a task is below that task, in the tree.
#[test]
fn it_is_a_child_of_the_task_that_polls() {
    everywhere(async |h| {
        let m = Manager::new(stays()).unwrap();
        let runner = m.clone();
        let task = h
            .task(async move { runner.run().await })
            .name("runner")
            .spawn();
        m.wait_started().await;
        let all = h.snapshot();
        let node = all.nodes().iter().find(|n| Some(n.id) == m.id()).unwrap();
        assert_eq!(node.parent, Some(task.id()));
        assert_eq!(node.path, "runner/stays");
        m.stop().await.unwrap();
        assert!(task.await.unwrap().is_ok());
    });
}

/// Polled first by the `block_on` future, it is a root.
#[test]
fn in_block_on_it_is_a_root() {
    everywhere(async |h| {
        let m = Manager::new(stays()).unwrap();
        {
            let mut run = pin!(m.run());
            assert!(poll_once(&mut run).await.is_none());
            let all = h.snapshot();
            assert_eq!(all.nodes()[0].parent, None);
            assert_eq!(Some(all.nodes()[0].id), m.id());
        }
        m.wait_finished().await;
    });
}

/// It counts in no outer stats or limit, and its failure is only the returned error.
#[test]
fn it_is_not_supervised_by_the_outer_service() {
    everywhere(async |h| {
        let (outer, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let bad = || service_fn("bad", |_| async { Err("wrong")? });
        let task = ctx.task(async move {
            let first = Manager::run_service(bad()).await;
            let second = Manager::new(bad())?.run().await;
            let third = background_service(bad(), async |_| pending::<()>().await).await;
            Ok([first, second, third])
        });
        for result in task.spawn().unwrap().await.unwrap() {
            let error = result.unwrap_err();
            assert_eq!(error.failures().len(), 1);
            assert!(error.to_string().contains("wrong"));
        }
        assert!(outer.is_running() && !outer.did_error());
        assert_eq!(outer.stats().tasks.total_count, 1);
    });
}

/// If the task that runs it is cancelled, it goes with the tree, and is not itself cancelled.
#[test]
fn cancelled_with_its_task() {
    everywhere(async |h| {
        let m = Manager::new(stays()).unwrap();
        let runner = m.clone();
        let task = h.spawn(async move { runner.run().await });
        m.wait_started().await;
        task.cancel();
        task.wait_done().await;
        assert!(m.is_finished() && !m.is_cancelled() && !m.did_error());
        assert!(m.result().unwrap().is_ok());
    });
}

/// The same inside another service that stops.
#[test]
fn cancelled_with_the_outer_service() {
    everywhere(async |h| {
        let (outer, ctx) = app(&h).await;
        let m = Manager::new(stays()).unwrap();
        let runner = m.clone();
        ctx.run_task(async move { Ok(runner.run().await?) })
            .unwrap();
        m.wait_started().await;
        outer.stop().await.unwrap();
        assert!(m.is_finished() && !m.is_cancelled());
        assert!(!outer.did_error());
    });
}

/// If the future is dropped otherwise, that is `cancel()`.
#[test]
fn dropping_the_run_cancels() {
    everywhere(async |_| {
        let m = Manager::new(stays()).unwrap();
        assert!(at_once(m.run()).await.is_none());
        assert!(m.is_cancelled());
        m.wait_finished().await;
        assert!(!m.did_error());
    });
}

/// The task is not done before the service it has dropped the run of.
#[test]
fn the_task_waits_for_the_dropped_run() {
    everywhere(async |h| {
        let (inside, go, dropped) = (Event::new(), Event::new(), Event::new());
        let (set, wait, told, tell) = (inside.clone(), go.wait(), inside.wait(), dropped.clone());
        let m = Manager::new(service_fn("slow", |_| {
            shielded(async move {
                set.set();
                wait.await;
                Ok(())
            })
        }))
        .unwrap();
        let runner = m.clone();
        let task = h.spawn(async move {
            {
                let mut run = pin!(runner.run());
                assert!(poll_once(&mut run).await.is_none());
                told.await;
            }
            tell.set();
        });
        dropped.wait().await;
        for _ in 0..10 {
            yield_now().await;
            assert!(m.is_cancelled() && !task.is_done());
        }
        go.set();
        task.wait_done().await;
        assert!(m.is_finished());
    });
}

/// `background_service`: running while the body runs, which is in the calling task; stopped when it ends.
#[test]
fn background_runs_beside_the_body() {
    everywhere(async |h| {
        let task = h.spawn(async {
            let me = TaskId::current();
            background_service(stays(), async |m| {
                m.wait_started().await;
                assert!(m.is_running() && !m.is_cancelled());
                (m, TaskId::current() == me)
            })
            .await
        });
        let (m, same) = task.await.unwrap().unwrap();
        assert!(same && m.is_finished() && m.is_cancelled() && !m.did_error());
    });
}

/// `background_service` ends the body when the service fails, and gives the failure.
#[test]
fn background_ends_the_body() {
    everywhere(async |_| {
        let (go, fallen) = (Event::new(), Event::new());
        let (wait, guard) = (go.wait(), Falls(fallen.clone()));
        let service = service_fn("bad", |_| async move {
            wait.await;
            Err("wrong")?
        });
        let result = background_service(service, async move |_| {
            let _guard = guard;
            go.set();
            pending::<()>().await
        })
        .await;
        let error = result.unwrap_err();
        assert!(matches!(&error, ServiceError::Failed(_)));
        assert_eq!(error.failures()[0].path(), "bad");
        assert!(fallen.is_set());
    });
}

/// It ends the body as a cancellation would: a cleanup runs to its end, a shield is waited for.
#[test]
fn background_respects_protection() {
    everywhere(async |h| {
        let task = h.spawn(async {
            let log = Log::new();
            let go = Event::new();
            let (wait, body) = (go.wait(), log.clone());
            let service = service_fn("bad", |_| async move {
                wait.await;
                Err("wrong")?
            });
            let result = background_service(service, async move |m| {
                let cleanup = body.clone();
                let inner = async {
                    let _fallen = Writes(body.clone(), "body dropped");
                    shielded(async {
                        go.set();
                        while !m.is_cancelled() {
                            crate::common::suspend().await;
                        }
                        crate::common::suspend_times(5).await;
                        body.push("shield");
                    })
                    .await;
                    pending::<()>().await
                };
                let cleanup = async move {
                    crate::common::suspend_times(5).await;
                    cleanup.push("cleanup");
                };
                finally(inner, cleanup).await
            })
            .await;
            (result.is_err(), log.take())
        });
        let (failed, log) = task.await.unwrap();
        assert!(failed);
        assert_eq!(log, ["shield", "body dropped", "cleanup"]);
    });
}

/// A service that ends by itself leaves the body alone.
#[test]
fn background_goes_on_after_a_clean_end() {
    everywhere(async |_| {
        let service = service_fn("short", |_| async { Ok(()) });
        let result = background_service(service, async |m| {
            m.wait_finished().await;
            yield_now().await;
            assert!(!m.is_cancelled());
            9
        })
        .await;
        assert_eq!(result.unwrap(), 9);
    });
}

/// It ends the body also when the service fails while it is being cancelled, and long before it has
/// finished: here it goes on until the body is gone.
#[test]
fn background_ends_the_body_of_a_service_that_is_stopping() {
    everywhere(async |_| {
        let [fallen, heard, go] = [(); 3].map(|()| Event::new());
        let (guard, gone) = (Falls(fallen.clone()), fallen.wait());
        let (hears, told) = (heard.clone(), go.wait());
        let service = service_fn("bad", |ctx| {
            shielded(async move {
                let inside = ctx.clone();
                ctx.run_task(shielded(async move {
                    inside.set_ready();
                    gone.await;
                    Ok(())
                }))?;
                ctx.cancelled().await;
                hears.set();
                told.await;
                Err("late")?
            })
        });
        let result = background_service(service, async move |m| {
            let _guard = guard;
            m.wait_ready().await.unwrap();
            m.cancel().unwrap();
            // All who wait have heard of the cancellation by now: what follows is news.
            heard.wait().await;
            go.set();
            pending::<()>().await
        })
        .await;
        assert_eq!(result.unwrap_err().failures().len(), 1);
        assert!(fallen.is_set());
    });
}

/// A failure while the service is being stopped comes out, too.
#[test]
fn background_gives_the_failure_of_the_stop() {
    everywhere(async |_| {
        let inside = Event::new();
        let (set, wait) = (inside.clone(), inside.wait());
        let service = service_fn("bad", |ctx| {
            shielded(async move {
                set.set();
                ctx.cancelled().await;
                Err("late")?
            })
        });
        let result = background_service(service, async |_| wait.await).await;
        assert_eq!(result.unwrap_err().failures().len(), 1);
    });
}

/// Shields in the body protect its task, until the last of them ends.
#[test]
fn shields_in_the_body_protect_the_task() {
    everywhere(async |h| {
        let events = || [(); 2].map(|()| Event::new());
        let (inside, goes, ended) = (events(), events(), events());
        let shields = [0, 1].map(|n| {
            let (set, wait, tell) = (inside[n].clone(), goes[n].wait(), ended[n].clone());
            shielded(async move {
                set.set();
                wait.await;
                tell.set();
            })
        });
        let task = h.spawn(async move {
            let idle = service_fn("idle", |_| pending());
            let [a, b] = shields;
            background_service(idle, async move |_| both(a, b).await).await
        });
        for inside in inside {
            inside.wait().await;
        }
        task.cancel();
        for (go, ended) in goes.iter().zip(ended) {
            the_turn_has_come().await;
            assert!(!task.is_done());
            go.set();
            ended.wait().await;
        }
        task.wait_done().await;
    });
}

/// One is enough.
#[test]
fn a_shield_in_the_body_protects_the_task() {
    everywhere(async |h| {
        let (inside, go, ended) = (Event::new(), Event::new(), Event::new());
        let (set, wait, tell) = (inside.clone(), go.wait(), ended.clone());
        let task = h.spawn(async move {
            let idle = service_fn("idle", |_| pending());
            let shield = shielded(async move {
                set.set();
                wait.await;
                tell.set();
            });
            background_service(idle, async move |_| shield.await).await
        });
        inside.wait().await;
        task.cancel();
        the_turn_has_come().await;
        assert!(!task.is_done());
        go.set();
        task.wait_done().await;
        assert!(ended.is_set());
    });
}
