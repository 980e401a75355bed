//! What is given to the crate by value is copied on the stack once at most: as large a future, closure
//! or service fits a worker's stack of 2 MiB as with tokio. A stack that overflows ends the process.

mod common;

use std::hint::black_box;
use std::sync::Arc;

use common::watchdog;
use taskgrove::{
    Context, Manager, Result, Runtime, Service, background_service, defer, service_fn, yield_now,
};

/// Without optimisation the caller has a copy of its own, too.
const LARGE: usize = if cfg!(debug_assertions) {
    768 * 1024
} else {
    1280 * 1024
};

/// A future that keeps `LARGE` bytes.
async fn large() -> usize {
    let room = [1_u8; LARGE];
    yield_now().await;
    black_box(&room).iter().filter(|byte| **byte == 1).count()
}

/// As `large`, for a service.
async fn supervised() -> Result {
    assert_eq!(large_inside().await, LARGE);
    Ok(())
}

async fn large_inside() -> usize {
    Box::pin(large()).await
}

async fn large_result() -> Result {
    let room = [1_u8; LARGE];
    yield_now().await;
    assert!(black_box(&room).iter().all(|byte| *byte == 1));
    Ok(())
}

async fn endless() -> Result {
    let room = [1_u8; LARGE];
    std::future::pending::<()>().await;
    black_box(&room);
    Ok(())
}

/// A service that is large itself.
struct Large([u8; LARGE]);

#[inline(never)]
fn service() -> Large {
    Large([1; LARGE])
}

impl Service for Large {
    async fn run(self: Arc<Self>, _: Context) -> Result {
        yield_now().await;
        assert!(self.0.iter().all(|byte| *byte == 1));
        Ok(())
    }
}

/// A service whose `run` is large.
struct Runs;

impl Service for Runs {
    async fn run(self: Arc<Self>, _: Context) -> Result {
        let room = [1_u8; LARGE];
        yield_now().await;
        assert!(black_box(&room).iter().all(|byte| *byte == 1));
        Ok(())
    }
}

/// A closure that is large.
#[inline(never)]
fn closure() -> impl FnOnce(Context) -> std::future::Ready<Result> + Send + 'static {
    let room = [1_u8; LARGE];
    move |_| {
        assert!(room.iter().all(|byte| *byte == 1));
        std::future::ready(Ok(()))
    }
}

fn runtime() -> Runtime {
    Runtime::builder().workers(1).build().expect("a runtime")
}

/// Runs `f` in a poll on a worker.
fn on_a_worker<F, T>(f: F)
where
    F: FnOnce() -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    watchdog(|| {
        let runtime = runtime();
        let task = runtime.spawn(async move { f().await });
        runtime.block_on(task).expect("it does not panic");
    });
}

/// Runs `f` in the `run` of a service, on a worker.
fn in_a_service<F, T>(f: F)
where
    F: FnOnce(Context) -> T + Send + 'static,
    T: Future<Output = Result> + Send + 'static,
{
    watchdog(|| {
        let runtime = runtime();
        let manager = runtime.start(service_fn("app", f)).expect("it starts");
        runtime.block_on(manager.wait_finished());
        manager.result().expect("finished").expect("no failure");
    });
}

#[test]
fn a_large_future_is_spawned() {
    on_a_worker(|| {
        let task = taskgrove::spawn(large());
        async { assert_eq!(task.await.unwrap(), LARGE) }
    });
}

#[test]
fn a_large_root_is_spawned() {
    on_a_worker(|| {
        let task = taskgrove::Handle::current().spawn(large());
        async { assert_eq!(task.await.unwrap(), LARGE) }
    });
}

#[test]
fn a_large_root_is_built() {
    on_a_worker(|| {
        let task = taskgrove::Handle::current()
            .task(large())
            .name("large")
            .spawn();
        async { assert_eq!(task.await.unwrap(), LARGE) }
    });
}

