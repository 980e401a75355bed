//! Calls in the wrong order, and values at the edges: a clear answer, never a hang or a corruption.

#[path = "../common/mod.rs"]
#[allow(unreachable_pub)]
mod common;
mod order;

use common::{Event, OnDrop, on_workers, poll_once, suspend, watchdog};
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as Cx, Waker};
use std::time::Duration;
use taskgrove::{
    Context, Handle, JoinError, Manager, Runtime, ServiceError, SpawnError, Task, TaskId,
    background_service, defer, service_fn, shielded, spawn, time,
};

const HOUR: Duration = Duration::from_secs(3600);

fn build(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

fn everywhere(body: impl AsyncFnOnce() + Clone + Send + 'static) {
    for workers in [0, 1, 2] {
        on_workers(workers, body.clone());
    }
}

/// What this panics with, as text; the panic is kept out of the output.
#[track_caller]
fn panics<T>(f: impl FnOnce() -> T) -> String {
    thread_local! {
        static MUTED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !MUTED.get() {
                usual(info);
            }
        }));
    });
    MUTED.set(true);
    let caught = catch_unwind(AssertUnwindSafe(f));
    MUTED.set(false);
    match caught {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(other) => (*other.downcast::<&str>().unwrap()).to_owned(),
        },
    }
}

fn poll_outside<F: Future>(future: F) -> bool {
    pin!(future)
        .poll(&mut Cx::from_waker(Waker::noop()))
        .is_ready()
}

async fn app(
    configured: impl FnOnce(taskgrove::ManagerBuilder) -> taskgrove::ManagerBuilder,
) -> Context {
    let queue = common::Queue::new();
    let give = queue.clone();
    let service = service_fn("app", |ctx: Context| async move {
        give.send(ctx);
        pending().await
    });
    let m = configured(Manager::builder(service)).build().unwrap();
    spawn(async move { m.run().await });
    queue.recv().await
}

/// What needs a runtime says so.
#[test]
fn outside_a_runtime() {
    watchdog(|| {
        let m = Manager::new(service_fn("app", |_| async { Ok(()) })).unwrap();
        let service = || service_fn("app", |_| async { Ok(()) });
        let texts = [
            panics(Handle::current),
            panics(|| spawn(async {})),
            panics(|| poll_outside(time::sleep(HOUR))),
            panics(|| poll_outside(time::timeout(HOUR, pending::<()>()))),
            panics(|| poll_outside(async { time::interval(HOUR).tick().await })),
            panics(|| poll_outside(m.run())),
            panics(|| poll_outside(Manager::run_service(service()))),
            panics(|| poll_outside(background_service(service(), async |_| ()))),
        ];
        for text in texts {
            assert!(text.contains("runtime"), "{text}");
        }
        assert!(TaskId::current().is_none() && Handle::try_current().is_none());
        // The refused start was none.
        build(0).block_on(m.run()).unwrap();
    });
}

/// `block_on` on a worker of the same runtime panics with a helpful message, and the task is all that it costs.
#[test]
fn block_on_inside() {
    watchdog(|| {
        for workers in [1, 2] {
            let rt = Arc::new(build(workers));
            let inner = rt.clone();
            let (tx, rx) = std::sync::mpsc::channel();
            rt.spawn(async move {
                let text = panics(|| inner.block_on(async {}));
                let run = panics(|| inner.run(service_fn("app", |_| async { Ok(()) })));
                drop(inner);
                tx.send((text, run)).unwrap();
            });
            let (text, run) = rx.recv().unwrap();
            assert!(text.contains("block_on"), "{text}");
            assert!(!run.is_empty());
            assert_eq!(rt.block_on(rt.spawn(async { 3 })).unwrap(), 3);
        }
    });
}

/// Also from inside another runtime's task that the worker runs meanwhile.
#[test]
fn block_on_inside_another_runtime() {
    watchdog(|| {
        let rt = Arc::new(build(1));
        let inner = rt.clone();
        let (tx, rx) = std::sync::mpsc::channel();
        rt.spawn(async move {
            let other = build(0);
            let nested = inner.clone();
            let task = other.spawn(async move {
                let text = panics(|| nested.block_on(async {}));
                // The other way round it is allowed: this one has threads of its own.
                let third = build(1);
                (text, third.block_on(async { 3 }))
            });
            let seen = other.block_on(task).unwrap();
            let after = panics(|| inner.block_on(async {}));
            drop(inner);
            tx.send((seen, after)).unwrap();
        });
        let ((text, third), after) = rx.recv().unwrap();
        assert!(text.contains("block_on"), "{text}");
        assert!(after.contains("block_on"), "{after}");
        assert_eq!(third, 3);
    });
}

/// A simulation's numbers are to be had in one only.
#[test]
fn random_outside_a_simulation() {
    watchdog(|| {
        let text = build(0).block_on(async { panics(taskgrove::sim::random) });
        assert!(text.contains("outside a simulation"), "{text}");
    });
}

