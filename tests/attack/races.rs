//! Walks that hold tasks while these go on.

use crate::common::{Event, on_two_workers};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use taskgrove::{Context, Manager, NodeState, service_fn, shielded, spawn, yield_now};

/// A service with many tasks; what `more` schedules is met first by a walk.
fn large(more: impl FnOnce(&Context) + Send + 'static, ready: Event) -> Manager {
    let service = service_fn("large", async move |ctx: Context| {
        for _ in 0..200_000 {
            ctx.run_task(pending())?;
        }
        more(&ctx);
        ready.set();
        pending().await
    });
    let built = Manager::builder(service).max_children(1 << 20).build();
    built.expect("a manager")
}

/// A task whose turn has come ends at its next suspension after a shield, also while somebody
/// takes a snapshot of it.
#[test]
fn a_snapshot_does_not_take_a_turn_back() {
    on_two_workers(async || {
        let ready = Event::new();
        let release = Arc::new(AtomicBool::new(false));
        let outran = Arc::new(AtomicUsize::new(0));
        let (go, count) = (release.clone(), outran.clone());
        let (tx, rx) = std::sync::mpsc::channel();
        let manager = large(
            move |ctx| {
                let task = ctx.task(async move {
                    shielded(async {
                        while !go.load(Ordering::Acquire) {
                            yield_now().await;
                        }
                    })
                    .await;
                    // From here on the task's time is over.
                    loop {
                        yield_now().await;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
                let _ = tx.send(task.name("victim").spawn().expect("spawned"));
            },
            ready.clone(),
        );
        let background = manager.clone();
        let run = spawn(async move { background.run().await });
        ready.wait().await;
        let task: taskgrove::Task<()> = rx.recv().expect("sent");
        let polls = || {
            let picture = taskgrove::Handle::current().snapshot();
            let victim = picture.nodes().iter().find(|n| n.name == "victim");
            victim.map(|n| (n.state, n.polls))
        };
        while polls().is_none_or(|(_, polls)| polls == 0) {
            yield_now().await;
        }
        task.cancel();
        // Its turn has come: it has no children, and the walk is over.
        for _ in 0..3 {
            assert_ne!(polls().map(|p| p.0), Some(NodeState::Parked));
        }
        let picture = {
            let manager = manager.clone();
            std::thread::spawn(move || manager.snapshot().len())
        };
        // In the middle of that, most likely.
        taskgrove::time::sleep(Duration::from_millis(20)).await;
        release.store(true, Ordering::Release);
        assert!(picture.join().expect("a picture") > 200_000);
        let _ = task.await;
        let outran = outran.load(Ordering::Relaxed);
        manager.stop().await.expect("started");
        let _ = run.await;
        assert_eq!(outran, 0, "awaits that were got past after the turn");
    });
}

/// What is born while a snapshot is taken is young.
#[test]
fn what_is_born_during_a_snapshot_is_not_weeks_old() {
    on_two_workers(async || {
        let ready = Event::new();
        let told = ready.clone();
        let manager = {
            let service = service_fn("large", async move |ctx: Context| {
                // The oldest: its children are met last.
                let breeder = ctx.clone();
                ctx.run_task(async move {
                    loop {
                        breeder.run_task(async {
                            for _ in 0..2000 {
                                yield_now().await;
                            }
                            Ok(())
                        })?;
                        yield_now().await;
                    }
                })?;
                for _ in 0..50_000 {
                    ctx.run_task(pending())?;
                }
                told.set();
                pending().await
            });
            let built = Manager::builder(service).max_children(1 << 20).build();
            built.expect("a manager")
        };
        let background = manager.clone();
        let run = spawn(async move { background.run().await });
        let mut oldest = Duration::ZERO;
        ready.wait().await;
        for _ in 0..5 {
            yield_now().await;
            let picture = manager.snapshot();
            oldest = oldest.max(
                picture
                    .nodes()
                    .iter()
                    .map(|n| n.age)
                    .max()
                    .unwrap_or_default(),
            );
        }
        manager.stop().await.expect("started");
        let _ = run.await;
        assert!(oldest < Duration::from_secs(3600), "{oldest:?}");
    });
}
