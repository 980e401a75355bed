//! Runtimes that go while other threads cancel, look, spawn and drop.

use super::destructors::build;
use crate::common::{Counter, Event, OnDrop, watchdog};
use std::future::pending;
use std::time::Duration;
use taskgrove::{Handle, Runtime, finally, service_fn, shielded, spawn, time};

/// How many times a race is run.
const ROUNDS: usize = 40;

/// Spawns this many tasks below one root, each of which spawns one more in its destructor.
fn forest(runtime: &Runtime, count: usize, live: &Counter) -> taskgrove::Task<()> {
    let (live, ready) = (live.clone(), Event::new());
    let root = {
        let ready = ready.clone();
        runtime.spawn(async move {
            for _ in 0..count {
                let (here, later) = (live.live(), live.clone());
                drop(spawn(async move {
                    let _here = here;
                    let _more = OnDrop::new(move || {
                        let there = later.live();
                        drop(spawn(async move {
                            let _there = there;
                            pending::<()>().await;
                        }));
                    });
                    pending::<()>().await;
                }));
            }
            ready.set();
            pending::<()>().await;
        })
    };
    runtime.block_on(ready.wait());
    root
}

/// Two threads cancel a root with 20,000 tasks below it, a third takes snapshots, and each destructor
/// spawns. Every future is dropped, and the root is done.
#[test]
fn two_threads_cancel_a_large_tree_whose_destructors_spawn() {
    for workers in [1, 3] {
        watchdog(move || {
            let (runtime, live) = (build(workers), Counter::new());
            let root = forest(&runtime, 20_000, &live);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| root.cancel());
                }
                scope.spawn(|| {
                    while !root.is_done() {
                        let _ = runtime.snapshot();
                    }
                });
            });
            assert!(runtime.block_on(root).is_err());
            drop(runtime);
            assert_eq!(live.get(), 0);
        });
    }
}

/// A runtime is dropped while other threads look at it, spawn into it and cancel its services.
#[test]
fn a_runtime_is_dropped_while_other_threads_use_it() {
    for workers in [0, 1, 2] {
        watchdog(move || {
            for _ in 0..ROUNDS {
                let (runtime, live) = (build(workers), Counter::new());
                let root = forest(&runtime, 30, &live);
                let manager = runtime
                    .start(service_fn("s", async |ctx: taskgrove::Context| {
                        ctx.cancelled().await;
                        Ok(())
                    }))
                    .expect("it starts");
                let handle: Handle = runtime.handle().clone();
                let uses = [
                    std::thread::spawn({
                        let handle = handle.clone();
                        move || (0..50).for_each(|_| drop(handle.snapshot()))
                    }),
                    std::thread::spawn({
                        let (handle, live) = (handle.clone(), live.clone());
                        move || {
                            for _ in 0..50 {
                                let here = live.live();
                                drop(handle.spawn(async move {
                                    let _here = here;
                                    pending::<()>().await;
                                }));
                            }
                        }
                    }),
                    // The last handle and the last manager may go here.
                    std::thread::spawn(move || {
                        let _ = manager.cancel();
                        root.cancel();
                        drop((manager, root, handle));
                    }),
                ];
                drop(runtime);
                for thread in uses {
                    thread.join().expect("no panic");
                }
                assert_eq!(live.get(), 0);
            }
        });
    }
}

/// Grace periods end while their runtime is dropped, or shuts down, on a worker of another runtime.
#[test]
fn a_grace_ends_while_a_task_of_another_runtime_drops_its_runtime() {
    watchdog(|| {
        let outer = build(2);
        for round in 0..ROUNDS {
            let (runtime, live) = (build(round % 3), Counter::new());
            let (here, ready) = (live.live(), Event::new());
            let inside = ready.clone();
            let service = service_fn("graceful", async move |ctx: taskgrove::Context| {
                let here = here;
                ctx.task::<_, ()>(async move {
                    let _here = here;
                    inside.set();
                    shielded(pending::<()>()).await;
                    Ok(())
                })
                .grace(Duration::from_millis(1))
                .spawn()?;
                finally(pending::<()>(), async {
                    time::sleep(Duration::from_millis(1)).await;
                })
                .await;
                Ok(())
            });
            let manager = runtime.start(service).expect("it starts");
            runtime.block_on(ready.wait());
            manager.cancel().expect("it runs");
            let ended = outer.spawn(async move {
                std::thread::sleep(Duration::from_micros(600 + 20 * round as u64));
                if round % 2 == 0 {
                    drop(runtime);
                } else {
                    let _ = runtime.shutdown_timeout(Duration::from_millis(1));
                }
            });
            assert!(outer.block_on(ended).is_ok());
            assert_eq!(live.get(), 0);
            assert!(manager.is_finished());
        }
    });
}
