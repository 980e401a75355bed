//! `finally`, and how protections nest.

use crate::common::suspend_times;
use crate::util::*;
use std::future::pending;
use taskgrove::{JoinError, finally, shielded, yield_now};

/// The cleanup runs to its end when the body returns; its value is the body's.
#[test]
fn when_the_body_returns() {
    everywhere(async |h| {
        let log = Log::new();
        let (body, cleanup) = (log.clone(), log.clone());
        let task = h.spawn(async move {
            let value = finally(
                async {
                    yield_now().await;
                    body.push("body");
                    6
                },
                async {
                    yield_now().await;
                    cleanup.push("cleanup");
                },
            )
            .await;
            body.push("after");
            value
        });
        assert_eq!(task.await.unwrap(), 6);
        assert_eq!(log.take(), ["body", "cleanup", "after"]);
    });
}

/// The cleanup runs when the body panics; the panic then resumes.
#[test]
fn when_the_body_panics() {
    everywhere(async |h| {
        let cleaned = Event::new();
        let set = cleaned.clone();
        let task = h.spawn(finally(async { panic!("intended body") }, async move {
            yield_now().await;
            set.set();
        }));
        let Err(JoinError::Panicked(panic)) = task.await else {
            panic!("no panic")
        };
        assert_eq!(panic.message(), "intended body");
        assert!(cleaned.is_set());
    });
}

/// At its turn the body is dropped, the cleanup is awaited, the task is dropped.
#[test]
fn when_the_turn_comes() {
    everywhere(async |h| {
        let log = Log::new();
        let (body, cleanup, inside) = (log.clone(), log.clone(), Event::new());
        let set = inside.clone();
        let task = h.spawn(async move {
            let _task = Writes(body.clone(), "task");
            let guard = Writes(body.clone(), "body");
            finally(
                async move {
                    let _guard = guard;
                    set.set();
                    pending::<()>().await
                },
                async move {
                    suspend_times(5).await;
                    yield_now().await;
                    cleanup.push("cleanup");
                },
            )
            .await;
            body.push("never");
        });
        inside.wait().await;
        task.cancel();
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
        assert_eq!(log.take(), ["body", "cleanup", "task"]);
    });
}

/// A cleanup under way is no more dropped than a shield.
#[test]
fn a_cleanup_under_way_ends() {
    everywhere(async |h| {
        let (inside, go, cleaned) = (Event::new(), Event::new(), Event::new());
        let (set, wait, end) = (inside.clone(), go.wait(), cleaned.clone());
        let task = h.spawn(finally(async { 1 }, async move {
            set.set();
            wait.await;
            end.set();
        }));
        inside.wait().await;
        task.cancel();
        for _ in 0..20 {
            yield_now().await;
            assert!(!task.is_done());
        }
        go.set();
        assert_eq!(task.await.unwrap(), 1);
        assert!(cleaned.is_set());
    });
}

/// Nested, they end innermost first.
#[test]
fn innermost_first() {
    everywhere(async |h| {
        let log = Log::new();
        let inside = Event::new();
        let (set, inner, middle, outer) = (inside.clone(), log.clone(), log.clone(), log.clone());
        let task = h.spawn(async move {
            let body = async move {
                let _guard = Writes(inner.clone(), "body");
                set.set();
                pending::<()>().await
            };
            let nested = finally(body, async move {
                suspend_times(3).await;
                middle.push("inner");
            });
            let around = async move {
                nested.await;
                pending::<()>().await
            };
            finally(around, async move {
                suspend_times(3).await;
                outer.push("outer");
            })
            .await
        });
        inside.wait().await;
        task.cancel();
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
        assert_eq!(log.take(), ["body", "inner", "outer"]);
    });
}

