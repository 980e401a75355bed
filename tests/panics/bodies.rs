//! Panics in polls and drops of futures: of tasks, services, shields and cleanups.

use super::*;

/// In a poll of a raw task: the handle has it, nobody else.
#[test]
fn poll_raw() {
    everywhere(async |s| {
        let task = s.h.spawn(async { panic!("intended poll") });
        let task: Task<()> = task;
        assert_eq!(panicked(task).await, "intended poll");
        let inner = s.ctx.run_task(async {
            let below: Task<()> = spawn(async { panic!("intended poll") });
            assert_eq!(panicked(below).await, "intended poll");
            Ok(())
        });
        inner.unwrap().await.unwrap();
        s.unharmed().await;
    });
}

/// In a poll of a task of the service.
#[test]
fn poll_supervised() {
    everywhere(async |s| {
        let work = async {
            suspend().await;
            panic!("intended poll")
        };
        let task = s.ctx.task::<_, ()>(work).name("job").spawn().unwrap();
        assert_eq!(panicked(task).await, "intended poll");
        s.failed("app/job", "intended poll").await;
    });
}

/// In the drop of a raw task's future that has ended, and of one that is cancelled.
#[test]
fn future_drop_raw() {
    everywhere(async |s| {
        let ended = s.h.spawn(s.bad_drop(true));
        assert_eq!(panicked(ended).await, "intended drop");
        let mut scene = s;
        scene.polled = Event::new();
        let cancelled = scene.h.spawn(scene.bad_drop(false));
        scene.polled.wait().await;
        cancelled.cancel();
        assert_eq!(panicked(cancelled).await, "intended drop");
        assert_eq!(scene.bad.get(), 2);
        scene.unharmed().await;
    });
}

/// In the drop of a future that has ended, of a task of the service.
#[test]
fn future_drop_supervised() {
    everywhere(async |s| {
        let task = s.ctx.task(s.bad_drop(true)).name("job").spawn().unwrap();
        assert_eq!(panicked(task).await, "intended drop");
        s.failed("app/job", "intended drop").await;
    });
}

/// In the drop of a future that is cancelled, by hand or with the service.
#[test]
fn future_drop_cancelled_supervised() {
    for by_hand in [false, true] {
        everywhere(async move |s| {
            let task = s.ctx.task(s.bad_drop(false)).name("job").spawn().unwrap();
            s.polled.wait().await;
            if by_hand {
                task.cancel();
            } else {
                s.m.cancel().unwrap();
            }
            assert_eq!(panicked(task).await, "intended drop");
            s.failed("app/job", "intended drop").await;
        });
    }
}

/// In a daemon.
#[test]
fn daemon() {
    everywhere(async |s| {
        let work = async { panic!("intended daemon") };
        let daemon = s.ctx.task::<_, ()>(work).daemon().name("d");
        assert_eq!(panicked(daemon.spawn().unwrap()).await, "intended daemon");
        s.failed("app/d", "intended daemon").await;
    });
}

/// In the `run` of a child service, and of a daemon one.
#[test]
fn child_service() {
    for daemon in [false, true] {
        everywhere(async move |s| {
            let bad = service_fn("bad", |_| async { panic!("intended run") });
            let bad = s.ctx.child_service(bad);
            let bad = if daemon { bad.daemon() } else { bad };
            let child = bad.spawn().unwrap();
            child.wait_finished().await;
            assert!(child.did_error());
            s.failed("app/bad", "intended run").await;
        });
    }
}

/// In the closure of `service_fn`, before there is a future.
#[test]
fn closure() {
    everywhere(async |s| {
        let bad = service_fn("bad", |_| -> std::future::Ready<taskgrove::Result> {
            panic!("intended closure")
        });
        s.ctx.run_child_service(bad).unwrap();
        s.failed("app/bad", "intended closure").await;
    });
}

/// In `run`, when it is the root's.
#[test]
fn run() {
    everywhere(async |s| {
        let bad = || service_fn("bad", |_| async { panic!("intended run") });
        let m = s.h.start(bad()).unwrap();
        m.wait_finished().await;
        assert!(m.did_error() && m.is_cancelled());
        let error = Manager::run_service(bad()).await.unwrap_err();
        assert!(error.to_string().contains("intended run"));
        s.unharmed().await;
    });
}

