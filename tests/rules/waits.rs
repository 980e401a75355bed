//! Waits that are given up, and waits that go on elsewhere.

use crate::util::*;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use taskgrove::Handle;

struct Token;

impl Wake for Token {
    fn wake(self: Arc<Self>) {}
}

/// How many wakers a wait holds while it waits, and how many once it has been dropped.
fn wakers_held(wait: impl Future) -> (usize, usize) {
    let token = Arc::new(Token);
    let waker = Waker::from(token.clone());
    let held = || Arc::strong_count(&token) - 2;
    let mut wait = Box::pin(wait);
    let polled = wait.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    let waiting = held();
    drop(wait);
    (waiting, held())
}

/// A wait that is given up keeps no waker, in whatever list it was.
#[test]
fn a_wait_that_is_dropped_leaves_nothing_behind() {
    everywhere(async |h: Handle| {
        let (manager, ctx) = app(&h).await;
        assert_eq!(wakers_held(manager.wait_finished()), (1, 0));
        assert_eq!(wakers_held(manager.wait_ready()), (1, 0));
        assert_eq!(wakers_held(ctx.cancelled()), (1, 0));
        assert_eq!(wakers_held(h.spawn(pending::<()>())), (1, 0));
        let task = h.spawn(pending::<()>());
        assert_eq!(wakers_held(task.wait_done()), (1, 0));

        // In a task it waits for that one's own cancellation as well.
        let in_a_task = h.spawn(async move { wakers_held(ctx.cancelled()) });
        assert_eq!(in_a_task.await.unwrap(), (2, 0));
    });
}

/// `cancelled` in a task waits for the cancellation of whatever task polls it last.
#[test]
fn a_wait_for_cancellation_goes_on_in_another_task() {
    everywhere(async |h: Handle| {
        let (_manager, ctx) = app(&h).await;
        let (moved, waits) = (Gift::new(), Event::new());
        let (give, take, set) = (moved.clone(), moved.clone(), waits.clone());
        let inner = ctx.clone();
        let _first = h.spawn(async move {
            let mut wait: Pin<Box<dyn Future<Output = ()> + Send>> =
                Box::pin(async move { inner.cancelled().await });
            assert!(poll_once(&mut wait).await.is_none());
            give.put(wait);
            pending::<()>().await
        });
        let second = ctx.task(async move {
            let mut wait = take.take().await;
            assert!(poll_once(&mut wait).await.is_none());
            set.set();
            wait.await;
            Ok(())
        });
        let second = second.grace(Duration::from_secs(3600)).spawn().unwrap();
        waits.wait().await;
        second.cancel();
        assert!(second.await.is_ok(), "it ends by itself, within its grace");
    });
}
