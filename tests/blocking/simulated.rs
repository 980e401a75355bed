//! In a simulation a closure runs in place.

use crate::common::watchdog;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use taskgrove::sim::{self, Sim};
use taskgrove::time::{now, sleep};
use taskgrove::{Context, Handle, NodeState, TaskId, run_blocking, service_fn, spawn};

#[test]
fn it_runs_in_place_and_takes_no_time() {
    watchdog(|| {
        let run = |seed| {
            let sim = Sim::new(seed);
            let thread = std::thread::current().id();
            sim.block_on(async {
                let task = spawn(async move {
                    let task = run_blocking(move || {
                        assert_eq!(std::thread::current().id(), thread);
                        let here = Handle::current().snapshot();
                        let me = here
                            .nodes()
                            .iter()
                            .find(|n| Some(n.id) == TaskId::current());
                        assert_eq!(me.unwrap().state, NodeState::Blocking);
                        now()
                    });
                    sleep(Duration::from_secs(5)).await;
                    task.await.unwrap()
                });
                assert_eq!(task.await.unwrap() + Duration::from_secs(5), now());
            });
            assert_eq!(sim.elapsed(), Duration::from_secs(5));
            (sim.steps(), sim.fingerprint())
        };
        for seed in 0..50 {
            assert_eq!(run(seed), run(seed), "seed {seed}");
        }
    });
}

/// In some schedules the cancellation comes first, and then the closure never runs; in others its value counts.
#[test]
fn cancelled_before_it_begins_it_never_runs() {
    watchdog(|| {
        let seen = Arc::new(Mutex::new([0, 0]));
        let count = seen.clone();
        sim::check(0..200, async move || {
            let ran = Arc::new(Mutex::new(false));
            let mark = ran.clone();
            let m = Handle::current()
                .start(service_fn("app", async move |ctx: Context| {
                    ctx.run_blocking(move || {
                        *mark.lock().unwrap() = true;
                        Ok(())
                    })?;
                    pending().await
                }))
                .unwrap();
            taskgrove::yield_now().await;
            m.stop().await.unwrap();
            let ran = *ran.lock().unwrap();
            count.lock().unwrap()[usize::from(ran)] += 1;
            let stats = m.stats().tasks;
            assert_eq!(stats.total_count, stats.finished_count);
        });
        let seen = *seen.lock().unwrap();
        assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    });
}
