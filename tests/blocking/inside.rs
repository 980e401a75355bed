//! What a closure does to the runtime and the services that it is itself part of: nothing ends it, so it may not wait
//! for an end that comes after its own.

use crate::common::{Event, OnDrop, on_workers, watchdog};
use futures_lite::future::block_on;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::mpsc;
use std::time::Duration;
use taskgrove::{Context, Handle, Manager, Runtime, Task, finally, run_blocking, service_fn};

type How = fn(&Handle, Pin<Box<dyn Future<Output = ()>>>);

/// How a closure runs code that may wait.
const HOW: [How; 3] = [
    |_, wait| block_on(wait),
    |handle, wait| handle.block_on(wait),
    |handle, wait| {
        let _entered = handle.enter();
        block_on(wait);
    },
];

/// Runs a closure that ends the runtime it is in, beside a task that waits for ever. Returns what the closure does.
fn end_inside<T: Send + 'static>(
    workers: usize,
    end: impl FnOnce(Runtime) -> T + Send + 'static,
) -> T {
    let rt = Runtime::builder().workers(workers).build().unwrap();
    let dropped = Event::new();
    let falls = OnDrop::new({
        let dropped = dropped.clone();
        move || dropped.set()
    });
    let beside = rt.spawn(async move {
        let _falls = falls;
        pending::<()>().await;
    });
    let (give, given) = mpsc::channel();
    let closure: Task<T> = {
        let _entered = rt.enter();
        run_blocking(move || end(given.recv().unwrap()))
    };
    give.send(rt).unwrap();
    let ended = block_on(closure).unwrap();
    block_on(beside.wait_done());
    assert!(dropped.is_set());
    ended
}

#[test]
fn it_may_drop_its_runtime() {
    watchdog(|| {
        for workers in [0, 1, 2] {
            end_inside(workers, drop);
            for how in HOW {
                end_inside(workers, move |rt| {
                    let handle = rt.handle().clone();
                    how(&handle, Box::pin(async move { drop(rt) }));
                });
            }
        }
    });
}

/// It does not wait for itself, however long it may.
#[test]
fn it_may_shut_its_runtime_down() {
    watchdog(|| {
        for workers in [0, 1, 2] {
            let ended = end_inside(workers, |rt| rt.shutdown_timeout(Duration::MAX));
            let left = ended.unwrap_err().remaining;
            assert!(!left.is_empty(), "the closure");
        }
    });
}

fn told(wait: impl AsyncFn(&Context) + Copy + Send + Sync + 'static, what: &'static str) {
    for how in HOW {
        on_workers(2, async move || {
            let handle = Handle::current();
            let app = service_fn("app", async move |ctx: Context| {
                let (inside, handle) = (ctx.clone(), handle.clone());
                ctx.run_blocking(move || {
                    how(&handle, Box::pin(async move { wait(&inside).await }));
                    Ok(())
                })?;
                pending().await
            });
            let said = Manager::run_service(app).await.unwrap_err().to_string();
            assert!(said.contains(what), "{said}");
        });
    }
}

#[test]
fn a_stop_of_its_service_is_told() {
    told(
        async |ctx| ctx.stop().await.unwrap(),
        " waits for the end of `app` #",
    );
}

#[test]
fn a_wait_for_the_finish_of_its_service_is_told() {
    told(
        async |ctx| ctx.wait_finished().await,
        " waits for the end of `app` #",
    );
}

/// A cancellation does not end the closure, and a kill does not, so these waits would never end either.
#[test]
fn such_a_wait_during_a_cancellation_is_told() {
    told(
        async |ctx| {
            ctx.cancel().unwrap();
            ctx.wait_finished().await;
        },
        " waits for the end of `app` #",
    );
    told(
        async |ctx| {
            ctx.kill().unwrap();
            finally(ctx.wait_finished(), async {}).await;
        },
        " waits for the end of `app` #",
    );
}
