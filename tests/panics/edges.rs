//! Panics at the edges: outputs, payloads, wakers, names, service values, bodies, and the end of the runtime.

use super::*;

/// In the drop of an output that nobody waits for, or that its handle drops.
#[test]
fn output_drop() {
    everywhere(async |s| {
        let gone = Event::new();
        let guard = gone.clone();
        drop(s.h.spawn(async move {
            let told = OnDrop::new(move || guard.set());
            (Bomb("output"), told)
        }));
        gone.wait().await;
        let kept = s.h.spawn(async { Bomb("output") });
        kept.wait_done().await;
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(kept)));
        assert!(dropped.is_ok(), "it came out of the handle's drop");
        s.unharmed().await;
    });
}

/// In the drop of a supervised task's output: the task ends, and the others go on to their end.
#[test]
fn output_drop_supervised() {
    everywhere(async |s| {
        let gone = Event::new();
        let guard = gone.clone();
        let work = async move {
            let told = OnDrop::new(move || guard.set());
            Ok((Bomb("output"), told))
        };
        drop(s.ctx.task(work).spawn().unwrap());
        gone.wait().await;
        s.m.stop().await.unwrap();
        s.go.set();
        assert_eq!(s.outside.await.unwrap(), 17);
        assert_eq!(s.m.stats().tasks.pending_count(), 0);
    });
}

/// Panics when it is dropped.
#[derive(Debug)]
struct BadError(#[allow(dead_code)] Bomb);

impl std::fmt::Display for BadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("intended error")
    }
}

impl std::error::Error for BadError {}

fn bad_error() -> taskgrove::BoxError {
    Box::new(BadError(Bomb("error")))
}

/// In the drop of an error: of a consequence of a cancellation, which nobody hears of, and of a
/// failure, when nobody is left who could ask for it.
#[test]
fn error_drop() {
    everywhere(async |s| {
        let fails = service_fn("fails", |_| async { Err(bad_error()) });
        let failed = s.h.start(fails).unwrap();
        failed.wait_finished().await;
        let error = failed.result().unwrap().unwrap_err();
        assert!(error.to_string().contains("intended error"));
        drop(error);
        // The last is this one, or that of the worker which has ended it.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(failed)));
        let (inside, returns, ends) = (Event::new(), Event::new(), Event::new());
        let (set, go, cleanup) = (inside.clone(), returns.wait(), ends.wait());
        let inner = s.ctx.clone();
        let task = s.ctx.run_task(async move {
            // Keeps it going while it is being cancelled.
            let below = spawn(finally(pending::<()>(), cleanup));
            while Handle::current()
                .snapshot()
                .nodes()
                .iter()
                .any(|n| n.id == below.id() && n.polls == 0)
            {
                suspend().await;
            }
            set.set();
            go.await;
            inner.cancelled().await;
            // From a poll that began after that.
            suspend().await;
            Err(bad_error())
        });
        inside.wait().await;
        s.m.cancel().unwrap();
        returns.set();
        ends.set();
        s.m.wait_finished().await;
        assert!(s.m.result().unwrap().is_ok());
        assert!(task.unwrap().await.unwrap_err().is_cancelled());
        s.go.set();
        assert_eq!(s.outside.await.unwrap(), 17);
    });
}

/// In the drop of a panic's own payload: of a detached task, and of one of the service.
#[test]
fn payload_drop() {
    everywhere(async |s| {
        let gone = Event::new();
        let guard = gone.clone();
        drop(s.h.spawn(async move {
            let _told = OnDrop::new(move || guard.set());
            std::panic::panic_any(Bomb("payload"))
        }));
        gone.wait().await;
        let kept: Task<()> = s.h.spawn(async { std::panic::panic_any(Bomb("payload")) });
        let Err(JoinError::Panicked(panic)) = kept.await else {
            panic!("no panic")
        };
        let payload = panic.into_payload();
        assert!(payload.is::<Bomb>());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err());
        drop(
            s.ctx
                .run_task(async { std::panic::panic_any(Bomb("payload")) })
                .unwrap(),
        );
        s.m.wait_finished().await;
        assert!(s.m.did_error());
        s.go.set();
        assert_eq!(s.outside.await.unwrap(), 17);
    });
}

/// In a waker that a task, a manager or a timer wakes: the task ends, and all the other waiters are woken.
#[test]
fn waker() {
    for wake in [true, false] {
        everywhere(async move |s| {
            let go = Event::new();
            let mut task = s.h.spawn(go.wait());
            let other = s.h.spawn(go.wait());
            let ctx = s.ctx.clone();
            let m = s.m.clone();
            let good: Vec<_> = (0..3)
                .map(|_| {
                    let (m, ctx) = (m.clone(), ctx.clone());
                    s.h.spawn(async move {
                        ctx.cancelled().await;
                        m.wait_finished().await;
                    })
                })
                .collect();
            let mut waits: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = vec![
                Box::pin(other.wait_done()),
                Box::pin(m.wait_finished()),
                Box::pin(ctx.cancelled()),
                // Long enough to be pending when it is polled first, under valgrind too.
                Box::pin(taskgrove::time::sleep(std::time::Duration::from_millis(
                    100,
                ))),
            ];
            let mut called = vec![polled_badly(Pin::new(&mut task), wake)];
            for wait in &mut waits {
                called.push(polled_badly(wait.as_mut(), wake));
            }
            go.set();
            other.wait_done().await;
            // Awaiting it earlier could replace the waker, whose drop would panic here.
            called[0].wait().await;
            task.await.unwrap();
            s.m.stop().await.unwrap();
            for event in called {
                event.wait().await;
            }
            for waiter in good {
                waiter.await.unwrap();
            }
            // A wait may still hold its waker.
            let _ = catch_unwind(AssertUnwindSafe(move || drop(waits)));
            s.go.set();
            assert_eq!(s.outside.await.unwrap(), 17);
        });
    }
}

