//! Behaviours 9 to 13: tasks and daemons.

use crate::common::{Counter, Event, OnDrop, poll_once};
use crate::drive::scenario;
use crate::util::{assert_daemon_exit, forever, in_background, lifecycle};
use crate::util::{only_failure, oops, oops_of};
use std::pin::pin;
use taskgrove::{Context, Manager, background_service, service_fn, shielded};

/// `test_trio_service_manager_run_task`
#[test]
fn b09_background_task_runs() {
    scenario(async || {
        let ran = Event::new();
        let set = ran.clone();
        let service = service_fn("app", |ctx: Context| async move {
            ctx.run_task(async move {
                set.set();
                Ok(())
            })?;
            ctx.wait_finished().await;
            Ok(())
        });
        background_service(service, async |_| ran.wait().await)
            .await
            .unwrap();
    });
}

/// A service whose `run` has returned and whose one task waits for `go`: the event says that `run`'s future has ended.
fn outlived_by_its_task(go: Event, done: Counter) -> (Manager, Event) {
    let run_ended = Event::new();
    let ended = run_ended.clone();
    let service = service_fn("app", |ctx: Context| async move {
        let _end = OnDrop::new(move || ended.set());
        ctx.run_task(async move {
            go.wait().await;
            done.add();
            Ok(())
        })?;
        Ok(())
    });
    (Manager::new(service).unwrap(), run_ended)
}

/// `test_trio_service_manager_run_task_waits_for_task_completion`
#[test]
fn b09_service_waits_for_its_task() {
    scenario(async || {
        let (go, done) = (Event::new(), Counter::new());
        let (manager, run_ended) = outlived_by_its_task(go.clone(), done.clone());
        let run = in_background(&manager);
        run_ended.wait().await;
        assert!(
            poll_once(&mut pin!(manager.wait_finished()))
                .await
                .is_none()
        );
        assert!(manager.is_running());
        go.set();
        run.await.unwrap().unwrap();
        assert_eq!(done.get(), 1);
        assert!(!manager.is_cancelled());
    });
}

/// `test_trio_service_manager_run_task_can_still_cancel_after_run_finishes`
#[test]
fn b10_service_can_be_cancelled_after_run_has_returned() {
    scenario(async || {
        let (never, done) = (Event::new(), Counter::new());
        let (manager, run_ended) = outlived_by_its_task(never.clone(), done.clone());
        let run = in_background(&manager);
        run_ended.wait().await;
        assert!(
            poll_once(&mut pin!(manager.wait_finished()))
                .await
                .is_none()
        );
        manager.cancel().unwrap();
        manager.wait_finished().await;
        run.await.unwrap().unwrap();
        assert!(manager.is_cancelled());
        never.set();
        assert_eq!(done.get(), 0, "the task was dropped where it waited");
    });
}

/// `test_sub_service_cancelled_when_parent_stops`
#[test]
fn b11_service_run_in_a_task_ends_with_it_and_is_not_itself_cancelled() {
    scenario(async || {
        let there = Event::new();
        let inner = {
            let there = there.clone();
            Manager::new(service_fn("inner", |ctx: Context| async move {
                there.set();
                ctx.wait_finished().await;
                Ok(())
            }))
            .unwrap()
        };
        let outer = {
            let inner = inner.clone();
            service_fn("outer", |ctx: Context| async move {
                ctx.run_task(async move { Ok(inner.run().await?) })?;
                ctx.wait_finished().await;
                Ok(())
            })
        };
        let outer = background_service(outer, async |manager| {
            there.wait().await;
            manager
        })
        .await
        .unwrap();
        assert!(outer.is_cancelled());
        assert!(outer.is_finished());

        assert!(!inner.is_running());
        assert!(!inner.is_cancelled());
        assert!(inner.is_finished());
        assert!(matches!(inner.result(), Some(Ok(()))));
    });
}

/// `test_trio_service_lifecycle_run_and_daemon_task_exit`, `test_trio_service_manager_run_daemon_task_cancels_if_exits`
#[test]
fn b12_daemon_that_exits_fails_its_service_by_name() {
    scenario(async || {
        let end = Event::new();
        let ended = end.wait();
        let service = service_fn("clock", |ctx: Context| async move {
            let ticker = async {
                ended.await;
                Ok(())
            };
            let ticker = ctx.task(ticker).name("ticker").daemon().spawn()?;
            assert!(ticker.is_daemon());
            assert_eq!(ticker.name(), "ticker");
            ctx.wait_finished().await;
            Ok(())
        });
        let manager = Manager::new(service).unwrap();
        let error = lifecycle(&manager, || end.set(), true).await;
        assert_daemon_exit(&error.unwrap_err(), "in_background/clock/ticker");
    });
}

/// `test_trio_service_with_daemon_child_task`: the one is dropped, the other sees the cancellation and returns.
#[test]
fn b12_daemon_that_ends_because_of_cancellation_is_no_error() {
    scenario(async || {
        let there = Event::new();
        let set = there.clone();
        let returned = Event::new();
        let on_return = returned.clone();
        let service = service_fn("app", |ctx: Context| async move {
            ctx.run_daemon_task(forever())?;
            let (inner, in_shield) = (ctx.clone(), Event::new());
            let inside = in_shield.clone();
            ctx.run_daemon_task(shielded(async move {
                inside.set();
                inner.cancelled().await;
                on_return.set();
                Ok(())
            }))?;
            in_shield.wait().await;
            set.set();
            ctx.wait_finished().await;
            Ok(())
        });
        let manager = background_service(service, async |manager| {
            there.wait().await;
            manager
        })
        .await
        .unwrap();
        assert!(returned.is_set());
        assert!(manager.is_cancelled());
        assert!(!manager.did_error());
    });
}

#[test]
fn b12_waiting_daemon_adds_nothing_to_the_error_of_run() {
    scenario(async || {
        let service = service_fn("app", |ctx: Context| async move {
            let there = Event::new();
            let (set, inner) = (there.clone(), ctx.clone());
            ctx.run_daemon_task(async move {
                set.set();
                inner.wait_finished().await;
                Ok(())
            })?;
            there.wait().await;
            oops("run")
        });
        let error = Manager::run_service(service).await.unwrap_err();
        assert_eq!(oops_of(only_failure(&error)), Some("run"));
    });
}

/// `test_daemon_task_finishes_leaving_children`: the child would fail if it went on.
#[test]
fn b13_children_of_a_daemon_that_exits_are_cancelled() {
    scenario(async || {
        let (never, left) = (Event::new(), Counter::new());
        let held = never.wait();
        let live = left.clone();
        let service = service_fn("app", |ctx: Context| async move {
            let (inner, there) = (ctx.clone(), Event::new());
            let daemon = async move {
                let set = there.clone();
                inner.run_task(async move {
                    let _live = live.live();
                    set.set();
                    held.await;
                    oops("the child went on")
                })?;
                there.wait().await;
                Ok(())
            };
            ctx.task(daemon).name("daemon").daemon().spawn()?;
            ctx.wait_finished().await;
            Ok(())
        });
        let error = Manager::run_service(service).await.unwrap_err();
        assert_daemon_exit(&error, "app/daemon");
        assert_eq!(left.get(), 0, "the child is gone before the service is");
        never.set();
    });
}
