//! Starts: their order, readiness, and what fails.

use crate::world::{Do, MS, assert_ended_well, check, error, settle, start, states};
use std::borrow::Cow;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use taskgrove::supervisor::{
    AutoShutdown, ChildSpec, Restart, Strategy, Supervisor, SupervisorError,
};
use taskgrove::{
    Context, FailureKind, Manager, Service, ServiceError, TaskLocal, service_fn, time,
};

/// `sup_start_normal`: a supervisor starts, and stops without an error.
#[test]
fn a_supervisor_starts_and_stops() {
    check(async |_| {
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne));
        manager.wait_ready().await.unwrap();
        assert!(handle.children().is_empty());
        manager.stop().await.unwrap();
        assert_ended_well(&manager);
    });
}

#[test]
fn each_child_waits_until_the_one_before_is_ready() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(world.spec("a").wait_ready(MS * 100))
            .child(world.spec("b"))
            .child(world.spec("c").wait_ready(MS * 100));
        world.ready_after("a", Some(MS * 30));
        world.ready_after("b", Some(MS * 30));
        let (manager, handle) = start(supervisor);
        settle().await;
        assert_eq!(states(&handle), "a Starting, b Starting, c Starting");
        assert!(handle.child("a").is_some() && handle.child("b").is_none());
        handle.wait_child("a").await.unwrap();
        assert_eq!(world.now(), 30);
        let ready = manager.wait_ready();
        settle().await;
        assert_eq!(states(&handle), "a Running, b Running, c Starting");
        time::sleep(MS * 20).await;
        world.tell("c", Do::Ready).await;
        ready.await.unwrap();
        assert_eq!(world.now(), 50);
        assert_eq!(world.take(), "0 +a, 30 +b, 30 +c");
        manager.stop().await.unwrap();
    });
}

/// `sup_start_child_returns_error` for the first start: it is not repeated, and those that run are stopped.
#[test]
fn a_first_start_that_fails_fails_the_supervisor() {
    for strategy in [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ] {
        check(async |world| {
            let supervisor = Supervisor::new(strategy)
                .intensity(9, MS)
                .child(world.spec("a"))
                .child(world.spec("b"))
                .child(world.spec("c"));
            world.unmakable("b", 1);
            let (manager, handle) = start(supervisor);
            manager.wait_finished().await;
            assert_eq!(world.take(), "0 +a, 0 !b, 0 -a");
            let error = error(&manager);
            let [failure] = error.failures() else {
                panic!("one failure: {error}")
            };
            assert_eq!(failure.path(), "Supervisor/b");
            assert!(
                matches!(failure.kind(), FailureKind::Panic(text) if text == "b cannot be made")
            );
            assert_eq!(states(&handle), "a Stopped, b Stopped, c Stopped");
        });
    }
}

#[test]
fn a_child_that_is_not_ready_in_time_has_a_failed_start() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(world.spec("a"))
            .child(world.spec("b").wait_ready(MS * 40))
            .child(world.spec("c"));
        world.cleanup("b", MS * 5);
        let (manager, _handle) = start(supervisor);
        manager.wait_finished().await;
        assert_eq!(world.take(), "0 +a, 0 +b, 40 ~b, 45 -b, 45 -a");
        let error = error(&manager);
        assert_eq!(error.failures()[0].path(), "Supervisor/b");
        assert!(
            error.to_string().contains("not ready within 40ms"),
            "{error}"
        );
        assert!(manager.wait_ready().await.is_err());
    });
}

#[test]
fn a_child_that_ends_before_it_is_ready_has_a_failed_start() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(9, MS)
            .child(world.spec("a").wait_ready(MS * 40));
        world.unready("a", 1);
        let (manager, _handle) = start(supervisor);
        manager.wait_finished().await;
        assert_eq!(world.take(), "0 +a, 0 -a");
        let error = error(&manager);
        let cause = error.root_causes().next().unwrap();
        assert!(cause.to_string().contains("a is not ready"), "{cause}");
    });
}

/// Near OTP's `ignore`: a child that has nothing to do and ends well does not keep the others from starting.
#[test]
fn a_transient_child_that_ends_well_before_it_is_ready_was_up() {
    check(async |world| {
        let job = ChildSpec::new("job", || service_fn("job", async |_| Ok(())));
        let supervisor = Supervisor::new(Strategy::OneForAll)
            .child(job.restart(Restart::Transient).wait_ready(MS * 40))
            .child(world.spec("a"));
        let (manager, handle) = start(supervisor);
        handle.wait_child("a").await.unwrap();
        assert_eq!(
            (world.now(), &*states(&handle)),
            (0, "job Stopped, a Running")
        );
        manager.stop().await.unwrap();
    });
}