/// A body is dropped only when no shield inside it is active.
#[test]
fn a_shield_in_the_body() {
    everywhere(async |h| {
        let log = Log::new();
        let (inside, go) = (Event::new(), Event::new());
        let (set, wait, body, cleanup) = (inside.clone(), go.wait(), log.clone(), log.clone());
        let task = h.spawn(finally(
            async move {
                let _guard = Writes(body.clone(), "body");
                shielded(async {
                    set.set();
                    wait.await;
                    suspend_times(3).await;
                    body.push("shield");
                })
                .await;
                pending::<()>().await
            },
            async move { cleanup.push("cleanup") },
        ));
        inside.wait().await;
        task.cancel();
        for _ in 0..20 {
            yield_now().await;
            assert!(log.is_empty() && !task.is_done());
        }
        go.set();
        task.wait_done().await;
        assert_eq!(log.take(), ["shield", "body", "cleanup"]);
    });
}

/// Two side by side: both bodies are dropped, both cleanups run.
#[test]
fn side_by_side() {
    everywhere(async |h| {
        let (log, inside) = (Log::new(), Event::new());
        let (a, b, set) = (log.clone(), log.clone(), inside.clone());
        let task = h.spawn(async move {
            let first = finally(pending(), async move {
                suspend_times(4).await;
                a.push(1);
            });
            let body = async move {
                set.set();
                pending().await
            };
            let second = finally(body, async move {
                suspend_times(2).await;
                b.push(2);
            });
            both(first, second).await
        });
        inside.wait().await;
        task.cancel();
        task.wait_done().await;
        let mut seen = log.take();
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
    });
}

/// One first polled after the turn does not start: neither body nor cleanup.
#[test]
fn after_the_turn_it_does_not_start() {
    on(0, async |h| {
        let (log, inside, go) = (Log::new(), Event::new(), Event::new());
        let (inner, set, wait) = (log.clone(), inside.clone(), go.wait());
        let task = h.spawn(async move {
            shielded(async {
                set.set();
                wait.await;
            })
            .await;
            finally(async { inner.push("body") }, async {
                inner.push("cleanup");
            })
            .await;
            inner.push("after");
        });
        inside.wait().await;
        task.cancel();
        the_turn_has_come().await;
        go.set();
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
        assert!(log.is_empty());
    });
}

/// One inside a shield starts, also after the turn.
#[test]
fn inside_a_shield_it_starts() {
    on(0, async |h| {
        let (log, inside, go) = (Log::new(), Event::new(), Event::new());
        let (inner, set, wait) = (log.clone(), inside.clone(), go.wait());
        let task = h.spawn(shielded(async move {
            set.set();
            wait.await;
            finally(
                async {
                    suspend_times(2).await;
                    inner.push("body");
                },
                async { inner.push("cleanup") },
            )
            .await;
        }));
        inside.wait().await;
        task.cancel();
        the_turn_has_come().await;
        go.set();
        assert!(task.await.is_ok());
        assert_eq!(log.take(), ["body", "cleanup"]);
    });
}

/// One that its owner drops is gone, cleanup included.
#[test]
fn a_dropped_one_is_gone() {
    everywhere(async |h| {
        let cleaned = Event::new();
        let (set, fallen) = (cleaned.clone(), Event::new());
        let guard = Falls(fallen.clone());
        let task = h.spawn(async move {
            let cleanup = async move {
                let _guard = guard;
                set.set();
            };
            at_once(finally(pending::<()>(), cleanup)).await;
            yield_now().await;
        });
        task.await.unwrap();
        assert!(fallen.is_set() && !cleaned.is_set());
    });
}

/// Before its first poll the cancellation drops a task whole: there is nothing to clean up yet.
#[test]
fn never_polled_it_has_nothing_to_clean() {
    on(0, async |h| {
        let cleaned = Event::new();
        let set = cleaned.clone();
        let task = h.spawn(finally(pending::<()>(), async move { set.set() }));
        task.cancel();
        assert!(task.await.is_err());
        assert!(!cleaned.is_set());
    });
}
