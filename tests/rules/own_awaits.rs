//! At its turn and unprotected, taskgrove's own awaits suspend: none of them goes on, however ready it is.

use crate::util::*;
use std::future::pending;
use std::time::Duration;
use taskgrove::{Handle, Manager, service_fn, shielded, spawn, time, yield_now};

/// Whether a task whose turn has come gets past this await.
async fn passes<F: Future + Send>(h: &Handle, make: impl FnOnce() -> F + Send + 'static) -> bool {
    let (inside, go, passed) = (Event::new(), Event::new(), Event::new());
    let (set, wait, tell) = (inside.clone(), go.wait(), passed.clone());
    let task = h.spawn(async move {
        shielded(async {
            set.set();
            wait.await;
        })
        .await;
        make().await;
        tell.set();
    });
    inside.wait().await;
    task.cancel();
    the_turn_has_come().await;
    go.set();
    task.wait_done().await;
    passed.is_set()
}

async fn finished(h: &Handle) -> Manager {
    let m = h
        .start(service_fn("done", |ctx| async move {
            ctx.set_ready();
            Ok(())
        }))
        .unwrap();
    m.wait_finished().await;
    m
}

/// The check itself: an await of nobody's that is ready goes on.
#[test]
fn a_foreign_await_goes_on() {
    on(0, async |h| {
        assert!(passes(&h, || std::future::ready(())).await);
    });
}

/// `yield_now`.
#[test]
fn yields() {
    on(0, async |h| {
        assert!(!passes(&h, yield_now).await);
    });
}

/// Timers.
#[test]
fn timers() {
    on(0, async |h| {
        assert!(!passes(&h, || time::sleep(Duration::ZERO)).await);
        let past = time::now();
        assert!(!passes(&h, move || time::sleep_until(past)).await);
        let mut interval = time::interval(Duration::from_secs(1));
        assert!(!passes(&h, move || async move { interval.tick().await }).await);
    });
}

/// Handles, and waits for them.
#[test]
fn handles() {
    on(0, async |h| {
        let done = h.spawn(async { 1 });
        done.wait_done().await;
        assert!(!passes(&h, move || done).await);
        let done = h.spawn(async { 1 });
        done.wait_done().await;
        assert!(!passes(&h, move || async move { done.wait_done().await }).await);
    });
}

/// Managers' waits.
#[test]
fn managers_waits() {
    on(0, async |h| {
        let m = finished(&h).await;
        assert!(!passes(&h, move || async move { m.wait_started().await }).await);
        let m = finished(&h).await;
        assert!(!passes(&h, move || async move { m.wait_finished().await }).await);
        let m = finished(&h).await;
        assert!(!passes(&h, move || async move { m.stop().await }).await);
    });
}

/// Inside a shield they work as ever.
#[test]
fn inside_a_shield_they_work() {
    on(0, async |h| {
        let (inside, go, passed) = (Event::new(), Event::new(), Event::new());
        let (set, wait, tell) = (inside.clone(), go.wait(), passed.clone());
        let m = finished(&h).await;
        let done = h.spawn(async { 1 });
        done.wait_done().await;
        let task = h.spawn(shielded(async move {
            set.set();
            wait.await;
            yield_now().await;
            time::sleep(Duration::from_millis(1)).await;
            let _ = time::timeout(Duration::from_millis(1), pending::<()>()).await;
            m.wait_finished().await;
            assert_eq!(done.await.unwrap(), 1);
            tell.set();
        }));
        inside.wait().await;
        task.cancel();
        the_turn_has_come().await;
        go.set();
        task.await.unwrap();
        assert!(passed.is_set());
    });
}

/// No loop over `yield_now` outruns the cancellation.
#[test]
fn no_loop_of_yields_outruns_it() {
    everywhere(async |h| {
        let inside = Event::new();
        let set = inside.clone();
        let task = h.spawn(async move {
            loop {
                set.set();
                yield_now().await;
            }
        });
        inside.wait().await;
        task.cancel();
        let result: Result<(), _> = task.await;
        assert!(result.is_err());
    });
}

/// Nor does a loop over timers that are ready at once, which takes a worker for itself.
#[test]
fn no_loop_of_timers_outruns_it() {
    for workers in [1, 2] {
        on(workers, async |h| {
            let inside = Event::new();
            let set = inside.clone();
            let task = h.spawn(async move {
                loop {
                    set.set();
                    time::sleep(Duration::ZERO).await;
                }
            });
            inside.wait().await;
            task.cancel();
            let result: Result<(), _> = task.await;
            assert!(result.is_err());
        });
    }
}

/// A loop over awaits that are always ready lets others run.
#[test]
fn what_is_always_ready_suspends_now_and_then() {
    for workers in [0, 1] {
        on(workers, async |h| {
            let m = finished(&h).await;
            let task = h.spawn(async move {
                let ran = Event::new();
                let set = ran.clone();
                spawn(async move { set.set() });
                for turn in 0..100_000 {
                    if ran.is_set() {
                        return turn;
                    }
                    m.wait_finished().await;
                }
                100_000
            });
            let turns = task.await.unwrap();
            assert!(0 < turns && turns < 1_000, "{turns}");
        });
    }
}

/// The same in a body: when the shield in it has ended, and its task's turn has come.
#[test]
fn in_a_body() {
    on(0, async |h| {
        let (inside, go, passed) = (Event::new(), Event::new(), Event::new());
        let (set, wait, tell) = (inside.clone(), go.wait(), passed.clone());
        let m = finished(&h).await;
        let body = async move {
            shielded(async {
                set.set();
                wait.await;
            })
            .await;
            m.wait_finished().await;
            tell.set();
        };
        let task = h.spawn(taskgrove::finally(body, async {}));
        inside.wait().await;
        task.cancel();
        the_turn_has_come().await;
        go.set();
        task.wait_done().await;
        assert!(!passed.is_set());
    });
}

/// Beside a shield they go on, as the whole task does.
#[test]
fn beside_a_shield_they_work() {
    on(0, async |h| {
        let (inside, go) = (Event::new(), Event::new());
        let (told, passed) = (Event::new(), Event::new());
        let (set, wait, hear, tell) = (inside.clone(), go.wait(), told.wait(), passed.clone());
        let shield = shielded(async move {
            set.set();
            wait.await;
        });
        let beside = async move {
            hear.await;
            yield_now().await;
            tell.set();
        };
        let task = h.spawn(both(shield, beside));
        inside.wait().await;
        task.cancel();
        the_turn_has_come().await;
        told.set();
        the_turn_has_come().await;
        assert!(passed.is_set());
        go.set();
        task.wait_done().await;
    });
}
