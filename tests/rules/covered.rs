//! Protection covers what is spawned inside it; in simulations, where times are exact.

use crate::common::suspend;
use crate::util::*;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::{Duration, Instant};
use taskgrove::sim::Sim;
use taskgrove::time::{now, sleep, sleep_until};
use taskgrove::{Handle, Task, defer, finally, shielded, spawn, yield_now};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What happened, and in which second.
#[derive(Clone)]
pub(crate) struct Diary {
    log: Log<(u64, &'static str)>,
    began: Instant,
}

impl Diary {
    pub(crate) fn new() -> Self {
        Diary {
            log: Log::new(),
            began: now(),
        }
    }
    pub(crate) fn add(&self, what: &'static str) {
        let passed = now().duration_since(self.began);
        assert_eq!(passed.subsec_nanos(), 0, "{what} at {passed:?}");
        self.log.push((passed.as_secs(), what));
    }
    pub(crate) async fn at(&self, second: u64) {
        sleep_until(self.began + SECOND * u32::try_from(second).unwrap()).await;
    }
    pub(crate) fn take(&self) -> Vec<(u64, &'static str)> {
        self.log.take()
    }
    /// Writes when it is dropped.
    pub(crate) fn end(&self, what: &'static str) -> impl Sized + Send + use<> {
        struct End(Diary, &'static str);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.add(self.1);
            }
        }
        End(self.clone(), what)
    }
    /// Never ends, and writes when it is dropped.
    pub(crate) fn forever(&self, what: &'static str) -> impl Future<Output = ()> + Send + use<> {
        let end = self.end(what);
        async move {
            let _end = end;
            pending::<()>().await;
        }
    }
}

/// Runs the body for a few seeds.
pub(crate) fn simulated(body: impl AsyncFn(Handle, Diary) + Send + 'static) {
    watchdog(move || {
        quiet();
        for seed in 0..10 {
            let sim = Sim::new(seed);
            sim.block_on(async { body(sim.handle().clone(), Diary::new()).await });
        }
    });
}

/// A shield protects the task that it waits for.
#[test]
fn what_is_spawned_in_a_shield_runs_to_its_end() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let task = h.spawn(async move {
            let _end = d.end("dropped");
            let inner = d.clone();
            shielded(async move {
                let outer = inner.clone();
                let work = spawn(async move {
                    // And what that spawns in turn.
                    let deep = outer.clone();
                    let below = spawn(async move {
                        deep.at(3).await;
                        deep.add("below");
                    });
                    outer.at(2).await;
                    outer.add("work");
                    below.await
                });
                work.await.unwrap().unwrap();
                inner.add("waited");
            })
            .await;
            pending::<()>().await
        });
        diary.at(1).await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        let expected = [(2, "work"), (3, "below"), (3, "waited"), (3, "dropped")];
        assert_eq!(diary.take(), expected);
    });
}

/// What is left holds up each body around the protection, also when the inner one has returned before it is done.
#[test]
fn a_body_around_waits_for_what_an_inner_one_has_left() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let task = h.spawn(async move {
            let (body, cleanup) = (d.clone(), d.clone());
            let outer = async move {
                let _end = body.end("outer body");
                let (inside, cleanup) = (body.clone(), body.clone());
                let inner = async move {
                    let left = inside.clone();
                    shielded(async move {
                        drop(spawn(async move {
                            let _end = left.end("left");
                            ends_late(3).await;
                        }));
                        inside.at(2).await;
                    })
                    .await;
                };
                finally(inner, async move { cleanup.add("inner cleanup") }).await;
                pending::<()>().await
            };
            finally(outer, async move { cleanup.add("outer cleanup") }).await;
        });
        diary.at(1).await;
        task.cancel();
        task.wait_done().await;
        let expected = [
            (2, "inner cleanup"),
            (5, "left"),
            (5, "outer body"),
            (5, "outer cleanup"),
        ];
        assert_eq!(diary.take(), expected);
    });
}

/// What is left when the protection ends is cancelled then, leaves first.
#[test]
fn what_a_shield_leaves_is_cancelled_at_its_end() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let task = h.spawn(async move {
            let _end = d.end("parent");
            let inner = d.clone();
            shielded(async move {
                let child = inner.clone();
                drop(spawn(async move {
                    drop(spawn(child.forever("grandchild")));
                    child.forever("child").await
                }));
                inner.at(5).await;
                inner.add("end of the shield");
            })
            .await;
            pending::<()>().await
        });
        diary.at(1).await;
        task.cancel();
        task.wait_done().await;
        let expected = [
            (5, "end of the shield"),
            (5, "grandchild"),
            (5, "child"),
            (5, "parent"),
        ];
        assert_eq!(diary.take(), expected);
    });
}

