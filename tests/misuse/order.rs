//! Calls, drops and waits in the wrong order.

use super::*;

/// A task that awaits its own handle is stuck, and can be cancelled.
#[test]
fn awaiting_oneself() {
    everywhere(async || {
        let (queue, inside) = (common::Queue::<Task<()>>::new(), Event::new());
        let (own, set) = (queue.recv(), inside.clone());
        let task = spawn(async move {
            let own = own.await;
            set.set();
            let _ = own.await;
        });
        let handle = task.cancel_handle();
        queue.send(task);
        inside.wait().await;
        handle.cancel();
        while !handle.is_done() {
            suspend().await;
        }
    });
}

/// A service that waits for its own end is stuck, and can be stopped.
#[test]
fn waiting_for_ones_own_end() {
    everywhere(async || {
        let inside = Event::new();
        let set = inside.clone();
        let service = service_fn("app", |ctx: Context| async move {
            let inner = ctx.clone();
            ctx.run_task(async move {
                set.set();
                inner.stop().await?;
                Ok(())
            })?;
            ctx.wait_finished().await;
            Ok(())
        });
        let m = Handle::current().start(service).unwrap();
        inside.wait().await;
        m.wait_finished().await;
        assert!(m.is_cancelled() && !m.did_error());
    });
}

/// A join handle that is polled after it has given its result: a panic or nothing, and no corruption.
#[test]
fn a_handle_polled_again() {
    everywhere(async || {
        let token = Arc::new(());
        let inner = token.clone();
        let mut task = spawn(async move { inner });
        let value = (&mut task).await.unwrap();
        let noop = &mut Cx::from_waker(Waker::noop());
        for _ in 0..3 {
            let again = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut task).poll(noop)));
            assert!(!matches!(again, Ok(std::task::Poll::Ready(Ok(_)))));
        }
        assert!(task.is_done());
        task.cancel();
        drop(task);
        drop(value);
        assert_eq!(Arc::strong_count(&token), 1);
        assert_eq!(spawn(async { 5 }).await.unwrap(), 5);
    });
}

/// A manager is started once: by whom does not matter.
#[test]
fn started_twice() {
    everywhere(async || {
        let m = Manager::new(service_fn("app", |_| async { Ok(()) })).unwrap();
        let (a, b) = (m.clone(), m.clone());
        let runs = [
            spawn(async move { a.run().await }),
            spawn(async move { b.run().await }),
        ];
        let mut refused = 0;
        for run in runs {
            match run.await.unwrap() {
                Ok(()) => {}
                Err(ServiceError::Lifecycle(error)) => {
                    assert!(error.to_string().contains("app"));
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(refused, 1);
    });
}

/// A run that is never polled starts nothing.
#[test]
fn a_run_never_polled() {
    everywhere(async || {
        let m = Manager::new(service_fn("app", |_| async { Ok(()) })).unwrap();
        drop(m.run());
        assert!(!m.is_started() && !m.is_cancelled());
        m.run().await.unwrap();
    });
}

/// A manager that is never started gives its service back to nobody: it is dropped.
#[test]
fn a_manager_never_started() {
    let dropped = Event::new();
    let set = dropped.clone();
    let guard = OnDrop::new(move || set.set());
    let m = Manager::new(service_fn("app", |_| async move {
        drop(guard);
        Ok(())
    }))
    .unwrap();
    let other = m.clone();
    drop(m);
    assert!(!dropped.is_set());
    drop(other);
    assert!(dropped.is_set());
}

/// Handles dropped in odd orders: before, during and after; twice over.
#[test]
fn handles_in_odd_orders() {
    everywhere(async || {
        for turn in 0..24 {
            let go = Event::new();
            let task = spawn(go.wait());
            let (cancel, guard) = (task.cancel_handle(), task.cancel_on_drop());
            let other = cancel.clone();
            let order = [turn % 4, turn / 4 % 3, turn / 12];
            let (mut cancel, mut other, mut guard) = (Some(cancel), Some(other), Some(guard));
            for step in order {
                match step {
                    0 => go.set(),
                    1 => drop(guard.take()),
                    2 => drop(cancel.take()),
                    _ => drop(other.take().map(|handle| handle.cancel())),
                }
                suspend().await;
            }
            if let Some(guard) = guard {
                go.set();
                let _ = guard.await;
            }
        }
    });
}

/// Sleeps and waits dropped before, between and after their polls.
#[test]
fn futures_dropped_half_way() {
    everywhere(async || {
        let task = spawn(pending::<()>());
        for _ in 0..100 {
            drop(time::sleep(HOUR));
            assert!(poll_once(&mut time::sleep(HOUR)).await.is_none());
            assert!(poll_once(&mut Box::pin(task.wait_done())).await.is_none());
            let shield = shielded(time::sleep(HOUR));
            assert!(poll_once(&mut Box::pin(shield)).await.is_none());
        }
        task.cancel();
        task.wait_done().await;
    });
}

/// A sleep may be moved between tasks, threads and runtimes.
#[test]
fn a_sleep_on_the_move() {
    for workers in [1, 2] {
        on_workers(workers, async || {
            let mut sleep = time::sleep(Duration::from_millis(20));
            let _ = poll_once(&mut sleep).await;
            let task = spawn(async move {
                let _ = poll_once(&mut sleep).await;
                (sleep,)
            });
            let (sleep,) = task.await.unwrap();
            std::thread::spawn(move || build(0).block_on(sleep))
                .join()
                .unwrap();
        });
    }
}

/// The guard of a cleanup that outlives its task: nothing hangs.
#[test]
fn a_guard_that_outlives_its_task() {
    everywhere(async || {
        let ran = Event::new();
        let set = ran.clone();
        let task = spawn(async move { (defer(async move { set.set() }),) });
        let guard = task.await.unwrap();
        assert!(!ran.is_set());
        drop(guard);
        ran.wait().await;
    });
}

/// Cancelling everything before anything has been polled.
#[test]
fn cancelled_at_once() {
    everywhere(async || {
        for _ in 0..100 {
            let m = Handle::current()
                .start(service_fn("app", |ctx: Context| async move {
                    ctx.run_task(pending())?;
                    pending().await
                }))
                .unwrap();
            m.cancel().unwrap();
            m.cancel().unwrap();
            m.wait_finished().await;
            assert!(m.is_cancelled() && !m.did_error());
            let task: Task<()> = spawn(pending());
            task.cancel();
            assert!(matches!(task.await, Err(JoinError::Cancelled)));
        }
    });
}
