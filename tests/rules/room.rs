//! `TaskBuilder::spawn_when_room`: first come, first served, and no place is lost.

use crate::common::Counter;
use crate::set::Set;
use crate::util::*;
use crate::virtual_time::simulated;
use futures_lite::future::block_on;
use std::collections::BTreeSet;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;
use taskgrove::{
    Context, JoinError, LifecycleError, Manager, SpawnError, Task, TaskLocal, defer, finally,
    service_fn, shielded, spawn, time, yield_now,
};

const SECOND: Duration = Duration::from_secs(1);

type Waits<T> = Pin<Box<dyn Future<Output = Result<Task<T>, SpawnError>> + Send>>;

/// A wait that owns its context, for a task that waits for this event.
fn until(ctx: &Context, event: &Event) -> Waits<()> {
    let (ctx, event) = (ctx.clone(), event.clone());
    Box::pin(async move {
        let task = async move {
            event.wait().await;
            Ok(())
        };
        ctx.task(task).spawn_when_room().await
    })
}

/// The same, for a task that ends at once.
fn brief(ctx: &Context) -> Waits<()> {
    let ctx = ctx.clone();
    Box::pin(async move { ctx.task(async { Ok(()) }).spawn_when_room().await })
}

/// Polls once, with a waker that counts.
fn poll<T>(wait: &mut Waits<T>, waker: &Arc<Woken>) -> Poll<Result<Task<T>, SpawnError>> {
    let waker = Waker::from(waker.clone());
    wait.as_mut().poll(&mut TaskContext::from_waker(&waker))
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Woken {
    fn new() -> Arc<Woken> {
        Arc::default()
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Suspends until the waker was woken.
async fn woken(waker: &Arc<Woken>) {
    while waker.count() == 0 {
        yield_now().await;
    }
}

fn is_full(ctx: &Context) -> bool {
    matches!(
        ctx.run_task(async { Ok(()) }),
        Err(SpawnError::TooManyChildren(_))
    )
}

fn is_not_running<T>(result: Result<Task<T>, SpawnError>) -> bool {
    matches!(
        result,
        Err(SpawnError::Lifecycle(LifecycleError::NotRunning { .. }))
    )
}

/// In virtual time: it goes on in the moment in which a child leaves.
#[test]
fn it_goes_on_when_a_child_leaves() {
    simulated(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(2)).await;
        let start = time::now();
        for n in [5, 3] {
            ctx.run_task(async move {
                time::sleep(n * SECOND).await;
                Ok(())
            })
            .unwrap();
        }
        assert!(is_full(&ctx));
        let task = ctx.task(async { Ok(time::now()) }).spawn_when_room().await;
        assert_eq!(time::now() - start, 3 * SECOND);
        assert_eq!(task.unwrap().await.unwrap() - start, 3 * SECOND);
        m.stop().await.unwrap();
    });
}

/// In virtual time: waits that began at different moments get their places in that order, each as one comes free.
#[test]
fn first_come_first_served() {
    simulated(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(2)).await;
        let (start, log) = (time::now(), Log::new());
        let waits: Vec<_> = (0..10u32)
            .map(|n| {
                let (ctx, log) = (ctx.clone(), log.clone());
                spawn(async move {
                    time::sleep(n * SECOND / 100).await;
                    let body = async move {
                        log.push((n, (time::now() - start).as_millis()));
                        time::sleep(SECOND).await;
                        Ok(())
                    };
                    ctx.task(body).spawn_when_room().await.unwrap();
                })
            })
            .collect();
        for wait in waits {
            wait.await.unwrap();
        }
        time::sleep(SECOND).await;
        let expected: Vec<_> = (0..10u32)
            .map(|n| (n, u128::from(n / 2 * 1000 + n % 2 * 10)))
            .collect();
        assert_eq!(log.take(), expected);
        m.stop().await.unwrap();
    });
}

/// With room it is ready at its first poll.
#[test]
fn with_room_it_does_not_suspend() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(3)).await;
        for n in 1..=3 {
            let task = at_once(ctx.task::<_, ()>(pending()).spawn_when_room()).await;
            assert!(!task.unwrap().unwrap().is_done());
            assert_eq!(m.stats().tasks.pending_count(), n);
        }
        assert!(is_full(&ctx));
        assert!(at_once(brief(&ctx)).await.is_none());
        m.stop().await.unwrap();
    });
}

