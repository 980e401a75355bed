//! Stops: from above, by force, in the middle of anything.

use crate::world::{Do, MS, World, assert_ended_well, check, error, settle, start, states};
use std::future::pending;
use std::time::Duration;
use taskgrove::supervisor::{Backoff, ChildSpec, Shutdown, Strategy, Supervisor, SupervisorError};
use taskgrove::{CauseKind, Context, FailureKind, finally, service_fn, shielded, spawn, time};

fn three(world: &World) -> Supervisor {
    Supervisor::new(Strategy::OneForOne)
        .child(world.spec("a"))
        .child(world.spec("b"))
        .child(world.spec("c"))
}

/// A supervisor stops its children in reverse order, each after the one behind it is gone, to its last cleanup.
#[test]
fn children_stop_one_after_another_in_reverse_order() {
    check(async |world| {
        for name in ["a", "b", "c"] {
            world.cleanup(name, MS * 10);
        }
        let (manager, handle) = start(three(&world));
        settle().await;
        let seen = spawn({
            let handle = handle.clone();
            async move {
                time::sleep(MS * 5).await;
                states(&handle)
            }
        });
        manager.stop().await.unwrap();
        let log = "0 +a, 0 +b, 0 +c, 0 ~c, 10 -c, 10 ~b, 20 -b, 20 ~a, 30 -a";
        assert_eq!(world.take(), log);
        assert_eq!(seen.await.unwrap(), "a Stopping, b Stopping, c Stopping");
        assert_ended_well(&manager);
    });
}

/// It is the same when a service above is stopped: the cancellation reaches the supervisor and not its children.
#[test]
fn a_stop_of_a_service_above_is_in_order_too() {
    check(async |world| {
        for name in ["a", "b", "c"] {
            world.cleanup(name, MS * 10);
        }
        let supervisor = three(&world);
        let app = service_fn("app", async move |ctx: Context| {
            ctx.run_child_service(supervisor)?;
            pending().await
        });
        let manager = taskgrove::Handle::current().start(app).unwrap();
        settle().await;
        manager.stop().await.unwrap();
        let log = "0 +a, 0 +b, 0 +c, 0 ~c, 10 -c, 10 ~b, 20 -b, 20 ~a, 30 -a";
        assert_eq!(world.take(), log);
        assert_ended_well(&manager);
    });
}

/// `sup_stop_infinity`, `sup_stop_timeout`, `sup_stop_brutal_kill`, `simple_one_for_one_shutdown`.
#[test]
fn a_child_is_ended_as_its_shutdown_says() {
    for (shutdown, log) in [
        (Shutdown::Wait, "0 ~a, 9000 -a"),
        (Shutdown::Timeout(MS * 100), "0 ~a, 100 -a"),
        (Shutdown::Timeout(MS * 9001), "0 ~a, 9000 -a"),
        (Shutdown::Timeout(Duration::ZERO), "0 ~a, 0 -a"),
        (Shutdown::default(), "0 ~a, 5000 -a"),
        (Shutdown::Kill, "0 -a"),
    ] {
        check(async |world| {
            world.cleanup("a", MS * 9000);
            let spec = world.spec("a").shutdown(shutdown);
            let (manager, _handle) = start(Supervisor::new(Strategy::OneForOne).child(spec));
            settle().await;
            assert_eq!(world.take(), "0 +a");
            manager.stop().await.unwrap();
            let seen = world.take();
            // With no time at all, the kill may come before the cleanup has begun.
            let zero = shutdown == Shutdown::Timeout(Duration::ZERO);
            assert!(
                seen == log || zero && seen == "0 -a",
                "{shutdown:?}: {seen}"
            );
            assert_ended_well(&manager);
        });
    }
}

/// The default for a child that is a supervisor is to wait: its children have their own times.
#[test]
fn a_supervisor_has_the_time_that_its_children_need() {
    check(async |world| {
        world.cleanup("a", MS * 4000);
        world.cleanup("b", MS * 4000);
        let inner = world.clone();
        let nested = ChildSpec::new("nested", move || {
            Supervisor::new(Strategy::OneForOne)
                .child(inner.spec("a"))
                .child(inner.spec("b"))
        });
        let (manager, _handle) = start(Supervisor::new(Strategy::OneForOne).child(nested));
        settle().await;
        manager.stop().await.unwrap();
        assert_eq!(world.take(), "0 +a, 0 +b, 0 ~b, 4000 -b, 4000 ~a, 8000 -a");
        assert_ended_well(&manager);
    });
}

