//! `kill` and `stop_or_kill`: cancelling without regard for protection.

use crate::util::*;
use crate::virtual_time::simulated;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;
use taskgrove::time::{now, sleep};
use taskgrove::{
    Context, JoinError, LifecycleError, Manager, Runtime, StopError, defer, finally, service_fn,
    shielded, spawn, yield_now,
};

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(50);

/// Something that no cancellation ends: every kind of protection, with something below it.
fn fortress(ctx: &Context, log: &Log<&'static str>, built: &Event) {
    let (outer, set, inner, log) = (ctx.clone(), built.clone(), ctx.clone(), log.clone());
    let (runs, waits) = (Event::new(), Event::new());
    let (in_body, in_cleanup) = (runs.clone(), waits.clone());
    ctx.task::<_, ()>(async move {
        let below = log.clone();
        let in_finally = inner
            .task::<_, ()>(async move {
                let _last = Writes(below.clone(), "finally");
                let body = async move {
                    in_body.set();
                    pending::<()>().await;
                };
                finally(body, async move {
                    in_cleanup.set();
                    pending::<()>().await;
                    below.push("cleaned up");
                })
                .await;
                Ok(())
            })
            .spawn()?;
        // A task whose future has ended, and that is left with a deferred cleanup.
        let (below, deferring) = (log.clone(), Event::new());
        let set_deferring = deferring.clone();
        spawn(async move {
            let inside = Writes(below.clone(), "deferred");
            drop(defer(async move {
                let _inside = inside;
                set_deferring.set();
                pending::<()>().await;
                below.push("cleaned up");
            }));
        });
        let below = log.clone();
        inner
            .task::<_, ()>(async move {
                let _last = Writes(below, "grace");
                pending().await
            })
            .grace(Duration::MAX)
            .spawn()?;
        let _last = Writes(log, "shield");
        deferring.wait().await;
        // A task that is cancelled before its first poll has no cleanup yet.
        runs.wait().await;
        in_finally.cancel();
        waits.wait().await;
        set.set();
        shielded(pending::<()>()).await;
        drop(outer);
        Ok(())
    })
    .spawn()
    .unwrap();
}

fn is_gone(log: &Log<&'static str>) {
    let mut names = log.read();
    assert_eq!(names.pop(), Some("shield"), "it was the parent");
    names.sort_unstable();
    assert_eq!(names, ["deferred", "finally", "grace"]);
}

/// A kill waits for no shield, cleanup or grace, and drops leaves first; cleanups are dropped unrun.
#[test]
fn a_kill_overrides_every_protection() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (log, built) = (Log::new(), Event::new());
        fortress(&ctx, &log, &built);
        built.wait().await;
        m.kill().unwrap();
        m.wait_finished().await;
        is_gone(&log);
        assert!(m.is_cancelled() && m.result().unwrap().is_ok());
    });
}

/// Over a cancellation that waits, a kill takes effect at once.
#[test]
fn a_kill_ends_a_cancellation_under_way() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (log, built) = (Log::new(), Event::new());
        fortress(&ctx, &log, &built);
        built.wait().await;
        m.cancel().unwrap();
        the_turn_has_come().await;
        assert!(m.is_running());
        m.kill().unwrap();
        m.kill().unwrap();
        m.wait_finished().await;
        is_gone(&log);
    });
}

/// A handle of a raw task kills that task's subtree, and nothing beside it.
#[test]
fn a_handle_kills_its_subtree() {
    everywhere(async |h| {
        let (inside, log) = (Event::new(), Log::new());
        let (set, below) = (inside.clone(), log.clone());
        let mut task = h.spawn(async move {
            spawn(shielded(async move {
                let _falls = Writes(below, "child");
                set.set();
                pending::<()>().await;
            }));
            pending::<()>().await;
        });
        let beside = h.spawn(shielded(pending::<()>()));
        inside.wait().await;
        task.cancel_handle().kill();
        assert!(matches!((&mut task).await, Err(JoinError::Cancelled)));
        assert_eq!(log.read(), ["child"]);
        task.kill();
        assert!(!beside.is_done());
        beside.kill();
        assert!(beside.await.unwrap_err().is_cancelled());
    });
}

/// A task whose future had returned keeps its value; only what it had left is killed.
#[test]
fn a_value_that_was_returned_stays() {
    everywhere(async |h| {
        let inside = Event::new();
        let set = inside.clone();
        let task = h.spawn(async move {
            let set = set;
            drop(defer(async move {
                set.set();
                pending::<()>().await;
            }));
            5
        });
        inside.wait().await;
        task.kill();
        assert_eq!(task.await.unwrap(), 5);
    });
}

