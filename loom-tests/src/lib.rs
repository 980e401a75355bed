//! What the models share: an exploration that has to reach given outcomes, logs, gates and futures.
#![cfg(taskgrove_loom)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll, Wake, Waker};

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;
use taskgrove::model::World;

thread_local! {
    /// Panics in the model that runs on this thread. loom runs all threads of a model on one.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the outcomes of a model's runs. loom does not see it.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Seen {
    /// Notes that this run had this outcome.
    pub fn saw(&self, outcome: &'static str) {
        *self.0.lock().unwrap().entry(outcome).or_default() += 1;
    }
}

/// Calls `there` on a new thread and `here` on this one. Each thread then works the queue off, and when
/// both are done, this one does so once more.
pub fn race(world: &World, there: impl FnOnce() + Send + 'static, here: impl FnOnce()) {
    let other = loom::thread::spawn({
        let world = world.clone();
        move || {
            there();
            world.run();
        }
    });
    here();
    world.run();
    other.join().unwrap();
    world.run();
}

/// Explores a model with at most `LOOM_MAX_PREEMPTIONS` preemptions (by default 3), or with
/// `bound` of them if that is less, and checks that exactly the `expected` outcomes were reached,
/// each at least once.
///
/// Explores twice: with loads that may return old values, as the memory model allows, and with loads
/// that count as writes, because of a gap in the orders that loom tries (see the README).
///
/// A run that panics fails, also if the panic is caught: the crate catches the panics of tasks, and
/// with them those of loom.
pub fn explore_within(
    bound: usize,
    expected: &[&'static str],
    body: impl Fn(&Seen) + Send + Sync + 'static,
) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
    let bound = std::env::var("LOOM_MAX_PREEMPTIONS")
        .map_or(3, |set| set.parse().expect("a number"))
        .min(bound);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.max_branches = 50_000;
    let seen = Seen::default();
    let runs = Arc::new(AtomicUsize::new(0));
    let body = Arc::new(body);
    for loads_are_writes in [false, true] {
        let (inner, counted, body) = (seen.clone(), runs.clone(), body.clone());
        taskgrove::model::take_loads_for_writes(loads_are_writes);
        builder.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            body(&inner);
            assert_eq!(PANICS.get(), 0, "something panicked, and it was caught");
        });
    }
    let seen = seen.0.lock().unwrap();
    println!("{} runs: {seen:?}", runs.load(Ordering::Relaxed));
    let reached: Vec<_> = seen.keys().copied().collect();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(reached, expected, "the outcomes that were reached");
}

/// As [`explore_within`], without a bound of its own.
pub fn explore(expected: &[&'static str], body: impl Fn(&Seen) + Send + Sync + 'static) {
    explore_within(usize::MAX, expected, body);
}

/// Notes what happens, in order. loom does not see it.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    pub fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    pub fn count(&self, what: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|w| **w == what)
            .count()
    }

    /// Returns how often `what` was noted before `this`, which was noted once.
    #[track_caller]
    pub fn before(&self, what: &str, this: &str) -> usize {
        let end = self.at(this);
        let log = self.0.lock().unwrap();
        log[..end].iter().filter(|w| **w == what).count()
    }

    /// Returns the position of `what`, which was noted once.
    #[track_caller]
    pub fn at(&self, what: &str) -> usize {
        assert_eq!(self.count(what), 1, "{what} once in {self:?}");
        let log = self.0.lock().unwrap();
        log.iter().position(|w| *w == what).unwrap()
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.lock().unwrap().fmt(f)
    }
}

/// Lets loom check that accesses by several threads are ordered and exclude each other.
#[derive(Clone)]
pub struct Exclusive(Arc<Inner>);

struct Inner(UnsafeCell<()>);

// SAFETY: there is no data in it; loom checks the accesses.
unsafe impl Sync for Inner {}
// SAFETY: as above.
unsafe impl Send for Inner {}

impl Exclusive {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Exclusive(Arc::new(Inner(UnsafeCell::new(()))))
    }

    #[track_caller]
    pub fn touch(&self) {
        self.0.0.with_mut(|_| ());
    }

    /// Accesses it as a reader, which excludes writers only.
    #[track_caller]
    pub fn look(&self) {
        self.0.0.with(|_| ());
    }
}

/// Notes its drop in a log.
pub struct OnDrop(pub Log, pub &'static str, pub Exclusive);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.note(self.1);
        self.2.touch();
    }
}

