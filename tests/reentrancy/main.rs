//! User code is never run under a lock: whatever it calls from a drop, a waker, a name or a poll, nothing deadlocks.

#[path = "../common/mod.rs"]
#[allow(unreachable_pub)]
mod common;
mod locals;
mod runtimes;
mod wakers;

use common::{Counter, Event, Log, OnDrop, on_workers, watchdog};
use std::borrow::Cow;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context as Cx, Poll, Wake, Waker};
use taskgrove::{
    CancelHandle, Context, Handle, Manager, Runtime, Service, Task, TaskId, service_fn, spawn,
};

/// Everything a piece of user code may call, at hand for any place it is run in.
#[derive(Clone)]
struct Everything {
    handle: Handle,
    manager: Manager,
    context: Context,
    tasks: Arc<Mutex<Vec<CancelHandle>>>,
    calls: Counter,
}

impl Everything {
    /// Calls all that does not cancel.
    fn look(&self) {
        let _ = TaskId::current();
        let _ = Handle::try_current().map(|h| h.metrics());
        let _ = self.handle.snapshot().to_string();
        let _ = self.handle.metrics();
        let _ = (self.manager.snapshot(), self.manager.stats());
        let _ = (self.manager.is_running(), self.manager.result());
        let _ = (self.manager.is_finished(), self.manager.did_error());
        drop(self.handle.spawn(async {}));
        drop(self.context.run_task(async { Ok(()) }));
        if let Ok(daemon) = self.context.run_daemon_task(pending()) {
            daemon.cancel();
        }
        let child = service_fn("child", |_| async { Ok(()) });
        drop(self.context.run_child_service(child));
        if Handle::try_current().is_some() {
            drop(spawn(async {}));
        }
        drop(self.context.clone());
        self.calls.add();
    }

    /// Calls all, and cancels: the tasks known, then the whole service.
    fn wreck(&self) {
        self.look();
        let tasks = self.tasks.lock().unwrap().clone();
        for task in tasks {
            task.cancel();
        }
        let _ = self.manager.cancel();
        self.look();
    }
}

/// A service with a parent, siblings and children, and a hand on all of it.
async fn everything() -> Everything {
    let gift = Arc::new(Mutex::new(None));
    let (give, given) = (gift.clone(), Event::new());
    let set = given.clone();
    let handle = Handle::current();
    let manager = handle
        .start(service_fn("app", |ctx: Context| async move {
            *give.lock().unwrap() = Some(ctx);
            set.set();
            pending().await
        }))
        .unwrap();
    given.wait().await;
    let context = gift.lock().unwrap().take().unwrap();
    Everything {
        handle,
        manager,
        context,
        tasks: Arc::default(),
        calls: Counter::new(),
    }
}

impl Everything {
    /// Makes tasks in the service, three deep, that run `code` at a drop of their futures.
    async fn plant(&self, code: impl Fn() + Clone + Send + Sync + 'static) {
        for _ in 0..3 {
            let (inside, code) = (Event::new(), code.clone());
            let (set, all) = (inside.clone(), self.clone());
            let task = self.context.run_task(async move {
                let _here = OnDrop::new(code.clone());
                let middle = spawn(async move {
                    let _here = OnDrop::new(code.clone());
                    let low = spawn(async move {
                        let _here = OnDrop::new(code);
                        set.set();
                        pending::<()>().await
                    });
                    all.tasks.lock().unwrap().push(low.cancel_handle());
                    pending::<()>().await
                });
                let handle = middle.cancel_handle();
                drop(middle);
                pending::<()>().await;
                drop(handle);
                Ok(())
            });
            let task = task.unwrap();
            self.tasks.lock().unwrap().push(task.cancel_handle());
            inside.wait().await;
        }
    }
}

fn everywhere(body: impl AsyncFnOnce() + Clone + Send + 'static) {
    for workers in [0, 1, 2] {
        on_workers(workers, body.clone());
    }
}

/// Drops of futures, on cancellation of the service.
#[test]
fn from_the_drop_of_a_cancelled_future() {
    everywhere(async || {
        let all = everything().await;
        let inner = all.clone();
        all.plant(move || inner.wreck()).await;
        all.manager.stop().await.unwrap();
        assert!(all.manager.result().unwrap().is_ok());
        assert_eq!(all.calls.get(), 18);
    });
}

/// Drops of futures, when one of the tasks is cancelled, which cancels all the others.
#[test]
fn from_the_drop_of_one_cancelled_task() {
    everywhere(async || {
        let all = everything().await;
        let inner = all.clone();
        all.plant(move || inner.wreck()).await;
        let first = all.tasks.lock().unwrap()[0].clone();
        first.cancel();
        all.manager.wait_finished().await;
        assert!(all.manager.is_cancelled() && all.calls.get() == 18);
    });
}