/// What a killed task spawns in its last poll, or from a destructor, is born done.
#[test]
fn what_the_killed_spawn_never_runs() {
    struct Spawns(mpsc::Sender<bool>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let done = spawn(async { panic!("it ran") }).is_done();
            self.0.send(done).unwrap();
        }
    }
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (done, seen) = mpsc::channel();
        let me = m.clone();
        let inner = ctx.clone();
        ctx.run_task(shielded(async move {
            let _late = Spawns(done.clone());
            me.kill().unwrap();
            let service = service_fn("late", async |_| panic!("it ran"));
            done.send(inner.run_task(async { panic!("it ran") })?.is_done())
                .unwrap();
            done.send(inner.run_child_service(service)?.is_finished())
                .unwrap();
            // The poll in which it was killed goes on to its end.
            done.send(true).unwrap();
            pending().await
        }))
        .unwrap();
        m.wait_finished().await;
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [true; 4]);
        assert!(m.result().unwrap().is_ok());
    });
}

/// An error in the poll in which the kill came counts, a panic in a destructor counts always.
#[test]
fn what_breaks_in_the_last_poll_counts() {
    struct Breaks;
    impl Drop for Breaks {
        fn drop(&mut self) {
            panic!("intended, in the drop");
        }
    }
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (me, inside) = (m.clone(), Event::new());
        let set = inside.clone();
        ctx.run_task(async move {
            let _breaks = Breaks;
            set.set();
            pending().await
        })
        .unwrap();
        inside.wait().await;
        ctx.run_task(async move {
            me.kill().unwrap();
            Err(boom("in the poll"))
        })
        .unwrap();
        m.wait_finished().await;
        let error = m.result().unwrap().unwrap_err().to_string();
        assert!(error.contains("in the poll"), "{error}");
        assert!(error.contains("in the drop"), "{error}");
    });
}

/// Before the start there is nothing to kill, after the end neither; on a dead runtime it does nothing.
#[test]
fn a_kill_at_the_wrong_time() {
    watchdog(|| {
        let m = Manager::new(service_fn("idle", async |_| pending().await)).unwrap();
        let error = LifecycleError::NotStarted {
            service: "idle".into(),
        };
        assert_eq!(m.kill().unwrap_err(), error);
        let rt = build(1);
        rt.block_on(async {
            let Err(StopError::Lifecycle(seen)) = m.stop_or_kill(SECOND).await else {
                panic!("it was not started")
            };
            assert_eq!(seen, error);
        });
        let never = Manager::new(service_fn("idle", async |_| Ok(()))).unwrap();
        let ended = rt.start(service_fn("idle", async |_| Ok(()))).unwrap();
        let running = rt
            .start(service_fn("idle", async |_| pending().await))
            .unwrap();
        let task = rt.spawn(shielded(pending::<()>()));
        rt.block_on(async {
            ended.wait_finished().await;
            ended.kill().unwrap();
            ended.stop_or_kill(Duration::ZERO).await.unwrap();
            assert!(!ended.is_cancelled());
        });
        drop(rt);
        for _ in 0..2 {
            running.kill().unwrap();
            task.kill();
        }
        assert!(running.is_finished() && task.is_done());
        drop(never);
    });
}

