//! Other threads take snapshots, spawn, wake and cancel, and complete what the simulation waits for.

use crate::common::{Counter, Event, OnDrop, poll_idle, watchdog};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;
use taskgrove::time::{sleep, timeout};
use taskgrove::{
    CancelHandle, Context, Handle, service_fn, shielded,
    sim::{Sim, external_work},
    spawn, yield_now,
};

/// Repeats `f` on a thread of its own until dropped.
struct Repeated(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Repeated {
    /// Returns once `f` has been called.
    fn new(mut f: impl FnMut() + Send + 'static) -> Repeated {
        let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(2)));
        let (stopped, there) = (stop.clone(), begun.clone());
        let thread = thread::spawn(move || {
            f();
            there.wait();
            while !stopped.load(Ordering::Relaxed) {
                f();
            }
        });
        begun.wait();
        Repeated(stop, Some(thread))
    }
}

impl Drop for Repeated {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().unwrap().join().unwrap();
    }
}

type Wakers = Arc<Mutex<Vec<Waker>>>;

/// Never ends; leaves its waker.
fn leaves_its_waker(wakers: &Wakers) -> impl Future<Output = ()> + Send + 'static {
    let wakers = wakers.clone();
    poll_fn(move |cx| {
        wakers.lock().unwrap().push(cx.waker().clone());
        Poll::Pending
    })
}

/// A simulation with `count` idle tasks, each below another, that count how often they are dropped.
fn populated(seed: u64, count: usize, dropped: &Counter) -> (Sim, Wakers, Vec<CancelHandle>) {
    let (sim, wakers) = (Sim::new(seed), Wakers::default());
    let cancels = sim.block_on(async {
        let mut cancels = Vec::new();
        for _ in 0..count {
            let (leaf, root) = (dropped.dropped(), dropped.dropped());
            let (waits, there) = (leaves_its_waker(&wakers), Event::new());
            let set = there.clone();
            let task = spawn(async move {
                let _root = root;
                spawn(async move {
                    let _leaf = leaf;
                    set.set();
                    waits.await;
                });
                pending::<()>().await;
            });
            there.wait().await;
            cancels.push(task.cancel_handle());
        }
        cancels
    });
    (sim, wakers, cancels)
}

#[test]
fn a_drop_while_another_thread_looks_drops_every_future() {
    watchdog(|| {
        for seed in 0..200 {
            let dropped = Counter::new();
            let (sim, wakers, _) = populated(seed, 20, &dropped);
            let handle = sim.handle().clone();
            let looks = Repeated::new(move || drop(handle.snapshot()));
            drop(sim);
            assert_eq!(dropped.get(), 40, "seed {seed}");
            drop(looks);
            for waker in wakers.lock().unwrap().drain(..) {
                waker.wake();
            }
        }
    });
}

#[test]
fn a_drop_while_other_threads_spawn_wake_and_cancel_drops_every_future() {
    watchdog(|| {
        for seed in 0..100 {
            let (dropped, spawned) = (Counter::new(), Counter::new());
            let (sim, wakers, cancels) = populated(seed, 20, &dropped);
            let app = service_fn("app", async |ctx: Context| {
                ctx.cancelled().await;
                Ok(())
            });
            let manager = sim.handle().start(app).unwrap();
            let storm = {
                let (handle, wakers, manager) =
                    (sim.handle().clone(), wakers.clone(), manager.clone());
                let (dropped, spawned, mut at) = (dropped.clone(), spawned.clone(), 0);
                Repeated::new(move || {
                    at += 1;
                    if at % 3 == 0 {
                        let dropped = dropped.dropped();
                        spawned.add();
                        handle.spawn(async move {
                            let _dropped = dropped;
                            pending::<()>().await
                        });
                    }
                    let waker = wakers.lock().unwrap().get(at % 20).cloned();
                    waker.unwrap().wake();
                    if at % 7 == 0 {
                        cancels[at / 7 % 20].cancel();
                        drop(manager.snapshot());
                    }
                })
            };
            sim.block_on(async {
                for _ in 0..100 {
                    yield_now().await;
                }
            });
            drop(sim);
            drop(storm);
            assert_eq!(dropped.get(), 40 + spawned.get(), "seed {seed}");
            assert!(manager.is_finished());
            wakers.lock().unwrap().drain(..).for_each(Waker::wake);
        }
    });
}

