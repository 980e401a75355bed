//! What a parked task costs. Alone in its process: nothing else allocates meanwhile.

#[path = "churn/live.rs"]
mod live;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::Duration;

use live::live;
use taskgrove::Runtime;

const N: usize = 100_000;

/// A future of two words that is pending for ever and reports its first poll.
struct Parked {
    polled: Arc<Polled>,
    _word: usize,
}

struct Polled {
    count: AtomicUsize,
    all: mpsc::Sender<()>,
}

impl Future for Parked {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.polled.count.fetch_add(1, SeqCst) + 1 == N {
            self.polled.all.send(()).expect("the test waits");
        }
        Poll::Pending
    }
}

#[test]
fn a_parked_root_task_costs_128_bytes() {
    let rt = Runtime::builder().workers(2).build().expect("a runtime");
    // What a runtime allocates once, at its first task, is no part of a task's cost.
    rt.block_on(rt.spawn(async {})).expect("a value");
    let (all, done) = mpsc::channel();
    let count = AtomicUsize::new(0);
    let polled = Arc::new(Polled { count, all });
    let before = live();
    for word in 0..N {
        drop(rt.spawn(Parked {
            polled: polled.clone(),
            _word: word,
        }));
    }
    done.recv_timeout(Duration::from_secs(60))
        .expect("every task is polled");
    let bytes = live() - before;
    let each = bytes / N as isize;
    assert!(
        each <= 128,
        "{N} parked tasks take {bytes} bytes, {each} each"
    );
    assert_eq!(
        Arc::strong_count(&polled),
        N + 1,
        "every task is still there"
    );
    drop(rt);
    assert_eq!(
        Arc::strong_count(&polled),
        1,
        "the runtime dropped every task"
    );
}
