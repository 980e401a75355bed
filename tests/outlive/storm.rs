//! Other threads at work while the runtime ends.

use super::*;

/// Waits of a foreign thread that are under way when the runtime ends all resolve.
#[test]
fn waits_under_way() {
    watchdog(|| {
        for workers in [0, 1, 2] {
            let rt = build(workers);
            let task = rt.spawn(pending::<()>());
            let joined = rt.spawn(pending::<()>());
            let m = rt.start(service_fn("app", |_| pending())).unwrap();
            let parked = Event::new();
            let set = parked.clone();
            let waiter = thread::spawn(move || {
                let rt = build(0);
                let h = rt.handle().clone();
                rt.block_on(async {
                    let other = m.clone();
                    let waits = [
                        h.spawn(async move { task.wait_done().await }),
                        h.spawn(async move { assert!(joined.await.is_err()) }),
                        h.spawn(async move { m.wait_finished().await }),
                        h.spawn(async move { assert!(other.wait_ready().await.is_err()) }),
                    ];
                    suspend().await;
                    set.set();
                    for wait in waits {
                        wait.await.unwrap();
                    }
                });
            });
            elsewhere(parked.wait());
            drop(rt);
            waiter.join().unwrap();
        }
    });
}

/// Foreign threads wake, spawn, cancel and look while the runtime shuts down.
#[test]
fn a_storm_during_the_shutdown() {
    for workers in [0, 1, 2] {
        watchdog(move || {
            for round in 0..150 {
                storm(workers, round);
            }
        });
    }
}

fn storm(workers: usize, round: usize) {
    let rt = build(workers);
    let h = rt.handle().clone();
    let (wakers, dropped, parked) = (
        Arc::new(Mutex::new(Vec::new())),
        Counter::new(),
        Counter::new(),
    );
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (wakers, polled, guard) = (wakers.clone(), parked.clone(), dropped.dropped());
            let mut first = true;
            h.spawn(async move {
                let _guard = guard;
                poll_fn(|cx: &mut Cx<'_>| {
                    if std::mem::take(&mut first) {
                        wakers.lock().unwrap().push(cx.waker().clone());
                        polled.add();
                    }
                    Poll::<()>::Pending
                })
                .await
            })
        })
        .collect();
    rt.block_on(async {
        while parked.get() < 8 {
            suspend().await;
        }
    });
    let wakers = std::mem::take(&mut *wakers.lock().unwrap());
    let start = Barrier::new(4);
    thread::scope(|scope| {
        let start = &start;
        scope.spawn(move || {
            start.wait();
            for waker in wakers.iter().cycle().take(64) {
                waker.wake_by_ref();
            }
            wakers.into_iter().for_each(Waker::wake);
        });
        let (spawner, late) = (h.clone(), dropped.clone());
        scope.spawn(move || {
            start.wait();
            for _ in 0..16 {
                let guard = late.dropped();
                spawner.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await
                });
                let _ = spawner.snapshot();
            }
        });
        let cancels: Vec<_> = tasks.iter().map(Task::cancel_handle).collect();
        scope.spawn(move || {
            start.wait();
            cancels.iter().step_by(2).for_each(CancelHandle::cancel);
        });
        start.wait();
        if round.is_multiple_of(2) {
            drop(rt);
        } else {
            rt.shutdown_timeout(HOUR).unwrap();
        }
    });
    assert!(tasks.iter().all(Task::is_done));
    assert_eq!(dropped.get(), 24);
    assert!(h.snapshot().is_empty());
}

/// Foreign threads wait for the tasks of a runtime that is dropped under them: none hangs.
#[test]
fn waits_against_the_drop() {
    watchdog(|| {
        for _ in 0..100 {
            let rt = build(2);
            let tasks: Vec<_> = (0..4).map(|_| rt.spawn(pending::<()>())).collect();
            let m = rt.start(service_fn("app", |_| pending())).unwrap();
            let start = Barrier::new(3);
            thread::scope(|scope| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    elsewhere(async {
                        for task in tasks {
                            assert!(task.await.is_err());
                        }
                    });
                });
                scope.spawn(move || {
                    start.wait();
                    elsewhere(m.wait_finished());
                });
                start.wait();
                drop(rt);
            });
        }
    });
}
