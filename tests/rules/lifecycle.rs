//! "Start", "Running", "Finished", `is_cancelled`, readiness, results.

use crate::util::*;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use taskgrove::{
    Context, LifecycleError, Manager, Service, ServiceError, TaskId, service_fn, shielded, spawn,
    yield_now,
};

fn good() -> impl Service {
    service_fn("good", |_| async { Ok(()) })
}

fn stays() -> impl Service {
    service_fn("stays", |_| pending())
}

/// A new manager is nothing yet; it can be made without a runtime.
#[test]
fn a_new_manager() {
    let m = Manager::new(good()).unwrap();
    assert!(!m.is_started() && !m.is_running() && !m.is_cancelled());
    assert!(!m.is_finished() && !m.did_error());
    assert!(m.result().is_none() && m.id().is_none());
    assert!(m.snapshot().is_empty());
    assert_eq!(m.stats().tasks.total_count, 0);
    let not_started = LifecycleError::NotStarted {
        service: "good".into(),
    };
    assert_eq!(m.cancel(), Err(not_started));
}

/// `run` starts at its first poll, and once only.
#[test]
fn run_starts_at_its_first_poll() {
    everywhere(async |_| {
        let m = Manager::new(good()).unwrap();
        let mut run = pin!(m.run());
        assert!(!m.is_started());
        let early = poll_once(&mut run).await;
        assert!(m.is_started());
        match early {
            Some(result) => result.unwrap(),
            None => run.await.unwrap(),
        }
        let again = m.run().await.unwrap_err();
        assert!(again.failures().is_empty());
        assert!(matches!(
            again,
            ServiceError::Lifecycle(LifecycleError::AlreadyStarted { service }) if service == "good"
        ));
    });
}

/// A second `run` while the first goes on is refused and leaves it alone.
#[test]
fn a_second_run_is_refused() {
    everywhere(async |h| {
        let m = h.start(stays()).unwrap();
        let again = m.run().await;
        assert!(matches!(
            again,
            Err(ServiceError::Lifecycle(
                LifecycleError::AlreadyStarted { .. }
            ))
        ));
        assert!(m.is_running() && !m.is_cancelled());
    });
}

/// Running is started and not finished, also while being cancelled.
#[test]
fn running_lasts_until_finished() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, go) = (Event::new(), Event::new());
        let (set, wait) = (inside.clone(), go.wait());
        ctx.run_task(shielded(async move {
            set.set();
            wait.await;
            Ok(())
        }))
        .unwrap();
        inside.wait().await;
        m.cancel().unwrap();
        for _ in 0..10 {
            assert!(m.is_running() && m.is_cancelled() && !m.is_finished());
            assert!(m.result().is_none());
            yield_now().await;
        }
        go.set();
        m.wait_finished().await;
        assert!(m.is_started() && !m.is_running() && m.is_finished());
        assert!(m.result().unwrap().is_ok());
    });
}

/// A service is finished only when everything below it is done, raw tasks included.
#[test]
fn finished_waits_for_everything_below() {
    everywhere(async |h| {
        let go = Event::new();
        let (first, second) = (go.wait(), go.wait());
        let m = h
            .start(service_fn("app", |ctx| async move {
                ctx.run_task(async move {
                    spawn(first);
                    Ok(())
                })?;
                spawn(second);
                Ok(())
            }))
            .unwrap();
        for _ in 0..10 {
            yield_now().await;
            assert!(!m.is_finished() && m.is_running());
            assert!(at_once(m.wait_finished()).await.is_none());
        }
        go.set();
        m.wait_finished().await;
        assert!(!m.is_cancelled() && !m.did_error() && m.result().unwrap().is_ok());
    });
}

struct Owner(#[allow(dead_code)] Falls);

impl Service for Owner {
    async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
        Ok(())
    }
}

/// The service value has been dropped when it is finished, also for who waits below another task.
#[test]
fn the_value_is_gone_when_finished() {
    everywhere(async |h| {
        for _ in 0..50 {
            let fallen = Event::new();
            let m = h.start(Owner(Falls(fallen.clone()))).unwrap();
            m.wait_finished().await;
            assert!(fallen.is_set());
            let fallen = Event::new();
            Manager::run_service(Owner(Falls(fallen.clone())))
                .await
                .unwrap();
            assert!(fallen.is_set());
        }
    });
}

/// `wait_started` resolves at the start, and after it.
#[test]
fn wait_started() {
    everywhere(async |h| {
        let m = Manager::new(stays()).unwrap();
        assert!(at_once(m.wait_started()).await.is_none());
        let waiter = m.clone();
        let waiting = h.spawn(async move { waiter.wait_started().await });
        let runner = m.clone();
        let running = h.spawn(async move { runner.run().await });
        waiting.await.unwrap();
        assert!(m.is_started());
        m.wait_started().await;
        m.stop().await.unwrap();
        assert!(running.await.unwrap().is_ok());
    });
}