/// In a shield, before and while the task is cancelled.
#[test]
fn shield() {
    for cancelled in [false, true] {
        everywhere(async move |s| {
            let (inside, go) = (Event::new(), Event::new());
            let (set, wait, raw_set, raw_wait) =
                (inside.clone(), go.wait(), s.polled.clone(), go.wait());
            let work = shielded(async move {
                set.set();
                wait.await;
                panic!("intended shield")
            });
            let job = s.ctx.task::<_, ()>(work).name("job").spawn().unwrap();
            let raw: Task<()> = s.h.spawn(shielded(async move {
                raw_set.set();
                raw_wait.await;
                panic!("intended shield")
            }));
            inside.wait().await;
            s.polled.wait().await;
            if cancelled {
                raw.cancel();
                job.cancel();
            }
            go.set();
            assert_eq!(panicked(raw).await, "intended shield");
            assert_eq!(panicked(job).await, "intended shield");
            s.failed("app/job", "intended shield").await;
        });
    }
}

/// In the body of a `finally`: the cleanup runs, the panic counts.
#[test]
fn finally_body() {
    everywhere(async |s| {
        let cleaned = Counter::new();
        let (a, b) = (cleaned.clone(), cleaned.clone());
        let raw: Task<()> =
            s.h.spawn(finally(async { panic!("intended body") }, async move {
                suspend().await;
                a.add();
            }));
        assert_eq!(panicked(raw).await, "intended body");
        let work = finally(async { panic!("intended body") }, async move {
            suspend().await;
            b.add();
        });
        let job = s.ctx.task::<_, ()>(work).name("job").spawn().unwrap();
        assert_eq!(panicked(job).await, "intended body");
        assert_eq!(cleaned.get(), 2);
        s.failed("app/job", "intended body").await;
    });
}

/// In the cleanup of a `finally`, after the body's end and at the task's turn.
#[test]
fn finally_cleanup() {
    for cancelled in [false, true] {
        everywhere(async move |s| {
            let set = s.polled.clone();
            let body = async move {
                set.set();
                if cancelled {
                    pending::<()>().await;
                }
                Ok(())
            };
            let cleanup = async {
                suspend().await;
                panic!("intended cleanup")
            };
            let work = finally(body, cleanup);
            let job = s.ctx.task(work).name("job").spawn().unwrap();
            s.polled.wait().await;
            if cancelled {
                job.cancel();
            }
            assert_eq!(panicked(job).await, "intended cleanup");
            s.failed("app/job", "intended cleanup").await;
        });
    }
}

/// In the drop of a `finally`'s body at the task's turn: the cleanup runs.
#[test]
fn finally_body_drop() {
    everywhere(async |s| {
        let cleaned = Event::new();
        let set = cleaned.clone();
        let work = finally(s.bad_drop(false), async move {
            suspend().await;
            set.set();
        });
        let job = s.ctx.task(work).name("job").spawn().unwrap();
        s.polled.wait().await;
        job.cancel();
        assert_eq!(panicked(job).await, "intended drop");
        assert!(cleaned.is_set());
        assert_eq!(s.bad.get(), 1);
        s.failed("app/job", "intended drop").await;
    });
}

/// In a deferred cleanup: it counts, and those after it run.
#[test]
fn deferred_cleanup() {
    for cancelled in [false, true] {
        everywhere(async move |s| {
            let (cleaned, set) = (Event::new(), s.polled.clone());
            let tell = cleaned.clone();
            let work = async move {
                let _second = defer(async move {
                    suspend().await;
                    tell.set();
                });
                let _first = defer(async {
                    suspend().await;
                    panic!("intended defer")
                });
                set.set();
                if cancelled {
                    pending::<()>().await;
                }
                Ok(())
            };
            let job = s.ctx.task(work).name("job").spawn().unwrap();
            s.polled.wait().await;
            if cancelled {
                job.cancel();
            }
            job.wait_done().await;
            assert!(cleaned.is_set());
            s.failed("app/job", "intended defer").await;
        });
    }
}

/// In the drop of a deferred cleanup that is never run.
#[test]
fn deferred_drop() {
    common::watchdog(|| {
        quiet();
        let rt = Runtime::builder().workers(2).build().unwrap();
        let guard = rt.block_on(async {
            let bomb = Bomb("defer");
            defer(async move { drop(bomb) })
        });
        drop(rt);
        // Whether the panic comes out here or not, it does not abort.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(guard)));
    });
}
