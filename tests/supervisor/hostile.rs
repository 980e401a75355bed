//! User code that panics where it is least expected, and calls from where they are least expected.

use crate::world::{Do, MS, assert_ended_well, check, error, settle, start, states};
use std::error::Error;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use taskgrove::supervisor::{ChildSpec, Restart, Strategy, Supervisor, SupervisorError};
use taskgrove::{
    Context, Handle, Manager, Runtime, Service, background_service, service_fn, time, yield_now,
};

/// Counts its drops, each of which panics.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        if !std::thread::panicking() {
            panic!("the drop of a bomb");
        }
    }
}

/// An error whose drop panics.
struct Mine(#[allow(dead_code)] Bomb);

impl fmt::Debug for Mine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mine")
    }
}

impl fmt::Display for Mine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mine")
    }
}

impl Error for Mine {}

fn spec(name: &'static str, count: &Arc<AtomicUsize>) -> ChildSpec {
    let bomb = Bomb(count.clone());
    ChildSpec::new(name, move || {
        let _whole = &bomb;
        service_fn(name, |_| pending())
    })
}

#[test]
fn factories_whose_drops_panic_do_no_harm() {
    check(async |_| {
        let count = Arc::default();
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(spec("a", &count))
            .child(spec("b", &count));
        let (manager, handle) = start(supervisor);
        handle.start_child(spec("c", &count)).await.unwrap();
        handle.start_child(spec("d", &count)).await.unwrap();
        handle.remove_child("c").await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(states(&handle), "a Running, b Running, d Running");
        manager.stop().await.unwrap();
        assert!(manager.result().unwrap().is_ok());
        assert_eq!(count.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn errors_whose_drops_panic_do_no_harm() {
    check(async |_| {
        let count: Arc<AtomicUsize> = Arc::default();
        let bombs = count.clone();
        let failing = ChildSpec::new("failing", move || {
            let bombs = bombs.clone();
            service_fn("failing", async move |_| Err(Mine(Bomb(bombs)).into()))
        });
        // More than the supervisor keeps.
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(30, MS)
            .child(ChildSpec::new("a", || service_fn("a", |_| pending())))
            .child(failing);
        let (manager, handle) = start(supervisor);
        manager.wait_finished().await;
        let error = error(&manager);
        assert_eq!(error.failures()[0].earlier().len(), 9);
        assert_eq!(handle.children()[1].restarts, 30);
        assert_eq!(count.load(Ordering::Relaxed), 21);
        std::mem::forget((manager, handle, error));
    });
}

/// The supervisor is the last owner of a spec that it refuses.
#[test]
fn a_spec_that_is_refused_and_whose_drop_panics_does_no_harm() {
    check(async |world| {
        let count = Arc::default();
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne).child(world.spec("a")));
        settle().await;
        let refused = handle.start_child(spec("a", &count)).await;
        assert!(matches!(
            refused,
            Err(SupervisorError::AlreadyPresent { .. })
        ));
        let significant = spec("b", &count).significant();
        let refused = handle.start_child(significant).await;
        assert!(matches!(refused, Err(SupervisorError::Start(_))));
        assert_eq!(count.load(Ordering::Relaxed), 2);
        assert_eq!(states(&handle), "a Running");
        manager.stop().await.unwrap();
        assert_ended_well(&manager);
    });
}

/// Each start fails at once, and the next is due at once.
#[test]
fn a_factory_that_always_panics_does_not_keep_the_supervisor_from_being_called_and_stopped() {
    let body = async move || {
        for strategy in [
            Strategy::OneForOne,
            Strategy::OneForAll,
            Strategy::RestForOne,
        ] {
            let (made, idle) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
            let (count, others) = (made.clone(), idle.clone());
            let spec = ChildSpec::new("a", move || {
                if count.fetch_add(1, Ordering::Relaxed) > 0 {
                    std::panic::resume_unwind(Box::new("it cannot be made"));
                }
                service_fn("a", async |_| Ok(()))
            });
            let other = ChildSpec::new("b", move || {
                others.fetch_add(1, Ordering::Relaxed);
                service_fn("b", |_| pending())
            });
            let supervisor = Supervisor::new(strategy).intensity(usize::MAX, MS);
            let (manager, handle) = start(supervisor.child(spec).child(other));
            while made.load(Ordering::Relaxed) < 400 {
                yield_now().await;
            }
            if strategy == Strategy::OneForOne {
                handle.restart_child("b").await.unwrap();
            } else {
                // It is behind the one that does not start.
                assert_eq!(idle.load(Ordering::Relaxed), 1);
            }
            assert!(handle.children()[0].restarts > 100);
            manager.stop().await.unwrap();
            assert_ended_well(&manager);
        }
    };
    taskgrove::sim::check(0..10, body);
    crate::common::on_two_workers(body);
}

/// A service around a supervisor may be started twice, since it has no slot of its own.
#[test]
fn a_supervisor_that_is_run_again_fails() {
    struct Around(Arc<Supervisor>);

    impl Service for Around {
        async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
            self.0.clone().run(ctx).await
        }
    }

    check(async |world| {
        let spec = world.spec("a").restart(Restart::Transient);
        let around = Supervisor::new(Strategy::OneForOne).child(spec);
        let around = Arc::new(Around(Arc::new(around)));
        let again = async || {
            let again = Manager::run_service(around.clone()).await;
            let text = again.unwrap_err().to_string();
            assert!(text.contains("a supervisor runs once"), "{text}");
        };
        let first = Handle::current().start(around.clone()).unwrap();
        settle().await;
        again().await;
        // The one that runs is as it was.
        world.tell("a", Do::Fail).await;
        assert_eq!((world.made("a"), first.is_running()), (2, true));
        world.tell("a", Do::Return).await;
        assert_ended_well(&first);
        again().await;
        assert_eq!(world.made("a"), 2);
    });
}

/// A factory and the drop of a spec may use the handle.
#[test]
fn a_factory_may_call_the_handle() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne);
        let handle = supervisor.handle();
        let inner = handle.clone();
        let curious = ChildSpec::new("curious", move || {
            let seen = inner.children().len() + usize::from(inner.child("curious").is_some());
            let inner = inner.clone();
            service_fn("curious", async move |_| {
                assert_eq!(seen, 1);
                inner.wait_child("curious").await?;
                Ok(())
            })
        });
        let (manager, _) = start(supervisor);
        handle.start_child(world.spec("a")).await.unwrap();
        handle
            .start_child(curious.restart(Restart::Temporary))
            .await
            .unwrap();
        settle().await;
        assert_eq!(states(&handle), "a Running");
        manager.stop().await.unwrap();
    });
}

