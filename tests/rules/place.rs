//! "Place": whose child a scheduled task is, and which line of the caller's it was scheduled on.

use crate::util::*;
use std::future::{Future, pending};
use std::panic::Location;
use std::pin::pin;
use taskgrove::{
    FailureKind, Handle, Manager, Service, TaskId, background_service, defer, service_fn, spawn,
};

/// What `run` schedules is the service's child.
#[test]
fn from_run_it_is_the_services() {
    everywhere(async |h| {
        let seen = Gift::new();
        let give = seen.clone();
        let m = h
            .start(service_fn("app", |ctx| async move {
                let current = TaskId::current();
                let task = ctx.run_task(async { Ok(()) })?;
                let child = ctx.run_child_service(service_fn("child", |_| async { Ok(()) }))?;
                give.put((current, ctx.id(), task.parent(), child.id()));
                pending().await
            }))
            .unwrap();
        let (current, own, parent, child) = seen.take().await;
        assert_eq!((current, own, parent), (m.id(), m.id(), m.id()));
        assert!(child.is_some() && child != m.id());
    });
}

/// What one of the service's tasks schedules is that task's child.
#[test]
fn from_a_task_it_is_the_tasks() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let seen = Gift::new();
        let (give, inner) = (seen.clone(), ctx.clone());
        let task = ctx
            .task(async move {
                let below = inner.run_daemon_task(pending())?;
                let service = service_fn("child", |_| pending());
                let child = inner.child_service(service).spawn()?;
                give.put((below.parent(), child));
                pending::<taskgrove::Result>().await
            })
            .name("worker")
            .spawn()
            .unwrap();
        let (parent, child) = seen.take().await;
        assert_eq!(task.parent(), m.id());
        assert_eq!(parent, Some(task.id()));
        let tree = m.snapshot();
        let node = tree.nodes().iter().find(|n| Some(n.id) == child.id());
        let node = node.expect("the child service is in the tree");
        assert_eq!(node.parent, Some(task.id()));
        assert_eq!(node.path, "app/worker/child");
    });
}

/// What is scheduled from outside is the service's child.
#[test]
fn from_outside_it_is_the_services() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let here = ctx.run_task(async { Ok(()) }).unwrap();
        let ctx2 = ctx.clone();
        let there = h.spawn(async move { ctx2.run_task(async { Ok(()) }).unwrap().parent() });
        assert_eq!(here.parent(), m.id());
        assert_eq!(there.await.unwrap(), m.id());
    });
}

/// What is scheduled from another service's task is the service's child.
#[test]
fn from_another_service_it_is_the_services() {
    everywhere(async |h| {
        let (first, ctx) = app(&h).await;
        let (_second, other) = app(&h).await;
        let seen = Gift::new();
        let give = seen.clone();
        other
            .run_task(async move {
                give.put(ctx.run_task(async { Ok(()) })?.parent());
                Ok(())
            })
            .unwrap();
        assert_eq!(seen.take().await, first.id());
    });
}

/// The `run` of a child service is another service's to its parent's context.
#[test]
fn from_a_child_service_it_is_the_parents() {
    everywhere(async |h| {
        let (m, ctx) = app(&h).await;
        let seen = Gift::new();
        let (give, outer) = (seen.clone(), ctx.clone());
        ctx.run_child_service(service_fn("child", |inner| async move {
            let a = outer.run_task(async { Ok(()) })?.parent();
            let b = inner.run_task(async { Ok(()) })?.parent();
            give.put((a, b, inner.id()));
            Ok(())
        }))
        .unwrap();
        let (a, b, child) = seen.take().await;
        assert_eq!(a, m.id());
        assert_eq!(b, child);
    });
}

/// The place that snapshots give of the one task, or service, of this name.
#[track_caller]
fn place_of(h: &Handle, name: &str) -> &'static Location<'static> {
    let all = h.snapshot();
    let mut named = all.nodes().iter().filter(|node| node.name == name);
    let found = named.next().expect("it is in the tree");
    assert!(named.next().is_none(), "two are called {name}");
    found.location
}

/// Looks whether what is called "here" was spawned on the line of the call, or so many below it.
#[track_caller]
fn spawned_here(h: &Handle, lines: u32) {
    let (seen, here) = (place_of(h, "here"), Location::caller());
    assert_eq!(
        (seen.file(), seen.line() + lines),
        (here.file(), here.line())
    );
}

async fn here() {
    pending().await
}

async fn here_forever() -> taskgrove::Result {
    pending().await
}

fn here_service() -> impl Service {
    service_fn("here", |_| pending())
}

async fn gone(h: &Handle) {
    while h.snapshot().nodes().iter().any(|n| n.name == "here") {
        taskgrove::yield_now().await;
    }
}