/// A place that came free is that of the first wait, also if others ask for it before that is polled.
#[test]
fn what_comes_later_overtakes_nothing() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let (gate, last) = (Event::new(), Event::new());
        let first = ctx.run_task({
            let gate = gate.clone();
            async move {
                gate.wait().await;
                Ok(())
            }
        });
        let (waker, mut wait) = (Woken::new(), until(&ctx, &last));
        assert!(poll(&mut wait, &waker).is_pending());
        gate.set();
        woken(&waker).await;
        first.unwrap().wait_done().await;
        assert!(is_full(&ctx));
        let child = service_fn("child", async |_| pending().await);
        assert!(matches!(
            ctx.run_child_service(child),
            Err(SpawnError::TooManyChildren(_))
        ));
        let (later, mut second) = (Woken::new(), brief(&ctx));
        assert!(poll(&mut second, &later).is_pending());
        let Poll::Ready(Ok(task)) = poll(&mut wait, &waker) else {
            panic!("it has a place")
        };
        assert!(is_full(&ctx) && later.count() == 0);
        last.set();
        task.await.unwrap();
        woken(&later).await;
        let Poll::Ready(Ok(task)) = poll(&mut second, &later) else {
            panic!("it has a place")
        };
        task.await.unwrap();
        m.stop().await.unwrap();
    });
}

/// A wait may be dropped before its first poll, while it waits, when it has a place, and after it was polled with one.
#[test]
fn a_wait_that_is_dropped_passes_its_place_on() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let gate = Event::new();
        let first = until(&ctx, &gate).await.unwrap();
        drop(brief(&ctx));
        let wakers: Vec<_> = (0..5).map(|_| Woken::new()).collect();
        let mut waits: Vec<_> = (0..5).map(|_| Some(brief(&ctx))).collect();
        for (wait, waker) in waits.iter_mut().zip(&wakers) {
            assert!(poll(wait.as_mut().unwrap(), waker).is_pending());
        }
        // The first and the third give up while they wait.
        (waits[0], waits[2]) = (None, None);
        gate.set();
        first.await.unwrap();
        woken(&wakers[1]).await;
        let counts = |wakers: &[Arc<Woken>]| wakers.iter().map(|w| w.count()).collect::<Vec<_>>();
        assert_eq!(counts(&wakers), [0, 1, 0, 0, 0]);
        // The second was woken, and is dropped with its place.
        waits[1] = None;
        woken(&wakers[3]).await;
        assert_eq!(counts(&wakers), [0, 1, 0, 1, 0]);
        let Poll::Ready(Ok(fourth)) = poll(waits[3].as_mut().unwrap(), &wakers[3]) else {
            panic!("it has a place")
        };
        // One that is over keeps nothing.
        waits[3] = None;
        fourth.await.unwrap();
        woken(&wakers[4]).await;
        drop(waits);
        assert!(!is_full(&ctx));
        m.stop().await.unwrap();
    });
}

/// The future that was to be scheduled is dropped with the wait.
#[test]
fn a_dropped_wait_drops_its_task() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        ctx.run_task(pending()).unwrap();
        let gone = Event::new();
        let falls = Falls(gone.clone());
        let wait = ctx.task(async move {
            let _falls = falls;
            Ok(())
        });
        assert!(at_once(wait.spawn_when_room()).await.is_none());
        assert!(gone.is_set());
        m.stop().await.unwrap();
    });
}

/// A wait that is polled by another waker is woken by the latest.
#[test]
fn the_latest_waker_is_woken() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let gate = Event::new();
        until(&ctx, &gate).await.unwrap();
        let (old, new, mut wait) = (Woken::new(), Woken::new(), brief(&ctx));
        assert!(poll(&mut wait, &old).is_pending());
        assert!(poll(&mut wait, &new).is_pending());
        gate.set();
        woken(&new).await;
        assert_eq!(old.count(), 0);
        assert!(poll(&mut wait, &new).is_ready());
        drop(wait);
        m.stop().await.unwrap();
        assert_eq!((Arc::strong_count(&old), Arc::strong_count(&new)), (1, 1));
    });
}

