//! The report of a deadlock.

use crate::common::watchdog;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use taskgrove::time::sleep;
use taskgrove::{Context, Handle, Manager, Runtime, finally, service_fn, sim, sim::Sim, spawn};

/// The message of the deadlock this body runs into.
fn deadlock(seed: u64, body: impl AsyncFnOnce()) -> String {
    let sim = Sim::new(seed);
    let caught = catch_unwind(AssertUnwindSafe(|| sim.block_on(body())));
    *caught.unwrap_err().downcast::<String>().unwrap()
}

#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no {part:?} in:\n{message}");
    }
}

#[test]
fn it_draws_the_tree_and_says_what_each_waits_for() {
    watchdog(|| {
        for seed in 0..20 {
            let message = deadlock(seed, async || {
                let app = service_fn("app", async |ctx: Context| {
                    ctx.task::<_, ()>(pending()).name("lost").spawn()?;
                    ctx.task(async {
                        spawn(async { sleep(Duration::MAX).await });
                        Ok(())
                    })
                    .name("parent")
                    .spawn()?;
                    let inner = ctx.clone();
                    ctx.task(async move {
                        inner.cancelled().await;
                        Ok(())
                    })
                    .name("polite")
                    .spawn()?;
                    sleep(Duration::from_secs(2)).await;
                    let task = ctx.task::<_, ()>(pending()).name("endless").spawn()?;
                    task.await?;
                    Ok(())
                });
                Manager::run_service(app).await.unwrap();
            });
            says(
                &message,
                &[
                    &format!("seed {seed}, at step "),
                    "2s of virtual time",
                    "└─ ",
                    "the future in `block_on`: the end of app #2 (`wait_finished`)",
                    "app #2: the result of app/endless #",
                    "app/lost #",
                    ": something outside this crate",
                    "app/parent #",
                    ": its children: app/parent/it_draws_the_tree_and_says_what_each_waits_for #",
                    ": a sleep that never ends",
                    "app/polite #",
                    ": the cancellation of itself or of app #2 (`Context::cancelled`)",
                    "app/endless #",
                ],
            );
        }
    });
}

/// A service that waits for room which none of its tasks leaves.
#[test]
fn a_wait_for_room_names_the_parent() {
    watchdog(|| {
        let message = deadlock(3, async || {
            let app = service_fn("app", async |ctx: Context| {
                ctx.task::<_, ()>(pending()).name("stays").spawn()?;
                ctx.task(async { Ok(()) }).spawn_when_room().await?;
                Ok(())
            });
            let app = Manager::builder(app).max_children(1).build().unwrap();
            app.run().await.unwrap();
        });
        let wait = "app #2: room under app #2 (`spawn_when_room`)";
        says(&message, &[wait, "app/stays #"]);
    });
}

#[test]
fn a_cleanup_that_never_ends_is_found() {
    watchdog(|| {
        let message = deadlock(5, async || {
            let task = spawn(finally(pending::<()>(), pending()));
            sleep(Duration::from_secs(1)).await;
            task.cancel();
            task.wait_done().await;
        });
        says(
            &message,
            &[
                "the future in `block_on`: finally #2 to be done (`wait_done`)",
                ": inside protection or a cleanup, something outside this crate",
            ],
        );
    });
}

#[test]
fn it_says_for_whom_each_waits() {
    watchdog(|| {
        let message = deadlock(3, async || {
            let early = Manager::new(service_fn("early", async |_| Ok(()))).unwrap();
            let db = service_fn("db", async |ctx: Context| {
                ctx.cancelled().await;
                Ok(())
            });
            let db = Handle::current().start(db).unwrap();
            let (before, ready, call) = (early.clone(), db.clone(), db.clone());
            let root = |name| Handle::current().task(pending::<()>()).name(name).spawn();
            let (left, right) = (root("left"), root("right"));
            let waiting = Handle::current();
            waiting
                .task(async move { before.wait_started().await })
                .name("starts")
                .spawn();
            waiting
                .task(async move { ready.wait_ready().await.unwrap() })
                .name("readies")
                .spawn();
            waiting
                .task(async move { call.external_api(pending::<()>()).await.unwrap() })
                .name("calls")
                .spawn();
            let runtime = Runtime::builder().workers(0).build().unwrap();
            let stranger = runtime.task(pending::<()>()).name("stranger").spawn();
            let mut stranger = pin!(stranger);
            let wide = waiting
                .task(async {
                    for _ in 0..6 {
                        spawn(pending::<()>());
                    }
                })
                .name("wide")
                .spawn();
            let mut first = pin!(left.wait_done());
            let mut second = pin!(right);
            let mut third = pin!(wide);
            poll_fn(|cx| {
                let ready = first.as_mut().poll(cx).is_ready()
                    || second.as_mut().poll(cx).is_ready()
                    || third.as_mut().poll(cx).is_ready()
                    || stranger.as_mut().poll(cx).is_ready();
                if ready {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        });
        says(
            &message,
            &[
                "the future in `block_on`: left #3 to be done (`wait_done`), or the result of right #4, or the result of wide #",
                "stranger #3, which is not in this simulation",
                "db #2: the cancellation of itself or of db #2 (`Context::cancelled`)",
                "starts #5: the start of early, which has not been started (`wait_started`)",
                "readies #6: db #2 to be ready (`wait_ready`)",
                "calls #7: a call on behalf of db #2, or its end",
                ", and 2 more",
            ],
        );
    });
}

#[test]
fn nothing_at_all_is_a_deadlock_too() {
    watchdog(|| {
        let message = deadlock(0, async || pending().await);
        says(&message, &["(no tasks)", "something outside this crate"]);
    });
}

#[test]
fn a_long_list_is_cut() {
    watchdog(|| {
        let message = deadlock(0, async || {
            for _ in 0..10_000 {
                spawn(pending::<()>());
            }
            pending().await
        });
        says(&message, &["… and 9800 more", "… and 9801 more"]);
        assert!(message.lines().count() < 500);
    });
}

#[test]
fn check_passes_it_on() {
    watchdog(|| {
        let caught = catch_unwind(|| sim::check(7..9, async || pending().await));
        let message = *caught.unwrap_err().downcast::<String>().unwrap();
        says(&message, &["seed 7", "deadlock", "TASKGROVE_SEED=7"]);
    });
}
