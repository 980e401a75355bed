//! Wakers that panic, in every wait of the crate's: when they are woken, and when they are dropped,
//! which happens when another replaces them, when the wait is dropped, and when it is over.

use super::*;
use std::time::Duration;
use taskgrove::{sim::Sim, time};

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is waited for.
#[derive(Clone)]
struct Waits {
    m: Manager,
    ctx: Context,
    /// Not started.
    later: Manager,
    /// Stops when it may.
    held: Manager,
    task: Arc<Task<()>>,
    joined: Arc<Mutex<Option<Task<()>>>>,
}

type Make = fn(Waits) -> Wait;

/// Each public await, of something that has not happened.
const AWAITS: &[(&str, Make)] = &[
    ("a handle", |w| {
        let task = w.joined.lock().unwrap().take().unwrap();
        Box::pin(async move { drop(task.await) })
    }),
    ("cancel_on_drop", |w| {
        let task = w.joined.lock().unwrap().take().unwrap();
        Box::pin(async move { drop(task.cancel_on_drop().await) })
    }),
    ("wait_done", |w| {
        Box::pin(async move { w.task.wait_done().await })
    }),
    ("wait_started", |w| {
        Box::pin(async move { w.later.wait_started().await })
    }),
    ("wait_ready", |w| {
        Box::pin(async move { drop(w.m.wait_ready().await) })
    }),
    ("wait_finished", |w| {
        Box::pin(async move { w.m.wait_finished().await })
    }),
    ("stop", |w| {
        Box::pin(async move { drop(w.held.stop().await) })
    }),
    ("stop_timeout", |w| {
        Box::pin(async move { drop(w.held.stop_timeout(HOUR).await) })
    }),
    ("cancelled", |w| {
        Box::pin(async move { w.ctx.cancelled().await })
    }),
    ("external_api", |w| {
        Box::pin(async move { drop(w.m.external_api(pending::<()>()).await) })
    }),
    ("run", |w| {
        Box::pin(async move { drop(w.later.run().await) })
    }),
    ("background_service", |w| {
        Box::pin(async move {
            let stays = service_fn("stays", |_| pending());
            let body = async |_| w.m.wait_finished().await;
            drop(background_service(stays, body).await);
        })
    }),
    ("a shield in a background_service", |w| {
        Box::pin(async move {
            let stays = service_fn("stays", |_| pending());
            let body = async |_| shielded(w.m.wait_finished()).await;
            drop(background_service(stays, body).await);
        })
    }),
    ("shielded", |w| {
        Box::pin(async move { shielded(w.ctx.cancelled()).await })
    }),
    ("the body of finally", |w| {
        Box::pin(async move { finally(w.m.wait_finished(), async {}).await })
    }),
    ("the cleanup of finally", |w| {
        Box::pin(async move { finally(async {}, w.m.wait_finished()).await })
    }),
    ("sleep", |_| Box::pin(time::sleep(HOUR))),
    ("timeout", |w| {
        Box::pin(async move {
            let _ = time::timeout(HOUR, w.m.wait_finished()).await;
        })
    }),
    ("tick", |_| {
        Box::pin(async move {
            let mut ticks = time::interval(HOUR);
            ticks.tick().await;
            ticks.tick().await;
        })
    }),
];

const HOUR: Duration = Duration::from_secs(3600);

/// What happens to the wait after it was polled with the waker.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Then {
    /// It is polled with another one.
    Replaced,
    /// It is dropped.
    Dropped,
    /// What it waits for happens, and then it is dropped.
    Happens,
}

/// Polls once with a waker that panics: `in_task`, or outside of any.
async fn poll_badly(
    h: &Handle,
    wait: Wait,
    bad: &Waker,
    in_task: bool,
) -> (Wait, Option<Task<()>>) {
    let poll = |mut wait: Wait, bad: &Waker| {
        assert!(wait.as_mut().poll(&mut Cx::from_waker(bad)).is_pending());
        wait
    };
    if !in_task {
        return (poll(wait, bad), None);
    }
    let place = Arc::new(Mutex::new(None));
    let (give, given, bad) = (place.clone(), Event::new(), bad.clone());
    let set = given.clone();
    let task = h.spawn(async move {
        *give.lock().unwrap() = Some(poll(wait, &bad));
        let _ = catch_unwind(AssertUnwindSafe(|| drop(bad)));
        set.set();
        pending::<()>().await
    });
    given.wait().await;
    let wait = place.lock().unwrap().take().unwrap();
    (wait, Some(task))
}