/// A limit of zero is an error, since there will never be room.
#[test]
fn a_limit_of_zero_is_an_error() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(0)).await;
        let Some(Err(SpawnError::TooManyChildren(error))) = at_once(brief(&ctx)).await else {
            panic!("not refused")
        };
        assert!(error.parent.ends_with("app") && error.limit == 0);
        m.stop().await.unwrap();
        let (m, ctx) = app_with(&h, |b| b.max_children(usize::MAX)).await;
        at_once(brief(&ctx)).await.unwrap().unwrap().await.unwrap();
        m.stop().await.unwrap();
    });
}

/// A cancellation, and a kill, let all of them go on; what they return never runs, and is not counted.
#[test]
fn a_cancellation_lets_all_go_on() {
    for kill in [false, true] {
        everywhere(async move |h| {
            let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
            // It lasts, so that no room comes free.
            let (gate, inside) = (Event::new(), Event::new());
            let (wait, set) = (gate.wait(), inside.clone());
            ctx.run_task(async move {
                set.set();
                shielded(wait).await;
                Ok(())
            })
            .unwrap();
            inside.wait().await;
            let (ran, mut waits) = (Counter::new(), Vec::new());
            for _ in 0..20 {
                let (ctx, ran) = (ctx.clone(), ran.clone());
                waits.push(h.spawn(async move {
                    let body = async move { Ok(ran.add()) };
                    ctx.task(body).spawn_when_room().await
                }));
            }
            let mut outside = brief(&ctx);
            assert!(poll(&mut outside, &Woken::new()).is_pending());
            if kill {
                m.kill().unwrap();
            } else {
                m.cancel().unwrap();
            }
            for wait in waits {
                match wait.await.unwrap() {
                    Ok(task) => assert!(matches!(task.await, Err(JoinError::Cancelled))),
                    // By then the service may be gone.
                    error => assert!(kill && is_not_running(error)),
                }
            }
            if !kill {
                assert!(outside.await.unwrap().await.unwrap_err().is_cancelled());
                assert_eq!(m.stats().tasks.total_count, 1);
            }
            assert_eq!(ran.get(), 0);
            gate.set();
            m.wait_finished().await;
            assert!(is_not_running(brief(&ctx).await));
        });
    }
}

/// Waits of a task that is cancelled by itself go on; the service, and the waits under it, do not.
#[test]
fn the_cancellation_of_the_parent_lets_its_waits_go_on() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let (inner, inside, seen) = (ctx.clone(), Event::new(), Gift::new());
        let (set, put) = (inside.clone(), seen.clone());
        let task = ctx.run_task(async move {
            let (gate, there) = (Event::new(), Event::new());
            let (opened, began) = (gate.clone(), there.clone());
            inner
                .run_task(async move {
                    began.set();
                    shielded(opened.wait()).await;
                    Ok(())
                })
                .unwrap();
            there.wait().await;
            let waiting = async {
                let task = brief(&inner).await;
                put.put(task.unwrap().is_done());
                gate.set();
            };
            both(waiting, async { set.set() }).await;
            pending().await
        });
        inside.wait().await;
        let mut wait = brief(&ctx);
        assert!(poll(&mut wait, &Woken::new()).is_pending());
        let task = task.unwrap();
        task.cancel();
        assert!(seen.take().await);
        assert!(task.await.unwrap_err().is_cancelled());
        wait.await.unwrap().await.unwrap();
        m.stop().await.unwrap();
    });
}

/// The end of the service is an error for what waits outside of it.
#[test]
fn the_end_of_the_service_is_an_error() {
    simulated(async |h| {
        let gift = Gift::new();
        let give = gift.clone();
        let service = service_fn("app", |ctx: Context| async move {
            ctx.run_task(async {
                time::sleep(SECOND).await;
                Ok(())
            })?;
            give.put(ctx);
            Ok(())
        });
        let m = Manager::builder(service).max_children(1).start(&h).unwrap();
        let ctx = gift.take().await;
        let result = brief(&ctx).await;
        assert!(m.is_finished() && is_not_running(result));
        assert!(is_not_running(brief(&ctx).await));
        assert_eq!(m.stats().tasks.total_count, 1);
    });
}