#[test]
fn a_supervisor_beside_a_body_stops_in_order_with_it() {
    check(async |world| {
        world.cleanup("a", MS * 10);
        world.cleanup("b", MS * 10);
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(world.spec("a"))
            .child(world.spec("b"));
        let body = async |manager: taskgrove::Manager| {
            manager.wait_ready().await.unwrap();
            time::sleep(MS * 5).await;
        };
        background_service(supervisor, body).await.unwrap();
        assert_eq!(world.take(), "0 +a, 0 +b, 5 ~b, 15 -b, 15 ~a, 25 -a");
    });
}

#[test]
fn a_runtime_without_threads_runs_supervisors() {
    let runtime = Runtime::builder().workers(0).build().unwrap();
    let supervisor = Supervisor::new(Strategy::OneForAll)
        .child(ChildSpec::new("a", || service_fn("a", |_| pending())))
        .child(ChildSpec::new("b", || service_fn("b", async |_| Ok(()))));
    let error = runtime.run(supervisor).unwrap_err();
    assert_eq!(error.failures()[0].path(), "Supervisor/b");
    let supervisor = Supervisor::new(Strategy::OneForAll)
        .child(ChildSpec::new("a", || service_fn("a", |_| pending())));
    let handle = supervisor.handle();
    runtime.start(supervisor).unwrap();
    runtime
        .block_on(async { handle.wait_child("a").await.map(|_| ()) })
        .unwrap();
    // The drop of a runtime takes the children with the supervisor.
    drop(runtime);
    assert_eq!(states(&handle), "a Stopped");
}