/// One wait with one bad waker, and all that must be as if nothing had been. (`wake`: it panics when
/// it is woken, not when it is dropped.)
async fn one(h: &Handle, make: Make, wake: bool, in_task: bool, then: Then) {
    let s = Scene::new(h.clone()).await;
    let (go, later) = (Event::new(), Event::new());
    let over = later.wait();
    let joined = h.spawn(go.wait());
    let ended = joined.cancel_handle();
    let (inside, may_end) = (Event::new(), go.wait());
    let set = inside.clone();
    let held = service_fn("held", |_| {
        shielded(async move {
            set.set();
            may_end.await;
            Ok(())
        })
    });
    let held = h.start(held).unwrap();
    inside.wait().await;
    let waits = Waits {
        held: held.clone(),
        m: s.m.clone(),
        ctx: s.ctx.clone(),
        later: Manager::new(service_fn("later", |_| async move {
            over.await;
            Ok(())
        }))
        .unwrap(),
        task: Arc::new(h.spawn(go.wait())),
        joined: Arc::new(Mutex::new(Some(joined))),
    };
    let bad = Arc::new(BadWaker {
        wake,
        called: Event::new(),
    });
    let waker = Waker::from(bad);
    let (mut wait, poller) = poll_badly(h, make(waits.clone()), &waker, in_task).await;
    // Woken in the meantime, it is the last here.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
    // Others wait for the same.
    let (m, ctx, task) = (s.m.clone(), s.ctx.clone(), waits.task.clone());
    let others = h.spawn(async move {
        ctx.cancelled().await;
        m.wait_finished().await;
        task.wait_done().await;
    });
    if then == Then::Replaced {
        let noop = &mut Cx::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| wait.as_mut().poll(noop).is_ready()));
        polled.expect("a stranger's waker panics here");
    }
    if then != Then::Happens {
        catch_unwind(AssertUnwindSafe(|| drop(wait))).expect("a stranger's waker panics here");
        wait = Box::pin(async {});
    }
    go.set();
    later.set();
    if !waits.later.is_started() {
        waits.later.run().await.unwrap();
    }
    waits.later.wait_finished().await;
    held.stop().await.unwrap();
    s.m.stop().await.unwrap();
    others.await.unwrap();
    while !ended.is_done() {
        suspend().await;
    }
    if let Some(poller) = poller {
        // What was taken out of it holds it no longer, or is still counted in it.
        drop(wait);
        poller.cancel();
        assert!(poller.await.unwrap_err().is_cancelled());
    } else {
        drop(wait);
    }
    s.go.set();
    assert_eq!(s.outside.await.unwrap(), 17);
    assert_eq!(s.dropped.get(), 2);
    assert!(s.m.result().unwrap().is_ok());
}

/// The whole matrix. Nobody hears of the panic, and nothing is lost by it: every wait goes on, every
/// task is done, and everything stops.
#[test]
fn a_waker_that_panics_loses_nothing() {
    common::watchdog(|| {
        quiet();
        for workers in [0, 2] {
            let rt = Runtime::builder().workers(workers).build().unwrap();
            for (name, make) in AWAITS {
                for wake in [true, false] {
                    for in_task in [true, false] {
                        for then in [Then::Replaced, Then::Dropped, Then::Happens] {
                            let case = (workers, *name, wake, in_task, then);
                            tell(&case, || {
                                rt.block_on(one(rt.handle(), *make, wake, in_task, then));
                            });
                        }
                    }
                }
            }
            rt.shutdown_timeout(Duration::from_secs(50)).unwrap();
        }
    });
}