/// `wait_ready` resolves after `set_ready`, whether the wait began before the start or later.
#[test]
fn wait_ready_after_set_ready() {
    everywhere(async |h| {
        let go = Event::new();
        let wait = go.wait();
        let m = Manager::new(service_fn("app", |ctx| async move {
            wait.await;
            ctx.set_ready();
            ctx.set_ready();
            pending().await
        }))
        .unwrap();
        assert!(at_once(m.wait_ready()).await.is_none());
        let (waiter, runner) = (m.clone(), m.clone());
        let early = h.spawn(async move { waiter.wait_ready().await });
        h.spawn(async move { runner.run().await });
        m.wait_started().await;
        assert!(at_once(m.wait_ready()).await.is_none());
        go.set();
        early.await.unwrap().unwrap();
        m.wait_ready().await.unwrap();
        m.stop().await.unwrap();
    });
}

/// `wait_ready` is `NotRunning` if the service ends first.
#[test]
fn wait_ready_of_one_that_ends() {
    everywhere(async |h| {
        let go = Event::new();
        let wait = go.wait();
        let m = h
            .start(service_fn("short", |_| async move {
                wait.await;
                Ok(())
            }))
            .unwrap();
        let waiter = m.clone();
        let early = h.spawn(async move { waiter.wait_ready().await });
        go.set();
        let not_running = LifecycleError::NotRunning {
            service: "short".into(),
        };
        assert_eq!(early.await.unwrap(), Err(not_running.clone()));
        m.wait_finished().await;
        assert_eq!(m.wait_ready().await, Err(not_running));
    });
}

/// A clean end: finished, and neither cancelled nor in error.
#[test]
fn cancelled_is_false_after_a_clean_end() {
    everywhere(async |h| {
        let m = h.start(good()).unwrap();
        m.wait_finished().await;
        assert!(!m.is_cancelled() && !m.did_error());
        assert_eq!(m.cancel(), Ok(()));
        assert!(!m.is_cancelled());
    });
}

/// `is_cancelled` is true as soon as `cancel` has returned, and after `stop`.
#[test]
fn cancelled_is_true_after_cancel_and_stop() {
    everywhere(async |h| {
        let m = h.start(stays()).unwrap();
        m.cancel().unwrap();
        assert!(m.is_cancelled());
        m.wait_finished().await;
        assert!(m.is_cancelled() && !m.did_error());
        let m = h.start(stays()).unwrap();
        m.stop().await.unwrap();
        assert!(m.is_cancelled() && m.is_finished());
    });
}

/// `is_cancelled` is true after a failure of its own, be it of `run`, a task or a child.
#[test]
fn cancelled_is_true_after_a_failure() {
    everywhere(async |h| {
        let m = h
            .start(service_fn("run", |_| async { Err("wrong")? }))
            .unwrap();
        m.wait_finished().await;
        assert!(m.is_cancelled() && m.did_error());
        let (m, ctx) = app(&h).await;
        ctx.run_task(async { Err("wrong")? }).unwrap();
        m.wait_finished().await;
        assert!(m.is_cancelled() && m.did_error());
        let (m, ctx) = app(&h).await;
        let child = ctx
            .run_child_service(service_fn("child", |_| async { Err("wrong")? }))
            .unwrap();
        m.wait_finished().await;
        assert!(m.is_cancelled() && m.did_error());
        assert!(child.is_cancelled() && child.did_error());
    });
}

/// A child service is cancelled when its parent is being cancelled, at any depth below.
#[test]
fn cancelled_is_true_for_the_children_of_the_cancelled() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let below = Gift::new();
        let give = below.clone();
        let child = ctx
            .run_child_service(service_fn("child", |ctx| async move {
                give.put(ctx.run_child_service(stays())?);
                pending().await
            }))
            .unwrap();
        let below = below.take().await;
        m.stop().await.unwrap();
        assert!(child.is_cancelled() && child.is_finished() && !child.did_error());
        assert!(below.is_cancelled() && below.is_finished() && !below.did_error());
    });
}

/// Cancelling a child leaves the parent as it was.
#[test]
fn cancelling_a_child_is_not_cancelling_the_parent() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let child = ctx.run_child_service(stays()).unwrap();
        child.stop().await.unwrap();
        assert!(child.is_cancelled() && m.is_running() && !m.is_cancelled());
        assert!(!m.did_error());
    });
}

/// A manager can be dropped; its service goes on.
#[test]
fn dropping_a_manager_does_nothing() {
    everywhere(async |h| {
        let (go, went) = (Event::new(), Event::new());
        let (wait, set) = (go.wait(), went.clone());
        drop(h.start(service_fn("app", |_| async move {
            wait.await;
            set.set();
            Ok(())
        })));
        go.set();
        went.wait().await;
    });
}

/// `run` is the service node's own future.
#[test]
fn run_is_the_node_itself() {
    everywhere(async |h| {
        let seen = Gift::new();
        let give = seen.clone();
        let m = h
            .start(service_fn("app", |ctx| async move {
                give.put((TaskId::current(), ctx.manager().id()));
                pending().await
            }))
            .unwrap();
        let (current, id) = seen.take().await;
        assert_eq!((current, id), (m.id(), m.id()));
        assert_eq!(m.snapshot().nodes().len(), 1);
    });
}
