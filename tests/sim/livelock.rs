//! Time stands still while anything is ready; the report of a livelock names the tasks that stay ready.

use crate::common::{Event, suspend, watchdog};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use taskgrove::time::{now, sleep, timeout};
use taskgrove::{Context, Handle, service_fn, sim::Sim, sim::external_work, spawn, yield_now};

/// The message that this body panics with.
fn panics(sim: &Sim, body: impl AsyncFnOnce()) -> String {
    let caught = catch_unwind(AssertUnwindSafe(|| sim.block_on(body())));
    *caught.unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn what_needs_many_polls_needs_no_time() {
    watchdog(|| {
        let sim = Sim::new(1);
        sim.block_on(async {
            let yields = async {
                for _ in 0..20_000 {
                    yield_now().await;
                }
            };
            let in_time = timeout(Duration::from_secs(3600), yields).await;
            in_time.expect("that takes no time");
        });
        assert_eq!(sim.elapsed(), Duration::ZERO);
    });
}

#[test]
fn whoever_goes_round_is_named_and_no_time_has_passed() {
    watchdog(|| {
        let sim = Sim::new(3);
        let message = panics(&sim, async || {
            let app = service_fn("app", async |ctx: Context| {
                let spin = async {
                    let begin = now();
                    while now() < begin + Duration::from_secs(5) {
                        yield_now().await;
                    }
                    Ok(())
                };
                ctx.task(spin).name("spinner").spawn()?;
                ctx.cancelled().await;
                Ok(())
            });
            Handle::current().start(app).unwrap();
            sleep(Duration::from_secs(60)).await;
        });
        assert!(message.starts_with("livelock in the simulation with seed 3, at step "));
        assert!(message.contains("after 0ns of virtual time"), "{message}");
        assert!(
            message.contains("who goes round:\n  app/spinner #"),
            "{message}"
        );
        assert_eq!(sim.elapsed(), Duration::ZERO);
        // It can go on, with what does not go round.
        sim.block_on(async { yield_now().await });
    });
}

#[test]
fn the_future_in_block_on_is_named() {
    watchdog(|| {
        let message = panics(&Sim::new(1), async || {
            loop {
                yield_now().await
            }
        });
        assert!(
            message.contains("  the future in `block_on`: "),
            "{message}"
        );
    });
}

#[test]
fn a_wait_for_work_outside_may_go_round() {
    watchdog(|| {
        let sim = Sim::new(1);
        sim.block_on(async {
            let (there, work) = (Event::new(), external_work());
            let (set, handle) = (there.clone(), Handle::current());
            let polls = move || handle.metrics().polls;
            let thread = std::thread::spawn(move || {
                // Long after the simulation would have been found going round.
                while polls() < 1_200_000 {
                    std::thread::yield_now();
                }
                set.set();
                drop(work);
            });
            let spin = spawn(async move {
                while !there.is_set() {
                    yield_now().await;
                }
            });
            spin.await.unwrap();
            thread.join().unwrap();
        });
    });
}

#[test]
fn a_drop_ends_what_goes_round() {
    watchdog(|| {
        let sim = Sim::new(1);
        let task = sim.handle().spawn(async {
            loop {
                suspend().await
            }
        });
        sim.block_on(async { yield_now().await });
        drop(sim);
        assert!(task.is_done());
    });
}
