//! "Scheduling": before the start, after the end, while being cancelled, and the limit.

use crate::util::*;
use std::future::pending;
use std::sync::Arc;
use taskgrove::{
    Context, LifecycleError, Manager, ManagerSlot, Service, SpawnError, service_fn, shielded,
    yield_now,
};

#[derive(Default)]
struct Slotted(ManagerSlot, Event);

impl Service for Slotted {
    async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
        self.1.wait().await;
        Ok(())
    }
    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.0)
    }
}

fn child() -> impl Service {
    service_fn("child", |_| pending())
}

/// Every way to schedule is refused, and what was to be scheduled is dropped unpolled.
fn all_refused(ctx: &Context) {
    let fallen = [Event::new(), Event::new()];
    let guards = fallen.clone().map(Falls);
    let [a, b] = guards;
    let results = [
        ctx.run_task(async move {
            let _guard = a;
            pending().await
        })
        .map(drop),
        ctx.run_daemon_task(async move {
            let _guard = b;
            pending().await
        })
        .map(drop),
        ctx.task(async { Ok(1) }).name("x").spawn().map(drop),
        ctx.run_child_service(child()).map(drop),
        ctx.run_daemon_child_service(child()).map(drop),
        ctx.child_service(child()).spawn().map(drop),
    ];
    for result in results {
        let Err(SpawnError::Lifecycle(error)) = result else {
            panic!("not refused")
        };
        assert_eq!(
            error,
            LifecycleError::NotRunning {
                service: "Slotted".into()
            }
        );
    }
    assert!(fallen.iter().all(Event::is_set));
    assert_eq!(ctx.stats().tasks.total_count, 0);
}

/// Before the start and after the end it is `NotRunning`.
#[test]
fn not_running() {
    everywhere(async |_| {
        let s = Arc::new(Slotted::default());
        let m = Manager::new(s.clone()).unwrap();
        let ctx = s.0.context().unwrap();
        all_refused(&ctx);
        s.1.set();
        m.run().await.unwrap();
        all_refused(&ctx);
    });
}

/// While it is being cancelled it is `Ok`, with a task that never runs, is done and is not counted.
#[test]
fn a_task_while_being_cancelled() {
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
        let (polled, fallen) = (Event::new(), Event::new());
        for daemon in [false, true] {
            let (set, guard) = (polled.clone(), Falls(fallen.clone()));
            let work = async move {
                let _guard = guard;
                set.set();
                Ok(())
            };
            let builder = ctx.task(work).name("late");
            let builder = if daemon { builder.daemon() } else { builder };
            let task = builder.spawn().unwrap();
            assert!(task.is_done() && fallen.is_set());
            assert_eq!((task.name(), task.is_daemon()), ("late", daemon));
            task.wait_done().await;
            assert!(matches!(task.await, Err(taskgrove::JoinError::Cancelled)));
        }
        assert_eq!(m.stats().tasks.total_count, 1);
        go.set();
        m.wait_finished().await;
        assert!(!polled.is_set() && !m.did_error());
    });
}

/// While it is being cancelled, a child service is cancelled and finished without having been started.
#[test]
fn a_child_service_while_being_cancelled() {
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
        let services = [
            ctx.run_child_service(child()).unwrap(),
            ctx.run_daemon_child_service(child()).unwrap(),
        ];
        for late in services {
            assert!(!late.is_started() && late.is_cancelled() && late.is_finished());
            assert!(!late.is_running() && !late.did_error());
            late.wait_started().await;
            late.wait_finished().await;
            assert!(late.wait_ready().await.is_err());
            assert!(late.result().unwrap().is_ok());
            late.stop().await.unwrap();
        }
        assert_eq!(m.stats().tasks.total_count, 1);
        go.set();
        m.wait_finished().await;
        assert!(!m.did_error());
    });
}

/// One more than the limit of live supervised children under one parent is `TooManyChildren`, which says why.
#[test]
fn the_limit() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(3)).await;
        for name in ["a", "b"] {
            ctx.task(pending::<taskgrove::Result>())
                .name(name)
                .spawn()
                .unwrap();
        }
        ctx.child_service(child()).name("b").spawn().unwrap();
        let refused = [
            ctx.run_task(pending()).map(drop),
            ctx.run_daemon_task(pending()).map(drop),
            ctx.run_child_service(child()).map(drop),
        ];
        for result in refused {
            let Err(SpawnError::TooManyChildren(error)) = result else {
                panic!("not refused")
            };
            assert_eq!(error.limit, 3);
            assert!(error.parent.contains("app"));
            let common = [("b".to_owned(), 2), ("a".to_owned(), 1)];
            assert_eq!(error.most_common, common);
            let text = error.to_string();
            assert!(text.contains('3') && text.contains("app"), "{text}");
        }
        assert!(m.is_running() && !m.did_error());
        assert_eq!(m.stats().tasks.total_count, 3);
    });
}

