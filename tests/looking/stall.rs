//! `Builder::on_stall`: the watchdog reports polls that last, whatever the workers do.

use crate::common::{OnDrop, watchdog};
use std::panic::Location;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use taskgrove::{Context, Runtime, Stall, StopError, Task, service_fn};

const MS: Duration = Duration::from_millis(1);

/// A runtime whose stalls come out of the channel.
fn observed(workers: usize, after: Duration) -> (Runtime, Receiver<Stall>) {
    let (tell, stalls) = mpsc::channel();
    let builder = Runtime::builder().workers(workers);
    let builder = builder.on_stall(after, move |stall| drop(tell.send(stall.clone())));
    (builder.build().expect("a runtime"), stalls)
}

/// Spawns a task that is in its first poll until the sender is dropped.
#[track_caller]
fn block(rt: &Runtime, name: &str) -> (Task<()>, mpsc::Sender<()>) {
    let (go_on, goes_on) = mpsc::channel();
    let task = async move {
        let _ = goes_on.recv();
    };
    (rt.task(task).name(name).spawn(), go_on)
}

#[test]
fn a_poll_that_blocks_every_worker_is_reported_again_as_it_doubles() {
    watchdog(|| {
        let (rt, stalls) = observed(2, 5 * MS);
        let here = Location::caller();
        let (first, end_first) = block(&rt, "first");
        let (second, end_second) = block(&rt, "second");
        for (task, path) in [(&first, "first"), (&second, "second")] {
            let mut least = 5 * MS;
            let mut last = None;
            let mut seen = 0;
            // Both block, so the reports of both come in turns.
            let mut others = Vec::new();
            while seen < 3 {
                let stall = stalls.recv().expect("a report");
                if stall.id != task.id() {
                    others.push(stall);
                    continue;
                }
                assert_eq!(
                    (stall.path.as_str(), stall.location.file()),
                    (path, here.file())
                );
                assert!(stall.running_for >= least, "{stall}");
                if let Some(last) = last {
                    assert!(stall.running_for > last, "{stall}");
                }
                last = Some(stall.running_for);
                least *= 2;
                seen += 1;
            }
        }
        drop((end_first, end_second));
        rt.block_on(async {
            first.await.expect("it ends");
            second.await.expect("it ends");
        });
    });
}

#[test]
fn the_hook_works_without_workers() {
    watchdog(|| {
        let (rt, stalls) = observed(0, 2 * MS);
        let (task, go_on) = block(&rt, "alone");
        let looks = thread::spawn(move || {
            let stall = stalls.recv().expect("a report");
            drop(go_on);
            stall
        });
        let id = task.id();
        rt.block_on(task).expect("it ends");
        let stall = looks.join().expect("no panic");
        assert_eq!((stall.id, &*stall.path), (id, "alone"));
        assert!(stall.to_string().starts_with("alone #"), "{stall}");
    });
}

#[test]
fn a_panic_in_the_hook_ends_nothing() {
    watchdog(|| {
        let (tell, calls) = mpsc::channel();
        let builder = Runtime::builder()
            .workers(1)
            .on_stall(2 * MS, move |stall| {
                tell.send(stall.id).expect("the test waits");
                std::panic::resume_unwind(Box::new("a hook that panics"));
            });
        let rt = builder.build().expect("a runtime");
        for _ in 0..2 {
            let (task, go_on) = block(&rt, "blocks");
            let called = || calls.recv().expect("a call");
            assert_eq!((called(), called()), (task.id(), task.id()));
            drop(go_on);
            rt.block_on(task).expect("it ends");
        }
    });
}

/// A poll that blocks its only worker for 10 s delays neither a report of it, nor the report of a
/// `stop_timeout` from another thread. (It is let go as soon as both have come.)
#[test]
fn a_blocked_worker_delays_no_report() {
    watchdog(|| {
        let (rt, stalls) = observed(1, 100 * MS);
        let (go_on, goes_on) = mpsc::channel::<()>();
        let app = service_fn("app", async move |ctx: Context| {
            let poll = async move {
                let _ = goes_on.recv_timeout(Duration::from_secs(10));
                Ok(())
            };
            ctx.task(poll).name("blocks").spawn()?;
            std::future::pending().await
        });
        let app = rt.start(app).expect("it starts");
        let stall = stalls.recv().expect("a report");
        assert_eq!(stall.path, "app/blocks");
        assert!(stall.running_for < Duration::from_secs(5), "{stall}");
        let began = Instant::now();
        let stopped = rt.block_on(app.stop_timeout(Duration::from_secs(1)));
        let took = began.elapsed();
        let Err(StopError::Timeout(left)) = stopped else {
            panic!("{stopped:?}");
        };
        assert!(left.to_string().contains("app/blocks"), "{left}");
        assert!(
            took >= Duration::from_secs(1) && took < Duration::from_secs(5),
            "{took:?}"
        );
        drop(go_on);
    });
}

