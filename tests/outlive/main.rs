//! Wakers, handles, managers, timers and snapshots that outlive their runtime, and are used from anywhere.

#[path = "../common/mod.rs"]
#[allow(unreachable_pub)]
mod common;
mod storm;

use common::{Counter, Event, poll_idle, suspend, watchdog};
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context as Cx, Poll, Waker};
use std::thread;
use std::time::Duration;
use taskgrove::{
    CancelHandle, Context, Handle, JoinError, LifecycleError, Manager, ManagerSlot, Runtime,
    Service, Snapshot, SpawnError, Task, service_fn, time,
};

const HOUR: Duration = Duration::from_secs(3600);

fn build(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

/// Drives a future without the runtime it belongs to.
fn elsewhere<F: Future>(future: F) -> F::Output {
    build(0).block_on(future)
}

struct App {
    slot: ManagerSlot,
    ready: Event,
}

impl Service for App {
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        ctx.set_ready();
        self.ready.set();
        pending().await
    }
    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.slot)
    }
}

/// All that is left of a runtime.
struct Left {
    handle: Handle,
    task: Task<u32>,
    value: Task<u32>,
    cancel: CancelHandle,
    manager: Manager,
    context: Context,
    service: Arc<App>,
    child: Manager,
    supervised: Task<()>,
    snapshot: Snapshot,
    sleep: time::Sleep,
    interval: time::Interval,
    waker: Waker,
}

/// Fills a runtime, and drops it.
fn left(workers: usize) -> Left {
    let rt = build(workers);
    let left = rt.block_on(async {
        let handle = rt.handle().clone();
        let service = Arc::new(App {
            slot: ManagerSlot::new(),
            ready: Event::new(),
        });
        let manager = handle.start(service.clone()).unwrap();
        service.ready.wait().await;
        let context = service.slot.context().unwrap();
        let (kept, inside) = (Arc::new(Mutex::new(None)), Event::new());
        let (keep, set) = (kept.clone(), inside.clone());
        let task = handle.spawn(poll_fn(move |cx| {
            *keep.lock().unwrap() = Some(cx.waker().clone());
            set.set();
            Poll::Pending
        }));
        inside.wait().await;
        let waker = kept.lock().unwrap().take().unwrap();
        let value = handle.spawn(async { 6 });
        value.wait_done().await;
        let child = service_fn("child", |_| pending());
        Left {
            cancel: task.cancel_handle(),
            child: context.run_child_service(child).unwrap(),
            supervised: context.run_task(pending()).unwrap(),
            snapshot: handle.snapshot(),
            sleep: time::sleep(HOUR),
            interval: time::interval(HOUR),
            handle,
            task,
            value,
            manager,
            context,
            service,
            waker,
        }
    });
    drop(rt);
    left
}

fn everywhere(body: impl Fn(Left) + Send + 'static) {
    watchdog(move || {
        for workers in [0, 1, 2] {
            body(left(workers));
        }
    });
}

/// A handle: spawn gives cancelled tasks, start refuses, the snapshot is empty.
#[test]
fn a_handle() {
    everywhere(|left| {
        let h = left.handle.clone();
        let (dropped, ran) = (Counter::new(), Event::new());
        for named in [false, true] {
            let (guard, set) = (dropped.dropped(), ran.clone());
            let work = async move {
                let _guard = guard;
                set.set();
            };
            let task = if named {
                h.task(work).name("late").spawn()
            } else {
                h.spawn(work)
            };
            assert!(task.is_done());
            task.cancel();
            assert!(matches!(elsewhere(task), Err(JoinError::Cancelled)));
        }
        assert!(dropped.get() == 2 && !ran.is_set());
        let refused = h.start(service_fn("late", |_| async { Ok(()) }));
        assert!(matches!(
            refused,
            Err(LifecycleError::NotRunning { service }) if service == "late"
        ));
        assert!(h.snapshot().is_empty());
        assert_eq!(h.metrics().live_tasks, 0);
        let _ = format!("{h:?}");
    });
}

/// Handles of tasks: what has ended keeps its value, the others are cancelled; on any thread.
#[test]
fn handles_of_tasks() {
    everywhere(|left| {
        assert!(left.task.is_done() && left.cancel.is_done());
        left.cancel.cancel();
        left.task.cancel();
        thread::spawn(move || {
            elsewhere(left.task.wait_done());
            assert!(matches!(elsewhere(left.task), Err(JoinError::Cancelled)));
            assert!(matches!(
                elsewhere(left.supervised),
                Err(JoinError::Cancelled)
            ));
            assert_eq!(elsewhere(left.value).unwrap(), 6);
            assert_eq!(left.cancel.id(), left.cancel.clone().id());
        })
        .join()
        .unwrap();
    });
}

