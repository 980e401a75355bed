//! Tasks that are spawned, woken, joined and cancelled.

use super::{By, Cliff, Took, Watch, all, cliff, drive};
use crate::raw::{AsyncExecutor, GroveRoots, Raw, Tokio};
use crate::raw_work::{work, yield_once};
use futures::channel::oneshot;
use futures::future::BoxFuture;
use std::sync::mpsc;

pub fn rows() -> Vec<Cliff> {
    vec![
        cliff!(spawn_join, "10,000 empty tasks from a task; a task"),
        cliff!(spawn_detached, "10,000 tasks that nobody awaits; a task"),
        cliff!(spawn_outside, "10,000 from another thread; a task"),
        cliff!(spawn_outside_2, "10,000 from two other threads; a task"),
        cliff!(spawn_large, "1,000 futures of 4 KiB; a task"),
        cliff!(spawn_await, "spawn(..).await, 10,000 times; a task"),
        cliff!(
            spawn_tree,
            "a binary tree 12 deep, each joins its two; a task"
        ),
        cliff!(chain, "each task spawns the next; a task"),
        cliff!(yields, "1,000 tasks that yield; a yield"),
        cliff!(yields_alone, "one task that yields; a yield"),
        cliff!(wake_burst, "another thread wakes 10,000 tasks; a wake"),
        cliff!(wake_alone, "another thread wakes one task; a wake"),
        cliff!(fan_out, "1,000 tasks of 5 us of work; a task"),
        cliff!(fan_out_long, "64 tasks of 200 us of work; a task"),
        cliff!(cancel, "10,000 parked tasks by their handles; a task"),
    ]
}

fn spawn_join<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(10_000, async {
        let tasks: Vec<_> = (0..10_000).map(|i| R::spawn(async move { i })).collect();
        for task in tasks {
            task.await;
        }
    })
}

fn spawn_detached<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(10_000, async {
        let (tx, rx) = oneshot::channel::<()>();
        let tx = std::sync::Arc::new(std::sync::Mutex::new(Some(tx)));
        let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(10_000));
        for _ in 0..10_000 {
            let (left, tx) = (left.clone(), tx.clone());
            R::detach(R::spawn(async move {
                if left.fetch_sub(1, std::sync::atomic::Ordering::AcqRel) == 1 {
                    drop(tx.lock().expect("no panic").take());
                }
            }));
        }
        let _ = rx.await;
    })
}

fn outside<R: Raw>(count: usize) {
    let tasks: Vec<_> = (0..count)
        .map(|i| R::spawn_outside(async move { i }))
        .collect();
    futures_lite::future::block_on(async {
        for task in tasks {
            task.await;
        }
    });
}

fn spawn_outside<R: Raw>(_: By<R>) -> Took {
    let watch = Watch::start();
    outside::<R>(10_000);
    watch.took(10_000)
}

fn spawn_outside_2<R: Raw>(_: By<R>) -> Took {
    let watch = Watch::start();
    std::thread::scope(|scope| {
        scope.spawn(|| outside::<R>(5_000));
        outside::<R>(5_000);
    });
    watch.took(10_000)
}

fn spawn_large<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(1_000, async {
        let tasks = (0..1_000).map(|i| {
            R::spawn(async move {
                let load = std::hint::black_box([i as u8; 4_096]);
                yield_once().await;
                load[i % 4_096]
            })
        });
        let tasks: Vec<_> = tasks.collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await, i as u8);
        }
    })
}

fn spawn_await<R: Raw>(_: By<R>) -> Took {
    drive::<R, _>(10_000, async {
        for i in 0..10_000 {
            assert_eq!(R::spawn(async move { i }).await, i);
        }
    })
}

fn spawn_tree<R: Raw>(_: By<R>) -> Took {
    fn node<R: Raw>(depth: usize) -> BoxFuture<'static, usize> {
        Box::pin(async move {
            if depth == 0 {
                return 1;
            }
            let (left, right) = (
                R::spawn(node::<R>(depth - 1)),
                R::spawn(node::<R>(depth - 1)),
            );
            1 + left.await + right.await
        })
    }
    const NODES: usize = (1 << 13) - 1;
    drive::<R, _>(NODES, async {
        assert_eq!(node::<R>(12).await, NODES);
    })
}

fn chain<R: Raw>(_: By<R>) -> Took {
    fn link<R: Raw>(left: usize, done: Option<oneshot::Sender<()>>) {
        R::detach(R::spawn(async move {
            if left > 1 {
                link::<R>(left - 1, done);
            } else {
                drop(done);
            }
        }));
    }
    drive::<R, _>(10_000, async {
        let (tx, rx) = oneshot::channel();
        link::<R>(10_000, Some(tx));
        let _ = rx.await;
    })
}

fn yields_in<R: Raw>(tasks: usize, each: usize) -> Took {
    let task = move |_| async move {
        for _ in 0..each {
            yield_once().await;
        }
    };
    drive::<R, _>(tasks * each, all::<R, _>(tasks, task))
}

fn yields<R: Raw>(_: By<R>) -> Took {
    yields_in::<R>(1_000, 100)
}

fn yields_alone<R: Raw>(_: By<R>) -> Took {
    yields_in::<R>(1, 50_000)
}

fn wake_burst<R: Raw>(_: By<R>) -> Took {
    let (tx, rx) = mpsc::channel::<()>();
    let (parked, ready) = mpsc::channel::<()>();
    let bells = (0..10_000).map(|_| {
        let (bell, rung) = oneshot::channel::<()>();
        let (tx, parked) = (tx.clone(), parked.clone());
        R::detach(R::spawn_outside(async move {
            drop(parked);
            let _ = rung.await;
            drop(tx);
        }));
        bell
    });
    let bells: Vec<_> = bells.collect();
    drop((tx, parked));
    let _ = ready.recv();
    let watch = Watch::start();
    drop(bells);
    let _ = rx.recv();
    watch.took(10_000)
}

fn wake_alone<R: Raw>(_: By<R>) -> Took {
    let (tx, rx) = mpsc::channel::<()>();
    let (mut ask, mut asked) = futures::channel::mpsc::channel::<()>(1);
    R::detach(R::spawn_outside(async move {
        while futures_lite::StreamExt::next(&mut asked).await.is_some() {
            let _ = tx.send(());
        }
    }));
    let watch = Watch::start();
    for _ in 0..500 {
        ask.try_send(()).expect("it waits");
        rx.recv().expect("it answers");
    }
    watch.took(500)
}

fn fan<R: Raw>(tasks: usize, pieces: usize) -> Took {
    crate::raw_work::calibrate();
    drive::<R, _>(tasks, async move {
        let tasks = (0..tasks as u64)
            .map(|i| R::spawn(async move { (0..pieces).fold(i, |sum, _| sum ^ work(i)) }));
        for task in tasks.collect::<Vec<_>>() {
            std::hint::black_box(task.await);
        }
    })
}

fn fan_out<R: Raw>(_: By<R>) -> Took {
    fan::<R>(1_000, 1)
}

fn fan_out_long<R: Raw>(_: By<R>) -> Took {
    fan::<R>(64, 40)
}

fn cancel<R: Raw>(_: By<R>) -> Took {
    let ns = crate::raw_work::cancel_by_handle::<R>();
    // Its preparation is not to be in the CPU time.
    Took { wall: ns, cpu: ns }
}
