//! `grace`, as far as it can be seen without looking at the clock; the rest is in `virtual_time`.

use crate::common::suspend_times;
use crate::util::*;
use std::future::pending;
use std::time::{Duration, Instant};
use taskgrove::{Context, service_fn, spawn, yield_now};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(30);

/// A task with grace goes on after `cancel`, own awaits included, and ending earlier ends it.
#[test]
fn ending_earlier_ends_it() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, ended) = (Event::new(), Event::new());
        let (set, tell, inner) = (inside.clone(), ended.clone(), ctx.clone());
        let task = ctx
            .task(async move {
                set.set();
                inner.cancelled().await;
                suspend_times(10).await;
                yield_now().await;
                tell.set();
                Ok(11)
            })
            .grace(HOUR)
            .spawn()
            .unwrap();
        inside.wait().await;
        m.stop().await.unwrap();
        assert!(ended.is_set());
        assert_eq!(task.await.unwrap(), 11);
    });
}

/// It is dropped only once the time has passed since cancellation was asked for.
#[test]
fn not_before_the_time() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, fallen) = (Event::new(), Event::new());
        let (set, guard) = (inside.clone(), Falls(fallen.clone()));
        let task = ctx
            .task::<_, ()>(async move {
                let _guard = guard;
                set.set();
                pending().await
            })
            .grace(SHORT)
            .spawn()
            .unwrap();
        inside.wait().await;
        let asked = Instant::now();
        m.cancel().unwrap();
        task.wait_done().await;
        assert!(fallen.is_set());
        // The clock of a runtime may be a millisecond behind.
        assert!(asked.elapsed() + Duration::from_millis(2) >= SHORT);
        m.wait_finished().await;
        assert!(!m.did_error());
    });
}

/// It is inherited by everything below that sets none: tasks, raw tasks, child services and what is in them.
#[test]
fn it_is_inherited() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.grace(HOUR)).await;
        let (go, ended) = (Event::new(), crate::common::Counter::new());
        let (first, second, third) = (go.wait(), go.wait(), go.wait());
        let (a, b, c) = (ended.clone(), ended.clone(), ended.clone());
        let inside = [(); 3].map(|()| Event::new());
        let [x, y, z] = inside.clone();
        ctx.run_task(async move {
            spawn(async move {
                x.set();
                first.await;
                a.add();
            });
            y.set();
            second.await;
            b.add();
            Ok(())
        })
        .unwrap();
        ctx.run_child_service(service_fn("child", |ctx: Context| async move {
            ctx.run_task(async move {
                z.set();
                third.await;
                c.add();
                Ok(())
            })?;
            Ok(())
        }))
        .unwrap();
        for event in &inside {
            event.wait().await;
        }
        m.cancel().unwrap();
        suspend_times(20).await;
        assert_eq!(ended.get(), 0);
        go.set();
        while ended.get() < 3 {
            suspend_times(1).await;
        }
        // Its `run` would wait out the hour; the runtime's end does not.
        assert!(m.is_running());
    });
}

/// Zero opts out, for the task and what is below it.
#[test]
fn zero_opts_out() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.grace(HOUR)).await;
        let inside = Event::new();
        let set = inside.clone();
        let out = ctx
            .task::<_, ()>(async move {
                spawn(async move {
                    set.set();
                    pending::<()>().await
                });
                pending().await
            })
            .grace(Duration::ZERO)
            .spawn()
            .unwrap();
        let child = ctx.child_service(service_fn("child", |_| pending()));
        let child = child.grace(Duration::ZERO).spawn().unwrap();
        let stays = ctx.run_task(pending()).unwrap();
        inside.wait().await;
        m.cancel().unwrap();
        out.wait_done().await;
        child.wait_finished().await;
        assert!(!stays.is_done() && m.is_running());
    });
}

/// A subtree may have a longer grace than what is above: parents still die last.
#[test]
fn a_longer_one_below() {
    everywhere(async |h| {
        let log = Log::new();
        let (m, ctx) = app(&h).await;
        let inside = Event::new();
        let (set, a, b) = (
            inside.clone(),
            Writes(log.clone(), "above"),
            Writes(log.clone(), "below"),
        );
        let inner = ctx.clone();
        ctx.run_task(async move {
            let _a = a;
            inner
                .task::<_, ()>(async move {
                    let _b = b;
                    set.set();
                    pending().await
                })
                .grace(SHORT)
                .spawn()?;
            pending().await
        })
        .unwrap();
        inside.wait().await;
        m.stop().await.unwrap();
        assert_eq!(log.take(), ["below", "above"]);
    });
}

/// It holds when the task is cancelled by hand, too.
#[test]
fn by_hand_too() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (inside, go) = (Event::new(), Event::new());
        let (set, wait) = (inside.clone(), go.wait());
        let task = ctx
            .task(async move {
                set.set();
                wait.await;
                Ok(3)
            })
            .grace(HOUR)
            .spawn()
            .unwrap();
        inside.wait().await;
        task.cancel();
        suspend_times(20).await;
        assert!(!task.is_done());
        go.set();
        assert_eq!(task.await.unwrap(), 3);
        assert!(m.is_running());
    });
}

/// Dropping the runtime waits for no grace.
#[test]
fn the_runtime_does_not_wait() {
    watchdog(|| {
        for workers in [0, 2] {
            let rt = build(workers);
            let fallen = rt.block_on(async {
                let h = taskgrove::Handle::current();
                let (_m, ctx) = app_with(&h, |b| b.grace(HOUR)).await;
                let fallen = Event::new();
                let guard = Falls(fallen.clone());
                ctx.run_task(async move {
                    let _guard = guard;
                    pending().await
                })
                .unwrap();
                fallen
            });
            drop(rt);
            assert!(fallen.is_set());
        }
    });
}

/// Nor does one that comes after the failure, before the walk of the cancellation has come.
#[test]
fn a_child_that_opts_out_does_not_run_after_a_failure() {
    for seed in 0..100 {
        let sim = taskgrove::sim::Sim::new(seed);
        let h = sim.handle().clone();
        sim.block_on(async {
            let (ran, seen) = (Event::new(), Gift::<bool>::new());
            let (set, give) = (ran.clone(), seen.clone());
            let outer = service_fn("outer", move |ctx: Context| async move {
                let inner = service_fn("inner", move |ctx: Context| async move {
                    ctx.run_child_service(service_fn("failing", async |_| Err("the cause")?))?;
                    let task = ctx.task(async move {
                        set.set();
                        Ok(())
                    });
                    let task = task.grace(Duration::ZERO).spawn_when_room().await?;
                    let outcome = task.await;
                    give.put(outcome.is_err_and(|error| error.is_cancelled()));
                    Ok(())
                });
                let between = ctx.clone();
                ctx.run_task(async move {
                    let inner = between.child_service(inner).grace(HOUR).max_children(1);
                    inner.spawn()?;
                    pending().await
                })?;
                pending().await
            });
            let manager = h.start(outer).unwrap();
            assert!(seen.take().await, "it was refused");
            manager.wait_finished().await;
            assert!(!ran.is_set());
        });
    }
}
