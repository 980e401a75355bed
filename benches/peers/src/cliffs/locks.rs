//! Tasks that contend for locks and permits, and that wait for signals.

use super::{By, Cliff, Took, all, cliff, drive};
use crate::raw::{AsyncExecutor, GroveRoots, Raw, Tokio};
use std::sync::Arc;
use tokio::sync::{Barrier, Mutex, Notify, RwLock, Semaphore};

pub fn rows() -> Vec<Cliff> {
    vec![
        cliff!(
            mutex,
            "1,000 tasks and one lock, held over a yield; an acquisition"
        ),
        cliff!(
            mutex_short,
            "100 tasks and one lock, held briefly; an acquisition"
        ),
        cliff!(rwlock, "100 readers, 10 writers; an acquisition"),
        cliff!(semaphore, "1,000 tasks, 10 permits; an acquisition"),
        cliff!(notify, "10,000 signals to one task; a signal"),
        cliff!(barrier, "100 tasks meet 100 times; a meeting of one"),
    ]
}

fn mutex<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(10_000, async {
        let count = Arc::new(Mutex::new(0));
        all::<R, _>(1_000, |_| {
            let count = count.clone();
            async move {
                for _ in 0..10 {
                    let mut guard = count.lock().await;
                    crate::raw_work::yield_once().await;
                    *guard += 1;
                }
            }
        })
        .await;
        assert_eq!(*count.lock().await, 10_000);
    })
}

fn mutex_short<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(20_000, async {
        let count = Arc::new(Mutex::new(0));
        all::<R, _>(100, |_| {
            let count = count.clone();
            async move {
                for _ in 0..200 {
                    *count.lock().await += 1;
                }
            }
        })
        .await;
        assert_eq!(*count.lock().await, 20_000);
    })
}

fn rwlock<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(11_000, async {
        let count = Arc::new(RwLock::new(0));
        all::<R, _>(110, |i| {
            let count = count.clone();
            async move {
                for _ in 0..100 {
                    if i % 11 == 0 {
                        *count.write().await += 1;
                    } else {
                        std::hint::black_box(*count.read().await);
                    }
                    crate::raw_work::yield_once().await;
                }
            }
        })
        .await;
    })
}

fn semaphore<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(10_000, async {
        let permits = Arc::new(Semaphore::new(10));
        all::<R, _>(1_000, |_| {
            let permits = permits.clone();
            async move {
                for _ in 0..10 {
                    let _permit = permits.acquire().await.expect("open");
                    crate::raw_work::yield_once().await;
                }
            }
        })
        .await;
    })
}

fn notify<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(10_000, async {
        let (there, back) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (heard, answer) = (there.clone(), back.clone());
        let other = R::spawn(async move {
            for _ in 0..10_000 {
                heard.notified().await;
                answer.notify_one();
            }
        });
        for _ in 0..10_000 {
            there.notify_one();
            back.notified().await;
        }
        other.await;
    })
}

fn barrier<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(10_000, async {
        let barrier = Arc::new(Barrier::new(100));
        all::<R, _>(100, |_| {
            let barrier = barrier.clone();
            async move {
                for _ in 0..100 {
                    barrier.wait().await;
                }
            }
        })
        .await;
    })
}
