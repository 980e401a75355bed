//! What the benchmarks share: a runtime with two workers, and tasks that count themselves.
#![allow(dead_code, reason = "each benchmark uses a part")]

use std::future::{Future, pending, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
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

/// What a parked task waits for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Park {
    /// Nothing: no waker of it is anywhere.
    Pending,
    /// A message that never comes: its waker is registered there.
    Waker,
}

/// Where a message would go, and the waker of who waits for it.
type Mailbox = Arc<Mutex<Option<Waker>>>;

/// Those who would send the messages.
static SENDERS: Mutex<Vec<Mailbox>> = Mutex::new(Vec::new());

/// Lets go of what waiting tasks have left.
pub(crate) fn forget_senders() {
    SENDERS.lock().expect("senders").clear();
}

/// The receiving end; takes its waker back when it is dropped.
struct Receiver(Mailbox);

impl Drop for Receiver {
    fn drop(&mut self) {
        let waker = self.0.lock().expect("mailbox").take();
        drop(waker);
    }
}

/// Waits for ever.
pub(crate) async fn wait(park: Park) {
    if park == Park::Pending {
        return pending().await;
    }
    let receiver = Receiver(Mailbox::default());
    SENDERS.lock().expect("senders").push(receiver.0.clone());
    poll_fn(|cx| {
        *receiver.0.lock().expect("mailbox") = Some(cx.waker().clone());
        Poll::<()>::Pending
    })
    .await;
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
