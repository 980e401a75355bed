//! A task that waits for its own end, or for that of a task above it, is told.

use crate::everywhere;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use taskgrove::time::{sleep, timeout};
use taskgrove::{
    Context, Handle, JoinError, Manager, ServiceError, StopError, Task, defer, service_fn,
    shielded, spawn, yield_now,
};

const MS: Duration = Duration::from_millis(1);

/// A place for a handle that a task below it takes.
#[derive(Clone, Default)]
struct Place(Arc<Mutex<Option<Task<()>>>>);

impl Place {
    fn put(&self, task: Task<()>) {
        *self.0.lock().expect("no panic") = Some(task);
    }

    async fn take(&self) -> Task<()> {
        loop {
            let found = self.0.lock().expect("no panic").take();
            match found {
                Some(task) => return task,
                None => yield_now().await,
            }
        }
    }
}

#[track_caller]
fn message(result: Result<(), JoinError>) -> String {
    match result {
        Err(JoinError::Panicked(panic)) => panic.message().to_owned(),
        other => panic!("a panic expected, not {other:?}"),
    }
}

/// What the one failure of a service says.
#[track_caller]
fn failure(result: Result<(), ServiceError>) -> String {
    let error = result.expect_err("a failure");
    assert_eq!(error.root_causes().count(), 1, "{error}");
    error.to_string()
}

/// Runs `low` below `mid` below `top`. `low` gets the handle of `top`. Returns what `low` has panicked with.
async fn below<F>(wait: fn(Task<()>) -> F) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let (place, said) = (Place::default(), Arc::new(Mutex::new(None)));
    let (own, says) = (place.clone(), said.clone());
    let mid = async move {
        let low = async move { wait(own.take().await).await };
        let result = spawn(low).await;
        *says.lock().expect("no panic") = Some(message(result));
    };
    let top = async move { spawn(mid).await.expect("no panic") };
    let top = Handle::current().task(top).name("top").spawn();
    let cancel = top.cancel_handle();
    place.put(top);
    while !cancel.is_done() {
        sleep(MS).await;
    }
    let said = said.lock().expect("no panic").take();
    said.expect("a message")
}

#[test]
fn a_task_above() {
    everywhere(async || {
        let line = line!() + 1;
        let said = below(|top| async move { top.wait_done().await }).await;
        let (waits, rest) = said
            .split_once(" waits for the end of `top` #")
            .expect(&said);
        assert!(waits.starts_with("`top/"), "{said}");
        assert!(
            waits.contains("(spawned at tests/looking/own_end.rs:"),
            "{said}"
        );
        let place = format!(" at tests/looking/own_end.rs:{line}:");
        assert!(rest.contains(&place), "{said}");
        assert!(
            rest.ends_with("cancel `top` instead, or wait from outside of it"),
            "{said}"
        );
        let said = below(|top| async move { drop(top.await) }).await;
        assert!(said.contains(" waits for the end of `top` #"), "{said}");
        // Also beside something else.
        let said = below(|top| async move { _ = timeout(MS, top.wait_done()).await }).await;
        assert!(said.contains(" waits for the end of `top` #"), "{said}");
        let said = below(|top| shielded(async move { drop(top.await) })).await;
        assert!(said.contains(" waits for the end of `top` #"), "{said}");
    });
}

#[test]
fn the_own_end() {
    everywhere(async || {
        let place = Place::default();
        let (own, said) = (place.clone(), Arc::new(Mutex::new(String::new())));
        let says = said.clone();
        let task = spawn(async move {
            let own = own.take().await;
            let waits = std::panic::AssertUnwindSafe(own.wait_done());
            let caught = futures_lite::FutureExt::catch_unwind(waits).await;
            let payload = caught.expect_err("a panic");
            let text = payload.downcast_ref::<String>().expect("a message");
            says.lock().expect("no panic").push_str(text);
        });
        let cancel = task.cancel_handle();
        place.put(task);
        while !cancel.is_done() {
            sleep(MS).await;
        }
        let said = said.lock().expect("no panic");
        assert!(
            said.contains(" waits for its own end at tests/looking/"),
            "{said}"
        );
    });
}

