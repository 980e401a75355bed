//! Destructors of thread-locals, which run as their thread ends: everything works in them, whether
//! the thread was in a runtime before or not.

use super::*;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::time::Duration;
use taskgrove::sim::Sim;
use taskgrove::{Context as Ctx, background_service, defer, finally, time, yield_now};

type Work = Box<dyn FnOnce()>;

/// Does its work when it is dropped, and sends what that panicked with: a panic in here would abort.
struct AtEnd(RefCell<Option<(Work, Sender<Option<String>>)>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some((work, done)) = self.0.take() {
            let caught = catch_unwind(AssertUnwindSafe(work)).err();
            let text = caught.map(|panic| match panic.downcast::<String>() {
                Ok(text) => *text,
                Err(other) => format!("{:?}", other.downcast_ref::<&str>()),
            });
            done.send(text).expect("somebody waits for it");
        }
    }
}

thread_local! {
    static AT_END: AtEnd = const { AtEnd(RefCell::new(None)) };
}

/// Runs `work` in the destructor of a thread-local that was made before or after everything of the
/// crate's on that thread, so that it is dropped after or before that; gives what it panicked with.
fn at_the_end_of_a_thread(late: bool, work: impl FnOnce() + Send + 'static) -> Option<String> {
    let (tx, rx) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        if late {
            AT_END.with(|_| ());
        }
        let rt = Runtime::builder().workers(0).build().unwrap();
        rt.block_on(async { spawn(yield_now()).await.unwrap() });
        AT_END.with(|local| *local.0.borrow_mut() = Some((Box::new(work), tx)));
    });
    let text = rx.recv().expect("the destructor runs");
    thread.join().unwrap();
    text
}

/// A bit of everything that asks where it runs.
async fn everything() {
    assert!(Handle::try_current().is_some() && TaskId::current().is_none());
    let handle = Handle::current();
    let task = spawn(async {
        assert!(TaskId::current().is_some());
        let below = spawn(yield_now());
        below.await.unwrap();
        time::sleep(Duration::from_millis(1)).await;
        3
    });
    assert_eq!(task.await.unwrap(), 3);
    let (cleaned, inside, deferred) = (Event::new(), Event::new(), Event::new());
    let (set, told, late) = (inside.clone(), cleaned.clone(), deferred.clone());
    let task = handle.spawn(async move {
        let _guard = defer(async move { late.set() });
        // The turn ends the body of a `finally`, which has to know that it is in one.
        let body = finally(
            async move {
                set.set();
                pending::<()>().await
            },
            async move {
                yield_now().await;
                told.set();
            },
        );
        body.await;
    });
    inside.wait().await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(cleaned.is_set() && deferred.is_set());
    let service = service_fn("fails", async |_: Ctx| Err("intended".into()));
    let beside = background_service(service, async |_| pending::<()>().await);
    assert!(beside.await.is_err());
    drop(defer(async {}));
}

/// `block_on`, with workers and without, does all that it does elsewhere.
#[test]
fn block_on_works_in_the_destructor_of_a_thread_local() {
    watchdog(|| {
        for (workers, late) in [(0, false), (0, true), (1, false), (1, true), (2, true)] {
            let panicked = at_the_end_of_a_thread(late, move || {
                let rt = Runtime::builder().workers(workers).build().unwrap();
                rt.block_on(everything());
                drop(rt);
                assert!(Handle::try_current().is_none());
            });
            assert_eq!(panicked, None, "{workers} workers, late: {late}");
        }
    });
}

/// A thread that is the worker of several runtimes, one inside the other, knows all of them.
#[test]
fn nested_runtimes_are_known_in_the_destructor_of_a_thread_local() {
    watchdog(|| {
        for late in [false, true] {
            let panicked = at_the_end_of_a_thread(late, || {
                let build = || Runtime::builder().workers(0).build().unwrap();
                let outer = Arc::new(build());
                let again = outer.clone();
                let task = outer.spawn(async move {
                    let inner = build();
                    let nested = inner.spawn(async move { again.block_on(async {}) });
                    inner.block_on(nested).unwrap_err().to_string()
                });
                let refused = outer.block_on(task).unwrap();
                assert!(
                    refused.contains("on a worker of the same runtime"),
                    "{refused}"
                );
            });
            assert_eq!(panicked, None, "late: {late}");
        }
    });
}

/// A simulation runs, and says of a deadlock who waits for whom.
#[test]
fn a_simulation_works_in_the_destructor_of_a_thread_local() {
    watchdog(|| {
        for late in [false, true] {
            let panicked = at_the_end_of_a_thread(late, || {
                Sim::new(1).block_on(everything());
                let sim = Sim::new(2);
                sim.block_on(async {
                    let handle = Handle::current();
                    let waits = handle.task(pending::<()>()).name("waits");
                    waits.spawn().await.unwrap();
                });
            });
            let text = panicked.expect("a deadlock");
            assert!(text.contains("This is a deadlock"), "{text}");
            assert!(text.contains("waits"), "it says for whom: {text}");
        }
    });
}

/// So do a service's end and a task's, when their values are dropped on a thread that ends.
#[test]
fn handles_are_dropped_in_the_destructor_of_a_thread_local() {
    watchdog(|| {
        let rt = Runtime::builder().workers(1).build().unwrap();
        for late in [false, true] {
            let task = rt.spawn(pending::<()>());
            let cancel = task.cancel_handle();
            let manager = rt.start(service_fn("stays", |_| pending())).unwrap();
            let stopped = manager.clone();
            let panicked = at_the_end_of_a_thread(late, move || {
                drop(task.cancel_on_drop());
                stopped.cancel().unwrap();
                drop(stopped);
            });
            assert_eq!(panicked, None, "late: {late}");
            rt.block_on(async {
                manager.wait_finished().await;
                while !cancel.is_done() {
                    yield_now().await;
                }
            });
        }
    });
}
