//! Memory is flat under churn, and comes back after a peak.

#[path = "churn/live.rs"]
mod live;

mod common;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use common::{Counter, poll_once, watchdog};
use live::live;
use taskgrove::time::{sleep, timeout};
use taskgrove::{Context, Runtime, defer, finally, service_fn, shielded, yield_now};

/// How much the level may wander, in bytes: a few pages of slots that one thread or the other keeps.
const SLACK: isize = 256 * 1024;
const ROUNDS: usize = if cfg!(debug_assertions) { 2 } else { 5 };
const FAR: Duration = Duration::from_secs(3600);

/// One of these tests at a time: they all look at the same count.
static ALONE: Mutex<()> = Mutex::new(());

fn alone(body: impl FnOnce() + Send + 'static) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    watchdog(body);
}

fn runtime() -> Runtime {
    Runtime::builder().workers(2).build().expect("a runtime")
}

/// Runs `round` once to warm up, then some more times; the level of live bytes must stay where it was.
fn assert_flat(what: &str, mut round: impl FnMut()) {
    round();
    let start = live();
    let mut levels = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        round();
        levels.push(live() - start);
    }
    assert!(
        levels.iter().all(|&level| level <= SLACK),
        "{what}: live bytes above the first round's end: {levels:?}"
    );
}

/// Tasks of several sizes: two that fit slots of different classes, and one that has to be boxed.
async fn batch(n: usize) {
    let mut tasks = Vec::with_capacity(n);
    for i in 0..n {
        tasks.push(match i % 3 {
            0 => taskgrove::spawn(async {}),
            1 => taskgrove::spawn(padded::<96>()),
            _ => taskgrove::spawn(padded::<2000>()),
        });
    }
    for task in tasks {
        task.await.expect("the task ends");
    }
}

async fn padded<const BYTES: usize>() {
    let room = [1u8; BYTES];
    yield_now().await;
    assert!(std::hint::black_box(&room).iter().all(|&b| b == 1));
}

#[test]
fn tasks_that_come_and_go_leave_nothing() {
    alone(|| {
        let rt = runtime();
        assert_flat("roots", || {
            rt.block_on(async {
                for _ in 0..40 {
                    batch(1000).await;
                }
            });
        });
        assert_flat("children of one task", || {
            let parent = rt.spawn(async {
                for _ in 0..40 {
                    batch(1000).await;
                }
            });
            rt.block_on(parent).expect("the parent ends");
        });
        assert_flat("cancelled trees", || {
            rt.block_on(async {
                for _ in 0..400 {
                    let parent = taskgrove::spawn(async {
                        for _ in 0..99 {
                            drop(taskgrove::spawn(sleep(FAR)));
                        }
                        std::future::pending::<()>().await
                    });
                    yield_now().await;
                    parent.cancel();
                    parent.wait_done().await;
                }
            });
        });
    });
}

#[test]
fn supervised_tasks_that_come_and_go_leave_nothing() {
    alone(|| {
        let rt = runtime();
        let done = Counter::new();
        let counted = done.clone();
        // One service for the whole test: what it keeps of a finished task would add up.
        let rounds = common::Queue::<common::Event>::new();
        let wanted = rounds.clone();
        let run = move |ctx: Context| async move {
            loop {
                let ended = wanted.recv().await;
                for _ in 0..400 {
                    let mut tasks = Vec::new();
                    for i in 0..100 {
                        let done = counted.clone();
                        let task = ctx.task(async move {
                            done.add();
                            Ok(i)
                        });
                        tasks.push(task.name(format!("task-{i}")).spawn()?);
                    }
                    for task in tasks {
                        task.await?;
                    }
                }
                ended.set();
            }
        };
        let manager = rt.start(service_fn("app", run)).expect("a service");
        assert_flat("supervised tasks", || {
            let ended = common::Event::new();
            rounds.send(ended.clone());
            let ended = manager.external_api(ended.wait());
            rt.block_on(ended).expect("the service does not fail");
        });
        let total = (ROUNDS as u64 + 1) * 40_000;
        assert_eq!(done.get() as u64, total);
        assert_eq!(manager.stats().tasks.total_count, total);
        assert_eq!(manager.stats().tasks.finished_count, total);
        rt.block_on(manager.stop()).expect("a started service");
    });
}

