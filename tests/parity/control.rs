//! Behaviours 6 to 8: services in the background, stopping, and what cannot be done twice or too early.

use crate::common::{Counter, Event, suspend_times};
use crate::drive::scenario;
use crate::util::{Idle, assert_new, forever, in_background, lifecycle};
use crate::util::{only_failure, oops, oops_of};
use std::future::pending;
use std::sync::Arc;
use taskgrove::{
    Context, Handle, LifecycleError, Manager, ServiceError, SpawnError, background_service,
    finally, service_fn,
};

/// `test_trio_service_background_service_context_manager`
#[test]
fn b06_background_service_runs_inside_and_is_stopped_after() {
    scenario(async || {
        let service = Idle::new();
        let manager = background_service(service.clone(), async |manager: Manager| {
            let own = service.slot.get().unwrap();
            assert!(manager.id().is_some());
            assert_eq!(own.id(), manager.id());
            assert!(manager.is_started());
            assert!(manager.is_running());
            assert!(!manager.is_cancelled());
            assert!(!manager.is_finished());
            manager
        })
        .await
        .unwrap();
        assert!(manager.is_started());
        assert!(!manager.is_running());
        assert!(manager.is_cancelled());
        assert!(manager.is_finished());
        assert!(!manager.did_error());
    });
}

#[test]
fn b06_failing_service_ends_the_body() {
    scenario(async || {
        let (body_there, bodies) = (Event::new(), Counter::new());
        let there = body_there.wait();
        let service = service_fn("failing", |_| async move {
            there.await;
            oops("service")
        });
        let result = background_service(service, async |_| {
            let _body = bodies.live();
            body_there.set();
            pending::<()>().await
        })
        .await;
        assert_eq!(oops_of(only_failure(&result.unwrap_err())), Some("service"));
        assert_eq!(
            bodies.get(),
            0,
            "the body is dropped before the error is returned"
        );
    });
}

/// `test_trio_service_manager_stop`
#[test]
fn b07_stop_returns_when_finished() {
    scenario(async || {
        let cleaned = Counter::new();
        let count = cleaned.clone();
        let service = service_fn("slow", |ctx: Context| async move {
            for _ in 0..2 {
                let there = Event::new();
                let (set, count) = (there.clone(), count.clone());
                ctx.run_task(finally(
                    async move {
                        set.set();
                        forever().await
                    },
                    async move {
                        suspend_times(20).await;
                        count.add();
                    },
                ))?;
                there.wait().await;
            }
            ctx.set_ready();
            forever().await
        });
        background_service(service, async |manager: Manager| {
            manager.wait_ready().await.unwrap();
            manager.stop().await.unwrap();
            assert!(manager.is_started());
            assert!(!manager.is_running());
            assert!(manager.is_cancelled());
            assert!(manager.is_finished());
            assert_eq!(cleaned.get(), 2);
        })
        .await
        .unwrap();
    });
}

#[test]
fn b08_managed_service_cannot_be_given_another_manager() {
    scenario(async || {
        let service = Idle::new();
        let manager = Manager::new(service.clone()).unwrap();
        let is_taken = |e: &LifecycleError| matches!(e, LifecycleError::AlreadyManaged { service, .. } if service == "Idle");
        assert!(is_taken(&Manager::new(service.clone()).unwrap_err()));
        assert!(is_taken(
            &Handle::current().start(service.clone()).unwrap_err()
        ));
        let error = Manager::run_service(service.clone()).await.unwrap_err();
        assert!(matches!(&error, ServiceError::Lifecycle(e) if is_taken(e)));

        let taken = service.clone();
        let parent = service_fn("parent", |ctx: Context| async move {
            match ctx.run_child_service(taken) {
                Err(SpawnError::Lifecycle(LifecycleError::AlreadyManaged { .. })) => Ok(()),
                other => panic!("AlreadyManaged expected, not {other:?}"),
            }
        });
        Manager::run_service(parent).await.unwrap();

        // None of that has touched the first manager, and its end does not free the service.
        assert_new(&manager);
        background_service(
            service_fn("runs it", {
                let manager = manager.clone();
                |_| async move { Ok(manager.run().await?) }
            }),
            async |_| {
                manager.wait_started().await;
                manager.stop().await.unwrap();
            },
        )
        .await
        .unwrap();
        assert!(manager.is_finished());
        assert!(is_taken(&Manager::new(service).unwrap_err()));
    });
}

#[test]
fn b08_function_can_be_managed_once() {
    let service = Arc::new(service_fn("once", |_| forever()));
    let _first = Manager::new(service.clone()).unwrap();
    let second = Manager::new(service).unwrap_err();
    assert!(matches!(second, LifecycleError::AlreadyManaged { service, .. } if service == "once"));
}

#[test]
fn b08_started_service_cannot_be_run_again() {
    scenario(async || {
        let is_started = |result: Result<(), ServiceError>| {
            matches!(result, Err(ServiceError::Lifecycle(LifecycleError::AlreadyStarted { service, .. }))
                if service == "twice")
        };
        let manager = Manager::new(service_fn("twice", |_| forever())).unwrap();
        let run = in_background(&manager);
        manager.wait_started().await;
        assert!(is_started(manager.run().await));
        assert!(
            manager.is_running(),
            "the second run does not disturb the first"
        );
        manager.stop().await.unwrap();
        run.await.unwrap().unwrap();
        assert!(is_started(manager.run().await));
    });
}

#[test]
fn b08_service_that_never_started_cannot_be_cancelled() {
    scenario(async || {
        let is_early = |result: Result<(), LifecycleError>| matches!(result, Err(LifecycleError::NotStarted { service, .. }) if service == "early");
        let end = Event::new();
        let ended = end.wait();
        let manager = Manager::new(service_fn("early", |_| async move {
            ended.await;
            Ok(())
        }))
        .unwrap();
        assert!(is_early(manager.cancel()));
        assert!(is_early(manager.stop().await));
        // It has not been cancelled by that, either.
        lifecycle(&manager, || end.set(), false).await.unwrap();
    });
}

#[test]
fn b08_cancelling_a_finished_service_does_nothing() {
    scenario(async || {
        let manager = Manager::new(service_fn("over", |_| async { Ok(()) })).unwrap();
        manager.run().await.unwrap();
        manager.cancel().unwrap();
        manager.stop().await.unwrap();
        assert!(!manager.is_cancelled());
        assert!(manager.is_finished());
        assert!(!manager.did_error());
    });
}