/// A task that waits and is cancelled is no longer in the line.
#[test]
fn a_cancelled_task_leaves_the_line() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let gate = Event::new();
        until(&ctx, &gate).await.unwrap();
        let waiting = |ctx: &Context| {
            let (inside, ctx) = (Event::new(), ctx.clone());
            let set = inside.clone();
            let task = h.spawn(async move {
                let mut wait = brief(&ctx);
                poll_fn(|cx| {
                    let polled = wait.as_mut().poll(cx);
                    set.set();
                    polled
                })
                .await
            });
            (task, inside)
        };
        let (first, inside) = waiting(&ctx);
        inside.wait().await;
        let (second, inside) = waiting(&ctx);
        inside.wait().await;
        first.cancel();
        assert!(first.await.unwrap_err().is_cancelled());
        gate.set();
        second.await.unwrap().unwrap().await.unwrap();
        m.stop().await.unwrap();
    });
}

/// Inside protection a task runs although its service is being cancelled: so it waits for room, too.
#[test]
fn inside_protection_it_waits_on() {
    simulated(async |h| {
        for way in ["shield", "cleanup", "defer"] {
            let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
            let (start, log, inner, inside) = (time::now(), Log::new(), ctx.clone(), Event::new());
            let (end, set) = (log.clone(), inside.clone());
            ctx.run_task(async move {
                let steps = async move {
                    for n in 0..3 {
                        let log = log.clone();
                        let step = async move {
                            time::sleep(SECOND).await;
                            log.push(n);
                            Ok(n)
                        };
                        let task = inner.task(step).spawn_when_room().await.unwrap();
                        if n == 2 {
                            assert_eq!(task.await.unwrap(), 2);
                        }
                    }
                };
                set.set();
                match way {
                    "shield" => shielded(steps).await,
                    "cleanup" => finally(pending(), steps).await,
                    _ => {
                        let _guard = defer(steps);
                        pending::<()>().await;
                    }
                }
                Ok(())
            })
            .unwrap();
            inside.wait().await;
            time::sleep(SECOND / 2).await;
            m.stop().await.unwrap();
            assert_eq!(end.take(), [0, 1, 2], "{way}");
            let late = if way == "shield" {
                Duration::ZERO
            } else {
                SECOND / 2
            };
            assert_eq!(time::now() - start, 3 * SECOND + late, "{way}");
        }
    });
}

/// A kill ends such a wait.
#[test]
fn a_kill_ends_a_wait_inside_protection() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let (inner, inside) = (ctx.clone(), Event::new());
        let set = inside.clone();
        let task = ctx.run_task(async move {
            shielded(async {
                inner.run_task(pending()).unwrap();
                set.set();
                brief(&inner).await.unwrap();
            })
            .await;
            Ok(())
        });
        inside.wait().await;
        m.cancel().unwrap();
        the_turn_has_come().await;
        assert!(!task.as_ref().unwrap().is_done());
        m.kill().unwrap();
        m.wait_finished().await;
        // It may have been polled before the kill has reached it.
        assert!(task.unwrap().is_done());
    });
}

/// In a grace period a task is scheduled; so a wait for room goes on there, until the period ends.
#[test]
fn in_grace_it_waits_on() {
    simulated(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let (start, log, inner) = (time::now(), Log::new(), ctx.clone());
        let end = log.clone();
        let task = ctx.task(async move {
            inner.cancelled().await;
            for n in 0.. {
                let log = log.clone();
                let step = async move {
                    time::sleep(2 * SECOND).await;
                    log.push(n);
                    Ok(())
                };
                inner.task(step).spawn_when_room().await?;
            }
            Ok(())
        });
        task.grace(5 * SECOND).spawn().unwrap();
        yield_now().await;
        m.stop().await.unwrap();
        assert_eq!(end.take(), [0, 1]);
        assert_eq!(time::now() - start, 5 * SECOND);
        // A task that opts out would never run, and waits for nothing.
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let (inner, gone) = (ctx.clone(), Gift::new());
        let put = gone.clone();
        let task = ctx.task(async move {
            inner.cancelled().await;
            inner.task::<_, ()>(pending()).spawn_when_room().await?;
            let opted_out = inner.task(async { Ok(()) }).grace(Duration::ZERO);
            put.put(opted_out.spawn_when_room().await?.is_done());
            Ok(())
        });
        task.grace(5 * SECOND).spawn().unwrap();
        yield_now().await;
        m.cancel().unwrap();
        assert!(gone.take().await);
        m.wait_finished().await;
    });
}

