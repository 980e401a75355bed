//! A worker that runs code of the user's has nothing in hand that others wait for: no task, no waker, no
//! claim.

use super::destructors::{Latch, build};
use crate::common::{Event, OnDrop, watchdog};
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use taskgrove::{Runtime, shielded, spawn, time};

/// Runs a closure when it is woken.
struct Calls<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Calls<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn calls(f: impl Fn() + Send + Sync + 'static) -> Waker {
    Arc::new(Calls(f)).into()
}

/// Blocks one of the runtime's two workers until the latch is opened; the other one runs what is spawned
/// meanwhile.
fn occupy(runtime: &Runtime, until: &Latch) {
    let (there, until) = (Event::new(), until.clone());
    let set = there.clone();
    drop(runtime.spawn(async move {
        set.set();
        until.wait();
    }));
    runtime.block_on(there.wait());
}

/// The end of a task brings its parent's turn, and the parent's destructor waits for the task that is
/// queued behind: the other worker, which is idle by then, runs that.
#[test]
fn a_parents_destructor_waits_for_the_next_task_in_the_queue() {
    watchdog(|| {
        let runtime = build(2);
        let (in_destructor, ran) = (Latch::default(), Latch::default());
        let (there, go) = (Event::new(), Event::new());
        let parent = {
            let (there, go) = (there.clone(), go.clone());
            let (ran, inside) = (ran.clone(), in_destructor.clone());
            runtime.spawn(async move {
                let _waits = OnDrop::new(move || {
                    inside.open();
                    ran.wait();
                });
                drop(spawn(shielded(async move {
                    there.set();
                    go.wait().await;
                })));
                pending::<()>().await;
            })
        };
        runtime.block_on(there.wait());
        parent.cancel();
        // The walk of that request has begun when this one has, and ends before its worker goes on.
        let other = runtime.spawn(async {
            drop(spawn(pending::<()>()));
            pending::<()>().await;
        });
        other.cancel();
        assert!(runtime.block_on(other).is_err());
        occupy(&runtime, &in_destructor);
        // On the worker that is free: the child's last poll, and the next task behind it.
        drop(runtime.spawn(async move {
            go.set();
            drop(spawn(async move { ran.open() }));
        }));
        assert!(
            runtime
                .block_on(parent)
                .expect_err("cancelled")
                .is_cancelled()
        );
    });
}

/// Two wakers of strangers that wait for each other; `wait` makes a wait that the second gives up.
fn two_wakers(workers: usize, until: impl AsyncFnOnce(Waker) + Send + Clone + 'static) {
    watchdog(move || {
        let runtime = build(workers);
        let both = Arc::new(Barrier::new(2));
        let waker = calls(move || {
            both.wait();
        });
        runtime.block_on(until(waker));
        drop(runtime);
    });
}