/// Where a task leaves its waker for other threads. loom does not see it: it is filled before the threads
/// start, or read by threads that can do without the waker.
#[derive(Clone, Default)]
pub struct Place(Arc<Mutex<Option<Waker>>>);

impl Place {
    pub fn put(&self, waker: &Waker) {
        *self.0.lock().unwrap() = Some(waker.clone());
    }

    pub fn waker(&self) -> Waker {
        self.0.lock().unwrap().clone().expect("it was polled")
    }

    pub fn take(&self) -> Option<Waker> {
        self.0.lock().unwrap().take()
    }
}

/// A gate that another thread opens with a Relaxed store, so that only the wake makes it visible.
#[derive(Clone)]
pub struct Gate {
    open: loom::sync::Arc<AtomicBool>,
    place: Place,
}

impl Gate {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Gate {
        Gate {
            open: loom::sync::Arc::new(AtomicBool::new(false)),
            place: Place::default(),
        }
    }

    /// Opens the gate, and wakes the task that was polled at it last.
    pub fn open(&self) {
        let waker = self.place.take();
        self.open.store(true, loom::sync::atomic::Ordering::Relaxed);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn is_open(&self) -> bool {
        self.open.load(loom::sync::atomic::Ordering::Relaxed)
    }

    pub fn pass(&self) -> impl Future<Output = ()> + Send + 'static {
        let gate = self.clone();
        std::future::poll_fn(move |cx| gate.poll(cx))
    }

    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        // The load is Relaxed, too; a real gate would need an ordering. This one is polled before the
        // threads start, and the poll after the wake has to see it open.
        self.place.put(cx.waker());
        if self.is_open() {
            drop(self.place.take());
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// A gate with an ordering: what a thread did before it opens the gate is visible behind it.
#[derive(Clone)]
pub struct Signal(loom::sync::Arc<loom::sync::Mutex<(bool, Option<Waker>)>>);

impl Signal {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Signal {
        Signal(loom::sync::Arc::new(loom::sync::Mutex::new((false, None))))
    }

    pub fn send(&self) {
        let waker = {
            let mut inner = self.0.lock().unwrap();
            inner.0 = true;
            inner.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.lock().unwrap();
        if inner.0 {
            return Poll::Ready(());
        }
        let old = inner.1.replace(cx.waker().clone());
        drop(inner);
        drop(old);
        Poll::Pending
    }

    pub fn wait(&self) -> impl Future<Output = ()> + Send + Unpin + 'static {
        let signal = self.clone();
        std::future::poll_fn(move |cx| signal.poll(cx))
    }
}

struct Blocked {
    token: loom::sync::Mutex<bool>,
    changed: loom::sync::Condvar,
}

impl Wake for Blocked {
    fn wake(self: Arc<Self>) {
        *self.token.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// Polls the future until it is ready, and blocks in between. loom reports a lost wake as a deadlock.
pub fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    let blocked = Arc::new(Blocked {
        token: loom::sync::Mutex::new(false),
        changed: loom::sync::Condvar::new(),
    });
    let waker = Waker::from(blocked.clone());
    loop {
        if let Poll::Ready(output) = poll_once(&mut future, &waker) {
            return output;
        }
        let mut token = blocked.token.lock().unwrap();
        while !*token {
            token = blocked.changed.wait(token).unwrap();
        }
        *token = false;
    }
}

/// A future that notes its polls and its drop. loom checks that no two of them happen at once.
pub struct Noted<F> {
    pub future: F,
    pub polled: &'static str,
    pub dropped: OnDrop,
}

/// Wraps a future so that it notes its polls and its drop.
pub fn noted<F>(log: &Log, polled: &'static str, dropped: &'static str, future: F) -> Noted<F> {
    Noted {
        future,
        polled,
        dropped: OnDrop(log.clone(), dropped, Exclusive::new()),
    }
}

impl<F: Future + Unpin> Future for Noted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.dropped.2.touch();
        self.dropped.0.note(self.polled);
        let polled = Pin::new(&mut self.future).poll(cx);
        self.dropped.2.touch();
        polled
    }
}

/// A waker that counts its wakes.
#[derive(Default)]
pub struct Counter(AtomicUsize);

impl Counter {
    pub fn new() -> Arc<Counter> {
        Arc::default()
    }

    pub fn wakes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls the future once.
pub fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Returns the output of a future that must be ready.
#[track_caller]
pub fn ready<F: Future + Unpin>(future: &mut F) -> F::Output {
    match poll_once(future, Waker::noop()) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it is not ready"),
    }
}
