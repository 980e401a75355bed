//! Futures that are polled in one task and go on in another.

use crate::common::{Event, on_two_workers, poll_once};
use std::future::{Future, pending};
use std::pin::Pin;
use taskgrove::{Manager, Task, background_service, finally, service_fn, shielded, spawn};

type Moving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A `finally` that was polled once in a task, and that task, which waits for `end`.
async fn first_polled_elsewhere(cleaned: Event, end: Event) -> (Moving, Task<()>) {
    let (tx, rx) = std::sync::mpsc::channel::<Moving>();
    let sent = Event::new();
    let told = sent.clone();
    let first = spawn(async move {
        let mut moving: Moving = Box::pin(finally(pending::<()>(), async move { cleaned.set() }));
        assert!(poll_once(&mut moving).await.is_none());
        tx.send(moving).expect("the receiver is there");
        told.set();
        end.wait().await;
    });
    sent.wait().await;
    (rx.recv().expect("it was sent"), first)
}

/// Its new task is cancelled: the body is dropped, the cleanup runs, the task ends.
#[test]
fn a_finally_that_has_moved_ends_with_its_new_task() {
    on_two_workers(async || {
        let (cleaned, polled, end) = (Event::new(), Event::new(), Event::new());
        let (mut moving, first) = first_polled_elsewhere(cleaned.clone(), end.clone()).await;
        let told = polled.clone();
        let second = spawn(async move {
            assert!(poll_once(&mut moving).await.is_none());
            told.set();
            moving.await;
        });
        polled.wait().await;
        end.set();
        assert!(first.await.is_ok());
        second.cancel();
        assert!(second.await.is_err_and(|e| e.is_cancelled()));
        assert!(cleaned.is_set());
    });
}

/// Nobody cancels its new task: that its first one was cancelled does not matter.
#[test]
fn a_finally_that_has_moved_does_not_end_with_its_old_task() {
    on_two_workers(async || {
        let (cleaned, polled, again) = (Event::new(), Event::new(), Event::new());
        let (mut moving, first) = first_polled_elsewhere(cleaned.clone(), Event::new()).await;
        let (told, go) = (polled.clone(), again.clone());
        let second = spawn(async move {
            assert!(poll_once(&mut moving).await.is_none());
            told.set();
            go.wait().await;
            poll_once(&mut moving).await
        });
        polled.wait().await;
        first.cancel();
        assert!(first.await.is_err_and(|e| e.is_cancelled()));
        again.set();
        assert!(second.await.expect("it was not cancelled").is_none());
        assert!(
            !cleaned.is_set(),
            "the body was dropped and the cleanup run"
        );
    });
}

/// The shield inside a body is dropped on a thread of its own: the body is due then.
#[test]
fn a_body_ends_when_a_shield_that_left_it_is_dropped() {
    on_two_workers(async || {
        let failing = Event::new();
        let fail = failing.clone();
        let service = service_fn("failing", async move |_| {
            failing.wait().await;
            Err("failed".into())
        });
        let (tx, rx) = std::sync::mpsc::channel::<(Moving, Manager)>();
        let thread = std::thread::spawn(move || {
            let (moving, manager) = rx.recv().expect("it is sent");
            while !manager.is_finished() {
                std::thread::yield_now();
            }
            // The body's owner has been told, most likely: it looks at the shield, and goes on.
            for _ in 0..10_000 {
                std::thread::yield_now();
            }
            drop(moving);
        });
        let run = background_service(service, async move |manager| {
            let mut moving: Moving = Box::pin(shielded(pending()));
            assert!(poll_once(&mut moving).await.is_none());
            let sent = tx.send((moving, manager));
            sent.expect("the receiver is there");
            fail.set();
            pending::<()>().await;
        });
        assert!(run.await.is_err());
        thread.join().expect("a drop");
    });
}

/// A `background_service` whose body has moved, polled once in each of two tasks; the first lives on.
async fn moved_body(body: impl Future<Output = ()> + Send + 'static) -> (Task<()>, Task<()>) {
    let (tx, rx) = std::sync::mpsc::channel::<Moving>();
    let (sent, polled) = (Event::new(), Event::new());
    let told = sent.clone();
    let first = spawn(async move {
        let service = service_fn("idle", |_| pending());
        let mut moving: Moving = Box::pin(async move {
            let _ = background_service(service, async move |_| body.await).await;
        });
        assert!(poll_once(&mut moving).await.is_none());
        tx.send(moving).expect("the receiver is there");
        told.set();
        pending::<()>().await;
    });
    sent.wait().await;
    let mut moving = rx.recv().expect("it was sent");
    let told = polled.clone();
    let second = spawn(async move {
        assert!(poll_once(&mut moving).await.is_none());
        told.set();
        moving.await;
    });
    polled.wait().await;
    (first, second)
}

/// What is protected in a body protects the task that it has moved to, and no longer its first one.
#[test]
fn the_protection_in_a_body_moves_with_it() {
    on_two_workers(async || {
        let (go, ended) = (Event::new(), Event::new());
        let (wait, tell) = (go.wait(), ended.clone());
        let shield = shielded(async move {
            wait.await;
            tell.set();
        });
        let (first, second) = moved_body(shield).await;
        second.cancel();
        first.cancel();
        assert!(first.await.is_err_and(|e| e.is_cancelled()));
        assert!(!second.is_done());
        go.set();
        second.wait_done().await;
        assert!(ended.is_set(), "the shield was dropped");
    });
}

/// Without protection in it, it takes none along.
#[test]
fn a_body_without_protection_moves_alone() {
    on_two_workers(async || {
        let (first, second) = moved_body(pending()).await;
        first.cancel();
        assert!(first.await.is_err_and(|e| e.is_cancelled()));
        second.cancel();
        assert!(second.await.is_err_and(|e| e.is_cancelled()));
    });
}

/// A shield that has left its task is dropped elsewhere: the task, whose turn has come, ends.
#[test]
fn a_task_ends_when_the_shield_that_left_it_is_dropped() {
    on_two_workers(async || {
        let (tx, rx) = std::sync::mpsc::channel::<Moving>();
        let sent = Event::new();
        let told = sent.clone();
        let task = spawn(async move {
            let mut moving: Moving = Box::pin(shielded(pending()));
            assert!(poll_once(&mut moving).await.is_none());
            tx.send(moving).expect("the receiver is there");
            told.set();
            pending::<()>().await;
        });
        sent.wait().await;
        let moving = rx.recv().expect("it was sent");
        task.cancel();
        crate::common::suspend_times(50).await;
        assert!(!task.is_done());
        std::thread::spawn(move || drop(moving))
            .join()
            .expect("a drop");
        assert!(task.await.is_err_and(|e| e.is_cancelled()));
    });
}
