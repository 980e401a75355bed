//! `Context::until_cancelled`.

use crate::util::*;
use std::future::{pending, poll_fn, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use taskgrove::time::{now, sleep};
use taskgrove::{Handle, finally, service_fn, shielded, sim, spawn};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_output_comes_if_nothing_is_cancelled() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        assert_eq!(ctx.until_cancelled(ready(1)).await, Some(1));
        m.stop().await.unwrap();
        assert_eq!(ctx.until_cancelled(ready(1)).await, None, "after the end");
    });
}

/// It ends at the request, not at the end of the grace, and the future is dropped then.
#[test]
fn it_ends_when_the_cancellation_is_asked_for() {
    watchdog(|| {
        sim::check(0..50, async || {
            let h = Handle::current();
            let log = Log::new();
            let mine = log.clone();
            let m = h
                .start(service_fn("app", |ctx| async move {
                    let inner = ctx.clone();
                    let loops = async move {
                        let began = now();
                        let wait = async {
                            let _writes = Writes(mine.clone(), "dropped");
                            sleep(3 * SECOND).await;
                        };
                        assert_eq!(inner.until_cancelled(wait).await, None);
                        assert_eq!(now() - began, SECOND);
                        mine.push("goes on");
                        Ok(())
                    };
                    ctx.task(loops).grace(10 * SECOND).spawn()?;
                    Ok(())
                }))
                .unwrap();
            sleep(SECOND).await;
            m.stop().await.unwrap();
            assert!(m.result().unwrap().is_ok());
            assert_eq!(log.take(), ["dropped", "goes on"]);
        });
    });
}

/// A future that is always ready does not outrun it, and one that was late is not polled.
#[test]
fn the_cancellation_is_asked_first() {
    everywhere(async |h| {
        let polls = Arc::new(AtomicUsize::new(0));
        let (counts, began) = (polls.clone(), Event::new());
        let set = began.clone();
        let m = h
            .start(service_fn("app", |ctx| async move {
                let body = async {
                    set.set();
                    pending::<()>().await
                };
                let cleanup = async {
                    let busy = || {
                        counts.fetch_add(1, Ordering::SeqCst);
                        ready(())
                    };
                    while ctx
                        .until_cancelled(poll_fn(|_| Poll::Ready(busy())))
                        .await
                        .is_some()
                    {}
                };
                finally(body, cleanup).await;
                Ok(())
            }))
            .unwrap();
        began.wait().await;
        m.stop().await.unwrap();
        assert_eq!(polls.load(Ordering::SeqCst), 0);
        assert!(m.result().unwrap().is_ok());
    });
}

/// The cancellation of the calling task alone counts, too, and so does one above it.
#[test]
fn of_the_calling_task() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let (began, ended) = (Event::new(), Event::new());
        let (set, end) = (began.clone(), ended.clone());
        let task = h.spawn(async move {
            spawn(shielded(async move {
                let wait = async {
                    set.set();
                    pending::<()>().await
                };
                assert_eq!(ctx.until_cancelled(wait).await, None);
                end.set();
            }));
            pending::<()>().await
        });
        began.wait().await;
        task.cancel();
        ended.wait().await;
        assert!(m.is_running() && !m.is_cancelled());
    });
}

/// An error that follows from it is a consequence, also in a poll that began before the cancellation.
#[test]
fn what_follows_is_a_consequence() {
    everywhere(async |h| {
        let m = h
            .start(service_fn("app", |ctx| async move {
                // Its turn does not come before the child's.
                spawn(pending::<()>());
                ctx.cancel()?;
                match ctx.until_cancelled(pending::<()>()).await {
                    None => Err(boom("was cancelled")),
                    Some(()) => Ok(()),
                }
            }))
            .unwrap();
        m.wait_finished().await;
        assert!(m.result().unwrap().is_ok());
    });
}

#[test]
fn a_panic_of_the_future_is_the_callers() {
    everywhere(async |h| {
        let (_m, ctx) = app(&h).await;
        let task = h.spawn(async move {
            let bad = async { panic!("intended") };
            ctx.until_cancelled::<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>(Box::pin(bad))
                .await
        });
        assert!(task.await.unwrap_err().is_panic());
    });
}