/// When a child fails while the supervisor waits for another one to be ready, it is restarted then, not later.
#[test]
fn a_child_that_fails_while_another_starts_is_restarted() {
    for (strategy, log) in [
        (Strategy::OneForOne, "0 +a, 0 +b, 10 -a, 10 +a, 50 +c"),
        (
            Strategy::OneForAll,
            "0 +a, 0 +b, 10 -a, 10 -b, 10 +a, 10 +b, 60 +c",
        ),
        (
            Strategy::RestForOne,
            "0 +a, 0 +b, 10 -a, 10 -b, 10 +a, 10 +b, 60 +c",
        ),
    ] {
        check(async |world| {
            let supervisor = Supervisor::new(strategy)
                .child(world.spec("a"))
                .child(world.spec("b").wait_ready(MS * 100))
                .child(world.spec("c"));
            world.ready_after("b", Some(MS * 50));
            let (manager, handle) = start(supervisor);
            time::sleep(MS * 10).await;
            world.order("a", Do::Fail);
            handle.wait_child("c").await.unwrap();
            assert_eq!(world.take(), log);
            manager.stop().await.unwrap();
        });
    }
}

/// `child_specs`: two specs of one name; `significant_*`: combinations that make no sense.
#[test]
fn specs_that_make_no_sense_fail_the_start() {
    check(async |world| {
        let new = || Supervisor::new(Strategy::OneForOne).child(world.spec("first"));
        let any = || new().auto_shutdown(AutoShutdown::AnySignificant);
        for (supervisor, text) in [
            (
                new().child(world.spec("b")).child(world.spec("b")),
                "have the name `b`",
            ),
            (
                new().child(world.spec("b").restart(Restart::Transient).significant()),
                "no automatic shutdown",
            ),
            (
                any().child(world.spec("b").significant()),
                "significant and permanent",
            ),
        ] {
            let (manager, handle) = start(supervisor);
            let waits = handle.wait_child("b").await;
            assert!(matches!(waits, Err(SupervisorError::NotRunning)));
            manager.wait_finished().await;
            let error = error(&manager).to_string();
            assert!(error.contains(text) && error.contains("`b`"), "{error}");
        }
        assert_eq!(world.take(), "");
        let (manager, handle) = start(new());
        for (spec, text) in [
            (
                world.spec("b").restart(Restart::Transient).significant(),
                "no automatic shutdown",
            ),
            (world.spec("b").significant(), "no automatic shutdown"),
        ] {
            let Err(SupervisorError::Start(error)) = handle.start_child(spec).await else {
                panic!("it was started")
            };
            assert!(error.to_string().contains(text), "{error}");
        }
        manager.stop().await.unwrap();
    });
}

struct Nameless;

impl Service for Nameless {
    async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
        Ok(())
    }
    fn name(&self) -> Cow<'static, str> {
        panic!("no name")
    }
}

#[test]
fn a_name_that_panics_and_a_service_that_is_managed_are_failed_starts() {
    check(async |_| {
        let supervisor = Supervisor::new(Strategy::OneForOne);
        let (manager, _handle) = start(supervisor.child(ChildSpec::new("a", || Nameless)));
        manager.wait_finished().await;
        assert!(error(&manager).to_string().contains("panicked: no name"));

        let once = Arc::new(service_fn("once", async |_| Ok(())));
        let taken = Manager::new(once.clone()).unwrap();
        let supervisor = Supervisor::new(Strategy::OneForOne);
        let spec = ChildSpec::new("a", move || once.clone());
        let (manager, _handle) = start(supervisor.child(spec));
        manager.wait_finished().await;
        assert!(
            error(&manager)
                .to_string()
                .contains("has a manager already")
        );
        drop(taken);
    });
}

