//! The calls of a handle: at any time, from anywhere, in any state of the child.

use crate::world::{Do, MS, assert_ended_well, check, settle, start, states};
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use taskgrove::supervisor::{
    Backoff, ChildSpec, ChildState, Restart, Shutdown, Strategy, Supervisor, SupervisorError,
    SupervisorHandle,
};
use taskgrove::{Handle, finally, service_fn, shielded, spawn, time};

macro_rules! assert_is {
    ($call:expr, $pattern:pat $(if $guard:expr)?) => {
        let outcome = $call;
        assert!(matches!(&outcome, $pattern $(if $guard)?), "{outcome:?}");
    };
}

/// `child_adm`: start, stop, restart and remove, with the errors of calls that do not fit.
#[test]
fn children_are_started_stopped_restarted_and_removed() {
    check(async |world| {
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne).child(world.spec("a")));
        let first = handle.wait_child("a").await.unwrap();
        assert_is!(handle.start_child(world.spec("a")).await, Err(SupervisorError::AlreadyPresent { name }) if name == "a");
        assert_is!(handle.stop_child("x").await, Err(SupervisorError::NoSuchChild { name }) if name == "x");
        handle.stop_child("a").await.unwrap();
        assert!(first.is_finished() && !world.is_alive("a"));
        assert_eq!(states(&handle), "a Stopped");
        assert!(handle.child("a").is_none());
        handle.stop_child("a").await.unwrap();
        assert_is!(
            handle.start_child(world.spec("a")).await,
            Err(SupervisorError::AlreadyPresent { .. })
        );
        let second = handle.restart_child("a").await.unwrap();
        assert_eq!(handle.child("a").unwrap().id(), second.id());
        let third = handle.restart_child("a").await.unwrap();
        assert!(second.is_finished() && third.is_running());
        assert_is!(
            handle.restart_child("x").await,
            Err(SupervisorError::NoSuchChild { .. })
        );
        assert_is!(
            handle.remove_child("x").await,
            Err(SupervisorError::NoSuchChild { .. })
        );
        handle.remove_child("a").await.unwrap();
        assert!(third.is_finished() && handle.children().is_empty());
        assert_is!(
            handle.restart_child("a").await,
            Err(SupervisorError::NoSuchChild { .. })
        );
        assert_is!(
            handle.wait_child("a").await,
            Err(SupervisorError::NoSuchChild { .. })
        );
        handle.start_child(world.spec("a")).await.unwrap();
        assert_eq!(states(&handle), "a Running");
        manager.stop().await.unwrap();
        assert_ended_well(&manager);
    });
}

#[test]
fn calls_before_the_start_and_after_the_end_are_refused() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne).child(world.spec("a"));
        let handle = supervisor.handle();
        let refused = async || {
            assert_is!(
                handle.start_child(world.spec("b")).await,
                Err(SupervisorError::NotRunning)
            );
            assert_is!(
                handle.stop_child("a").await,
                Err(SupervisorError::NotRunning)
            );
            assert_is!(
                handle.restart_child("a").await,
                Err(SupervisorError::NotRunning)
            );
            assert_is!(
                handle.remove_child("a").await,
                Err(SupervisorError::NotRunning)
            );
            assert!(handle.child("a").is_none());
        };
        refused().await;
        assert!(handle.children().is_empty());
        // A wait for a child waits for the start, too.
        let waits = spawn({
            let handle = handle.clone();
            async move { handle.wait_child("a").await }
        });
        settle().await;
        assert!(!waits.is_done());
        let manager = Handle::current().start(supervisor).unwrap();
        // Started, but not polled yet.
        handle.start_child(world.spec("c")).await.unwrap();
        assert!(waits.await.unwrap().is_ok());
        manager.stop().await.unwrap();
        refused().await;
        assert_is!(
            handle.wait_child("a").await,
            Err(SupervisorError::NotRunning)
        );
        assert_eq!(states(&handle), "a Stopped, c Stopped");

        let never = Supervisor::new(Strategy::OneForOne);
        let handle = never.handle();
        drop(never);
        assert_is!(
            handle.wait_child("a").await,
            Err(SupervisorError::NotRunning)
        );
    });
}

/// A stop makes a restart that is due, or waits, not happen.
#[test]
fn a_child_that_backs_off_can_be_stopped_restarted_and_removed() {
    check(async |world| {
        let spec = |name| world.spec(name).backoff(Backoff::constant(MS * 50));
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(9, MS)
            .child(spec("a"))
            .child(spec("b"))
            .child(spec("c"));
        let (manager, handle) = start(supervisor);
        handle.wait_child("c").await.unwrap();
        for name in ["a", "b", "c"] {
            world.tell(name, Do::Fail).await;
            assert!(handle.child(name).is_none());
        }
        let until = time::now() + MS * 49;
        for child in handle.children() {
            assert_is!(child.state, ChildState::BackingOff { until: at } if *at > until);
            assert_eq!(child.restarts, 1);
        }
        handle.stop_child("a").await.unwrap();
        handle.restart_child("b").await.unwrap();
        handle.remove_child("c").await.unwrap();
        assert_eq!(
            (world.now(), &*states(&handle)),
            (0, "a Stopped, b Running")
        );
        time::sleep(MS * 100).await;
        assert_eq!(states(&handle), "a Stopped, b Running");
        assert_eq!(world.made("b"), 2);
        manager.stop().await.unwrap();
    });
}

