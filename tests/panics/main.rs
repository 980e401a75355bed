//! A panic in user code, wherever it is, ends what it is in, loses nothing else, and leaves the runtime going.

#[path = "../common/mod.rs"]
#[allow(unreachable_pub)]
mod common;

use common::{Counter, Event, OnDrop, suspend};
use std::borrow::Cow;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, Once};
use std::task::{Context as Cx, Poll, Wake, Waker};
use taskgrove::{
    Context, FailureKind, Handle, JoinError, Manager, Runtime, Service, Task, background_service,
    defer, finally, service_fn, shielded, spawn,
};

/// Keeps the panics that the tests ask for out of the output.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str();
            let bomb = info.payload().is::<Bomb>();
            if !bomb && !text.is_some_and(|text| text.contains("intended")) {
                usual(info);
            }
        }));
    });
}

/// Panics when it is dropped, unless its thread panics already.
#[derive(Debug)]
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("intended {}", self.0);
        }
    }
}

/// A future that counts its drop, and panics in it.
struct BadDrop {
    ready: bool,
    polled: Event,
    dropped: Counter,
}

impl Future for BadDrop {
    type Output = taskgrove::Result;
    fn poll(self: Pin<&mut Self>, _: &mut Cx<'_>) -> Poll<Self::Output> {
        self.polled.set();
        if self.ready {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

impl Drop for BadDrop {
    fn drop(&mut self) {
        self.dropped.add();
        drop(Bomb("drop"));
    }
}

/// Panics when it is woken, or when it is dropped.
struct BadWaker {
    wake: bool,
    called: Event,
}

impl Wake for BadWaker {
    fn wake(self: Arc<Self>) {
        self.called.set();
        if self.wake {
            panic!("intended wake");
        }
    }
}

impl Drop for BadWaker {
    fn drop(&mut self) {
        self.called.set();
        if !self.wake {
            drop(Bomb("waker"));
        }
    }
}

fn polled_badly<F: Future + ?Sized>(future: Pin<&mut F>, wake: bool) -> Event {
    let called = Event::new();
    let waker = Arc::new(BadWaker {
        wake,
        called: called.clone(),
    });
    let waker = Waker::from(waker);
    assert!(future.poll(&mut Cx::from_waker(&waker)).is_pending());
    called
}

/// A service, bystanders inside and outside of it, and the runtime they are on.
struct Scene {
    h: Handle,
    m: Manager,
    ctx: Context,
    outside: Task<u32>,
    inside: Task<()>,
    go: Event,
    dropped: Counter,
    /// The drops of [`BadDrop`]s; `dropped` is the bystanders'.
    bad: Counter,
    polled: Event,
}

impl Scene {
    async fn new(h: Handle) -> Scene {
        let gift = Arc::new(Mutex::new(None));
        let (give, given, go) = (gift.clone(), Event::new(), Event::new());
        let set = given.clone();
        let m = h
            .start(service_fn("app", |ctx: Context| async move {
                *give.lock().unwrap() = Some(ctx);
                set.set();
                pending().await
            }))
            .unwrap();
        given.wait().await;
        let ctx = gift.lock().unwrap().take().unwrap();
        let (wait, dropped) = (go.wait(), Counter::new());
        let (a, b) = (dropped.dropped(), dropped.dropped());
        let outside = h.spawn(async move {
            let _guard = a;
            wait.await;
            17
        });
        let inside = ctx.run_task(async move {
            let _guard = b;
            pending().await
        });
        Scene {
            inside: inside.unwrap(),
            polled: Event::new(),
            h,
            m,
            ctx,
            outside,
            go,
            dropped,
            bad: Counter::new(),
        }
    }

    fn bad_drop(&self, ready: bool) -> BadDrop {
        BadDrop {
            ready,
            polled: self.polled.clone(),
            dropped: self.bad.clone(),
        }
    }

    /// The service has ended with this one panic, at this path, and no bystander has noticed.
    async fn failed(self, path: &str, text: &str) {
        self.m.wait_finished().await;
        let error = self.m.result().unwrap().unwrap_err();
        let causes: Vec<_> = error.root_causes().collect();
        assert_eq!(causes.len(), 1, "{error}");
        assert_eq!(causes[0].path(), path);
        assert!(
            matches!(causes[0].kind(), FailureKind::Panic(seen) if seen == text),
            "{error}"
        );
        assert!(error.to_string().contains(text));
        assert!(matches!(self.inside.await, Err(JoinError::Cancelled)));
        self.go.set();
        assert_eq!(self.outside.await.unwrap(), 17);
        assert_eq!(self.h.spawn(async { 1 }).await.unwrap(), 1);
    }

    /// Nothing has happened to the service and the bystanders.
    async fn unharmed(self) {
        assert!(self.m.is_running() && !self.m.is_cancelled());
        self.go.set();
        assert_eq!(self.outside.await.unwrap(), 17);
        assert!(!self.inside.is_done());
        self.m.stop().await.unwrap();
        assert!(self.m.result().unwrap().is_ok());
        assert_eq!(self.dropped.get(), 2);
        assert_eq!(self.h.spawn(async { 1 }).await.unwrap(), 1);
    }
}

/// Runs the body on runtimes with no, one and two workers, which shut down cleanly after it.
fn everywhere(body: impl AsyncFn(Scene) + Send + 'static) {
    common::watchdog(move || {
        quiet();
        for workers in [0, 1, 2] {
            let rt = Runtime::builder().workers(workers).build().unwrap();
            let h = rt.handle().clone();
            rt.block_on(async { body(Scene::new(h).await).await });
            let limit = std::time::Duration::from_secs(50);
            rt.shutdown_timeout(limit).unwrap();
        }
    });
}

/// The panic that a task has ended with.
async fn panicked<T>(task: Task<T>) -> String {
    match task.await {
        Err(JoinError::Panicked(panic)) => panic.message().to_owned(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a value"),
    }
}

mod beside;
mod bodies;
mod edges;
mod wakers;