/// Timers that are due together.
#[test]
fn a_timers_waker_waits_for_anothers() {
    two_wakers(3, async |waker| {
        let woken = Event::new();
        let set = woken.clone();
        let at = time::now() + Duration::from_millis(5);
        let mut sleeps = [(); 2].map(|()| time::sleep_until(at));
        let mut last = time::sleep_until(at);
        let also = calls(move || set.set());
        for sleep in &mut sleeps {
            assert!(
                pin!(sleep)
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        assert!(
            pin!(&mut last)
                .poll(&mut Context::from_waker(&also))
                .is_pending()
        );
        woken.wait().await;
        for sleep in sleeps {
            sleep.await;
        }
    });
}

/// The timers of a runtime that ends.
#[test]
fn a_timers_waker_waits_for_anothers_when_the_runtime_ends() {
    // They outlive the runtime.
    static SLEEPS: Mutex<Vec<time::Sleep>> = Mutex::new(Vec::new());
    two_wakers(3, async |waker| {
        for _ in 0..2 {
            let mut sleep = time::sleep(Duration::from_secs(3600));
            assert!(
                pin!(&mut sleep)
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            SLEEPS.lock().unwrap().push(sleep);
        }
    });
}

/// Those who wait for the end of one task.
#[test]
fn a_wait_lists_waker_waits_for_anothers() {
    two_wakers(3, async |waker| {
        let end = Event::new();
        let task = Arc::new({
            let end = end.clone();
            spawn(async move { end.wait().await })
        });
        let mut waits: Vec<_> = (0..2)
            .map(|_| {
                let task = task.clone();
                Box::pin(async move { task.wait_done().await })
            })
            .collect();
        for wait in &mut waits {
            assert!(
                wait.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        end.set();
        task.wait_done().await;
        drop(waits);
    });
}

/// A task's join waker, and one that hears of its end otherwise, wait for the end of the task's parent.
#[test]
fn a_waker_waits_for_the_parent_of_what_it_hears_of() {
    for by_handle in [true, false] {
        watchdog(move || {
            let runtime = build(2);
            let (parent_is_gone, woken) = (Latch::default(), Event::new());
            let waker = {
                let (gone, set) = (parent_is_gone.clone(), woken.clone());
                calls(move || {
                    gone.wait();
                    set.set();
                })
            };
            let handles = crate::common::Queue::new();
            let parent = {
                let (gone, handles) = (parent_is_gone.clone(), handles.clone());
                runtime.spawn(async move {
                    let _gone = OnDrop::new(move || gone.open());
                    handles.send(spawn(pending::<()>()));
                    pending::<()>().await;
                })
            };
            let mut child = runtime.block_on(handles.recv());
            let mut cx = Context::from_waker(&waker);
            if by_handle {
                assert!(pin!(&mut child).poll(&mut cx).is_pending());
                parent.cancel();
                runtime.block_on(woken.wait());
            } else {
                let mut wait = Box::pin(child.wait_done());
                assert!(wait.as_mut().poll(&mut cx).is_pending());
                parent.cancel();
                runtime.block_on(woken.wait());
            }
        });
    }
}

/// A waker that hears of a cancellation waits for the end of what is cancelled.
#[test]
fn a_waker_waits_for_the_end_of_the_cancellation_it_hears_of() {
    watchdog(|| {
        let runtime = build(2);
        let (gone, woken) = (Latch::default(), Event::new());
        let waker = {
            let (gone, set) = (gone.clone(), woken.clone());
            calls(move || {
                gone.wait();
                set.set();
            })
        };
        let contexts = crate::common::Queue::new();
        let (send, open) = (contexts.clone(), gone.clone());
        let service = taskgrove::service_fn("service", async move |ctx: taskgrove::Context| {
            let _gone = OnDrop::new(move || open.open());
            for _ in 0..3 {
                drop(ctx.run_task(pending::<taskgrove::Result>())?);
            }
            taskgrove::yield_now().await;
            send.send(ctx);
            pending::<taskgrove::Result>().await
        });
        let manager = runtime.start(service).expect("started");
        let ctx = runtime.block_on(contexts.recv());
        let mut cancelled = Box::pin(ctx.cancelled());
        assert!(
            cancelled
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        runtime.block_on(manager.stop()).expect("started");
        runtime.block_on(woken.wait());
    });
}

/// However the wakers of strangers are handed on, each is called before the runtime is gone.
#[test]
fn every_waker_is_called_before_the_runtime_is_gone() {
    watchdog(|| {
        for _ in 0..50 {
            let runtime = build(3);
            let counter = crate::common::Counter::new();
            let tasks: Vec<_> = (0..20).map(|_| runtime.spawn(pending::<()>())).collect();
            let counts = counter.clone();
            let waker = calls(move || {
                counts.add();
            });
            let mut waits: Vec<_> = (tasks.iter().chain(&tasks))
                .map(|task| Box::pin(task.wait_done()))
                .collect();
            for wait in &mut waits {
                assert!(
                    wait.as_mut()
                        .poll(&mut Context::from_waker(&waker))
                        .is_pending()
                );
            }
            drop(runtime);
            assert_eq!(counter.get(), waits.len());
        }
    });
}
