//! What is spawned in a grace period has that grace; in simulations, where times are exact.

use crate::covered::{SECOND, simulated};
use crate::util::*;
use std::future::pending;
use taskgrove::time::sleep;
use taskgrove::{Context, Manager, service_fn, shielded, spawn, yield_now};

/// It runs, is being cancelled from its birth, and is dropped when that same grace ends.
#[test]
fn it_ends_with_that_same_grace() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let gift = Gift::new();
        let give = gift.clone();
        let app = service_fn("app", move |ctx: Context| async move {
            ctx.cancelled().await;
            d.at(3).await;
            // Raw, and what that spawns.
            let raw = d.clone();
            drop(spawn(async move {
                drop(spawn(raw.forever("below")));
                raw.forever("raw").await;
            }));
            // Through the context, and told at once; a longer period is not in force, one of zero never runs.
            let (own, task) = (ctx.clone(), d.clone());
            let late = ctx.task::<_, ()>(async move {
                own.cancelled().await;
                task.add("told");
                task.forever("task").await;
                Ok(())
            });
            drop(late.grace(60 * SECOND).spawn()?);
            let never = ctx.task::<_, ()>(async { panic!("it never runs") });
            assert!(never.grace(std::time::Duration::ZERO).spawn()?.is_done());
            let service = d.clone();
            let child = service_fn("child", move |ctx: Context| async move {
                ctx.cancelled().await;
                service.forever("service").await;
                Ok(())
            });
            give.put(ctx.run_child_service(child)?);
            // One that ends earlier.
            let short = d.clone();
            ctx.run_task(async move {
                short.at(4).await;
                short.add("short");
                Ok(())
            })?;
            pending().await
        });
        let manager = Manager::builder(app).grace(5 * SECOND).build().unwrap();
        let runner = manager.clone();
        drop(h.spawn(async move { runner.run().await }));
        diary.at(1).await;
        manager.cancel().unwrap();
        let child: Manager = gift.take().await;
        assert!(child.is_running() && child.is_cancelled());
        manager.wait_finished().await;
        assert!(manager.result().unwrap().is_ok());
        let mut seen = diary.take();
        seen.sort_unstable();
        let expected = [
            (3, "told"),
            (4, "short"),
            (6, "below"),
            (6, "raw"),
            (6, "service"),
            (6, "task"),
        ];
        assert_eq!(seen, expected);
    });
}

/// Of nested periods it has that of the task that spawned it; from outside nothing is scheduled any more.
#[test]
fn nested_periods_and_the_outside() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let gift = Gift::new();
        let give = gift.clone();
        let app = service_fn("app", move |ctx: Context| async move {
            give.put(ctx.clone());
            let (own, short) = (ctx.clone(), d.clone());
            let task = ctx.task::<_, ()>(async move {
                own.cancelled().await;
                drop(spawn(short.forever("in the short one")));
                pending().await
            });
            drop(task.grace(2 * SECOND).spawn()?);
            ctx.cancelled().await;
            drop(spawn(d.forever("in the long one")));
            pending().await
        });
        let manager = Manager::builder(app).grace(5 * SECOND).build().unwrap();
        let runner = manager.clone();
        drop(h.spawn(async move { runner.run().await }));
        let ctx: Context = gift.take().await;
        diary.at(1).await;
        manager.cancel().unwrap();
        diary.at(2).await;
        assert!(ctx.run_task(async { Ok(()) }).unwrap().is_done());
        manager.wait_finished().await;
        let expected = [(3, "in the short one"), (6, "in the long one")];
        assert_eq!(diary.take(), expected);
    });
}

/// On threads: what is spawned while a grace ends is dropped with it, or refused.
#[test]
fn none_outlives_the_grace_on_threads() {
    everywhere(async |h| {
        for _ in 0..20 {
            let (m, ctx) = app_with(&h, |b| b.grace(SECOND / 500)).await;
            let own = ctx.clone();
            let spawner = ctx.run_task(async move {
                own.cancelled().await;
                loop {
                    drop(spawn(pending::<()>()));
                    taskgrove::yield_now().await;
                }
            });
            drop(spawner);
            m.stop().await.unwrap();
            assert!(m.snapshot().is_empty());
        }
    });
}

/// What a protection leaves has a grace of its own, which a timer ends. That timer goes with it, although its
/// parent goes on, and although the parent's cancellation has a timer, too.
#[test]
fn no_timer_outlives_what_it_is_for() {
    simulated(async |h, diary| {
        let (d, handle) = (diary.clone(), h.clone());
        let app = service_fn("app", move |ctx: Context| async move {
            let task = async move {
                d.at(2).await;
                for _ in 0..20 {
                    shielded(async {
                        let own = spawn(sleep(SECOND));
                        drop(spawn(async { drop(spawn(sleep(SECOND * 2))) }));
                        yield_now().await;
                        drop(own);
                    })
                    .await;
                    sleep(SECOND * 3).await;
                }
                // That of the cancellation is left, and no sleep.
                assert_eq!(handle.metrics().timers, 1);
                shielded(async { drop(spawn(sleep(SECOND))) }).await;
                Ok(())
            };
            ctx.task::<_, ()>(task).grace(SECOND * 3600).spawn()?;
            Ok(())
        });
        let manager = h.start(app).unwrap();
        diary.at(1).await;
        manager.cancel().unwrap();
        manager.wait_finished().await;
        assert!(manager.result().unwrap().is_ok());
        assert_eq!(h.metrics().timers, 0);
    });
}
