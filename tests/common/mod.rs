//! What the tests share: a watchdog, events and logs that need no runtime, and a seeded random number generator.
//!
//! Nothing here waits on time; the watchdog's limit is a bound on a hung test, not a wait.
#![allow(dead_code)]

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How long a test may take before [`watchdog`] declares it hung.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Runs `f` on a thread of its own and returns what it returns.
///
/// A panic in `f` is passed on. If `f` has not ended after [`LIMIT`], this panics and leaves the thread behind, so that one hung test
/// does not hang the run.
#[track_caller]
pub(crate) fn watchdog<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (out, returned) = mpsc::channel();
    watch(Box::new(move || {
        // The receiver is gone only if the watchdog has given up.
        let _ = out.send(f());
    }));
    returned.recv().expect("the thread has sent its result")
}

/// As [`watchdog`], without a type: what starts a thread is compiled once, and not for each test.
#[track_caller]
fn watch(f: Box<dyn FnOnce() + Send>) {
    let (ended, end) = mpsc::channel::<()>();
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    let thread = std::thread::Builder::new()
        .name(name.clone())
        .spawn(move || {
            let _ended = ended; // dropped at the end, or by a panic
            f();
        })
        .expect("a thread for the test");
    match end.recv_timeout(LIMIT) {
        Ok(()) => unreachable!("nothing is sent"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            if let Err(payload) = thread.join() {
                std::panic::resume_unwind(payload);
            }
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name} hung: no end after {LIMIT:?}"),
    }
}

/// Runs `f`'s future by `block_on` of a runtime with two workers, under the [`watchdog`]; the runtime is dropped under it, too.
///
/// The future need not be `Send`: `f` makes it on the watchdog's thread.
#[track_caller]
pub(crate) fn on_two_workers<T: Send + 'static>(f: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    on_workers(2, f)
}

/// As [`on_two_workers`], with `workers` of them.
#[track_caller]
pub(crate) fn on_workers<T: Send + 'static>(
    workers: usize,
    f: impl AsyncFnOnce() -> T + Send + 'static,
) -> T {
    watchdog(move || {
        let rt = taskgrove::Runtime::builder()
            .workers(workers)
            .build()
            .expect("a runtime");
        rt.block_on(f())
    })
}

/// Locks, whether or not a panic has poisoned the lock: tests of panics go on afterwards.
fn lock<T: ?Sized>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static LAG: Cell<fn() -> usize> = const { Cell::new(|| 0) };
}

/// From now on, who waits for an [`Event`] on this thread suspends so many times more once it has happened: as a thread
/// may be late, anywhere.
pub(crate) fn lag(by: fn() -> usize) {
    LAG.set(by);
}

/// Something that happens once and stays so. Clones are the same event; any number may wait, from any thread or runtime.
#[derive(Clone, Default)]
pub(crate) struct Event(Arc<Mutex<EventState>>);

#[derive(Default)]
struct EventState {
    set: bool,
    waiters: u64,
    wakers: Vec<(u64, Waker)>,
}

impl Event {
    pub(crate) fn new() -> Event {
        Event::default()
    }

    /// Makes it happen. Doing so again changes nothing.
    pub(crate) fn set(&self) {
        let wakers = {
            let mut state = lock(&self.0);
            state.set = true;
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }

    pub(crate) fn is_set(&self) -> bool {
        lock(&self.0).set
    }

    /// How many are waiting: have been polled, and neither dropped nor told yet.
    pub(crate) fn waiters(&self) -> usize {
        lock(&self.0).wakers.len()
    }

    /// Resolves when it has happened. Owns its part of the event, so that it can move into a task.
    pub(crate) fn wait(&self) -> Wait {
        let mut state = lock(&self.0);
        state.waiters += 1;
        Wait {
            event: self.clone(),
            id: state.waiters,
            lag: None,
        }
    }
}

/// See [`Event::wait`]. Keeps the waker of its last poll, and gives it up when it is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Wait {
    event: Event,
    id: u64,
    /// Suspensions left since it has seen that the event has happened.
    lag: Option<usize>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Cloned before the lock and dropped after it: wakers are other people's code.
        let waker = cx.waker().clone();
        let this = &mut *self;
        let mut state = lock(&this.event.0);
        if state.set {
            drop(state);
            let left = this.lag.get_or_insert_with(|| LAG.get()());
            if *left == 0 {
                return Poll::Ready(());
            }
            *left -= 1;
            waker.wake();
            return Poll::Pending;
        }
        let old = match state.wakers.iter_mut().find(|(id, _)| *id == this.id) {
            Some((_, known)) => Some(std::mem::replace(known, waker)),
            None => {
                state.wakers.push((this.id, waker));
                None
            }
        };
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut state = lock(&self.event.0);
        let at = state.wakers.iter().position(|(id, _)| *id == self.id);
        let waker = at.map(|at| state.wakers.swap_remove(at));
        drop(state);
        drop(waker);
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Event").field(&self.is_set()).finish()
    }
}