#[test]
fn services_that_come_and_go_leave_nothing() {
    alone(|| {
        let rt = runtime();
        assert_flat("services", || {
            rt.block_on(async {
                for i in 0..4000 {
                    let run = |ctx: Context| async move {
                        ctx.run_daemon_task(std::future::pending())?;
                        ctx.run_task(async { Ok(()) })?;
                        ctx.run_child_service(service_fn("child", |ctx| async move {
                            ctx.cancelled().await;
                            Ok(())
                        }))?;
                        ctx.set_ready();
                        std::future::pending().await
                    };
                    let rt = taskgrove::Handle::current();
                    let manager = rt.start(service_fn("app", run)).expect("a service");
                    manager.wait_ready().await.expect("it gets ready");
                    if i % 2 == 0 {
                        drop(manager.snapshot());
                    }
                    manager.stop().await.expect("a started service");
                    assert!(matches!(manager.result(), Some(Ok(()))));
                }
            });
        });
    });
}

#[test]
fn timers_that_are_dropped_leave_nothing() {
    alone(|| {
        let rt = runtime();
        assert_flat("timers", || {
            rt.block_on(async {
                for i in 0..50_000 {
                    // Far and ever farther, so that no slot is reused by chance of an equal deadline.
                    let mut far = sleep(FAR + Duration::from_millis(i));
                    assert_eq!(poll_once(&mut far).await, None);
                }
                for _ in 0..10_000 {
                    timeout(FAR, yield_now()).await.expect("long before");
                }
            });
        });
        assert_flat("many timers at once", || {
            rt.block_on(async {
                let mut all: Vec<_> = (0..20_000).map(|_| sleep(FAR)).collect();
                for far in &mut all {
                    assert_eq!(poll_once(far).await, None);
                }
            });
        });
    });
}

#[test]
fn protection_that_comes_and_goes_leaves_nothing() {
    alone(|| {
        let rt = runtime();
        let cleanups = Counter::new();
        assert_flat("cleanups", || {
            rt.block_on(async {
                for _ in 0..100 {
                    let mut tasks = Vec::new();
                    for _ in 0..100 {
                        let cleanups = cleanups.clone();
                        tasks.push(taskgrove::spawn(async move {
                            let counted = cleanups.clone();
                            let _later = defer(async move {
                                yield_now().await;
                                counted.add();
                            });
                            let after = async {
                                yield_now().await;
                                cleanups.add();
                            };
                            finally(shielded(yield_now()), after).await;
                        }));
                    }
                    for task in tasks {
                        task.await.expect("the task ends");
                    }
                }
            });
        });
        assert_eq!(cleanups.get(), (ROUNDS + 1) * 2 * 100 * 100);
    });
}

#[test]
fn threads_and_runtimes_that_come_and_go_leave_nothing() {
    alone(|| {
        let rt = runtime();
        let handle = rt.handle().clone();
        assert_flat("threads that spawn", || {
            for _ in 0..100 {
                let handle = handle.clone();
                let spawning = std::thread::spawn(move || {
                    (0..50).map(|_| handle.spawn(async {})).collect::<Vec<_>>()
                });
                let tasks = spawning.join().expect("the thread ends");
                rt.block_on(async {
                    for task in tasks {
                        task.await.expect("the task ends");
                    }
                });
            }
        });
        assert_flat("runtimes", || {
            for _ in 0..40 {
                let short = runtime();
                for _ in 0..50 {
                    drop(short.spawn(async { sleep(FAR).await }));
                }
                short.block_on(batch(50));
            }
        });
    });
}

/// Holds any number of tasks until it is opened. (An `Event` looks through all its waiters for each one.)
#[derive(Default)]
struct Dam(Mutex<(bool, Vec<Waker>)>);

