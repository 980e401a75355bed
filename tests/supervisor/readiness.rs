//! `ready_with_children`: a service that is ready when its child services are.

use crate::world::{MS, check, settle, start};
use std::future::pending;
use std::time::Duration;
use taskgrove::supervisor::{ChildSpec, Strategy, Supervisor};
use taskgrove::{Context, Handle, LifecycleError, Manager, Runtime, Service, service_fn, time};

/// A service that is ready after this time, and goes on.
fn ready_after(name: &'static str, time: Duration) -> impl Service {
    service_fn(name, async move |ctx: Context| {
        time::sleep(time).await;
        ctx.set_ready();
        pending().await
    })
}

fn started(app: impl Service) -> Manager {
    let app = Manager::builder(app).ready_with_children();
    app.start(&Handle::current()).unwrap()
}

#[test]
fn a_service_is_ready_when_the_last_of_its_child_services_is() {
    for returns in [false, true] {
        check(async |world| {
            let app = started(service_fn("app", async move |ctx: Context| {
                for (name, ms) in [("a", 30), ("b", 50), ("c", 10)] {
                    ctx.run_child_service(ready_after(name, MS * ms))?;
                }
                if returns { Ok(()) } else { pending().await }
            }));
            app.wait_ready().await.unwrap();
            assert_eq!(world.now(), 50);
            assert!(app.is_running());
            app.stop().await.unwrap();
        });
    }
}

#[test]
fn child_services_that_wait_for_each_other_all_count() {
    check(async |world| {
        let app = started(service_fn("app", async move |ctx: Context| {
            for name in ["a", "b", "c"] {
                let child = ctx.run_child_service(ready_after(name, MS * 10))?;
                child.wait_ready().await?;
            }
            pending().await
        }));
        app.wait_ready().await.unwrap();
        assert_eq!(world.now(), 30);
        app.stop().await.unwrap();
    });
}

#[test]
fn readiness_goes_up_through_child_services() {
    check(async |world| {
        let app = started(service_fn("app", async move |ctx: Context| {
            ctx.run_task({
                let ctx = ctx.clone();
                async move {
                    let middle = service_fn("middle", async |ctx: Context| {
                        ctx.run_child_service(ready_after("leaf", MS * 20))?;
                        // One that has nothing to do, and ends.
                        ctx.run_child_service(service_fn("job", async |_| Ok(())))?;
                        Ok(())
                    });
                    ctx.child_service(middle).ready_with_children().spawn()?;
                    Ok(())
                }
            })?;
            pending().await
        }));
        app.wait_ready().await.unwrap();
        assert_eq!(world.now(), 20);
        app.stop().await.unwrap();
    });
}

#[test]
fn a_wait_for_a_service_whose_child_fails_gets_an_error() {
    check(async |world| {
        let app = started(service_fn("app", async move |ctx: Context| {
            ctx.run_child_service(ready_after("a", MS * 10))?;
            ctx.run_child_service(service_fn("b", async |_| {
                time::sleep(MS * 20).await;
                Err("no route to host".into())
            }))?;
            pending().await
        }));
        let waited = app.wait_ready().await;
        assert!(matches!(waited, Err(LifecycleError::NotRunning { service }) if service == "app"));
        assert_eq!(world.now(), 20);
        let error = app.result().unwrap().unwrap_err();
        assert_eq!(error.root_causes().next().unwrap().path(), "app/b");
    });
}

#[test]
fn a_service_may_say_so_itself_and_one_that_returns_without_children_is_ready() {
    check(async |_| {
        let app = started(service_fn("app", async move |ctx: Context| {
            ctx.run_child_service(service_fn("never", |_| pending()))?;
            ctx.set_ready();
            pending().await
        }));
        settle().await;
        app.wait_ready().await.unwrap();
        app.stop().await.unwrap();

        let waits = started(service_fn("waits", |_| pending()));
        let waited = time::timeout(MS, waits.wait_ready()).await;
        assert!(waited.is_err(), "it may schedule child services yet");
        waits.stop().await.unwrap();

        let alone = started(service_fn("alone", async |ctx: Context| {
            ctx.run_task(async {
                time::sleep(MS).await;
                Ok(())
            })?;
            Ok(())
        }));
        settle().await;
        assert!(!alone.is_finished());
        alone.wait_ready().await.unwrap();
        alone.wait_finished().await;
        assert!(alone.result().unwrap().is_ok());
    });
}

/// Each incarnation is ready when its own child services are.
#[test]
fn a_child_of_a_supervisor_may_be_ready_with_its_children() {
    check(async |world| {
        let spec = ChildSpec::new("app", || {
            service_fn("app", async |ctx: Context| {
                ctx.run_child_service(ready_after("db", MS * 10))?;
                ctx.run_child_service(ready_after("web", MS * 30))?;
                pending().await
            })
        });
        let spec = spec.ready_with_children().wait_ready(MS * 50);
        let supervisor = Supervisor::new(Strategy::OneForOne).child(spec);
        let (manager, handle) = start(supervisor.child(world.spec("b")));
        let first = handle.wait_child("app").await.unwrap();
        assert!(first.is_ready());
        settle().await;
        assert_eq!((world.now(), &*world.take()), (30, "30 +b"));
        assert!(manager.is_ready());
        let second = handle.restart_child("app").await.unwrap();
        assert_eq!((world.now(), second.is_ready()), (60, true));
        manager.stop().await.unwrap();
        assert!(second.is_ready() && second.is_finished());
    });
}

#[test]
fn on_threads() {
    crate::common::watchdog(|| {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        for _ in 0..200 {
            let app = service_fn("app", async move |ctx: Context| {
                for _ in 0..3 {
                    ctx.run_child_service(ready_after("a", Duration::ZERO))?;
                }
                Ok(())
            });
            let app = Manager::builder(app).ready_with_children();
            let app = app.start(&runtime).unwrap();
            runtime.block_on(async {
                app.wait_ready().await.unwrap();
                app.stop().await.unwrap();
            });
            assert!(app.result().unwrap().is_ok());
        }
    });
}