/// A supervisor that is killed takes its children with it, and answers who waits.
#[test]
fn a_supervisor_that_is_killed_leaves_nothing_behind() {
    check(async |world| {
        for name in ["a", "b", "c"] {
            world.cleanup(name, MS * 1000);
        }
        let (manager, handle) = start(three(&world));
        settle().await;
        let call = spawn({
            let handle = handle.clone();
            async move { handle.stop_child("b").await }
        });
        settle().await;
        manager.kill().unwrap();
        manager.wait_finished().await;
        assert_eq!(world.now(), 0);
        assert!(["a", "b", "c"].iter().all(|name| !world.is_alive(name)));
        assert!(matches!(
            call.await.unwrap(),
            Err(SupervisorError::NotRunning)
        ));
        assert_eq!(states(&handle), "a Stopped, b Stopped, c Stopped");
        assert!(
            handle
                .children()
                .iter()
                .all(|child| child.manager.is_none())
        );
        let late = handle.wait_child("a").await;
        assert!(matches!(late, Err(SupervisorError::NotRunning)));
    });
}

/// The child services of a supervisor that is killed are cancelled with it.
#[test]
fn the_children_of_a_supervisor_that_is_killed_are_cancelled() {
    check(async |world| {
        let (manager, handle) = start(three(&world));
        settle().await;
        let children: Vec<_> = ["a", "b", "c"]
            .map(|name| handle.child(name).unwrap())
            .into();
        assert!(children.iter().all(|child| !child.is_cancelled()));
        manager.kill().unwrap();
        manager.wait_finished().await;
        for child in children {
            assert!(child.is_cancelled() && child.result().unwrap().is_ok());
        }
    });
}

/// A kill while it stops, and while it backs off.
#[test]
fn a_supervisor_can_be_killed_at_any_time() {
    check(async |world| {
        world.cleanup("a", MS * 1000);
        let spec = world.spec("a").shutdown(Shutdown::Wait);
        let (manager, _handle) = start(Supervisor::new(Strategy::OneForOne).child(spec));
        settle().await;
        let stopped = manager.stop_or_kill(MS * 50).await;
        assert!(stopped.is_err());
        assert_eq!((world.now(), world.is_alive("a")), (50, false));

        let spec = world.spec("b").backoff(Backoff::constant(MS * 1000));
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne).child(spec));
        settle().await;
        world.tell("b", Do::Fail).await;
        assert!(states(&handle).contains("BackingOff"));
        manager.kill().unwrap();
        manager.wait_finished().await;
        assert_eq!(world.now(), 50);
    });
}

#[test]
fn a_stop_in_a_backoff_or_a_start_does_not_wait_for_it() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(world.spec("a").backoff(Backoff::constant(MS * 1000)))
            .child(world.spec("b").wait_ready(MS * 1000))
            .child(world.spec("c"));
        let (manager, handle) = start(supervisor);
        settle().await;
        world.tell("a", Do::Fail).await;
        manager.stop().await.unwrap();
        assert_eq!(world.now(), 0);
        assert_eq!(world.take(), "0 +a, 0 +b, 0 -a, 0 -b");
        assert_eq!(states(&handle), "a Stopped, b Stopped, c Stopped");
        assert_ended_well(&manager);
    });
}

#[test]
fn a_stop_before_the_first_poll_starts_nothing() {
    check(async |world| {
        let (manager, handle) = start(three(&world));
        manager.stop().await.unwrap();
        assert_ended_well(&manager);
        let waited = handle.wait_child("a").await;
        assert!(matches!(waited, Err(SupervisorError::NotRunning)));
    });
}

/// A stop during the restart of a group.
#[test]
fn a_stop_meets_a_restart() {
    check(async |world| {
        world.cleanup("b", MS * 20);
        let supervisor = Supervisor::new(Strategy::OneForAll)
            .child(world.spec("a"))
            .child(world.spec("b"));
        let (manager, _handle) = start(supervisor);
        settle().await;
        world.tell("a", Do::Fail).await;
        time::sleep(MS * 10).await;
        manager.stop().await.unwrap();
        assert_eq!(world.take(), "0 +a, 0 +b, 0 -a, 0 ~b, 20 -b");
        assert_ended_well(&manager);
    });
}

/// As in OTP, a failure of a child that is being stopped does not fail its supervisor. The view keeps it.
#[test]
fn a_failure_in_a_stop_is_kept_as_the_childs_last() {
    check(async |world| {
        let bad = ChildSpec::new("bad", || {
            service_fn("bad", async |_| {
                finally(pending(), async { panic!("the cleanup failed") }).await
            })
        });
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(world.spec("a"))
            .child(bad);
        let (manager, handle) = start(supervisor);
        settle().await;
        manager.stop().await.unwrap();
        assert_ended_well(&manager);
        let error = handle.children()[1].last_failure.clone().unwrap();
        let cause = error.root_causes().next().unwrap();
        assert!(matches!(cause.kind(), FailureKind::Panic(text) if text == "the cleanup failed"));
        assert_eq!(world.take(), "0 +a, 0 -a");
    });
}