/// What a protection leaves in a task that is not cancelled is a child like any other, also for a cancellation
/// that comes in another protection.
#[test]
fn a_child_outlives_the_protection_and_is_covered_by_no_other() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let task = h.spawn(async move {
            let inner = d.clone();
            shielded(async { drop(spawn(inner.forever("child"))) }).await;
            d.at(1).await;
            d.add("goes on");
            shielded(async {
                d.at(5).await;
                d.add("end of the shield");
            })
            .await;
            pending::<()>().await
        });
        diary.at(2).await;
        task.cancel();
        task.wait_done().await;
        let expected = [(1, "goes on"), (2, "child"), (5, "end of the shield")];
        assert_eq!(diary.take(), expected);
    });
}

/// It runs also if it is spawned when the cancellation was asked for, or the turn has come.
#[test]
fn spawned_after_the_turn_it_runs() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let task = h.spawn(async move {
            shielded(async {
                d.at(2).await;
                let inner = d.clone();
                spawn(async move { inner.at(3).await }).await.unwrap();
                d.add("waited");
            })
            .await;
            // Outside it is as ever.
            let refused = spawn(async {});
            assert!(refused.is_done());
            pending::<()>().await
        });
        diary.at(1).await;
        task.cancel();
        task.wait_done().await;
        assert_eq!(diary.take(), [(3, "waited")]);
    });
}

/// The cleanup of a `finally` may spawn, and what it leaves is gone before the body around it.
#[test]
fn a_cleanup_may_spawn() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let task = h.spawn(async move {
            let (body, inner, outer) = (d.clone(), d.clone(), d.clone());
            let nested = async move {
                let _end = body.end("outer body");
                let cleanup = async move {
                    let work = inner.clone();
                    spawn(async move { work.at(3).await }).await.unwrap();
                    // Its own cleanup takes a second.
                    let left = inner.clone();
                    drop(spawn(finally(pending::<()>(), async move {
                        sleep(SECOND).await;
                        left.add("left behind");
                    })));
                    yield_now().await;
                    inner.add("inner cleanup");
                };
                finally(pending::<()>(), cleanup).await;
            };
            finally(nested, async move { outer.add("outer cleanup") }).await;
        });
        diary.at(1).await;
        task.cancel();
        task.wait_done().await;
        let expected = [
            (3, "inner cleanup"),
            (4, "left behind"),
            (4, "outer body"),
            (4, "outer cleanup"),
        ];
        assert_eq!(diary.take(), expected);
    });
}

/// A deferred cleanup may spawn: while the task goes on, and after its future is gone.
#[test]
fn a_deferred_cleanup_may_spawn() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let task = h.spawn(async move {
            for second in [2, 3] {
                let d = d.clone();
                let _guard = defer(async move {
                    let (work, left) = (d.clone(), d.clone());
                    spawn(async move { work.at(second).await }).await.unwrap();
                    drop(spawn(left.forever("left behind")));
                    yield_now().await;
                    d.add("cleanup");
                });
                if second == 3 {
                    pending::<()>().await;
                }
            }
        });
        diary.at(1).await;
        task.cancel();
        task.wait_done().await;
        let mut seen = diary.take();
        seen.sort_unstable();
        let expected = [
            (2, "cleanup"),
            (2, "left behind"),
            (3, "cleanup"),
            (3, "left behind"),
        ];
        assert_eq!(seen, expected);
    });
}

/// A branch beside a shield is not inside it.
#[test]
fn a_branch_beside_is_not_covered() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let task = h.spawn(async move {
            let (a, b) = (d.clone(), d.clone());
            let shield = shielded(async move {
                drop(spawn(a.forever("covered")));
                a.at(4).await;
            });
            let beside = async move {
                drop(spawn(b.forever("not covered")));
                b.at(2).await;
                assert!(spawn(async {}).is_done());
                b.add("beside");
            };
            both(shield, beside).await;
            pending::<()>().await
        });
        diary.at(1).await;
        task.cancel();
        task.wait_done().await;
        let expected = [(1, "not covered"), (2, "beside"), (4, "covered")];
        assert_eq!(diary.take(), expected);
    });
}

/// Takes so many seconds to end when it is cancelled.
async fn ends_late(seconds: u32) {
    finally(
        pending::<()>(),
        async move { sleep(SECOND * seconds).await },
    )
    .await;
}