#[test]
fn whoever_only_looks_makes_no_deadlock_and_no_time_pass() {
    watchdog(|| {
        for seed in 0..100 {
            let sim = Sim::new(seed);
            let handle = sim.handle().clone();
            let _looks = Repeated::new(move || drop(handle.snapshot()));
            sim.block_on(async {
                for _ in 0..50 {
                    let task = spawn(async { drop(spawn(yield_now())) });
                    task.await.unwrap();
                    let task = spawn(async { drop(spawn(yield_now())) });
                    let ended = timeout(Duration::from_secs(1), task.wait_done()).await;
                    ended.expect("it needs no time");
                }
            });
            assert_eq!(sim.elapsed(), Duration::ZERO, "seed {seed}");
        }
    });
}

#[test]
fn a_deadlock_is_found_while_another_thread_looks() {
    watchdog(|| {
        for seed in 0..50 {
            let sim = Sim::new(seed);
            let handle = sim.handle().clone();
            let _looks = Repeated::new(move || drop(handle.snapshot()));
            let caught = catch_unwind(AssertUnwindSafe(|| {
                sim.block_on(async { spawn(pending::<()>()).await })
            }));
            let message = *caught.unwrap_err().downcast::<String>().unwrap();
            assert!(message.contains("deadlock"), "{message}");
        }
    });
}

#[test]
fn what_another_thread_completes_is_waited_for_while_its_work_is_counted() {
    watchdog(|| {
        for seed in 0..100 {
            let sim = Sim::new(seed);
            let n = sim.block_on(async {
                let (there, work) = (Event::new(), external_work());
                let (set, handle) = (there.clone(), Handle::current());
                let timer = spawn(async { sleep(Duration::from_secs(3600)).await });
                let thread = thread::spawn(move || {
                    let task = handle.spawn(async { 7 });
                    set.set();
                    drop(work);
                    task
                });
                let in_time = timeout(Duration::from_secs(60), there.wait()).await;
                in_time.expect("no time passes until it comes");
                drop(timer);
                thread.join().unwrap().await.unwrap()
            });
            assert_eq!((n, sim.elapsed()), (7, Duration::ZERO), "seed {seed}");
        }
    });
}

#[test]
fn work_outside_that_ends_without_a_word_leaves_the_deadlock_it_was() {
    watchdog(|| {
        let sim = Sim::new(1);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            sim.block_on(async {
                let work = external_work();
                thread::spawn(move || drop(work));
                spawn(pending::<()>()).await
            })
        }));
        let message = *caught.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("deadlock"), "{message}");
        assert!(message.contains("external_work"), "{message}");
    });
}

#[test]
fn a_drop_does_not_wait_for_work_outside() {
    watchdog(|| {
        let sim = Sim::new(1);
        let work = sim.block_on(async { external_work() });
        drop(sim);
        drop(work);
    });
}

#[test]
fn a_runtime_takes_no_notice_of_work_outside() {
    watchdog(|| {
        let runtime = taskgrove::Runtime::builder().workers(0).build().unwrap();
        let work = runtime.block_on(async { external_work() });
        drop(runtime);
        drop(work);
        assert!(catch_unwind(|| drop(external_work())).is_err());
    });
}

#[test]
fn a_drop_moves_no_time_and_fires_no_timer_early() {
    watchdog(|| {
        let sim = Sim::new(1);
        let handle = sim.handle().clone();
        let late = Arc::new(Mutex::new(None));
        let noted = late.clone();
        sim.block_on(async {
            spawn(async move {
                let _noted = OnDrop::new(move || {
                    *noted.lock().unwrap() = Some(taskgrove::time::now());
                });
                sleep(Duration::from_secs(10)).await
            });
            yield_now().await;
            sleep(Duration::from_secs(1)).await;
        });
        let now = sim.block_on(async { taskgrove::time::now() });
        drop(sim);
        assert_eq!(*late.lock().unwrap(), Some(now));
        assert_eq!(handle.metrics().timers, 0);
    });
}

#[test]
fn a_snapshot_causes_no_poll() {
    watchdog(|| {
        for seed in 0..50 {
            let sim = Sim::new(seed);
            let polls = Counter::new();
            let counted = polls.clone();
            sim.block_on(async {
                let task = spawn(shielded(poll_fn(move |_| {
                    counted.add();
                    Poll::<()>::Pending
                })));
                sleep(Duration::from_secs(1)).await;
                task.cancel();
                sleep(Duration::from_secs(1)).await;
                let before = polls.get();
                for _ in 0..10 {
                    drop(Handle::current().snapshot());
                    sleep(Duration::from_secs(1)).await;
                }
                assert_eq!(polls.get(), before, "seed {seed}");
                assert!(!task.is_done() && poll_idle(&mut Box::pin(task.wait_done())).is_none());
            });
        }
    });
}