#[test]
fn calls_for_a_child_that_is_being_stopped_join_in() {
    check(async |world| {
        world.cleanup("a", MS * 10);
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne).child(world.spec("a")));
        settle().await;
        let go = |f: fn(SupervisorHandle) -> Call| spawn(f(handle.clone()));
        type Call = std::pin::Pin<Box<dyn Future<Output = Result<(), SupervisorError>> + Send>>;
        let stop: fn(SupervisorHandle) -> Call =
            |h| Box::pin(async move { h.stop_child("a").await });
        let restart: fn(SupervisorHandle) -> Call =
            |h| Box::pin(async move { h.restart_child("a").await.map(|_| ()) });
        let remove: fn(SupervisorHandle) -> Call =
            |h| Box::pin(async move { h.remove_child("a").await });
        let (one, two) = (go(stop), go(stop));
        settle().await;
        assert_eq!(states(&handle), "a Stopping");
        let three = go(restart);
        settle().await;
        assert!(![&one, &two, &three].iter().any(|task| task.is_done()));
        for task in [one, two, three] {
            task.await.unwrap().unwrap();
        }
        assert_eq!((world.now(), &*states(&handle)), (10, "a Running"));
        settle().await;
        let (four, five) = (go(restart), go(restart));
        settle().await;
        let six = go(remove);
        settle().await;
        let seven = go(restart);
        assert_is!(four.await.unwrap(), Err(SupervisorError::Start(_)));
        assert_is!(five.await.unwrap(), Err(SupervisorError::Start(_)));
        assert_is!(
            seven.await.unwrap(),
            Err(SupervisorError::NoSuchChild { .. })
        );
        six.await.unwrap().unwrap();
        assert_eq!((world.now(), &*states(&handle)), (20, ""));
        manager.stop().await.unwrap();
    });
}

/// A call that is dropped was made all the same.
#[test]
fn a_call_that_is_dropped_takes_effect() {
    check(async |world| {
        world.cleanup("a", MS * 10);
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne).child(world.spec("a")));
        settle().await;
        time::timeout(MS, handle.restart_child("a"))
            .await
            .unwrap_err();
        time::timeout(MS, handle.start_child(world.spec("b").wait_ready(MS * 50)))
            .await
            .unwrap_err();
        // Never polled, so never made.
        drop(handle.remove_child("a"));
        time::sleep(MS * 20).await;
        assert_eq!(
            (world.made("a"), &*states(&handle)),
            (2, "a Running, b Starting")
        );
        manager.stop().await.unwrap();
    });
}

#[test]
fn calls_in_flight_end_with_the_supervisor() {
    check(async |world| {
        world.cleanup("a", MS * 10);
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne).child(world.spec("a")));
        settle().await;
        let restarts = spawn({
            let handle = handle.clone();
            async move { handle.restart_child("a").await.map(|_| ()) }
        });
        let starts = spawn({
            let (handle, spec) = (handle.clone(), world.spec("b").wait_ready(MS * 500));
            async move { handle.start_child(spec).await.map(|_| ()) }
        });
        settle().await;
        let waits = spawn({
            let handle = handle.clone();
            async move { handle.wait_child("b").await.map(|_| ()) }
        });
        settle().await;
        let calls = [restarts, starts, waits];
        manager.stop().await.unwrap();
        assert_eq!(world.now(), 10);
        for call in calls {
            assert_is!(call.await.unwrap(), Err(SupervisorError::NotRunning));
        }
        assert_eq!(world.made("a"), 1);
    });
}

/// A child that asks for its own end is ended; it learns that it cannot wait for that.
#[test]
fn a_child_can_ask_for_its_own_end() {
    check(async |_| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let cell: Arc<Mutex<Option<SupervisorHandle>>> = Arc::default();
        let (kept, seen) = (cell.clone(), log.clone());
        let spec = ChildSpec::new("a", move || {
            let (kept, log) = (kept.clone(), seen.clone());
            service_fn("a", async move |ctx| {
                let (n, handle) = (log.lock().unwrap().len(), kept.lock().unwrap().clone());
                let handle = handle.unwrap();
                // From a task below it, in a shield, where a cancellation does not reach the call.
                ctx.run_task(shielded(async move {
                    let called = match n {
                        0 => handle.restart_child("a").await.map(|_| ()),
                        _ => handle.stop_child("a").await,
                    };
                    log.lock().unwrap().push(called.unwrap_err().to_string());
                    Ok(())
                }))?;
                pending().await
            })
        });
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne).child(spec));
        *cell.lock().unwrap() = Some(handle.clone());
        settle().await;
        let text = "the call came from inside child `a`, which is being ended and cannot wait for its own end";
        assert_eq!(*log.lock().unwrap(), [text; 2]);
        assert_eq!(states(&handle), "a Stopped");
        manager.stop().await.unwrap();
        assert_ended_well(&manager);
        cell.lock().unwrap().take();
    });
}