/// Managers are finished, without an error, and every wait on them resolves.
#[test]
fn managers() {
    everywhere(|left| {
        for m in [&left.manager, &left.child] {
            assert!(m.is_started() && m.is_finished() && !m.is_running());
            assert!(!m.did_error() && m.result().unwrap().is_ok());
            m.cancel().unwrap();
            elsewhere(async {
                m.wait_started().await;
                m.wait_finished().await;
                m.stop().await.unwrap();
                m.stop_timeout(HOUR).await.unwrap();
                assert!(m.external_api(async {}).await.is_err());
            });
            assert!(m.snapshot().is_empty());
            assert_eq!(m.stats().tasks.pending_count(), 0);
        }
        let again = elsewhere(left.manager.run());
        assert!(again.is_err());
    });
}

/// A context schedules nothing any more, and its cancellation is heard at once.
#[test]
fn a_context() {
    everywhere(|left| {
        let refused = [
            left.context.run_task(pending()).map(drop),
            left.context.run_daemon_task(pending()).map(drop),
            left.context
                .run_child_service(service_fn("x", |_| pending()))
                .map(drop),
        ];
        for result in refused {
            assert!(matches!(
                result,
                Err(SpawnError::Lifecycle(LifecycleError::NotRunning { .. }))
            ));
        }
        left.context.set_ready();
        let mut cancelled = Box::pin(left.context.cancelled());
        assert!(poll_idle(&mut cancelled).is_some());
    });
}

/// A slot stays taken, and its manager is the finished one.
#[test]
fn a_slot() {
    everywhere(|left| {
        assert!(left.service.slot.get().unwrap().is_finished());
        assert!(left.service.slot.context().unwrap().is_finished());
        assert!(Manager::new(left.service.clone()).is_err());
    });
}

/// A snapshot is a picture: it stays as it was.
#[test]
fn a_snapshot() {
    everywhere(|left| {
        let nodes = left.snapshot.nodes();
        assert_eq!(nodes.len(), 4);
        assert!(nodes.iter().any(|n| n.path == "App/child"));
        assert!(left.snapshot.to_string().contains("child"));
    });
}

/// Timers resolve, on any thread and in no runtime.
#[test]
fn timers() {
    everywhere(|left| {
        let (mut sleep, mut interval) = (left.sleep, left.interval);
        thread::spawn(move || {
            assert!(poll_idle(&mut sleep).is_some());
            for _ in 0..2 {
                let mut tick = Box::pin(interval.tick());
                assert!(poll_idle(&mut tick).is_some());
            }
        })
        .join()
        .unwrap();
    });
}

/// A sleep that somebody awaits when the runtime ends is woken.
#[test]
fn a_sleep_under_way() {
    watchdog(|| {
        for workers in [0, 2] {
            let rt = build(workers);
            let (mut sleep,) = rt.block_on(async { (time::sleep(HOUR),) });
            let parked = Event::new();
            let set = parked.clone();
            let waiter = thread::spawn(move || {
                elsewhere(poll_fn(move |cx| {
                    let poll = pin!(&mut sleep).poll(cx);
                    set.set();
                    poll
                }));
            });
            elsewhere(parked.wait());
            drop(rt);
            waiter.join().unwrap();
        }
    });
}

/// Wakers do nothing, however they are used and from wherever.
#[test]
fn wakers() {
    everywhere(|left| {
        let waker = left.waker.clone();
        let other = waker.clone();
        assert!(waker.will_wake(&other));
        thread::spawn(move || other.wake()).join().unwrap();
        waker.wake_by_ref();
        let another = waker.clone();
        another.wake();
        drop(left);
        waker.wake_by_ref();
        drop(waker);
    });
}

/// Everything that is left goes in any order.
#[test]
fn in_any_order() {
    watchdog(|| {
        let parts = 6;
        for turn in 0..parts {
            let left = left(2);
            let mut drops: Vec<Box<dyn FnOnce() + Send>> = vec![
                Box::new(move || drop(left.handle)),
                Box::new(move || drop((left.task, left.cancel))),
                Box::new(move || drop((left.manager, left.child))),
                Box::new(move || drop((left.context, left.service))),
                Box::new(move || drop((left.waker, left.supervised, left.value))),
                Box::new(move || drop((left.sleep, left.interval, left.snapshot))),
            ];
            drops.rotate_left(turn);
            let threads: Vec<_> = drops.into_iter().map(thread::spawn).collect();
            for thread in threads {
                thread.join().unwrap();
            }
        }
    });
}
