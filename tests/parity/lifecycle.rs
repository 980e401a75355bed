//! Behaviours 1 to 5: the states of a manager, and the errors that come out.

use crate::common::{Counter, Event, OnDrop, poll_once, suspend_times};
use crate::drive::scenario;
use crate::util::{Oops, assert_new, forever, in_background, lifecycle};
use crate::util::{only_failure, oops, oops_of};
use std::pin::pin;
use std::sync::Arc;
use taskgrove::{Context, FailureKind, Handle, Manager, Service, service_fn, shielded};

/// `test_service_manager_initial_state`
#[test]
fn b01_new_manager_is_in_no_state() {
    let manager = Manager::new(service_fn("new", |_| forever())).unwrap();
    assert_eq!(manager.name(), "new");
    assert_new(&manager);
}

/// `test_trio_service_lifecycle_run_and_clean_exit`
#[test]
fn b02_clean_exit() {
    scenario(async || {
        let end = Event::new();
        let ended = end.wait();
        let manager = Manager::new(service_fn("clean", |_| async move {
            ended.await;
            Ok(())
        }))
        .unwrap();
        lifecycle(&manager, || end.set(), false).await.unwrap();
    });
}

#[test]
fn b02_finished_only_when_the_tasks_are_done() {
    scenario(async || {
        let (run_ended, end) = (Event::new(), Event::new());
        let (on_end, held) = (run_ended.clone(), end.wait());
        let manager = Manager::new(service_fn("outlived", |ctx: Context| async move {
            let _end = OnDrop::new(move || on_end.set());
            ctx.run_task(async {
                held.await;
                Ok(())
            })?;
            Ok(())
        }))
        .unwrap();
        let run = in_background(&manager);
        run_ended.wait().await;
        assert!(manager.is_running());
        assert!(!manager.is_finished());
        assert!(
            poll_once(&mut pin!(manager.wait_finished()))
                .await
                .is_none()
        );

        end.set();
        manager.wait_finished().await;
        assert!(!manager.is_running());
        assert!(!manager.is_cancelled());
        run.await.unwrap().unwrap();
    });
}

#[test]
fn b02_finished_only_when_the_service_is_dropped() {
    struct Dropped(Event);
    impl Service for Dropped {
        async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
            Ok(())
        }
    }
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set();
        }
    }
    scenario(async || {
        let dropped = Event::new();
        let manager = Handle::current().start(Dropped(dropped.clone())).unwrap();
        manager.wait_finished().await;
        assert!(dropped.is_set());
        assert_eq!(manager.name(), "Dropped");
    });
}

/// `test_trio_service_lifecycle_run_and_external_cancellation`
#[test]
fn b03_external_cancellation() {
    scenario(async || {
        let manager = Manager::new(service_fn("stopped", |_| forever())).unwrap();
        let cancel = || {
            manager.cancel().unwrap();
            assert!(
                manager.is_cancelled(),
                "at once, not when it is carried out"
            );
        };
        lifecycle(&manager, cancel, true).await.unwrap();
    });
}

/// `test_trio_service_lifecycle_run_and_exception`
#[test]
fn b04_error_in_run_is_returned_and_cancels() {
    scenario(async || {
        let end = Event::new();
        let ended = end.wait();
        let manager = Manager::new(service_fn("failing", |_| async move {
            ended.await;
            oops("run")
        }))
        .unwrap();
        let error = lifecycle(&manager, || end.set(), true).await.unwrap_err();
        let failure = only_failure(&error);
        assert_eq!(oops_of(failure), Some("run"));
        assert_eq!(failure.path(), "in_background/failing");
        assert_eq!(Some(failure.task()), manager.id());
    });
}

/// `test_trio_service_lifecycle_run_and_task_exception`, `test_trio_service_manager_run_task_reraises_exceptions`
#[test]
fn b04_error_in_a_task_is_returned_and_cancels() {
    scenario(async || {
        let end = Event::new();
        let ended = end.wait();
        let others = Counter::new();
        let (in_run, in_task) = (others.dropped(), others.dropped());
        let manager = Manager::new(service_fn("app", |ctx: Context| async move {
            let _in_run = in_run;
            ctx.run_task(async move {
                let _in_task = in_task;
                forever().await
            })?;
            let worker = async {
                ended.await;
                oops("task")
            };
            ctx.task::<_, ()>(worker).name("worker").spawn()?;
            forever().await
        }))
        .unwrap();
        let error = lifecycle(&manager, || end.set(), true).await.unwrap_err();
        let failure = only_failure(&error);
        assert_eq!(oops_of(failure), Some("task"));
        assert_eq!(failure.path(), "in_background/app/worker");
        assert_eq!(others.get(), 2, "the failure ends run and the other task");
    });
}

/// `test_trio_service_manager_propogates_and_records_exceptions`
#[test]
fn b04_failure_is_recorded() {
    scenario(async || {
        let manager = Manager::new(service_fn("failing", |_| async { oops("at once") })).unwrap();
        assert!(!manager.did_error());
        let error = manager.run().await.unwrap_err();
        assert!(manager.did_error());
        let recorded = manager.result().unwrap().unwrap_err();
        assert_eq!(only_failure(&recorded).path(), only_failure(&error).path());
        assert_eq!(oops_of(only_failure(&recorded)), Some("at once"));
    });
}

#[test]
fn b04_panic_in_a_task_is_a_failure() {
    scenario(async || {
        let service = service_fn("app", |ctx: Context| async move {
            let worker = async { panic!("intended {}", "panic") };
            ctx.task::<_, ()>(worker).name("worker").spawn()?;
            forever().await
        });
        let error = Manager::run_service(service).await.unwrap_err();
        let failure = only_failure(&error);
        assert!(matches!(failure.kind(), FailureKind::Panic(m) if m == "intended panic"));
        assert_eq!(failure.path(), "app/worker");
    });
}

/// The error that a service returns is a value of the caller's own type, not text.
#[test]
fn b04_error_can_be_downcast() {
    scenario(async || {
        let error = Manager::run_service(service_fn("typed", |_| async { oops("typed") })).await;
        let error = error.unwrap_err();
        match only_failure(&error).kind() {
            FailureKind::Error(e) => assert_eq!(e.downcast_ref(), Some(&Oops("typed"))),
            other => panic!("an error expected, not {other:?}"),
        }
    });
}

/// An error from inside a shield is the task's own, whatever has happened outside meanwhile.
#[test]
fn b05_error_of_run_and_a_later_one_from_a_shield() {
    scenario(async || {
        let service = service_fn("both", |ctx: Context| async move {
            let shielded_in = Event::new();
            let (inside, inner) = (shielded_in.clone(), ctx.clone());
            ctx.run_task(shielded(async move {
                inside.set();
                inner.cancelled().await;
                suspend_times(3).await;
                oops("shield")
            }))?;
            shielded_in.wait().await;
            oops("run")
        });
        let error = Manager::run_service(service).await.unwrap_err();
        let in_order: Vec<_> = error.failures().iter().map(oops_of).collect();
        assert_eq!(in_order, [Some("run"), Some("shield")]);
    });
}
