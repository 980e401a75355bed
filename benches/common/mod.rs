//! What the benchmarks share: a runtime with two workers, and tasks that count themselves.
#![allow(dead_code, reason = "each benchmark uses a part")]

use std::future::{Future, pending, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;
use taskgrove::{Handle, Runtime};

/// A runtime with two workers.
pub(crate) fn runtime() -> Runtime {
    let builder = Runtime::builder().workers(2);
    builder.build().expect("threads")
}

/// Runs `future` as a root task, to its end.
pub(crate) fn drive<F>(runtime: &Handle, future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (tx, rx) = mpsc::sync_channel(1);
    drop(runtime.spawn(async move {
        let _ = tx.send(future.await);
    }));
    rx.recv().expect("the task was lost")
}

/// Adds up the time of `rounds` runs of `run`.
pub(crate) fn total(rounds: u64, mut run: impl FnMut() -> Duration) -> Duration {
    (0..rounds).map(|_| run()).sum()
}

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Counted from its making to its drop.
pub(crate) struct Live(());

impl Live {
    pub(crate) fn new() -> Live {
        LIVE.fetch_add(1, Ordering::AcqRel);
        Live(())
    }

    /// How many there are.
    pub(crate) fn count() -> usize {
        LIVE.load(Ordering::Acquire)
    }

    /// Waits until there are `count`.
    pub(crate) async fn reach(count: usize) {
        while Live::count() != count {
            taskgrove::yield_now().await;
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Counts itself and parks for ever.
pub(crate) async fn parked() {
    let _live = Live::new();
    pending::<()>().await;
}

/// Wakes its own task, once, and suspends.
pub(crate) async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