/// A loop of shields stops, also if each of them leaves a child behind whose end takes longer than the next
/// shield.
#[test]
fn a_loop_of_shields_that_spawn_stops() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let task = h.spawn(async move {
            // An ordinary child that ends late keeps the turn away for a while.
            drop(spawn(ends_late(3)));
            loop {
                let d = d.clone();
                shielded(async move {
                    drop(spawn(ends_late(2)));
                    sleep(SECOND).await;
                    d.add("round");
                })
                .await;
            }
        });
        diary.at(2).await;
        task.cancel();
        task.wait_done().await;
        let rounds = diary.take();
        let times: Vec<_> = rounds.iter().map(|(second, _)| *second).collect();
        // The turn comes in second 5.
        assert!(
            times == [1, 2, 3, 4, 5] || times == [1, 2, 3, 4, 5, 6],
            "{times:?}"
        );
        let end = now().duration_since(diary.began);
        assert!(end <= 9 * SECOND, "{end:?}");
    });
}

/// A kill reaches it, leaves first.
#[test]
fn a_kill_reaches_it() {
    watchdog(|| {
        for seed in 0..10 {
            let log = Log::new();
            let sim = Sim::new(seed);
            let inner = log.clone();
            let mut kept: Option<Task<()>> = None;
            sim.block_on(async {
                let task = sim.handle().spawn(async move {
                    let _end = Writes(inner.clone(), "parent");
                    shielded(async {
                        let child = inner.clone();
                        drop(spawn(async move {
                            let _end = Writes(child.clone(), "child");
                            let below = child.clone();
                            drop(spawn(async move {
                                let _end = Writes(below, "below");
                                pending::<()>().await
                            }));
                            pending::<()>().await
                        }));
                        pending::<()>().await
                    })
                    .await
                });
                sleep(SECOND).await;
                task.cancel();
                sleep(SECOND).await;
                kept = Some(task);
            });
            assert!(log.is_empty());
            drop(sim);
            assert!(kept.is_some_and(|task| task.is_done()));
            assert_eq!(log.take(), ["below", "child", "parent"]);
        }
    });
}

/// A shield that is dropped before its end leaves its children to the cancellation.
#[test]
fn a_shield_that_is_dropped_ends() {
    simulated(async |h, diary| {
        let d = diary.clone();
        let task = h.spawn(async move {
            let inner = d.clone();
            let shield = shielded(async move {
                drop(spawn(inner.forever("child")));
                pending::<()>().await
            });
            let limited = taskgrove::time::timeout(3 * SECOND, shield).await;
            assert!(limited.is_err());
            d.add("timeout");
            pending::<()>().await
        });
        diary.at(1).await;
        task.cancel();
        // The timer beside the shield goes on, since the shield protects the whole task.
        task.wait_done().await;
        assert_eq!(diary.take(), [(3, "timeout"), (3, "child")]);
    });
}

/// On threads: a cleanup's client is there to its end, whatever the moment of the cancellation.
#[test]
fn a_cleanup_runs_what_it_spawns_on_threads() {
    everywhere(async |h| {
        for round in 0..100 {
            let log = Log::new();
            let ready = Event::new();
            let (inner, set) = (log.clone(), ready.clone());
            let task = h.spawn(async move {
                let body = async move {
                    set.set();
                    for _ in 0..round {
                        suspend().await;
                    }
                };
                let cleanup = async move {
                    let work = inner.clone();
                    let task = spawn(async move {
                        suspend().await;
                        let deep = work.clone();
                        spawn(async move { deep.push("below") }).await.unwrap();
                        work.push("work");
                    });
                    task.await.unwrap();
                    inner.push("cleanup");
                };
                finally(body, cleanup).await;
            });
            ready.wait().await;
            task.cancel();
            task.wait_done().await;
            assert_eq!(log.take(), ["below", "work", "cleanup"]);
        }
    });
}

/// On threads: shields that end while the cancellation comes leave nothing behind.
#[test]
fn what_is_left_is_cancelled_on_threads() {
    everywhere(async |h| {
        for round in 0..200 {
            let alive = Arc::new(());
            let guard = alive.clone();
            let task = h.spawn(async move {
                for _ in 0..10 {
                    let guard = guard.clone();
                    shielded(async move {
                        drop(spawn(async move {
                            let _guard = guard;
                            pending::<()>().await
                        }));
                        suspend().await;
                    })
                    .await;
                }
                pending::<()>().await
            });
            for _ in 0..round % 7 {
                suspend().await;
            }
            task.cancel();
            task.wait_done().await;
            assert_eq!(Arc::strong_count(&alive), 1);
        }
    });
}
