//! What a deadlock says.

use crate::common::watchdog;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use taskgrove::time::sleep;
use taskgrove::{Context, Manager, finally, service_fn, sim, sim::Sim, spawn};

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
                    "the future in `block_on`: the end of a service (`wait_finished`)",
                    "app #2: the result of a task",
                    "app/lost #",
                    ": something outside this crate",
                    "app/parent #",
                    ": its children",
                    ": a sleep that never ends",
                    "app/polite #",
                    ": a cancellation to be asked for",
                    "app/endless #",
                ],
            );
        }
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
                "the future in `block_on`: a task to be done (`wait_done`)",
                ": inside protection or a cleanup, something outside this crate",
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