#[test]
fn a_large_cleanup_is_deferred() {
    on_a_worker(|| {
        drop(defer(async { assert_eq!(large_inside().await, LARGE) }));
        drop(defer(async {
            let room = [1_u8; LARGE];
            yield_now().await;
            black_box(&room);
        }));
        async {}
    });
}

#[test]
fn a_large_task_is_run() {
    in_a_service(|ctx| {
        ctx.run_task(large_result()).unwrap();
        async { supervised().await }
    });
}

#[test]
fn a_large_daemon_is_run() {
    in_a_service(|ctx| {
        let daemon = ctx.run_daemon_task(endless()).unwrap();
        async move {
            daemon.cancel();
            Ok(())
        }
    });
}

#[test]
fn a_large_task_is_built() {
    in_a_service(|ctx| {
        let task = ctx.task(large_result()).name("large").spawn().unwrap();
        async { Ok(task.await?) }
    });
}

#[test]
fn a_large_child_service_is_run() {
    in_a_service(|ctx| {
        ctx.run_child_service(service()).unwrap();
        async { Ok(()) }
    });
}

#[test]
fn a_large_daemon_service_is_run() {
    in_a_service(|ctx| {
        let daemon = ctx.run_daemon_child_service(service()).unwrap();
        async move { Ok(daemon.stop().await?) }
    });
}

#[test]
fn a_large_child_service_is_built() {
    in_a_service(|ctx| {
        let builder = ctx.child_service(service());
        builder.name("large").max_children(1).spawn().unwrap();
        async { Ok(()) }
    });
}

#[test]
fn a_large_service_is_boxed() {
    in_a_service(|ctx| {
        ctx.run_child_service(service().boxed()).unwrap();
        async { Ok(()) }
    });
}

#[test]
fn a_service_with_a_large_run_is_started() {
    in_a_service(|ctx| {
        ctx.run_child_service(Runs).unwrap();
        ctx.run_child_service(Runs.boxed()).unwrap();
        ctx.run_child_service(Arc::new(Runs)).unwrap();
        let manager = Manager::new(Runs).unwrap();
        async move { Ok(manager.run().await?) }
    });
}

#[test]
fn a_large_service_is_managed() {
    on_a_worker(|| {
        let manager = Manager::new(service()).unwrap();
        async move { manager.run().await.unwrap() }
    });
    on_a_worker(|| {
        let manager = Manager::builder(service()).name("large").build().unwrap();
        async move { manager.run().await.unwrap() }
    });
    on_a_worker(|| {
        let run = Manager::run_service(service());
        async move { run.await.unwrap() }
    });
}

#[test]
fn a_large_service_is_started_as_a_root() {
    on_a_worker(|| {
        let manager = taskgrove::Handle::current().start(service()).unwrap();
        async move { manager.wait_finished().await }
    });
}

#[test]
fn a_large_service_runs_in_the_background() {
    on_a_worker(|| {
        let run = background_service(service(), async |manager| manager.wait_finished().await);
        async move { run.await.unwrap() }
    });
}

#[test]
fn a_large_closure_is_a_service() {
    in_a_service(|ctx| {
        ctx.run_child_service(service_fn("large", closure()))
            .unwrap();
        async { Ok(()) }
    });
}

#[test]
fn a_closure_with_a_large_body_is_a_service() {
    in_a_service(|ctx| {
        ctx.run_child_service(service_fn("large", |_| large_result()))
            .unwrap();
        async { Ok(()) }
    });
}

#[test]
fn a_large_future_is_blocked_on() {
    watchdog(|| assert_eq!(runtime().block_on(large()), LARGE));
    watchdog(|| assert_eq!(taskgrove::sim::Sim::new(1).block_on(large()), LARGE));
}

#[test]
fn a_large_service_is_run_from_outside() {
    watchdog(|| runtime().run(service()).unwrap());
    watchdog(|| runtime().run(service_fn("large", closure())).unwrap());
}