/// A kill of a task by its own code, by its child, and from its destructor.
#[test]
fn a_task_may_kill_itself() {
    struct Kills(taskgrove::CancelHandle);
    impl Drop for Kills {
        fn drop(&mut self) {
            self.0.kill();
        }
    }
    everywhere(async |h| {
        let gift: Gift<taskgrove::CancelHandle> = Gift::new();
        let give = gift.clone();
        let task = h.spawn(async move {
            let me = gift.take().await;
            let from_below = me.clone();
            let again = Kills(me);
            spawn(async move {
                from_below.kill();
                from_below.cancel();
            });
            shielded(pending::<()>()).await;
            drop(again);
        });
        give.put(task.cancel_handle());
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

/// The exact times: `stop_or_kill` waits as long as there is something to wait for, and no longer than
/// its limit; it names what was left then.
#[test]
fn stop_or_kill_waits_until_its_limit() {
    simulated(async |h| {
        let (m, ctx) = app(&h).await;
        ctx.task(finally(pending::<taskgrove::Result>(), async {
            sleep(SECOND).await
        }))
        .spawn::<()>()
        .unwrap();
        yield_now().await;
        sleep(SECOND).await;
        let start = now();
        m.stop_or_kill(3 * SECOND).await.unwrap();
        assert_eq!(now() - start, SECOND);

        let (m, ctx) = app(&h).await;
        let body = pending::<taskgrove::Result>();
        ctx.task(finally(body, async { sleep(5 * SECOND).await }))
            .name("slow")
            .spawn::<()>()
            .unwrap();
        ctx.task::<_, ()>(pending()).name("meek").spawn().unwrap();
        let late = ctx.task::<_, ()>(pending()).name("late");
        late.grace(4 * SECOND).spawn().unwrap();
        sleep(SECOND).await;
        let start = now();
        let Err(StopError::Timeout(left)) = m.stop_or_kill(3 * SECOND).await else {
            panic!("no timeout")
        };
        assert_eq!(now() - start, 3 * SECOND);
        assert!(m.is_finished() && m.result().unwrap().is_ok());
        let nodes = left.remaining.nodes().iter();
        let paths: Vec<_> = nodes.map(|node| &*node.path).collect();
        assert_eq!(paths, ["app", "app/slow", "app/late"]);
        assert!(h.snapshot().is_empty(), "no timer and no task is left");
    });
}

/// Two at once: each resolves at its own time, and the second kill finds nothing left.
#[test]
fn two_stops_at_once() {
    simulated(async |h| {
        let (m, ctx) = app(&h).await;
        ctx.task(shielded(pending::<taskgrove::Result>()))
            .spawn::<()>()
            .unwrap();
        sleep(SECOND).await;
        let start = now();
        let times: Log<Duration> = Log::new();
        let one = async {
            assert!(m.stop_or_kill(2 * SECOND).await.is_err());
            times.push(now() - start);
        };
        let other = async {
            m.stop_or_kill(4 * SECOND).await.unwrap();
            times.push(now() - start);
        };
        both(one, other).await;
        assert_eq!(times.read(), [2 * SECOND; 2]);
    });
}

/// Dropped before its limit it has cancelled and kills nothing; dropped after it, the kill stays.
#[test]
fn a_stop_or_kill_that_is_dropped() {
    simulated(async |h| {
        let (m, ctx) = app(&h).await;
        ctx.task(finally(pending::<taskgrove::Result>(), async {
            sleep(5 * SECOND).await
        }))
        .spawn::<()>()
        .unwrap();
        sleep(SECOND).await;
        let start = now();
        let cut = taskgrove::time::timeout(SECOND, m.stop_or_kill(2 * SECOND)).await;
        assert!(cut.is_err() && m.is_cancelled());
        m.wait_finished().await;
        assert_eq!(now() - start, 5 * SECOND);
    });
}

/// A service that stops or kills itself from inside a shield, which would hang with `stop`.
#[test]
fn stop_or_kill_of_the_own_service_ends() {
    simulated(async |h| {
        let start = now();
        let m = h
            .start(service_fn("app", async |ctx: Context| {
                shielded(async {
                    let _ = ctx.stop_or_kill(2 * SECOND).await;
                    unreachable!("it was killed")
                })
                .await
            }))
            .unwrap();
        m.wait_finished().await;
        assert_eq!(now() - start, 2 * SECOND);
    });
}

/// A grace period that is killed ends at once, and its timer is gone.
#[test]
fn a_kill_ends_grace_periods() {
    simulated(async |h| {
        let (m, ctx) = app_with(&h, |b| b.grace(10 * SECOND)).await;
        for grace in [5, 7, 20] {
            let task = ctx.task::<_, ()>(pending());
            task.grace(grace * SECOND).spawn().unwrap();
        }
        let start = now();
        m.cancel().unwrap();
        sleep(6 * SECOND).await;
        m.kill().unwrap();
        m.wait_finished().await;
        assert_eq!(now() - start, 6 * SECOND);
        assert_eq!(h.metrics().timers, 0);
    });
}

/// A poll that does not return holds a kill up, and so the parents of its task; siblings go.
#[test]
fn a_poll_holds_a_kill_up() {
    for workers in [1, 2] {
        on(workers, async |h| {
            let (m, ctx) = app(&h).await;
            let (go, stuck) = mpsc::channel::<()>();
            let inside = Event::new();
            let set = inside.clone();
            let task = ctx
                .task(async move {
                    set.set();
                    stuck.recv()?;
                    pending::<taskgrove::Result>().await
                })
                .spawn()
                .unwrap();
            inside.wait().await;
            m.kill().unwrap();
            the_turn_has_come().await;
            assert!(m.is_running() && !task.is_done());
            go.send(()).unwrap();
            assert!(task.await.unwrap_err().is_cancelled());
            m.stop_or_kill(LONG).await.unwrap();
        });
    }
}

/// A destructor that panics while it is killed keeps nothing else alive.
#[test]
fn a_killed_cleanup_may_panic_in_its_drop() {
    struct Breaks;
    impl Drop for Breaks {
        fn drop(&mut self) {
            panic!("intended");
        }
    }
    everywhere(async |h| {
        let inside = Event::new();
        let set = inside.clone();
        let task = h.spawn(async move {
            drop(defer(async move {
                let _breaks = Breaks;
                set.set();
                pending::<()>().await;
            }));
        });
        inside.wait().await;
        task.kill();
        task.await.unwrap();
    });
}

/// Kills from many threads, of one tree that grows meanwhile.
#[test]
fn kills_from_many_threads() {
    watchdog(|| {
        for _ in 0..20 {
            let rt: Runtime = build(2);
            let root = rt.spawn(async {
                loop {
                    spawn(async {
                        spawn(shielded(pending::<()>()));
                        finally(pending::<()>(), pending()).await;
                    });
                    yield_now().await;
                }
            });
            std::thread::scope(|threads| {
                for turn in 0..4 {
                    let cancel = root.cancel_handle();
                    threads.spawn(move || {
                        if turn % 2 == 0 {
                            cancel.cancel();
                        }
                        cancel.kill();
                    });
                }
            });
            assert!(rt.block_on(root).unwrap_err().is_cancelled());
            let left = catch_unwind(AssertUnwindSafe(|| rt.snapshot().len()));
            assert_eq!(left.unwrap(), 0);
        }
    });
}