/// When the grace is over a task that is scheduled would not run, so the wait goes on, also if the turn has not come.
#[test]
fn the_end_of_the_grace_lets_it_go_on() {
    simulated(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let (start, inner, other, gift) = (time::now(), ctx.clone(), ctx.clone(), Gift::new());
        let (give, inside) = (gift.clone(), Event::new());
        let set = inside.clone();
        let task = ctx.task(async move {
            let below = inner.task::<_, ()>(pending()).grace(5 * SECOND);
            below.spawn().unwrap();
            set.set();
            inner.cancelled().await;
            let never: Task<()> = brief(&inner).await?;
            give.put((time::now() - start, never.is_done()));
            pending().await
        });
        let task: Task<()> = task.grace(2 * SECOND).spawn().unwrap();
        // From outside it never runs while the service is being cancelled.
        let outside = spawn(async move {
            let never = brief(&other).await.unwrap();
            (time::now() - start, never.is_done())
        });
        inside.wait().await;
        m.cancel().unwrap();
        assert_eq!(outside.await.unwrap(), (Duration::ZERO, true));
        assert_eq!(gift.take().await, (2 * SECOND, true));
        m.wait_finished().await;
        assert!(task.is_done());
        assert_eq!(time::now() - start, 5 * SECOND);
    });
}

/// In a set that polls only what was woken, and in a join of two, each wait goes on by itself.
#[test]
fn sets_of_waits_go_on() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(3)).await;
        let inner = ctx.clone();
        let all = ctx.task(async move {
            let mut set = Set::new();
            for _ in 0..100 {
                set.push(brief(&inner));
            }
            let mut ids = BTreeSet::new();
            while let Some(task) = set.next().await {
                ids.insert(task?.id());
            }
            let joined = async { drop(brief(&inner).await) };
            both(joined, async { drop(brief(&inner).await) }).await;
            Ok(ids.len())
        });
        assert_eq!(all.spawn().unwrap().await.unwrap(), 100);
        m.stop().await.unwrap();
        assert_eq!(m.stats().tasks.total_count, 103);
    });
}

/// A thread outside of any runtime waits, and so do the tasks of another runtime.
#[test]
fn it_waits_outside_and_in_another_runtime() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let gate = Event::new();
        until(&ctx, &gate).await.unwrap();
        let (begun, waits) = mpsc::channel();
        let done = Event::new();
        let thread = std::thread::spawn({
            let (ctx, done) = (ctx.clone(), done.clone());
            move || {
                let mut wait = brief(&ctx);
                block_on(async {
                    assert!(at_once(&mut wait).await.is_none());
                    begun.send(()).unwrap();
                    let other = build(1);
                    let far = other.spawn(async move {
                        assert_eq!(taskgrove::Handle::current().metrics().workers, 1);
                        brief(&ctx).await.unwrap().wait_done().await;
                    });
                    wait.await.unwrap().await.unwrap();
                    far.await.unwrap();
                });
                done.set();
            }
        });
        waits.recv().unwrap();
        gate.set();
        done.wait().await;
        thread.join().unwrap();
        m.stop().await.unwrap();
        assert_eq!(m.stats().tasks.finished_count, 3);
    });
}

/// A wait that moves into a task of the service is about that one, and gives up what it had before.
#[test]
fn a_wait_that_moves_is_about_its_new_parent() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(2)).await;
        let gate = Event::new();
        until(&ctx, &gate).await.unwrap();
        let (come, result) = (Gift::<Waits<()>>::new(), Gift::new());
        let (take, put) = (come.clone(), result.clone());
        let task = ctx.run_task(async move {
            put.put(take.take().await.await);
            pending().await
        });
        let (waker, mut wait) = (Woken::new(), brief(&ctx));
        assert!(poll(&mut wait, &waker).is_pending());
        let (next, mut second) = (Woken::new(), brief(&ctx));
        assert!(poll(&mut second, &next).is_pending());
        gate.set();
        woken(&waker).await;
        assert_eq!(next.count(), 0);
        come.put(wait);
        let moved = result.take().await.unwrap();
        assert_eq!(moved.parent(), Some(task.unwrap().id()));
        woken(&next).await;
        assert!(poll(&mut second, &next).is_ready());
        m.stop().await.unwrap();
    });
}

