//! Whatever ended earlier cleans up earlier: what guards of `defer` leave behind that are dropped inside a `finally` body runs
//! before that `finally`'s cleanup.

use crate::common::suspend_times;
use crate::set::Set;
use crate::util::*;
use std::future::pending;
use std::pin::pin;
use taskgrove::{Defer, Runtime, defer, finally, shielded, yield_now};

type Names = Log<&'static str>;

fn writes(log: &Names, name: &'static str) -> impl Future<Output = ()> + Send + 'static {
    let log = log.clone();
    async move {
        suspend_times(3).await;
        yield_now().await;
        log.push(name);
    }
}

fn guard(log: &Names, name: &'static str) -> Defer {
    defer(writes(log, name))
}

/// When the body returns, and when a guard in it was dropped long before that.
#[test]
fn before_the_cleanup_of_a_body_that_returns() {
    everywhere(async |h| {
        let log = Log::new();
        let inner = log.clone();
        let body = async move {
            drop(guard(&inner, "first"));
            yield_now().await;
            let _third = guard(&inner, "third");
            let _second = guard(&inner, "second");
        };
        h.spawn(finally(body, writes(&log, "cleanup")))
            .await
            .unwrap();
        assert_eq!(log.take(), ["first", "second", "third", "cleanup"]);
    });
}

/// When it panics, and when the turn comes.
#[test]
fn before_the_cleanup_of_a_body_that_does_not_return() {
    everywhere(async |h| {
        let log = Log::new();
        let (inner, inside) = (log.clone(), Event::new());
        let body = async move {
            let _guard = guard(&inner, "guard");
            panic!("intended")
        };
        let task = h.spawn(finally(body, writes(&log, "cleanup")));
        let result: Result<(), _> = task.await;
        assert!(result.is_err());
        assert_eq!(log.take(), ["guard", "cleanup"]);
        let (inner, set) = (log.clone(), inside.clone());
        let body = async move {
            let _guard = guard(&inner, "guard");
            set.set();
            pending::<()>().await
        };
        let task = h.spawn(finally(body, writes(&log, "cleanup")));
        inside.wait().await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(log.take(), ["guard", "cleanup"]);
    });
}

/// Nested bodies and cleanups, in the order in which they end; a guard outside of the body comes last, one that was dropped
/// before it first.
#[test]
fn from_the_inside_out() {
    everywhere(async |h| {
        let log = Log::new();
        let (a, b, inside) = (log.clone(), log.clone(), Event::new());
        let set = inside.clone();
        let inner = async move {
            let _guard = guard(&a, "inner guard");
            set.set();
            pending::<()>().await
        };
        let inner_cleanup = async move {
            let _guard = guard(&b, "guard of the inner cleanup");
            writes(&b, "inner cleanup").await;
        };
        let outer = log.clone();
        let task = h.spawn(async move {
            let _last = guard(&outer, "last");
            drop(guard(&outer, "first"));
            let body = async {
                let _guard = guard(&outer, "outer guard");
                shielded(async { drop(guard(&outer, "in a shield")) }).await;
                finally(inner, inner_cleanup).await;
            };
            finally(body, writes(&outer, "outer cleanup")).await;
        });
        inside.wait().await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        let expected = [
            "first",
            "in a shield",
            "inner guard",
            "inner cleanup",
            "guard of the inner cleanup",
            "outer guard",
            "outer cleanup",
            "last",
        ];
        assert_eq!(log.take(), expected);
    });
}

/// A `finally` that loses a select has no cleanup any more; what its body left behind belongs to the body around it.
#[test]
fn of_a_body_that_was_given_up() {
    everywhere(async |h| {
        let log = Log::new();
        let (write, outer) = (log.clone(), log.clone());
        let body = async move {
            let inner = async {
                let _guard = guard(&write, "guard");
                pending::<()>().await
            };
            {
                let mut lost = pin!(shielded(finally(inner, writes(&write, "never"))));
                assert!(poll_once(&mut lost).await.is_none());
            }
            write.push("body");
        };
        h.spawn(finally(body, writes(&outer, "cleanup")))
            .await
            .unwrap();
        assert_eq!(log.take(), ["body", "guard", "cleanup"]);
    });
}

/// What a cleanup leaves behind is left by the same body.
#[test]
fn what_a_cleanup_leaves_behind() {
    everywhere(async |h| {
        let log = Log::new();
        let inner = log.clone();
        let body = async move {
            let (write, _) = (inner.clone(), ());
            drop(defer(async move {
                let _guard = guard(&write, "second");
                writes(&write, "first").await;
            }));
        };
        h.spawn(finally(body, writes(&log, "cleanup")))
            .await
            .unwrap();
        assert_eq!(log.take(), ["first", "second", "cleanup"]);
    });
}

/// A `finally` in a deferred cleanup waits for what its body left behind: that runs beside the cleanup, before those behind it.
#[test]
fn inside_a_deferred_cleanup() {
    everywhere(async |h| {
        let log = Log::new();
        let write = log.clone();
        let task = h.spawn(async move {
            let inner = write.clone();
            let nested = async move {
                let deep = inner.clone();
                let body = async {
                    let _second = guard(&inner, "2");
                    let _first = defer(async move {
                        let body = async { drop(guard(&deep, "0")) };
                        finally(body, writes(&deep, "1")).await;
                    });
                };
                finally(body, writes(&inner, "3")).await;
                drop(guard(&inner, "6"));
                inner.push("4");
            };
            drop(defer(nested));
            drop(guard(&write, "5"));
        });
        task.await.unwrap();
        assert_eq!(log.take(), ["0", "1", "2", "3", "4", "5", "6"]);
    });
}

/// What runs beside a cleanup runs at the same time: either may wait for the other.
#[test]
fn beside_the_cleanup_it_is_in() {
    everywhere(async |h| {
        let (log, asked, answered) = (Log::new(), Event::new(), Event::new());
        let write = log.clone();
        let cleanup = async move {
            let (ask, answer) = (asked.clone(), answered.wait());
            let asks = async move {
                ask.set();
                answer.await;
            };
            let body = async { drop(defer(asks)) };
            let answers = async {
                asked.wait().await;
                answered.set();
            };
            both(finally(body, writes(&write, "cleanup")), answers).await;
        };
        h.spawn(async { drop(defer(cleanup)) }).await.unwrap();
        assert_eq!(log.take(), ["cleanup"]);
    });
}

/// In a set of futures, and outside of tasks, where what is left behind becomes a task.
#[test]
fn in_a_set_and_outside_of_tasks() {
    everywhere(async |h| {
        let log = Log::new();
        let run = |log: &Names| {
            let inner = log.clone();
            let body = async move { drop(guard(&inner, "guard")) };
            Set::new().with(finally(body, writes(log, "cleanup"))).all()
        };
        h.spawn(run(&log)).await.unwrap();
        assert_eq!(log.take(), ["guard", "cleanup"]);
        run(&log).await;
        assert_eq!(log.take(), ["guard", "cleanup"]);
    });
}

/// A runtime that is dropped waits for none of it.
#[test]
fn a_dropped_runtime_waits_for_none() {
    watchdog(|| {
        for workers in [0, 1] {
            let rt = build(workers);
            let (log, inside) = (Log::new(), Event::new());
            let (inner, set) = (log.clone(), inside.clone());
            let body = async move {
                drop(defer(async move {
                    let _writes = Writes(inner, "dropped");
                    set.set();
                    pending::<()>().await
                }));
            };
            let task = rt.spawn(finally(body, writes(&log, "cleanup")));
            rt.block_on(inside.wait());
            drop(rt);
            assert!(task.is_done());
            assert_eq!(log.take(), ["dropped"]);
        }
        // One that has ended drops what is left behind outside of it; the cleanup follows.
        let rt = build(0);
        let log = Log::new();
        let late = rt.block_on(async { guard(&log, "never") });
        drop(rt);
        let body = async move { drop(late) };
        let other = Runtime::builder().workers(0).build().unwrap();
        other.block_on(finally(body, writes(&log, "cleanup")));
        assert_eq!(log.take(), ["cleanup"]);
    });
}