#[test]
fn a_child_can_start_and_stop_its_siblings() {
    check(async |world| {
        let cell: Arc<Mutex<Option<SupervisorHandle>>> = Arc::default();
        let (kept, inner) = (cell.clone(), world.clone());
        let spec = ChildSpec::new("a", move || {
            let (kept, world) = (kept.clone(), inner.clone());
            service_fn("a", async move |_| {
                let handle = kept.lock().unwrap().take().unwrap();
                handle.start_child(world.spec("b")).await?;
                handle.start_child(world.spec("c")).await?;
                handle.remove_child("b").await?;
                Ok(())
            })
        });
        let spec = spec.restart(Restart::Transient);
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne).child(spec));
        *cell.lock().unwrap() = Some(handle.clone());
        settle().await;
        assert_eq!(states(&handle), "a Stopped, c Running");
        manager.stop().await.unwrap();
    });
}

#[test]
fn a_wait_for_a_child_of_a_supervisor_that_has_none_gets_an_error() {
    check(async |_| {
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne));
        let missing = handle.wait_child("a").await;
        assert!(matches!(missing, Err(SupervisorError::NoSuchChild { name }) if name == "a"));
        assert!(manager.is_running());
        manager.stop().await.unwrap();
    });
}

/// Its value is kept, so nothing but its end can tell those who wait.
#[test]
fn a_wait_ends_with_a_supervisor_that_is_ended_before_its_first_poll() {
    for kill in [false, true] {
        check(async |world| {
            let supervisor = Supervisor::new(Strategy::OneForOne).child(world.spec("a"));
            let supervisor = Arc::new(supervisor);
            let handle = supervisor.handle();
            let manager = Handle::current().start(supervisor.clone()).unwrap();
            if kill {
                manager.kill().unwrap();
            } else {
                manager.cancel().unwrap();
            }
            let waited = handle.wait_child("a").await;
            assert!(matches!(waited, Err(SupervisorError::NotRunning)));
            assert_eq!(world.made("a"), 0);
        });
    }
}

#[test]
fn a_wait_for_a_child_is_not_woken_for_others() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne).intensity(10, MS);
        let (_manager, handle) = start(supervisor.child(world.spec("a")).child(world.spec("b")));
        handle.stop_child("b").await.unwrap();
        let waits = handle.clone();
        let waits = spawn(async move {
            let (mut polls, mut waits) = (0, pin!(waits.wait_child("b")));
            poll_fn(|cx| {
                polls += 1;
                waits.as_mut().poll(cx).map(drop)
            })
            .await;
            polls
        });
        settle().await;
        for _ in 0..5 {
            world.tell("a", Do::Fail).await;
        }
        assert_eq!(world.made("a"), 6);
        handle.restart_child("b").await.unwrap();
        assert_eq!(waits.await.unwrap(), 2);
    });
}

/// Its value is kept, so there may be a handle again after the last one.
#[test]
fn a_handle_that_is_made_later_counts() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne).child(world.spec("a"));
        let supervisor = Arc::new(supervisor);
        let first = supervisor.handle();
        let manager = Handle::current().start(supervisor.clone()).unwrap();
        settle().await;
        drop(first);
        settle().await;
        let second = supervisor.handle();
        second.stop_child("a").await.unwrap();
        settle().await;
        assert!(manager.is_running(), "it may be started again");
        second.restart_child("a").await.unwrap();
        second.stop_child("a").await.unwrap();
        drop(second);
        settle().await;
        assert_ended_well(&manager);
    });
}

/// The cleanup of a child waits for a sibling, which does not come up any more.
#[test]
fn a_wait_for_a_child_ends_when_its_supervisor_is_being_stopped() {
    check(async |world| {
        let cell: Arc<Mutex<Option<SupervisorHandle>>> = Arc::default();
        let (kept, inner) = (cell.clone(), world.clone());
        let spec = ChildSpec::new("b", move || {
            let (kept, world) = (kept.clone(), inner.clone());
            service_fn("b", async move |_| {
                let cleanup = async move {
                    let handle = kept.lock().unwrap().clone().unwrap();
                    let waited = handle.wait_child("a").await.unwrap_err();
                    world.log(&waited.to_string()[..29], "");
                };
                finally(pending(), cleanup).await
            })
        });
        let spec = spec.shutdown(Shutdown::Wait);
        let supervisor = Supervisor::new(Strategy::OneForOne).child(world.spec("a"));
        let (manager, handle) = start(supervisor.child(spec));
        *cell.lock().unwrap() = Some(handle.clone());
        settle().await;
        handle.stop_child("a").await.unwrap();
        let waits = spawn({
            let handle = handle.clone();
            async move { handle.wait_child("a").await.is_err() }
        });
        settle().await;
        assert!(!waits.is_done());
        manager.stop().await.unwrap();
        assert!(waits.await.unwrap());
        assert_eq!(world.take(), "0 +a, 0 -a, 0 the supervisor is not running");
        cell.lock().unwrap().take();
    });
}