/// The settings of the builder are the task's, and its place is where the call is.
#[test]
fn the_settings_are_the_tasks() {
    static KEY: TaskLocal<u32> = TaskLocal::new();
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let gate = Event::new();
        until(&ctx, &gate).await.unwrap();
        let task = ctx.task(async { Ok(KEY.get()) });
        let task = task.name("late").daemon().isolated().local(&KEY, 7);
        let (wait, line) = (task.spawn_when_room(), line!());
        let mut wait = pin!(wait);
        assert!(at_once(&mut wait).await.is_none());
        gate.set();
        let task = wait.await.unwrap();
        assert!(task.is_daemon() && task.name() == "late");
        assert_eq!(task.await.unwrap(), Some(7));
        let failing = ctx.task::<_, ()>(async { Err(boom("late")) });
        let (failing, at) = (failing.spawn_when_room(), line!());
        drop(failing.await.unwrap());
        m.wait_finished().await;
        let error = m.result().unwrap().unwrap_err();
        assert_eq!(error.failures()[0].location().line(), at);
        assert!(at > line);
    });
}

/// A large future is scheduled as it is.
#[test]
fn a_large_future_waits() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let gate = Event::new();
        until(&ctx, &gate).await.unwrap();
        let bytes = [7u8; 20_000];
        let large = async move {
            yield_now().await;
            Ok(bytes.iter().map(|b| u64::from(*b)).sum::<u64>())
        };
        let mut wait = pin!(ctx.task(large).spawn_when_room());
        assert!(at_once(&mut wait).await.is_none());
        gate.set();
        assert_eq!(wait.await.unwrap().await.unwrap(), 140_000);
        m.stop().await.unwrap();
    });
}

/// Child services leave room, too, when they have finished.
#[test]
fn a_child_service_leaves_room() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let child = service_fn("child", async |_| pending().await);
        let child = ctx.run_child_service(child).unwrap();
        let mut wait = brief(&ctx);
        assert!(poll(&mut wait, &Woken::new()).is_pending());
        child.stop().await.unwrap();
        wait.await.unwrap().await.unwrap();
        m.stop().await.unwrap();
    });
}

/// A service that starts two tasks when it is told to, of which the first that is polled after `go` ends, and the
/// other one is in a poll that lasts until it is told, too.
struct Pair {
    m: Manager,
    ctx: Context,
    start: Event,
    go: Event,
    in_poll: mpsc::Receiver<()>,
    end: mpsc::Sender<()>,
}

async fn pair(h: &taskgrove::Handle) -> Pair {
    let (gift, start, go) = (Gift::new(), Event::new(), Event::new());
    let (tell, in_poll) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let (give, started, gone) = (gift.clone(), start.wait(), go.clone());
    let service = service_fn("app", |ctx: Context| async move {
        give.put(ctx.clone());
        started.await;
        // After so many short polls the worker reads the clock seldom. Before it does, it unlinks what is done.
        for _ in 0..2_000 {
            yield_now().await;
        }
        let end = Arc::new(std::sync::Mutex::new(Some((tell, ended))));
        // The first one takes nothing, the second one the ends of the channels.
        let turn = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            let (go, turn, end) = (gone.clone(), turn.clone(), end.clone());
            ctx.run_task(async move {
                go.wait().await;
                if turn.fetch_add(1, Ordering::SeqCst) == 1 {
                    let (tell, ended) = end.lock().unwrap().take().unwrap();
                    tell.send(()).unwrap();
                    ended.recv().unwrap();
                }
                Ok(())
            })?;
        }
        pending().await
    });
    let m = Manager::builder(service).max_children(2).start(h).unwrap();
    let ctx = gift.take().await;
    Pair {
        m,
        ctx,
        start,
        go,
        in_poll,
        end,
    }
}