/// More workers than make sense: an error or a runtime, nothing else.
#[test]
fn too_many_workers() {
    watchdog(|| {
        if let Ok(rt) = Runtime::builder().workers(2_000).build() {
            assert_eq!(rt.block_on(rt.spawn(async { 1 })).unwrap(), 1);
        }
        let absurd = catch_unwind(|| Runtime::builder().workers(usize::MAX).build().map(drop));
        assert!(absurd.expect("an error, no panic").is_err());
    });
}

/// Absurd durations are fine wherever one can be given.
#[test]
fn absurd_durations() {
    everywhere(async || {
        let ctx = app(|b| b.grace(Duration::MAX)).await;
        for d in [Duration::MAX, Duration::from_secs(u64::MAX / 2)] {
            assert!(poll_once(&mut time::sleep(d)).await.is_none());
            assert_eq!(time::timeout(d, ready(1)).await, Ok(1));
            let mut ticks = time::interval(d);
            ticks.tick().await;
            assert!(poll_once(&mut Box::pin(ticks.tick())).await.is_none());
            let inside = Event::new();
            let set = inside.clone();
            let task = ctx.task(async move {
                set.set();
                Ok(4)
            });
            let task = task.grace(d).spawn().unwrap();
            task.cancel();
            assert!(task.await.is_ok_and(|n| n == 4) || !inside.is_set());
        }
        let end = ctx.task::<_, ()>(pending()).grace(Duration::ZERO).spawn();
        drop(end);
        assert!(ctx.stop_timeout(Duration::from_millis(5)).await.is_err());
    });
    watchdog(|| build(2).shutdown_timeout(Duration::MAX).unwrap());
    watchdog(|| build(0).shutdown_timeout(Duration::ZERO).unwrap());
}

/// The smallest durations: at once, and no loop over them starves the rest.
#[test]
fn tiny_durations() {
    everywhere(async || {
        for d in [Duration::ZERO, Duration::from_nanos(1)] {
            time::sleep(d).await;
            assert!(time::timeout(d, pending::<()>()).await.is_err());
        }
        let mut ticks = time::interval(Duration::from_nanos(1));
        let other = spawn(async { 1 });
        while !other.is_done() {
            ticks.tick().await;
            suspend().await;
        }
    });
}

/// A period of zero panics, and says which.
#[test]
fn a_zero_period() {
    everywhere(async || {
        let text = panics(|| time::interval(Duration::ZERO));
        assert!(text.contains("period") || text.contains("zero"), "{text}");
    });
}

/// A limit of zero: nothing supervised can be scheduled, and the error says so.
#[test]
fn no_children_at_all() {
    everywhere(async || {
        let ctx = app(|b| b.max_children(0)).await;
        let Err(SpawnError::TooManyChildren(error)) = ctx.run_task(pending()) else {
            panic!("not refused")
        };
        assert!(error.limit == 0 && error.most_common.is_empty());
        assert!(error.to_string().contains('0'));
        let child = ctx.run_child_service(service_fn("x", |_| pending()));
        assert!(child.is_err() && ctx.is_running());
        ctx.stop().await.unwrap();
    });
}

/// A limit as large as it gets.
#[test]
fn any_number_of_children() {
    everywhere(async || {
        let ctx = app(|b| b.max_children(usize::MAX)).await;
        for _ in 0..1_500 {
            ctx.run_task(pending()).unwrap();
        }
        ctx.stop().await.unwrap();
    });
}

/// Long and strange names are kept, and what is drawn stays bounded and in lines.
#[test]
fn strange_names() {
    everywhere(async || {
        let ctx = app(|b| b).await;
        let long = "x".repeat(100_000);
        let names = [
            &long,
            "two\nlines",
            "",
            "a/b",
            "\"quoted\" \\",
            "\u{1F333}\0\u{202E}",
        ];
        for name in names {
            let task = ctx.task(pending::<taskgrove::Result>()).name(name).spawn();
            assert_eq!(task.unwrap().name(), name);
            let child = service_fn(name.to_owned(), |_| pending());
            assert_eq!(ctx.run_child_service(child).unwrap().name(), name);
        }
        let tree = ctx.snapshot();
        assert_eq!(tree.nodes().len(), 1 + 2 * names.len());
        let text = tree.to_string();
        assert!(text.len() < 20_000, "{}", text.len());
        let spare = text.lines().count().checked_sub(tree.nodes().len());
        assert!(spare.is_some_and(|lines| lines <= 2), "{text}");
        assert!(tree.nodes().iter().all(|n| n.path.len() < 4_000));
        let dot = tree.to_dot();
        assert!(dot.contains("\\\"quoted") || !dot.contains("\"quoted"));
        ctx.stop().await.unwrap();
    });
}