/// Drops of futures that have ended.
#[test]
fn from_the_drop_of_a_future_that_ends() {
    everywhere(async || {
        let all = everything().await;
        let inner = all.clone();
        let task = all.context.run_task(async move {
            let _here = OnDrop::new(move || inner.look());
            Ok(())
        });
        task.unwrap().await.unwrap();
        assert_eq!(all.calls.get(), 1);
        assert!(all.manager.is_running());
    });
}

/// Drops of outputs: of a detached task, in a handle, and taken.
#[test]
fn from_the_drop_of_an_output() {
    everywhere(async || {
        for way in 0..3 {
            let all = everything().await;
            let (inner, dropped) = (all.clone(), Event::new());
            let set = dropped.clone();
            let go = Event::new();
            let wait = go.wait();
            let task = all.handle.spawn(async move {
                wait.await;
                OnDrop::new(move || {
                    inner.wreck();
                    set.set();
                })
            });
            match way {
                0 => {
                    drop(task);
                    go.set();
                }
                1 => {
                    go.set();
                    task.wait_done().await;
                    drop(task);
                }
                _ => {
                    go.set();
                    drop(task.await);
                }
            }
            dropped.wait().await;
            all.manager.wait_finished().await;
        }
    });
}

struct Ends(Everything);

impl Future for Ends {
    type Output = taskgrove::Result;
    fn poll(self: Pin<&mut Self>, _: &mut Cx<'_>) -> Poll<Self::Output> {
        self.0.wreck();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.wreck();
    }
}

/// Polls, and drops of futures after their last poll: of the task itself, of `run`, of a child service.
#[test]
fn from_a_poll_and_the_drop_after_it() {
    everywhere(async || {
        for way in 0..3 {
            let all = everything().await;
            all.plant(|| ()).await;
            let ends = Ends(all.clone());
            let service = service_fn("ends", |_| ends);
            match way {
                0 => drop(all.context.run_task(Ends(all.clone())).unwrap()),
                1 => drop(all.handle.start(service).unwrap()),
                _ => drop(all.context.run_child_service(service).unwrap()),
            }
            all.manager.wait_finished().await;
            assert!(all.manager.is_cancelled());
        }
    });
}

struct NameLooks(Everything);

impl Service for NameLooks {
    async fn run(self: Arc<Self>, _: Context) -> taskgrove::Result {
        Ok(())
    }
    fn name(&self) -> Cow<'static, str> {
        self.0.look();
        "looks".into()
    }
}

/// A service's name, wherever it is asked for.
#[test]
fn from_a_name() {
    everywhere(async || {
        let all = everything().await;
        let m = Manager::new(NameLooks(all.clone())).unwrap();
        m.run().await.unwrap();
        let m = all.handle.start(NameLooks(all.clone())).unwrap();
        m.wait_finished().await;
        let child = all
            .context
            .run_child_service(NameLooks(all.clone()))
            .unwrap();
        child.wait_finished().await;
        assert!(all.calls.get() >= 3);
        all.manager.stop().await.unwrap();
    });
}

/// In the drop of its future, a task is still the current one.
#[test]
fn the_task_is_current_in_its_drop() {
    everywhere(async || {
        let (log, inside) = (Log::new(), Event::new());
        let (inner, set) = (log.clone(), inside.clone());
        let task = spawn(async move {
            let _here = OnDrop::new(move || inner.push(TaskId::current()));
            set.set();
            pending::<()>().await
        });
        inside.wait().await;
        task.cancel();
        task.wait_done().await;
        assert_eq!(log.take(), [Some(task.id())]);
    });
}

/// Tasks that hold the handles of others, and drop or cancel them in their own drops.
#[test]
fn handles_dropped_in_drops() {
    everywhere(async || {
        let (dropped, parked) = (Counter::new(), Counter::new());
        let mut held: Option<Task<()>> = None;
        for n in 0..50 {
            let (below, guard, polled) = (held.take(), dropped.dropped(), parked.clone());
            held = Some(spawn(async move {
                let _guard = guard;
                let _below = below.map(Task::cancel_on_drop);
                polled.add();
                pending::<()>().await
            }));
            while parked.get() <= n {
                common::suspend().await;
            }
        }
        let last = held.unwrap();
        last.cancel();
        while dropped.get() < 50 {
            common::suspend().await;
        }
        last.wait_done().await;
    });
}

/// A service that holds the only way to itself is gone after its end, whatever was called meanwhile.
#[test]
fn nothing_is_left_behind() {
    everywhere(async || {
        let alive: Weak<()>;
        {
            let all = everything().await;
            let token = Arc::new(());
            alive = Arc::downgrade(&token);
            let inner = all.clone();
            all.plant(move || {
                let _ = &token;
                inner.wreck();
            })
            .await;
            all.manager.stop().await.unwrap();
        }
        assert!(alive.upgrade().is_none());
    });
}