/// A child that is done leaves its room at once, although its worker keeps it to unlink it with its siblings,
/// and is in a poll of one of them: if the wait begins before the child ends.
#[test]
fn a_poll_that_lasts_keeps_no_room_that_comes() {
    on(1, async |h| {
        let pair = pair(&h).await;
        pair.start.set();
        while pair.m.stats().tasks.total_count < 2 {
            yield_now().await;
        }
        let (waker, mut wait) = (Woken::new(), brief(&pair.ctx));
        assert!(poll(&mut wait, &waker).is_pending());
        // From a task: both are in the queue of the worker before it takes the first of them.
        h.spawn(async move { pair.go.set() });
        pair.in_poll.recv().unwrap();
        let Poll::Ready(Ok(task)) = poll(&mut wait, &waker) else {
            panic!("no room")
        };
        pair.end.send(()).unwrap();
        task.await.unwrap();
        pair.m.stop().await.unwrap();
    });
}

/// And if it begins when the child is done.
#[test]
fn a_poll_that_lasts_keeps_no_room_that_is_there() {
    on(1, async |h| {
        let pair = pair(&h).await;
        pair.go.set();
        pair.start.set();
        pair.in_poll.recv().unwrap();
        let task = at_once(brief(&pair.ctx)).await.expect("there is room");
        pair.end.send(()).unwrap();
        task.unwrap().await.unwrap();
        pair.m.stop().await.unwrap();
    });
}

/// Thousands of waits, from tasks and from the outside, of which many are dropped: never more than the limit, each
/// that stays is served, and in the end there is room.
#[test]
fn many_waits_and_many_children() {
    const LIMIT: usize = 7;
    for workers in [1, 2] {
        on(workers, async move |h| {
            let (m, ctx) = app_with(&h, |b| b.max_children(LIMIT)).await;
            let (live, most, ran) = (
                Counter::new(),
                Arc::new(AtomicUsize::new(0)),
                Counter::new(),
            );
            let mut tasks = Vec::new();
            for n in 0..4_000usize {
                let (ctx, live, most, ran) = (ctx.clone(), live.clone(), most.clone(), ran.clone());
                tasks.push(h.spawn(async move {
                    let body = async move {
                        let _live = live.live();
                        most.fetch_max(live.get(), Ordering::SeqCst);
                        for _ in 0..n % 3 {
                            yield_now().await;
                        }
                        Ok(ran.add())
                    };
                    let wait = ctx.task(body).spawn_when_room();
                    if n % 4 == 0 {
                        // It is polled a few times, and then dropped, whatever it has by then.
                        let mut wait = pin!(wait);
                        for _ in 0..n % 5 {
                            if let Some(task) = at_once(&mut wait).await {
                                task.unwrap();
                                return 1;
                            }
                            yield_now().await;
                        }
                        return 0;
                    }
                    wait.await.unwrap().await.unwrap();
                    1
                }));
            }
            let mut scheduled = 0;
            for task in tasks {
                scheduled += task.await.unwrap();
            }
            while m.stats().tasks.pending_count() > 0 {
                yield_now().await;
            }
            assert_eq!(ran.get(), scheduled);
            assert!(most.load(Ordering::SeqCst) <= LIMIT);
            assert!(!is_full(&ctx));
            m.stop().await.unwrap();
        });
    }
}

/// Threads that schedule, wait and give up at the same time lose no place.
#[test]
fn threads_lose_no_place() {
    for limit in [1, 2, 5] {
        on(2, async move |h| {
            let (m, ctx) = app_with(&h, |b| b.max_children(limit)).await;
            let done = Counter::new();
            let threads: Vec<_> = (0..3u64)
                .map(|seed| {
                    let (ctx, done) = (ctx.clone(), done.clone());
                    std::thread::spawn(move || {
                        let mut random = seed + 1;
                        for _ in 0..2_000 {
                            random = random
                                .wrapping_mul(6_364_136_223_846_793_005)
                                .wrapping_add(1);
                            match random >> 60 {
                                0..4 => drop(block_on(at_once(brief(&ctx)))),
                                4..6 => drop(ctx.run_task(async { Ok(()) })),
                                _ => drop(block_on(brief(&ctx)).unwrap()),
                            }
                        }
                        done.add();
                    })
                })
                .collect();
            while done.get() < 3 {
                yield_now().await;
            }
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            for _ in 0..limit {
                ctx.task::<_, ()>(pending())
                    .spawn_when_room()
                    .await
                    .unwrap();
            }
            assert!(is_full(&ctx));
            m.stop().await.unwrap();
        });
    }
}