impl Dam {
    async fn wait(&self) {
        let mut waits = false;
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut waits, true) {
                state.1.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn waiting(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    fn open(&self) {
        let wakers = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

const PEAK: usize = if cfg!(taskgrove_malloc) {
    30_000
} else {
    300_000
};

/// Runs `n` tasks up to where all of them wait; returns the task they are below, and what holds them.
fn fill(rt: &Runtime, n: usize) -> (taskgrove::Task<()>, Arc<Dam>) {
    let dam = Arc::new(Dam::default());
    let held = dam.clone();
    let top = rt.spawn(async move {
        for _ in 0..n {
            let held = held.clone();
            drop(taskgrove::spawn(async move { held.wait().await }));
        }
    });
    rt.block_on(async {
        while dam.waiting() < n {
            yield_now().await;
        }
    });
    (top, dam)
}

/// The slots of finished tasks come back when their last reference has gone, which may be a moment after the tasks' end;
/// a little work goes on meanwhile. A level that stays too high is reported after a while.
fn assert_comes_back(what: &str, rt: &Runtime, before: isize, peak: isize) {
    let growth = peak - before;
    assert!(
        growth > (PEAK * 64) as isize,
        "the peak is only {growth} bytes"
    );
    let started = Instant::now();
    while live() - before > growth / 4 {
        rt.block_on(rt.spawn(async {})).expect("the task ends");
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{what}: {} of {growth} bytes are still there",
            live() - before
        );
    }
}

#[test]
fn pages_come_back_after_a_peak() {
    alone(|| {
        let rt = runtime();
        let (warm, dam) = fill(&rt, 1000);
        dam.open();
        rt.block_on(warm).expect("the tasks end");
        drop(dam);
        for _ in 0..2 {
            let before = live();
            let (top, dam) = fill(&rt, PEAK);
            let peak = live();
            dam.open();
            rt.block_on(top).expect("the tasks end");
            drop(dam);
            assert_comes_back("finished", &rt, before, peak);

            let before = live();
            let (top, dam) = fill(&rt, PEAK);
            let peak = live();
            top.cancel();
            rt.block_on(top.wait_done());
            // The dam's wakers are the last references to the slots.
            drop((top, dam));
            assert_comes_back("cancelled", &rt, before, peak);

            let short = runtime();
            let before = live();
            let (top, dam) = fill(&short, PEAK);
            let peak = live();
            drop(short);
            drop((top, dam));
            assert_comes_back("dropped with their runtime", &rt, before, peak);
        }
    });
}

#[test]
fn handles_and_wakers_may_be_dropped_after_the_runtime() {
    alone(|| {
        assert_flat("late handles", || {
            let rt = runtime();
            let tasks: Vec<_> = (0..1000)
                .map(|_| rt.spawn(async { sleep(FAR).await }))
                .collect();
            let dam = Dam::default();
            rt.block_on(async {
                let mut wait = pin!(dam.wait());
                poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx).is_ready())).await;
            });
            drop(rt);
            assert!(tasks.iter().all(taskgrove::Task::is_done));
            dam.open();
        });
    });
}

/// The records of two tasks that wait for each other do not keep the two.
#[test]
fn tasks_that_wait_for_each_other_leave_nothing() {
    alone(|| {
        let rt = Runtime::builder().workers(2).track_awaits(true);
        let rt = rt.build().expect("a runtime");
        let handle = rt.handle().clone();
        let round = move || {
            rt.block_on(async {
                for _ in 0..300 {
                    let place: Arc<Mutex<Option<taskgrove::Task<()>>>> = Arc::default();
                    let theirs = place.clone();
                    let (parked, seen) = (Counter::new(), Counter::new());
                    let (one, two) = (parked.clone(), seen.clone());
                    let first = handle.spawn(async move {
                        let other = loop {
                            let found =
                                theirs.lock().unwrap_or_else(PoisonError::into_inner).take();
                            match found {
                                Some(other) => break other,
                                None => yield_now().await,
                            }
                        };
                        one.add();
                        let _ = other.await;
                    });
                    let cancel = first.cancel_handle();
                    let second = handle.spawn(async move {
                        two.add();
                        let _ = first.await;
                    });
                    let other = second.cancel_handle();
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(second);
                    while parked.get() + seen.get() < 2 {
                        yield_now().await;
                    }
                    cancel.cancel();
                    other.cancel();
                    while !cancel.is_done() || !other.is_done() {
                        yield_now().await;
                    }
                }
            });
        };
        // A round in addition, since the arena takes its pages in steps.
        round();
        assert_flat("waits in circles", round);
    });
}