/// A task may wait for the finish of its own service, or of one above: it is dropped at the cancellation.
#[test]
fn the_finish_of_a_service_is_waited_for_until_its_cancellation() {
    everywhere(async || {
        let app = service_fn("app", async |ctx: Context| {
            let app = ctx.clone();
            ctx.run_child_service(service_fn("db", async move |ctx: Context| {
                let db = ctx.clone();
                ctx.run_daemon_task(async move {
                    db.wait_finished().await;
                    Ok(())
                })?;
                app.wait_finished().await;
                Ok(())
            }))?;
            ctx.wait_finished().await;
            Ok(())
        });
        let app = Handle::current().start(app).expect("it starts");
        sleep(MS).await;
        assert!(app.is_running());
        app.stop().await.expect("it was started");
        assert!(app.result().expect("it has ended").is_ok());
    });
}

#[test]
fn the_finish_of_the_own_service_in_a_shield_is_told() {
    everywhere(async || {
        let app = service_fn("app", async |ctx: Context| {
            shielded(ctx.wait_finished()).await;
            Ok(())
        });
        let said = failure(Manager::run_service(app).await);
        assert!(
            said.contains("waits for its own end at tests/looking/"),
            "{said}"
        );
    });
}

/// A service that is stopped by a task of its own ends well: the task is dropped while it waits.
#[test]
fn a_stop_from_inside_is_no_wait_for_oneself() {
    everywhere(async || {
        let app = service_fn("app", async |ctx: Context| {
            let inside = ctx.clone();
            ctx.run_task(async move { Ok(inside.stop().await?) })?;
            pending().await
        });
        Manager::run_service(app).await.expect("a clean stop");
        // So does one that waits for the end of a cancellation.
        let app = service_fn("app", async |ctx: Context| {
            let inside = ctx.clone();
            ctx.run_daemon_task(async move {
                inside.cancelled().await;
                inside.wait_finished().await;
                Ok(())
            })?;
            pending().await
        });
        let app = Handle::current().start(app).expect("it starts");
        sleep(MS).await;
        app.stop().await.expect("it was started");
        assert!(app.result().expect("it has ended").is_ok());
    });
}

#[test]
fn a_stop_from_inside_a_shield_is_told() {
    everywhere(async || {
        let app = service_fn("app", async |ctx: Context| {
            let inside = ctx.clone();
            ctx.run_task(async move { Ok(shielded(inside.stop()).await?) })?;
            pending().await
        });
        let said = failure(Manager::run_service(app).await);
        assert!(said.contains("waits for the end of `app` #"), "{said}");
        // And one in a deferred cleanup.
        let app = service_fn("app", async |ctx: Context| {
            let inside = ctx.clone();
            ctx.run_task(async move {
                let _cleanup = defer(async move { inside.wait_finished().await });
                Ok(())
            })?;
            pending().await
        });
        let said = failure(Manager::run_service(app).await);
        assert!(said.contains("waits for the end of `app` #"), "{said}");
    });
}

/// A wait with a limit of time ends, so it is not told.
#[test]
fn a_stop_with_a_limit_in_a_shield_times_out() {
    everywhere(async || {
        let app = service_fn("app", async |ctx: Context| {
            let inside = ctx.clone();
            ctx.run_task(async move {
                match shielded(inside.stop_timeout(3 * MS)).await {
                    Err(StopError::Timeout(_)) => Ok(()),
                    other => panic!("{other:?}"),
                }
            })?;
            pending().await
        });
        Manager::run_service(app).await.expect("a clean stop");
    });
}

/// What may end before the waiting task is waited for: a sibling, a child, a child's child.
#[test]
fn other_waits_are_as_before() {
    everywhere(async || {
        let task = spawn(async {
            let (child, inner) = (Place::default(), Place::default());
            let put = inner.clone();
            child.put(spawn(async move {
                let deep = spawn(async { drop(spawn(yield_now())) });
                put.put(deep);
                yield_now().await;
            }));
            let sibling = inner.take().await;
            sibling.wait_done().await;
            child.take().await.await.expect("it ends");
        });
        task.await.expect("no panic");
    });
}