/// In the drop of a waker that another one replaces: the handle still resolves.
#[test]
fn replaced_waker() {
    everywhere(async |s| {
        let go = Event::new();
        let mut task = s.h.spawn(go.wait());
        polled_badly(Pin::new(&mut task), false);
        let noop = &mut Cx::from_waker(Waker::noop());
        let _ = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut task).poll(noop)));
        go.set();
        task.await.unwrap();
        s.unharmed().await;
    });
}

struct BadName;

impl Service for BadName {
    async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
        Ok(())
    }
    fn name(&self) -> Cow<'static, str> {
        panic!("intended name")
    }
}

/// In a name: the caller has it.
#[test]
fn name() {
    everywhere(async |s| {
        let new = catch_unwind(|| Manager::new(BadName).map(drop));
        let start = catch_unwind(AssertUnwindSafe(|| s.h.start(BadName).map(drop)));
        let child = AssertUnwindSafe(|| s.ctx.run_child_service(BadName).map(drop));
        let child = catch_unwind(child);
        assert!(new.is_err() && start.is_err() && child.is_err());
        assert_eq!(s.m.snapshot().nodes().len(), 2);
        let ctx = s.ctx.clone();
        let work = async move {
            ctx.run_child_service(BadName)?;
            Ok(())
        };
        let job = s.ctx.task(work).name("job").spawn().unwrap();
        assert_eq!(panicked(job).await, "intended name");
        s.failed("app/job", "intended name").await;
    });
}

struct BadValue(#[allow(dead_code)] Bomb);

impl Service for BadValue {
    async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
        Ok(())
    }
}

/// In the drop of the service value: it is finished all the same.
#[test]
fn service_value() {
    everywhere(async |s| {
        let m = s.h.start(BadValue(Bomb("value"))).unwrap();
        m.wait_finished().await;
        assert!(m.is_finished());
        s.unharmed().await;
    });
}

/// In the future of `block_on`: the caller has it, and the runtime can be used again.
#[test]
fn block_on() {
    common::watchdog(|| {
        quiet();
        for workers in [0, 1, 2] {
            let rt = Runtime::builder().workers(workers).build().unwrap();
            let go = Event::new();
            let task = rt.spawn(go.wait());
            let body = AssertUnwindSafe(|| rt.block_on(async { panic!("intended block_on") }));
            let caught: Result<(), _> = catch_unwind(body);
            assert!(caught.is_err());
            assert!(Handle::try_current().is_none());
            go.set();
            rt.block_on(task).unwrap();
        }
    });
}

/// In the body of `background_service` and in an external call: the caller has it; the service is stopped, or goes on.
#[test]
fn bodies() {
    everywhere(async |s| {
        let seen = Arc::new(Mutex::new(None));
        let give = seen.clone();
        let task: Task<()> = s.h.spawn(async move {
            let service = service_fn("stays", |_| pending());
            let result = background_service(service, async move |m| {
                *give.lock().unwrap() = Some(m);
                panic!("intended body")
            });
            result.await.unwrap()
        });
        assert_eq!(panicked(task).await, "intended body");
        let m = seen.lock().unwrap().take().unwrap();
        assert!(m.is_finished() && !m.did_error());
        let m = s.m.clone();
        let call = s.h.spawn(async move {
            let body = async { panic!("intended call") };
            let result: Result<(), _> = m.external_api(body).await;
            result
        });
        assert_eq!(panicked(call).await, "intended call");
        s.unharmed().await;
    });
}

/// Many at once, and the end of the runtime on top: every future is dropped once, and no panic comes out.
#[test]
fn every_future_is_dropped_once() {
    common::watchdog(|| {
        quiet();
        for workers in [0, 1, 2] {
            for cancel in [false, true] {
                let rt = Runtime::builder().workers(workers).build().unwrap();
                let (dropped, polled) = (Counter::new(), Counter::new());
                for n in 0..60 {
                    let (guard, polled) = (dropped.dropped(), polled.clone());
                    let task = rt.spawn(async move {
                        let _guard = guard;
                        let _bomb = (n % 3 == 0).then(|| Bomb("drop"));
                        let guards = [(); 3].map(|()| polled.clone());
                        for polled in guards {
                            spawn(async move {
                                let _bomb = Bomb("drop below");
                                polled.add();
                                pending::<()>().await
                            });
                        }
                        polled.add();
                        pending::<()>().await
                    });
                    if cancel && n % 2 == 0 {
                        task.cancel();
                    }
                }
                rt.block_on(async {
                    while !cancel && polled.get() < 240 {
                        suspend().await;
                    }
                });
                drop(rt);
                assert_eq!(dropped.get(), 60);
            }
        }
    });
}