/// Every function that takes a future or a service, spawned at once: the place is the caller's line.
#[rustfmt::skip]
#[test]
fn a_place_is_the_line_of_the_caller() {
    everywhere(async |h| {
        let task = h.spawn(here());
        spawned_here(&h, 1);
        task.cancel();
        gone(&h).await;
        let task = h.task(async { pending::<()>().await }).name("here").spawn();
        spawned_here(&h, 1);
        task.cancel();
        gone(&h).await;
        let task = spawn(here());
        spawned_here(&h, 1);
        task.cancel();
        gone(&h).await;
        let (seen, inner) = (Gift::new(), h.clone());
        let give = seen.clone();
        h.spawn(async move {
            let below = spawn(here());
            spawned_here(&inner, 1);
            below.cancel();
            give.put(());
        });
        seen.take().await;
        gone(&h).await;
        let manager = h.start(here_service()).unwrap();
        spawned_here(&h, 1);
        manager.stop().await.unwrap();

        let (_app, ctx) = app(&h).await;
        let task = ctx.run_task(here_forever()).unwrap();
        assert_eq!(place_of(&h, "here_forever").line() + 1, line!());
        task.cancel();
        task.wait_done().await;
        let task = ctx.run_daemon_task(here_forever()).unwrap();
        assert_eq!(place_of(&h, "here_forever").line() + 1, line!());
        task.cancel();
        task.wait_done().await;
        let task = ctx.task(here_forever()).name("here").daemon().spawn().unwrap();
        spawned_here(&h, 1);
        task.cancel();
        task.wait_done().await;
        let child = ctx.run_child_service(here_service()).unwrap();
        spawned_here(&h, 1);
        child.stop().await.unwrap();
        let child = ctx.run_daemon_child_service(here_service()).unwrap();
        spawned_here(&h, 1);
        child.stop().await.unwrap();
        let child = ctx.child_service(here_service()).name("here").spawn().unwrap();
        spawned_here(&h, 1);
        child.stop().await.unwrap();
    });
}

/// The same of a service that begins when a future is first polled: the place is the line on which
/// that was made, wherever it is polled.
#[rustfmt::skip]
#[test]
fn a_place_is_the_line_on_which_the_future_was_made() {
    everywhere(async |h| {
        async fn polled_elsewhere(h: &Handle, future: impl Future) -> &'static Location<'static> {
            let place = {
                let mut future = pin!(future);
                assert!(poll_once(&mut future).await.is_none());
                place_of(h, "here")
            };
            gone(h).await;
            place
        }
        let manager = Manager::new(here_service()).unwrap();
        let future = manager.run();
        let line = line!() - 1;
        assert_eq!(polled_elsewhere(&h, future).await.line(), line);
        let future = Manager::run_service(here_service());
        let line = line!() - 1;
        assert_eq!(polled_elsewhere(&h, future).await.line(), line);
        let manager = Manager::builder(here_service()).name("here").build().unwrap();
        let future = manager.run();
        let line = line!() - 1;
        assert_eq!(polled_elsewhere(&h, future).await.line(), line);
        let future = background_service(here_service(), async |_| pending::<()>().await);
        let line = line!() - 1;
        let place = polled_elsewhere(&h, future).await;
        assert_eq!((place.line(), place.file()), (line, file!()));
    });
}

/// `Runtime::run`, from the failure of the service's own `run`.
#[test]
fn a_place_is_the_line_of_the_run() {
    watchdog(|| {
        for workers in [0, 1] {
            let rt = build(workers);
            let (service, line) = (service_fn("here", |_| async { Err("wrong")? }), line!() + 1);
            let error = rt.run(service).unwrap_err();
            let [failure] = error.failures() else {
                panic!("{error}")
            };
            assert!(matches!(failure.kind(), FailureKind::Error(_)));
            let place = failure.location();
            assert_eq!((place.file(), place.line()), (file!(), line));
        }
    });
}

/// A guard of `defer` that is dropped outside of every task: where the guard was made.
#[test]
fn a_place_is_the_line_of_the_guard() {
    everywhere(async |h| {
        let go = Event::new();
        let (guard, line) = (defer(go.wait()), line!());
        drop(guard);
        let place = place_of(&h, "defer");
        assert_eq!((place.file(), place.line()), (file!(), line));
        go.set();
    });
}

/// What only panics outside a runtime says which call it is about.
#[test]
fn a_panic_says_which_call_it_is_about() {
    fn poll<F: Future>(future: F) -> String {
        let mut future = pin!(future);
        let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
        panics(|| future.as_mut().poll(cx).is_ready())
    }
    let at = |line: u32| format!("{}:{line}:", file!());
    let manager = Manager::new(here_service()).unwrap();
    let (future, line) = (manager.run(), line!());
    assert!(poll(future).contains(&at(line)));
    let (future, line) = (Manager::run_service(here_service()), line!());
    assert!(poll(future).contains(&at(line)));
    let body = async |_| ();
    let (future, line) = (background_service(here_service(), body), line!());
    assert!(poll(future).contains(&at(line)));
    let hour = std::time::Duration::from_secs(3600);
    let (future, line) = (taskgrove::time::timeout(hour, here()), line!());
    assert!(poll(future).contains(&at(line)));
}

/// All of these can be sent to another thread, as what they are made of.
#[test]
fn futures_that_know_their_place_are_send() {
    fn send<T: Send>(_: &T) {}
    let manager = Manager::new(here_service()).unwrap();
    send(&manager.run());
    send(&Manager::run_service(here_service()));
    send(&background_service(here_service(), async |_: Manager| 5));
    send(&taskgrove::time::timeout(std::time::Duration::ZERO, here()));
}