/// An unbounded channel of which both ends are clones of it: what is sent is received once, in order. It is never closed.
#[derive(Debug)]
pub(crate) struct Queue<T>(Arc<Mutex<(VecDeque<T>, Vec<Waker>)>>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue(self.0.clone())
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue(Arc::new(Mutex::new((VecDeque::new(), Vec::new()))))
    }
}

impl<T: Send + 'static> Queue<T> {
    pub(crate) fn new() -> Queue<T> {
        Queue::default()
    }

    pub(crate) fn send(&self, value: T) {
        let wakers = {
            let mut state = lock(&self.0);
            state.0.push_back(value);
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn recv(&self) -> impl Future<Output = T> + Send + 'static {
        let queue = self.clone();
        poll_fn(move |cx| {
            let waker = cx.waker().clone();
            let mut state = lock(&queue.0);
            if let Some(value) = state.0.pop_front() {
                return Poll::Ready(value);
            }
            if !state.1.iter().any(|known| known.will_wake(&waker)) {
                state.1.push(waker);
            }
            Poll::Pending
        })
    }
}

/// A record of what happened, in order. Clones are the same log.
#[derive(Debug)]
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Log(self.0.clone())
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Log(Arc::default())
    }
}

impl<T> Log<T> {
    pub(crate) fn new() -> Log<T> {
        Log::default()
    }

    pub(crate) fn push(&self, entry: T) {
        lock(&self.0).push(entry);
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything logged so far; the log is empty afterwards.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut lock(&self.0))
    }

    /// Everything logged so far.
    pub(crate) fn read(&self) -> Vec<T>
    where
        T: Clone,
    {
        lock(&self.0).clone()
    }
}

/// Runs a closure when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(f: F) -> OnDrop<F> {
        OnDrop(Some(f))
    }

    /// Forgets the closure.
    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// Counts, from any thread; clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    pub(crate) fn new() -> Counter {
        Counter::default()
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Adds one and returns the new count.
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Takes one off and returns the new count.
    pub(crate) fn sub(&self) -> usize {
        self.0.fetch_sub(1, Ordering::SeqCst) - 1
    }

    /// Adds one now and takes it off when the guard is dropped: the count is how many of them live.
    pub(crate) fn live(&self) -> OnDrop<impl FnOnce() + Send + 'static + use<>> {
        self.add();
        let counter = self.clone();
        OnDrop::new(move || {
            counter.sub();
        })
    }

    /// Adds one when the guard is dropped: the count is how many have been.
    pub(crate) fn dropped(&self) -> OnDrop<impl FnOnce() + Send + 'static + use<>> {
        let counter = self.clone();
        OnDrop::new(move || {
            counter.add();
        })
    }
}

/// Polls the future once: its output, or `None` if it is pending. It stays registered with the waker of the task that calls.
pub(crate) async fn poll_once<F: Future + Unpin>(f: &mut F) -> Option<F::Output> {
    poll_fn(|cx| Poll::Ready(poll_now(Pin::new(&mut *f), cx))).await
}

/// Polls the future with a waker that does nothing: its output, or `None` if it is pending.
pub(crate) fn poll_idle<F: Future + Unpin>(f: &mut F) -> Option<F::Output> {
    poll_now(Pin::new(f), &mut Context::from_waker(Waker::noop()))
}

fn poll_now<F: Future>(f: Pin<&mut F>, cx: &mut Context<'_>) -> Option<F::Output> {
    match f.poll(cx) {
        Poll::Ready(out) => Some(out),
        Poll::Pending => None,
    }
}

/// Wraps a future and keeps what its polls tell: `polled` is set by the first one.
pub(crate) async fn announced<F: Future>(polled: Event, f: F) -> F::Output {
    let mut f = pin!(f);
    poll_fn(move |cx| {
        let out = f.as_mut().poll(cx);
        polled.set();
        out
    })
    .await
}

/// Suspends once, and is woken at once: a `yield_now` that knows no runtime, and so does not end at a cancelled task's turn.
pub(crate) fn suspend() -> impl Future<Output = ()> + Send + 'static {
    let mut suspended = false;
    poll_fn(move |cx| {
        if suspended {
            return Poll::Ready(());
        }
        suspended = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Suspends `n` times; see [`suspend`].
pub(crate) async fn suspend_times(n: usize) {
    for _ in 0..n {
        suspend().await;
    }
}

/// A small seeded generator (splitmix64): the same seed gives the same numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not zero. (The bias of the remainder is of no concern to a test.)
    pub(crate) fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "nothing is below zero");
        (self.next_u64() % n as u64) as usize
    }

    /// True once in `n` on average.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