/// The limit is a parent's: each task of the service has its own count.
#[test]
fn the_limit_is_per_parent() {
    everywhere(async |h| {
        let (_m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let seen = Gift::new();
        let (give, inner) = (seen.clone(), ctx.clone());
        ctx.run_task(async move {
            let first = inner.run_task(pending()).is_ok();
            let second = inner.run_task(pending());
            give.put((first, second.is_err()));
            pending().await
        })
        .unwrap();
        assert_eq!(seen.take().await, (true, true));
        assert!(ctx.run_task(pending()).is_err());
    });
}

/// What is done does not count, also for a sibling that runs right behind it on the same thread.
#[test]
fn the_limit_counts_no_sibling_that_has_just_ended() {
    everywhere(async |h| {
        let (_m, ctx) = app_with(&h, |b| b.max_children(2)).await;
        for _ in 0..20 {
            let (seen, outer) = (Gift::new(), ctx.clone());
            let give = seen.clone();
            let first = ctx.run_task(async { Ok(()) }).unwrap();
            let second = service_fn("second", async move |_: Context| {
                let done = first.is_done();
                let third = outer.run_task(async { Ok(()) });
                give.put(third.is_ok() || !done);
                first.wait_done().await;
                if let Ok(third) = third {
                    third.wait_done().await;
                }
                Ok(())
            });
            let second = ctx.run_child_service(second).unwrap();
            assert!(seen.take().await, "refused, although only one is left");
            second.wait_finished().await;
        }
    });
}

/// What has been joined does not count any more, at once.
#[test]
fn the_limit_counts_the_living() {
    everywhere(async |h| {
        let (_m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        for _ in 0..200 {
            let task = ctx.run_task(async { Ok(()) }).unwrap();
            task.await.unwrap();
            let task = ctx.run_task(pending()).unwrap();
            task.cancel();
            task.wait_done().await;
            let child = ctx.run_child_service(child()).unwrap();
            child.stop().await.unwrap();
        }
    });
}

/// The same from inside: join, then spawn, at the limit.
#[test]
fn the_limit_counts_the_living_inside_too() {
    everywhere(async |h| {
        let (_m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let ended = Event::new();
        let (set, inner) = (ended.clone(), ctx.clone());
        let task = ctx.run_task(async move {
            for _ in 0..200 {
                let task = inner.run_task(async {
                    yield_now().await;
                    Ok(())
                })?;
                task.await?;
            }
            set.set();
            Ok(())
        });
        task.unwrap().await.unwrap();
        assert!(ended.is_set());
    });
}

/// The limit is 1,000 unless set, and a child service has its own.
#[test]
fn the_default_limit() {
    everywhere(async |h| {
        let (_m, ctx) = app(&h).await;
        for _ in 0..1000 {
            ctx.run_task(pending()).unwrap();
        }
        let Err(SpawnError::TooManyChildren(error)) = ctx.run_task(pending()) else {
            panic!("not refused")
        };
        assert_eq!(error.limit, 1000);
        assert_eq!(error.most_common.len(), 1);
        assert_eq!(error.most_common[0].1, 1000);
    });
}

/// A child service's builder sets its limit.
#[test]
fn a_childs_own_limit() {
    everywhere(async |h| {
        let (_m, ctx) = app(&h).await;
        let seen = Gift::new();
        let give = seen.clone();
        let small = service_fn("small", |ctx: Context| async move {
            ctx.run_task(pending())?;
            give.put(ctx.run_task(pending()));
            pending().await
        });
        ctx.child_service(small).max_children(1).spawn().unwrap();
        let Err(SpawnError::TooManyChildren(error)) = seen.take().await else {
            panic!("not refused")
        };
        assert_eq!(error.limit, 1);
        assert!(error.parent.contains("small"));
    });
}

/// Only the ten most common names are listed.
#[test]
fn the_ten_most_common() {
    everywhere(async |h| {
        let (_m, ctx) = app_with(&h, |b| b.max_children(24)).await;
        for n in 0..24 {
            ctx.task(pending::<taskgrove::Result>())
                .name(format!("n{}", n % 12))
                .spawn()
                .unwrap();
        }
        let Err(SpawnError::TooManyChildren(error)) = ctx.run_task(pending()) else {
            panic!("not refused")
        };
        assert_eq!(error.most_common.len(), 10);
        assert!(error.most_common.iter().all(|(_, n)| *n == 2));
    });
}
