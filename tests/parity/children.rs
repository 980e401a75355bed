//! Behaviours 16 and 17: services in services.

use crate::common::{Event, Queue, poll_once};
use crate::drive::scenario;
use crate::util::{assert_daemon_exit, forever, in_background, lifecycle};
use crate::util::{only_failure, oops, oops_of};
use std::pin::pin;
use taskgrove::{
    BoxService, Context, FailureKind, Manager, Service, background_service, service_fn,
};

/// A parent whose `run` starts the child, sends its manager and returns.
fn parent_of(child: impl Service, daemon: bool, send: Queue<Manager>) -> Manager {
    let parent = service_fn("app", move |ctx: Context| async move {
        let child = if daemon {
            ctx.run_daemon_child_service(child)?
        } else {
            ctx.run_child_service(child)?
        };
        assert!(child.is_started(), "a child's manager is returned started");
        send.send(child);
        Ok(())
    });
    Manager::new(parent).unwrap()
}

/// A service that ends, well or not, when the event happens.
fn ends_on(
    event: &Event,
    result: impl FnOnce() -> taskgrove::Result + Send + 'static,
) -> impl Service {
    let ended = event.wait();
    service_fn("db", move |_| async move {
        ended.await;
        result()
    })
}

/// `test_trio_service_lifecycle_run_and_clean_exit_with_child_service`
#[test]
fn b16_child_service_runs_and_its_parent_waits_for_it() {
    scenario(async || {
        let (go, managers) = (Event::new(), Queue::new());
        let parent = parent_of(ends_on(&go, || Ok(())), false, managers.clone());
        let run = in_background(&parent);
        let child = managers.recv().await;
        assert_eq!(child.name(), "db");
        assert!(child.is_running());
        assert_ne!(child.id(), parent.id());
        assert!(poll_once(&mut pin!(parent.wait_finished())).await.is_none());
        assert!(parent.is_running());

        go.set();
        run.await.unwrap().unwrap();
        assert!(
            child.is_finished(),
            "the child is finished before its parent"
        );
        for manager in [&child, &parent] {
            assert!(!manager.is_running());
            assert!(!manager.is_cancelled());
            assert!(!manager.did_error());
        }
    });
}

#[test]
fn b16_parent_with_a_child_service_has_the_usual_lifecycle() {
    scenario(async || {
        let go = Event::new();
        let parent = parent_of(ends_on(&go, || Ok(())), false, Queue::new());
        lifecycle(&parent, || go.set(), false).await.unwrap();
    });
}

/// `test_trio_service_with_daemon_child_service`
#[test]
fn b16_daemon_child_service_is_stopped_with_its_parent() {
    scenario(async || {
        let (never, managers) = (Event::new(), Queue::new());
        let parent = parent_of(ends_on(&never, || Ok(())), true, managers.clone());
        let run = in_background(&parent);
        let child = managers.recv().await;
        assert!(!child.is_cancelled());
        parent.stop().await.unwrap();
        run.await.unwrap().unwrap();
        for manager in [&child, &parent] {
            assert!(manager.is_cancelled());
            assert!(manager.is_finished());
            assert!(!manager.did_error());
        }
    });
}

#[test]
fn b16_daemon_child_service_that_ends_is_a_daemon_exit_of_its_parent() {
    scenario(async || {
        let (go, managers) = (Event::new(), Queue::new());
        let parent = parent_of(ends_on(&go, || Ok(())), true, managers.clone());
        let error = lifecycle(&parent, || go.set(), true).await.unwrap_err();
        assert_daemon_exit(&error, "in_background/app/db");
        let child = managers.recv().await;
        assert!(child.is_finished());
        assert!(
            !child.did_error(),
            "the exit is an error of the parent alone"
        );
    });
}

#[test]
fn b16_services_of_different_types_can_be_children_from_one_vec() {
    scenario(async || {
        let managers = Queue::new();
        let send = managers.clone();
        let app = service_fn("app", |ctx: Context| async move {
            let services: Vec<BoxService> = vec![
                service_fn("one", |_| async { Ok(()) }).boxed(),
                service_fn("two", |_| forever()).boxed(),
            ];
            for service in services {
                send.send(ctx.run_child_service(service)?);
            }
            ctx.wait_finished().await;
            Ok(())
        });
        background_service(app, async |_| {
            let (one, two) = (managers.recv().await, managers.recv().await);
            assert_eq!((one.name(), two.name()), ("one", "two"));
            one.wait_finished().await;
            assert!(!one.is_cancelled());
            assert!(two.is_running());
        })
        .await
        .unwrap();
    });
}

#[test]
fn b17_error_in_a_child_service_fails_its_parent() {
    scenario(async || {
        let (go, managers) = (Event::new(), Queue::new());
        let parent = parent_of(ends_on(&go, || oops("db")), false, managers.clone());
        let error = lifecycle(&parent, || go.set(), true).await.unwrap_err();
        let failure = only_failure(&error);
        assert_eq!(failure.path(), "in_background/app/db");
        let FailureKind::Service(inner) = failure.kind() else {
            panic!("a service's failure expected, not {failure}");
        };
        assert_eq!(oops_of(only_failure(inner)), Some("db"));
        assert!(managers.recv().await.did_error());
    });
}

#[test]
fn b17_error_goes_up_through_every_level() {
    scenario(async || {
        let (go, managers) = (Event::new(), Queue::new());
        let ended = go.wait();
        let leaf = service_fn("conn", |ctx: Context| async move {
            let worker = async {
                ended.await;
                oops("worker")
            };
            ctx.task::<_, ()>(worker).name("worker").spawn()?;
            forever().await
        });
        let send = managers.clone();
        let middle = service_fn("db", |ctx: Context| async move {
            ctx.run_child_service(service_fn("bystander", |_| forever()))?;
            send.send(ctx.run_child_service(leaf)?);
            forever().await
        });
        let top = parent_of(middle, false, managers.clone());
        let run = in_background(&top);
        let below = [managers.recv().await, managers.recv().await];
        go.set();
        let error = run.await.unwrap().unwrap_err();
        for manager in below.iter().chain([&top]) {
            assert!(manager.did_error(), "{}", manager.name());
            assert!(manager.is_cancelled(), "{}", manager.name());
            assert!(manager.is_finished(), "{}", manager.name());
        }
        let causes: Vec<_> = error.root_causes().collect();
        assert_eq!(causes.len(), 1, "{error}");
        assert_eq!(oops_of(causes[0]), Some("worker"));
        assert_eq!(causes[0].path(), "in_background/app/db/conn/worker");
    });
}