/// Names the case in which it panics.
fn tell(case: &dyn std::fmt::Debug, f: impl FnOnce()) {
    struct Named<'a>(&'a dyn std::fmt::Debug);
    impl Drop for Named<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("in the case {:?}", self.0);
            }
        }
    }
    let _named = Named(case);
    f();
}

/// The same where the time comes for the waits for time: those beside them are on time.
#[test]
fn a_waker_that_panics_holds_up_no_timer() {
    quiet();
    for wake in [true, false] {
        let sim = Sim::new(7);
        sim.block_on(async {
            let mut waits: Vec<Wait> = Vec::new();
            for n in 1..=5 {
                let sleep = time::sleep(HOUR * n);
                waits.push(Box::pin(sleep));
                waits.push(Box::pin(async move {
                    let _ = time::timeout(HOUR * n, pending::<()>()).await;
                }));
            }
            let called: Vec<_> = waits
                .iter_mut()
                .map(|wait| polled_badly(wait.as_mut(), wake))
                .collect();
            let good = (1..=5).map(|n| spawn(time::sleep(HOUR * n)));
            let good: Vec<_> = good.collect();
            for task in good {
                task.await.unwrap();
            }
            for event in called {
                event.wait().await;
            }
        });
        assert_eq!(sim.elapsed(), HOUR * 5);
        assert_eq!(sim.handle().metrics().timers, 0);
    }
}

/// A `cancelled()` that was moved out of its task, which has ended, is dropped with a waker that
/// panics in its drop: the task is done.
#[test]
fn a_hold_is_given_back_when_a_waker_panics() {
    everywhere(async |s| {
        let place = Arc::new(Mutex::new(None));
        let (give, given, ctx) = (place.clone(), Event::new(), s.ctx.clone());
        let set = given.clone();
        let task = s.h.spawn(async move {
            let mut wait: Wait = Box::pin(async move { ctx.cancelled().await });
            polled_badly(wait.as_mut(), false);
            *give.lock().unwrap() = Some(wait);
            set.set();
            suspend().await;
        });
        given.wait().await;
        // Empties the service's list: now the last clone is in the task's.
        s.ctx.set_ready();
        let wait = place.lock().unwrap().take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(wait)));
        task.await.unwrap();
        s.unharmed().await;
    });
}

/// A body with a shield in it moves to another task: that it leaves is woken, whatever the waker does
/// that it was polled with there.
#[test]
fn a_task_hears_that_protection_has_left_it_when_a_waker_panics() {
    everywhere(async |s| {
        let place = Arc::new(Mutex::new(None));
        let (give, given) = (place.clone(), Event::new());
        let set = given.clone();
        let task = s.h.spawn(async move {
            let stays = service_fn("stays", |_| pending());
            let body = async |_| shielded(pending::<()>()).await;
            let mut moved: Wait = Box::pin(async move {
                drop(background_service(stays, body).await);
            });
            polled_badly(moved.as_mut(), false);
            *give.lock().unwrap() = Some(moved);
            set.set();
            pending::<()>().await
        });
        given.wait().await;
        task.cancel();
        // The service below it is gone, and it is polled at its turn: the shield keeps it.
        let id = task.id();
        let waits = |s: &Scene| {
            let all = s.h.snapshot();
            let node = all.nodes().iter().find(|node| node.id == id).cloned();
            let node = node.expect("a shield in it goes on");
            all.nodes().iter().all(|below| below.parent != Some(id)) && node.polls > 1
        };
        while !waits(&s) {
            suspend().await;
        }
        let moved: Option<Wait> = place.lock().unwrap().take();
        let moved = Arc::new(Mutex::new(moved));
        let other = moved.clone();
        let elsewhere = s.h.spawn(async move {
            let mut moved = other.lock().unwrap().take().unwrap();
            let polled = catch_unwind(AssertUnwindSafe(|| {
                moved
                    .as_mut()
                    .poll(&mut Cx::from_waker(Waker::noop()))
                    .is_ready()
            }));
            drop(moved);
            drop(polled);
        });
        elsewhere.await.unwrap();
        assert!(task.await.unwrap_err().is_cancelled());
        s.unharmed().await;
    });
}
