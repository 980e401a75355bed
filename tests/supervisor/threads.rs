//! Supervisors on threads.

use crate::world::MS;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use taskgrove::supervisor::{Backoff, ChildSpec, Restart, Strategy, Supervisor, SupervisorError};
use taskgrove::{Manager, Runtime, service_fn, time};

/// Counts the incarnations of a child that exist.
#[derive(Default)]
struct Count {
    alive: AtomicUsize,
    made: AtomicUsize,
}

struct Alive(Arc<Count>);

impl Alive {
    fn new(count: &Arc<Count>) -> Alive {
        assert_eq!(
            count.alive.fetch_add(1, Ordering::AcqRel),
            0,
            "two incarnations overlap"
        );
        count.made.fetch_add(1, Ordering::AcqRel);
        Alive(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::AcqRel);
    }
}

fn failing(name: &'static str, count: &Arc<Count>) -> ChildSpec {
    let count = count.clone();
    ChildSpec::new(name, move || {
        let alive = Alive::new(&count);
        service_fn(name, async move |ctx| {
            let _alive = alive;
            ctx.set_ready();
            for _ in 0..3 {
                taskgrove::yield_now().await;
            }
            Err("again".into())
        })
    })
}

#[test]
fn children_fail_while_callers_start_stop_and_restart_them() {
    for strategy in [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ] {
        crate::common::on_workers(4, async move || {
            let counts: [Arc<Count>; 3] = Default::default();
            let mut supervisor = Supervisor::new(strategy).intensity(usize::MAX, Duration::MAX);
            let names = ["a", "b", "c"];
            for (name, count) in names.iter().zip(&counts) {
                supervisor = supervisor.child(failing(name, count).wait_ready(Duration::MAX));
            }
            let handle = supervisor.handle();
            let manager = taskgrove::Handle::current().start(supervisor).unwrap();
            let callers: Vec<_> = (0..4)
                .map(|n| {
                    let (handle, count) = (handle.clone(), Arc::<Count>::default());
                    taskgrove::spawn(async move {
                        let own = ["w", "x", "y", "z"][n];
                        for round in 0..50 {
                            let name = names[(n + round) % 3];
                            let _ = handle.restart_child(name).await;
                            let _ = handle.stop_child(name).await;
                            let _ = handle.restart_child(name).await;
                            let spec = failing(own, &count).restart(Restart::Transient);
                            let _ = handle
                                .start_child(spec.backoff(Backoff::constant(MS)))
                                .await;
                            handle.remove_child(own).await.unwrap();
                            let seen = handle.children();
                            assert!(seen.len() <= 7, "{seen:?}");
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.await.unwrap();
            }
            manager.stop().await.unwrap();
            assert!(manager.result().unwrap().is_ok(), "{:?}", manager.result());
            for count in counts {
                assert!(count.made.load(Ordering::Acquire) > 10);
                assert_eq!(count.alive.load(Ordering::Acquire), 0);
            }
        });
    }
}

/// Stops and kills of a supervisor race with its restarts.
#[test]
fn a_stop_or_a_kill_at_any_time_leaves_nothing_behind() {
    crate::common::watchdog(|| {
        let runtime = Runtime::builder().workers(3).build().unwrap();
        for round in 0..200_u32 {
            let count = Arc::<Count>::default();
            let supervisor = Supervisor::new(Strategy::OneForAll)
                .intensity(usize::MAX, Duration::MAX)
                .child(ChildSpec::new("idle", || {
                    service_fn("idle", async |_| pending().await)
                }))
                .child(failing("a", &count));
            let handle = supervisor.handle();
            let manager: Manager = runtime.start(supervisor).unwrap();
            runtime.block_on(async {
                if round % 3 > 0 {
                    let _ = handle.wait_child("a").await;
                }
                for _ in 0..round % 50 {
                    taskgrove::yield_now().await;
                }
                if round % 2 == 0 {
                    manager.stop().await.unwrap();
                } else {
                    manager.kill().unwrap();
                    manager.wait_finished().await;
                }
                let late = handle.wait_child("a").await;
                assert!(matches!(late, Err(SupervisorError::NotRunning)));
            });
            assert_eq!(count.alive.load(Ordering::Acquire), 0);
            assert!(runtime.snapshot().is_empty());
        }
    });
}

/// Handles are used by threads outside the runtime, also after its end.
#[test]
fn a_runtime_may_end_before_its_supervisors() {
    crate::common::watchdog(|| {
        let runtime = Runtime::new().unwrap();
        let spec = || ChildSpec::new("a", || service_fn("a", async |_| pending().await));
        let supervisor = Supervisor::new(Strategy::OneForOne).child(spec());
        let handle = supervisor.handle();
        let manager = runtime.start(supervisor).unwrap();
        let (outside, up) = (handle.clone(), crate::common::Event::new());
        let seen = up.clone();
        let thread = std::thread::spawn(move || {
            futures_lite::future::block_on(async {
                outside.wait_child("a").await.unwrap();
                seen.set();
                loop {
                    match outside.restart_child("a").await {
                        Ok(_) => {}
                        Err(error) => return error,
                    }
                }
            })
        });
        runtime.block_on(async {
            up.wait().await;
            time::sleep(MS * 5).await;
        });
        drop(runtime);
        assert!(matches!(
            thread.join().unwrap(),
            SupervisorError::NotRunning
        ));
        assert!(manager.is_finished() && handle.child("a").is_none());
    });
}
