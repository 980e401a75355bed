//! User code that panics where it is least expected, and calls from where they are least expected.

use crate::world::{MS, check, error, settle, start, states};
use std::error::Error;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use taskgrove::supervisor::{ChildSpec, Restart, Strategy, Supervisor};
use taskgrove::{Runtime, background_service, service_fn, time};

/// Counts its drops, each of which panics.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        if !std::thread::panicking() {
            panic!("the drop of a bomb");
        }
    }
}

/// An error whose drop panics.
struct Mine(#[allow(dead_code)] Bomb);

impl fmt::Debug for Mine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mine")
    }
}

impl fmt::Display for Mine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mine")
    }
}

impl Error for Mine {}

fn spec(name: &'static str, count: &Arc<AtomicUsize>) -> ChildSpec {
    let bomb = Bomb(count.clone());
    ChildSpec::new(name, move || {
        let _whole = &bomb;
        service_fn(name, |_| pending())
    })
}

#[test]
fn factories_whose_drops_panic_do_no_harm() {
    check(async |_| {
        let count = Arc::default();
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(spec("a", &count))
            .child(spec("b", &count));
        let (manager, handle) = start(supervisor);
        handle.start_child(spec("c", &count)).await.unwrap();
        handle.start_child(spec("d", &count)).await.unwrap();
        handle.remove_child("c").await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(states(&handle), "a Running, b Running, d Running");
        manager.stop().await.unwrap();
        assert!(manager.result().unwrap().is_ok());
        assert_eq!(count.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn errors_whose_drops_panic_do_no_harm() {
    check(async |_| {
        let count: Arc<AtomicUsize> = Arc::default();
        let bombs = count.clone();
        let failing = ChildSpec::new("failing", move || {
            let bombs = bombs.clone();
            service_fn("failing", async move |_| Err(Mine(Bomb(bombs)).into()))
        });
        // More than the supervisor keeps.
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(30, MS)
            .child(ChildSpec::new("a", || service_fn("a", |_| pending())))
            .child(failing);
        let (manager, handle) = start(supervisor);
        manager.wait_finished().await;
        let error = error(&manager);
        assert_eq!(error.failures()[0].earlier().len(), 9);
        assert_eq!(handle.children()[1].restarts, 30);
        assert_eq!(count.load(Ordering::Relaxed), 21);
        std::mem::forget((manager, handle, error));
    });
}

/// A factory and the drop of a spec may use the handle.
#[test]
fn a_factory_may_call_the_handle() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne);
        let handle = supervisor.handle();
        let inner = handle.clone();
        let curious = ChildSpec::new("curious", move || {
            let seen = inner.children().len() + usize::from(inner.child("curious").is_some());
            let inner = inner.clone();
            service_fn("curious", async move |_| {
                assert_eq!(seen, 1);
                inner.wait_child("curious").await?;
                Ok(())
            })
        });
        let (manager, _) = start(supervisor);
        handle.start_child(world.spec("a")).await.unwrap();
        handle
            .start_child(curious.restart(Restart::Temporary))
            .await
            .unwrap();
        settle().await;
        assert_eq!(states(&handle), "a Running");
        manager.stop().await.unwrap();
    });
}

#[test]
fn a_supervisor_beside_a_body_stops_in_order_with_it() {
    check(async |world| {
        world.cleanup("a", MS * 10);
        world.cleanup("b", MS * 10);
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(world.spec("a"))
            .child(world.spec("b"));
        let body = async |manager: taskgrove::Manager| {
            manager.wait_ready().await.unwrap();
            time::sleep(MS * 5).await;
        };
        background_service(supervisor, body).await.unwrap();
        assert_eq!(world.take(), "0 +a, 0 +b, 5 ~b, 15 -b, 15 ~a, 25 -a");
    });
}

#[test]
fn a_runtime_without_threads_runs_supervisors() {
    let runtime = Runtime::builder().workers(0).build().unwrap();
    let supervisor = Supervisor::new(Strategy::OneForAll)
        .child(ChildSpec::new("a", || service_fn("a", |_| pending())))
        .child(ChildSpec::new("b", || service_fn("b", async |_| Ok(()))));
    let error = runtime.run(supervisor).unwrap_err();
    assert_eq!(error.failures()[0].path(), "Supervisor/b");
    let supervisor = Supervisor::new(Strategy::OneForAll)
        .child(ChildSpec::new("a", || service_fn("a", |_| pending())));
    let handle = supervisor.handle();
    runtime.start(supervisor).unwrap();
    runtime
        .block_on(async { handle.wait_child("a").await.map(|_| ()) })
        .unwrap();
    // The drop of a runtime takes the children with the supervisor.
    drop(runtime);
    assert_eq!(states(&handle), "a Stopped");
}
