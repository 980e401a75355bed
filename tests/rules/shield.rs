//! `shielded`.

use crate::common::{Counter, suspend};
use crate::util::*;
use std::future::pending;
use taskgrove::{JoinError, shielded, spawn, yield_now};

/// Inside a shield the task is not dropped; after it, it is at its next suspension.
#[test]
fn it_is_dropped_after_the_shield() {
    everywhere(async |h| {
        let log = Log::new();
        let (inside, go) = (Event::new(), Event::new());
        let (inner, set, wait) = (log.clone(), inside.clone(), go.wait());
        let task = h.spawn(async move {
            let _guard = Writes(inner.clone(), "dropped");
            shielded(async {
                set.set();
                wait.await;
                suspend().await;
                inner.push("end of the shield");
            })
            .await;
            inner.push("after");
            pending::<()>().await
        });
        inside.wait().await;
        task.cancel();
        for _ in 0..20 {
            yield_now().await;
            assert!(!task.is_done() && log.is_empty());
        }
        go.set();
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
        assert_eq!(log.take(), ["end of the shield", "after", "dropped"]);
    });
}

/// A task that returns after its shield has its result count.
#[test]
fn a_result_after_the_shield_counts() {
    everywhere(async |h| {
        let (inside, go) = (Event::new(), Event::new());
        let (set, wait) = (inside.clone(), go.wait());
        let task = h.spawn(async move {
            let value = shielded(async {
                set.set();
                wait.await;
                4
            })
            .await;
            value + 1
        });
        inside.wait().await;
        task.cancel();
        go.set();
        assert_eq!(task.await.unwrap(), 5);
    });
}

/// A shield changes nothing without a cancellation.
#[test]
fn a_shield_gives_the_value() {
    everywhere(async |h| {
        let task = h.spawn(async {
            let value = shielded(async {
                yield_now().await;
                3
            });
            let value = value.await;
            yield_now().await;
            value
        });
        assert_eq!(task.await.unwrap(), 3);
    });
}

/// A loop of shields stops.
#[test]
fn a_loop_of_shields_stops() {
    everywhere(async |h| {
        let inside = Event::new();
        let set = inside.clone();
        let task = h.spawn(async move {
            loop {
                shielded(async {
                    set.set();
                    suspend().await;
                })
                .await;
            }
        });
        inside.wait().await;
        task.cancel();
        let result: Result<(), _> = task.await;
        assert!(matches!(result, Err(JoinError::Cancelled)));
    });
}

/// An outermost shield first polled after the turn does not start; one inside a shield does.
#[test]
fn a_shield_after_the_turn_does_not_start() {
    on(0, async |h| {
        let log = Log::new();
        let (inside, go) = (Event::new(), Event::new());
        let (inner, set, wait) = (log.clone(), inside.clone(), go.wait());
        let task = h.spawn(async move {
            shielded(async {
                set.set();
                wait.await;
                shielded(async {
                    suspend().await;
                    inner.push("nested");
                })
                .await;
            })
            .await;
            inner.push("between");
            shielded(async { inner.push("second") }).await;
        });
        inside.wait().await;
        task.cancel();
        the_turn_has_come().await;
        go.set();
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
        assert_eq!(log.take(), ["nested", "between"]);
    });
}

/// While a shield is active the whole task is polled, sibling branches too.
#[test]
fn sibling_branches_are_polled() {
    everywhere(async |h| {
        let (inside, go, reached) = (Event::new(), Event::new(), Event::new());
        let (set, wait, other, tell) = (inside.clone(), go.wait(), go.wait(), reached.clone());
        let seen = reached.wait();
        let task = h.spawn(async move {
            both(
                shielded(async {
                    set.set();
                    wait.await;
                    seen.await;
                }),
                async {
                    other.await;
                    suspend().await;
                    tell.set();
                    pending().await
                },
            )
            .await
        });
        inside.wait().await;
        task.cancel();
        go.set();
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
        assert!(reached.is_set());
    });
}

/// Several shields side by side: the last one to end lets go.
#[test]
fn shields_side_by_side() {
    everywhere(async |h| {
        let gates = [Event::new(), Event::new()];
        let [a, b] = gates.clone().map(|gate| gate.wait());
        let (ended, inside) = (Counter::new(), Event::new());
        let (first, second, set) = (ended.clone(), ended.clone(), inside.clone());
        let task = h.spawn(async move {
            both(
                shielded(async move {
                    a.await;
                    first.add();
                }),
                shielded(async move {
                    set.set();
                    b.await;
                    second.add();
                }),
            )
            .await;
        });
        inside.wait().await;
        task.cancel();
        gates[0].set();
        while ended.get() == 0 {
            yield_now().await;
        }
        for _ in 0..20 {
            yield_now().await;
            assert!(!task.is_done());
        }
        gates[1].set();
        task.wait_done().await;
        assert_eq!(ended.get(), 2);
    });
}

/// A shield that its owner drops is gone.
#[test]
fn a_dropped_shield_is_gone() {
    everywhere(async |h| {
        let parked = Event::new();
        let set = parked.clone();
        let task = h.spawn(async move {
            assert!(at_once(shielded(pending::<()>())).await.is_none());
            set.set();
            pending::<()>().await
        });
        parked.wait().await;
        task.cancel();
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
    });
}

/// A child's shield holds up its parents, and no one else.
#[test]
fn a_shield_holds_the_parents() {
    everywhere(async |h| {
        let (inside, go, fallen) = (Event::new(), Event::new(), Event::new());
        let (set, wait, guard) = (inside.clone(), go.wait(), Falls(fallen.clone()));
        let sibling = Event::new();
        let other = Falls(sibling.clone());
        let task = h.spawn(async move {
            let _guard = guard;
            spawn(async move {
                let _other = other;
                pending::<()>().await
            });
            spawn(shielded(async move {
                set.set();
                wait.await;
            }));
            pending::<()>().await
        });
        inside.wait().await;
        task.cancel();
        sibling.wait().await;
        assert!(!fallen.is_set() && !task.is_done());
        go.set();
        task.wait_done().await;
        assert!(fallen.is_set());
    });
}
