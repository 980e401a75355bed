//! What the modules share: runtimes to run a test on, gifts, guards, hand polling.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use taskgrove::{BoxError, Context, Handle, Manager, ManagerBuilder, Runtime, service_fn};

pub(crate) use crate::common::{Event, Log, poll_once, watchdog};

/// Runs the body on runtimes with no, one and two workers.
pub(crate) fn everywhere(body: impl AsyncFn(Handle) + Send + 'static) {
    watchdog(move || {
        quiet();
        for workers in [0, 1, 2] {
            let rt = build(workers);
            rt.block_on(body(rt.handle().clone()));
        }
    });
}

/// Runs the body on a runtime with this many workers.
pub(crate) fn on(workers: usize, body: impl AsyncFnOnce(Handle) + Send + 'static) {
    watchdog(move || {
        quiet();
        let rt = build(workers);
        rt.block_on(body(rt.handle().clone()));
    });
}

pub(crate) fn build(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

thread_local! {
    static MUTED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Keeps panics that a test asks for out of the output.
pub(crate) fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let intended = info
                .payload_as_str()
                .is_some_and(|text| text.contains("intended"));
            if !intended && !MUTED.get() {
                usual(info);
            }
        }));
    });
}

/// The message of a caught panic.
pub(crate) fn message(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => other
            .downcast_ref::<&'static str>()
            .map_or_else(String::new, |text| (*text).to_owned()),
    }
}

/// The message with which this panics.
#[track_caller]
pub(crate) fn panics<T>(f: impl FnOnce() -> T) -> String {
    quiet();
    MUTED.set(true);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    MUTED.set(false);
    match caught {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => message(payload),
    }
}

/// An error that says this.
pub(crate) fn boom(text: &str) -> BoxError {
    text.into()
}

/// One value, put once, taken once, waited for.
pub(crate) struct Gift<T>(Arc<Mutex<Option<T>>>, Event);

impl<T> Clone for Gift<T> {
    fn clone(&self) -> Self {
        Gift(self.0.clone(), self.1.clone())
    }
}

impl<T> Gift<T> {
    pub(crate) fn new() -> Self {
        Gift(Arc::default(), Event::new())
    }
    pub(crate) fn put(&self, value: T) {
        *self.0.lock().unwrap() = Some(value);
        self.1.set();
    }
    pub(crate) async fn take(&self) -> T {
        self.1.wait().await;
        self.0.lock().unwrap().take().unwrap()
    }
}

/// Sets its event when it is dropped.
pub(crate) struct Falls(pub(crate) Event);

impl Drop for Falls {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Writes its name when it is dropped.
pub(crate) struct Writes(pub(crate) Log<&'static str>, pub(crate) &'static str);

impl Drop for Writes {
    fn drop(&mut self) {
        self.0.push(self.1);
    }
}

/// Whether the future is ready at its first poll; it is dropped if it is not.
pub(crate) async fn at_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_once(&mut future).await
}

/// Both branches, side by side.
pub(crate) async fn both<A: Future<Output = ()>, B: Future<Output = ()>>(a: A, b: B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut a_ready, mut b_ready) = (false, false);
    poll_fn(move |cx| {
        a_ready = a_ready || a.as_mut().poll(cx).is_ready();
        b_ready = b_ready || b.as_mut().poll(cx).is_ready();
        if a_ready && b_ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Lets the runtime go on until a cancellation asked for has reached its tasks. For runtimes without workers: there the caller's
/// suspensions are all the runtime has, and nothing else tells a turn.
pub(crate) async fn the_turn_has_come() {
    crate::common::suspend_times(50).await
}

/// A root service `app` that waits for ever, and its inside.
pub(crate) async fn app(h: &Handle) -> (Manager, Context) {
    let gift = Gift::new();
    let give = gift.clone();
    let manager = h
        .start(service_fn("app", |ctx| async move {
            give.put(ctx);
            pending().await
        }))
        .unwrap();
    (manager, gift.take().await)
}

/// The same, configured, below a raw root task that runs it.
pub(crate) async fn app_with(
    h: &Handle,
    configure: impl FnOnce(ManagerBuilder) -> ManagerBuilder,
) -> (Manager, Context) {
    let gift = Gift::new();
    let give = gift.clone();
    let service = service_fn("app", |ctx| async move {
        give.put(ctx);
        pending().await
    });
    let manager = configure(Manager::builder(service)).build().unwrap();
    let runner = manager.clone();
    h.spawn(async move { runner.run().await });
    (manager, gift.take().await)
}