/// The watchdog reports what holds up the drop of the runtime.
#[test]
fn a_poll_that_holds_up_the_drop_is_reported() {
    watchdog(|| {
        let (rt, stalls) = observed(1, 2 * MS);
        let (_, go_on) = block(&rt, "stuck");
        stalls.recv().expect("it runs");
        let drops = thread::spawn(move || drop(rt));
        for _ in 0..4 {
            stalls.recv().expect("a report");
        }
        drop(go_on);
        drops.join().expect("no panic");
        // The reports end, since the hook is gone.
        assert!(stalls.iter().all(|stall| stall.path == "stuck"));
    });
}

/// The drop waits for no hook, and after it no call begins.
#[test]
fn a_hook_that_blocks_holds_up_no_drop() {
    watchdog(|| {
        let (tell, calls) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let goes_on = Mutex::new(goes_on);
        let builder = Runtime::builder().workers(1).on_stall(2 * MS, move |_| {
            tell.send(()).expect("the test waits");
            let _ = goes_on.lock().expect("no panic").recv();
        });
        let rt = builder.build().expect("a runtime");
        let (task, end) = block(&rt, "blocks");
        calls.recv().expect("a call");
        drop(end);
        rt.block_on(task).expect("it ends");
        drop(rt);
        assert!(calls.try_recv().is_err());
        drop(go_on);
        assert!(
            calls.recv().is_err(),
            "the watchdog drops the hook and ends"
        );
    });
}

/// So does that of the hook of a crowd.
#[test]
fn a_destructor_of_a_hook_may_panic() {
    watchdog(|| {
        let falls = || OnDrop::new(|| panic!("a destructor of a hook"));
        let (of_stalls, of_crowds) = (falls(), falls());
        let rt = Runtime::builder()
            .workers(1)
            .on_stall(Duration::MAX, move |_| _ = &of_stalls)
            .on_crowd(0.5, move |_| _ = &of_crowds)
            .build()
            .expect("a runtime");
        drop(rt);
    });
}

#[test]
fn the_hook_may_drop_the_runtime() {
    watchdog(|| {
        let place: Arc<Mutex<Option<Runtime>>> = Arc::default();
        let (tell, dropped) = mpsc::channel();
        let runtime = place.clone();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let go_on = Mutex::new(Some(go_on));
        let builder = Runtime::builder().workers(1).on_stall(2 * MS, move |_| {
            // The poll is let go first, as the drop waits for it.
            drop(go_on.lock().expect("no panic").take());
            drop(runtime.lock().expect("no panic").take());
            let _ = tell.send(());
        });
        let rt = builder.build().expect("a runtime");
        let handle = rt.handle().clone();
        *place.lock().expect("no panic") = Some(rt);
        handle.spawn(async move {
            let _ = goes_on.recv();
        });
        dropped.recv().expect("a call");
        assert!(handle.spawn(async {}).is_done(), "the runtime is gone");
    });
}

#[test]
fn an_absurd_duration_is_never_reported_and_zero_is_a_millisecond() {
    watchdog(|| {
        let (rt, stalls) = observed(1, Duration::MAX);
        let (task, go_on) = block(&rt, "blocks");
        thread::sleep(20 * MS);
        drop(go_on);
        rt.block_on(task).expect("it ends");
        drop(rt);
        assert!(stalls.recv().is_err());
        let (rt, stalls) = observed(1, Duration::ZERO);
        let (_task, _go_on) = block(&rt, "blocks");
        let stall = stalls.recv().expect("a report");
        assert!(stall.running_for >= MS, "{stall}");
        let _end = OnDrop::new(move || drop(rt));
        drop(_go_on);
    });
}

/// What polls briefly is never reported, however busy it is.
#[test]
fn a_busy_runtime_does_not_stall() {
    watchdog(|| {
        let (rt, stalls) = observed(2, Duration::from_secs(30));
        rt.block_on(async {
            let tasks: Vec<_> = (0..200)
                .map(|_| {
                    taskgrove::spawn(async {
                        for _ in 0..50 {
                            taskgrove::yield_now().await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("it ends");
            }
        });
        drop(rt);
        assert!(stalls.recv().is_err());
    });
}