#[test]
fn a_child_knows_that_its_supervisor_stops_it() {
    check(async |world| {
        let inner = world.clone();
        let spec = ChildSpec::new("a", move || {
            let world = inner.clone();
            service_fn("a", async move |_| {
                let cleanup = async move {
                    let cause = taskgrove::cancel_cause().expect("it is being cancelled");
                    assert_eq!((cause.reason(), cause.location()), (None, None));
                    world.log(&cause.to_string(), "");
                };
                finally(pending(), cleanup).await
            })
        });
        let (manager, _handle) = start(Supervisor::new(Strategy::OneForOne).child(spec));
        settle().await;
        manager.stop().await.unwrap();
        assert_eq!(world.take(), "0 Supervisor/a: its supervisor stops it");
    });
}

/// The place of the call would be one inside the crate.
#[test]
fn the_cause_of_a_kill_by_a_supervisor_names_no_place() {
    check(async |world| {
        let spec = world.spec("a").shutdown(Shutdown::Kill);
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne).child(spec));
        settle().await;
        let child = handle.child("a").unwrap();
        manager.stop().await.unwrap();
        let cause = child.cancel_cause().unwrap();
        assert!(matches!(cause.kind(), CauseKind::Killed));
        assert_eq!(cause.location(), None);
        assert!(
            cause.to_string().ends_with("a: its supervisor kills it"),
            "{cause}"
        );
        world.take();
    });
}

/// A child that fails while others are stopped is not restarted, and the stop goes on.
#[test]
fn a_child_that_fails_before_its_turn_to_stop_is_gone() {
    check(async |world| {
        world.cleanup("b", MS * 20);
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(world.spec("a"))
            .child(world.spec("b"));
        let (manager, _handle) = start(supervisor);
        settle().await;
        manager.cancel().unwrap();
        time::sleep(MS * 10).await;
        world.tell("a", Do::Fail).await;
        manager.wait_finished().await;
        assert_eq!(world.take(), "0 +a, 0 +b, 0 ~b, 10 -a, 20 -b");
        assert_ended_well(&manager);
    });
}

/// The old incarnation is gone, with everything below it, before the new one is made.
#[test]
fn a_restart_waits_for_what_the_old_incarnation_has_left() {
    check(async |world| {
        let inner = world.clone();
        let spec = ChildSpec::new("a", move || {
            inner.log("+", "a");
            let world = inner.clone();
            service_fn("a", async move |ctx: Context| {
                ctx.run_task(shielded(async move {
                    time::sleep(MS * 30).await;
                    world.log("-", "below");
                    Ok(())
                }))?;
                time::sleep(MS).await;
                Err("over".into())
            })
        });
        let supervisor = Supervisor::new(Strategy::OneForOne).intensity(2, Duration::MAX);
        let (manager, handle) = start(supervisor.child(spec));
        time::sleep(MS * 2).await;
        assert_eq!(states(&handle), "a Stopping");
        manager.wait_finished().await;
        let log = "0 +a, 30 -below, 30 +a, 60 -below, 60 +a, 90 -below";
        assert_eq!(world.take(), log);
    });
}

/// `tree`: a supervisor that gives up is restarted by its own supervisor, with all of its children.
#[test]
fn a_supervisor_is_restarted_with_its_children() {
    check(async |world| {
        let inner = world.clone();
        let nested = ChildSpec::new("nested", move || {
            Supervisor::new(Strategy::RestForOne)
                .intensity(0, MS)
                .child(inner.spec("a"))
                .child(inner.spec("b"))
        });
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(world.spec("z"))
            .child(nested);
        let (manager, handle) = start(supervisor);
        settle().await;
        world.take();
        world.tell("b", Do::Fail).await;
        assert_eq!(world.take(), "0 -b, 0 -a, 0 +a, 0 +b");
        let infos = handle.children();
        assert_eq!(infos[1].restarts, 1);
        let cause = infos[1]
            .last_failure
            .as_ref()
            .unwrap()
            .root_causes()
            .next()
            .unwrap();
        assert_eq!(cause.path(), "Supervisor/nested/b");
        world.tell("a", Do::Fail).await;
        let error = error(&manager);
        assert_eq!(error.failures()[0].path(), "Supervisor/nested");
        assert_eq!(world.take(), "0 -a, 0 -b, 0 -z");
        let paths: Vec<_> = error.root_causes().map(|cause| cause.path()).collect();
        assert_eq!(paths, ["Supervisor/nested/a"]);
    });
}

/// `hanging_restart_loop`: a supervisor that restarts a child again and again can be called and stopped.
#[test]
fn a_supervisor_in_a_loop_of_restarts_can_be_called_and_stopped() {
    check(async |world| {
        let spec = ChildSpec::new("loop", || service_fn("loop", async |_| Err("again".into())));
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(usize::MAX, Duration::from_secs(1))
            .child(spec)
            .child(world.spec("a"));
        let (manager, handle) = start(supervisor);
        handle.wait_child("a").await.unwrap();
        while handle.children()[0].restarts < 1000 {
            taskgrove::yield_now().await;
        }
        handle.restart_child("a").await.unwrap();
        handle.start_child(world.spec("b")).await.unwrap();
        manager.stop().await.unwrap();
        assert_eq!(world.now(), 0);
        assert_ended_well(&manager);
    });
}