/// `sup_start_restart_child_returns_error`, `sup_start_child_returns_error`: a call that starts a child has the error
/// of a start that fails. A child that was added is forgotten, one that was stopped stays so.
#[test]
fn a_start_by_a_caller_that_fails_is_the_callers() {
    check(async |world| {
        let (manager, handle) = start(Supervisor::new(Strategy::OneForAll).child(world.spec("a")));
        handle.wait_child("a").await.unwrap();
        world.unmakable("b", 1);
        let failed = handle.start_child(world.spec("b")).await;
        let Err(SupervisorError::Start(ServiceError::Failed(failures))) = &failed else {
            panic!("{failed:?}")
        };
        assert_eq!(failures[0].path(), "Supervisor/b");
        assert!(failed.unwrap_err().to_string().contains("b cannot be made"));
        assert_eq!(states(&handle), "a Running");
        world.unready("c", 1);
        let spec = || world.spec("c").wait_ready(MS * 9);
        let failed = handle.start_child(spec()).await.unwrap_err();
        assert!(failed.to_string().contains("c is not ready"), "{failed}");
        let late = handle.start_child(spec()).await.unwrap_err();
        assert!(late.to_string().contains("not ready within 9ms"), "{late}");
        assert_eq!((world.now(), &*states(&handle)), (9, "a Running"));
        handle.stop_child("a").await.unwrap();
        world.unmakable("a", 1);
        let failed = handle.restart_child("a").await.unwrap_err();
        assert!(failed.to_string().contains("a cannot be made"), "{failed}");
        assert_eq!(states(&handle), "a Stopped");
        assert!(handle.children()[0].last_failure.is_some());
        handle.restart_child("a").await.unwrap();
        // One that runs is stopped first, and is stopped when it does not come up again.
        world.unmakable("a", 1);
        handle.restart_child("a").await.unwrap_err();
        assert_eq!(states(&handle), "a Stopped");
        manager.stop().await.unwrap();
        assert_ended_well(&manager);
    });
}

#[test]
fn absurd_durations_never_come() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(usize::MAX, Duration::MAX)
            .child(
                world
                    .spec("a")
                    .wait_ready(Duration::MAX)
                    .shutdown(taskgrove::supervisor::Shutdown::Timeout(Duration::MAX))
                    .backoff(taskgrove::supervisor::Backoff::constant(Duration::MAX)),
            );
        let (manager, handle) = start(supervisor);
        settle().await;
        world.tell("a", Do::Ready).await;
        world.tell("a", Do::Fail).await;
        assert!(states(&handle).starts_with("a BackingOff"));
        time::sleep(Duration::from_secs(3600 * 24 * 365)).await;
        assert_eq!(world.made("a"), 1);
        manager.stop().await.unwrap();
        assert_ended_well(&manager);
    });
}

/// A limit in a spec holds for each incarnation of the child.
#[test]
fn a_child_has_room_for_as_many_tasks_as_its_spec_says() {
    check(async |_| {
        let (tell, told) = std::sync::mpsc::channel();
        let spec = ChildSpec::new("a", move || {
            let tell = tell.clone();
            service_fn("a", async move |ctx: Context| {
                let refused = (1..).find(|_| ctx.run_task(pending()).is_err());
                tell.send(refused.unwrap()).unwrap();
                pending().await
            })
        });
        let supervisor = Supervisor::new(Strategy::OneForOne).child(spec.max_children(3));
        let (manager, handle) = start(supervisor);
        settle().await;
        handle.restart_child("a").await.unwrap();
        settle().await;
        manager.stop().await.unwrap();
        assert_eq!(told.try_iter().collect::<Vec<i32>>(), [4, 4]);
    });
}

/// Each incarnation has a clone, also below it; a clone that panics is a failed start.
#[test]
fn a_child_has_the_values_of_its_spec() {
    struct Value(Arc<AtomicUsize>, usize);

    impl Clone for Value {
        fn clone(&self) -> Value {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            assert_ne!(count, 1, "the second clone fails");
            Value(self.0.clone(), count)
        }
    }

    static VALUE: TaskLocal<Value> = TaskLocal::new();

    check(async |world| {
        let inner = world.clone();
        let spec = ChildSpec::new("a", move || {
            let world = inner.clone();
            service_fn("a", async move |ctx: Context| {
                let look = async move {
                    let seen = VALUE.with(|value| value.map(|value| value.1));
                    world.log(&format!("{seen:?}"), "");
                    Err::<(), _>("again".into())
                };
                ctx.task(look).spawn()?;
                Ok(())
            })
        });
        let spec = spec.local(&VALUE, Value(Arc::default(), 9));
        let supervisor = Supervisor::new(Strategy::OneForOne).intensity(2, MS);
        let (manager, handle) = start(supervisor.child(spec));
        manager.wait_finished().await;
        assert_eq!(world.take(), "0 Some(0), 0 Some(2)");
        let failures = error(&manager);
        let [failure] = failures.failures() else {
            panic!("{failures}")
        };
        let earlier = failure.earlier()[1].failure.to_string();
        assert!(earlier.contains("the second clone fails"), "{earlier}");
        assert_eq!(handle.children()[0].restarts, 2);
    });
}