/// A waker that does this when it is woken.
struct Acts<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Acts<F> {
    fn wake(self: Arc<Self>) {
        self.0();
    }
}

/// A waker may schedule, begin a wait and drop another one in the moment in which it is woken.
#[test]
fn a_waker_may_do_the_same_again() {
    everywhere(async |h| {
        let (m, ctx) = app_with(&h, |b| b.max_children(1)).await;
        let gate = Event::new();
        until(&ctx, &gate).await.unwrap();
        let waits: Vec<_> = (0..3).map(|_| brief(&ctx)).collect();
        let shared = Arc::new(std::sync::Mutex::new(waits));
        let (acted, inner, others) = (Event::new(), ctx.clone(), shared.clone());
        let set = acted.clone();
        let act = Waker::from(Arc::new(Acts(move || {
            assert!(is_full(&inner));
            drop(block_on(at_once(brief(&inner))));
            let taken = others.lock().unwrap().pop();
            drop(taken);
            set.set();
        })));
        let mut cx = TaskContext::from_waker(&act);
        // The last one waits first, and drops itself when it has got the room.
        for wait in shared.lock().unwrap().iter_mut().rev() {
            assert!(wait.as_mut().poll(&mut cx).is_pending());
        }
        gate.set();
        acted.wait().await;
        while !shared.lock().unwrap().is_empty() {
            yield_now().await;
        }
        brief(&ctx).await.unwrap().await.unwrap();
        assert!(!is_full(&ctx));
        m.stop().await.unwrap();
    });
}

/// The end of the runtime ends the wait of a thread outside of it.
#[test]
fn the_end_of_the_runtime_ends_a_wait() {
    crate::common::watchdog(|| {
        for workers in [0, 1, 2] {
            let rt = build(workers);
            let (_m, ctx) = rt.block_on(app_with(rt.handle(), |b| b.max_children(1)));
            ctx.run_task(pending()).unwrap();
            let (begun, waits) = mpsc::channel();
            let thread = std::thread::spawn(move || {
                let mut wait = brief(&ctx);
                block_on(async {
                    assert!(at_once(&mut wait).await.is_none());
                    begun.send(()).unwrap();
                    match wait.await {
                        Ok(task) => assert!(task.is_done()),
                        error => assert!(is_not_running(error)),
                    }
                });
            });
            waits.recv().unwrap();
            drop(rt);
            thread.join().unwrap();
        }
    });
}

/// The hook for crowds counts children, and no waits.
#[test]
fn the_hook_for_crowds_counts_children() {
    crate::common::watchdog(|| {
        for workers in [0, 1, 2] {
            let calls = Log::new();
            let log = calls.clone();
            let rt = taskgrove::Runtime::builder().workers(workers);
            let rt = rt.on_crowd(1.0, move |crowd| log.push(crowd.children));
            rt.build().unwrap().block_on(async {
                let h = taskgrove::Handle::current();
                let (m, ctx) = app_with(&h, |b| b.max_children(3)).await;
                let gate = Event::new();
                until(&ctx, &gate).await.unwrap();
                until(&ctx, &gate).await.unwrap();
                assert!(calls.is_empty());
                until(&ctx, &Event::new()).await.unwrap();
                assert_eq!(calls.take(), [3]);
                let (first, second) = (Woken::new(), Woken::new());
                let mut waits = [brief(&ctx), brief(&ctx)];
                assert!(poll(&mut waits[0], &first).is_pending());
                assert!(poll(&mut waits[1], &second).is_pending());
                gate.set();
                woken(&second).await;
                let [one, two] = waits;
                one.await.unwrap().wait_done().await;
                two.await.unwrap().wait_done().await;
                // There are two children at most from here on.
                assert!(calls.is_empty());
                m.stop().await.unwrap();
            });
        }
    });
}
