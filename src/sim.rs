//! Simulation: the same tasks and services on one thread, with a schedule drawn from a seed and a
//! clock that jumps.
//!
//! A [`Sim`] takes the place of a [`Runtime`](crate::Runtime). The tasks, the tree, the services,
//! the walks of a cancellation and the timers are the same code; only the scheduler differs. Which
//! ready task is polled next, when a cancellation's walk takes its next step, when a claimed task is
//! closed, when a parent hears that a child is done, when a due timer fires and when a wake from
//! another thread lands: the seed decides. The time stands still while anything is ready; when nothing is, it jumps to the next timer, so that a
//! day passes in the time that its work takes.
//!
//! The same seed and program give the same run, step for step, with the same task ids and the same
//! [`fingerprint`](Sim::fingerprint). So a failure that one seed in ten thousand shows can be
//! replayed, with a debugger or with more output, as often as it takes. [`check()`] runs a body for
//! many seeds and names the first that fails.
//!
//! ```
//! use std::time::Duration;
//! use taskgrove::{sim, spawn, time};
//!
//! sim::check(0..100, async || {
//!     let slow = spawn(async { time::sleep(Duration::from_secs(3600)).await });
//!     let quick = time::timeout(Duration::from_secs(60), slow.wait_done()).await;
//!     assert!(quick.is_err(), "an hour is more than a minute");
//!     slow.await.unwrap();
//! });
//! ```
//!
//! # What makes a program repeat
//!
//! Everything it does through this crate repeats. What it learns from elsewhere may not: other
//! threads (their wakes land in an order that the operating system decides), the system's clock
//! ([`time::now`](crate::time::now) is virtual; differences of its instants repeat, the instants
//! themselves are counted from when the simulation was made), addresses, and the order of a
//! `HashMap` with std's random state. For random numbers that repeat there is [`random()`].
//!
//! # Other threads
//!
//! Another thread may do to a simulation what it may do to a runtime, at any time, also while the
//! `Sim` is dropped: spawn through a [`Handle`], take a [`Snapshot`](crate::Snapshot), wake, cancel,
//! schedule through a service's [`Context`](crate::Context), keep wakers and handles for as long as
//! it likes. What it does lands at a step that the seed draws. Looking is invisible: it costs no
//! step, no time, and keeps nothing from being found stuck.
//!
//! A future that another thread completes is waited for as long as that thread's work is counted:
//! from [`external_work()`] until the value that this returns is dropped. Until then no time passes
//! where nothing is ready. Without it the simulation does not wait, since nobody can know whether a
//! waker that went to another thread will ever be woken: the time jumps to the next timer, or, where
//! none is left, [`block_on`](Sim::block_on) panics with a message that says so.
//!
//! # What it does not do
//!
//! One poll is one step: two polls never overlap, so data races and memory orders are not its
//! subject.

mod check;
mod deadlock;
mod engine;
mod external;
mod livelock;
mod outside;
mod panics;
mod random;
mod run;

pub use check::check;
pub use external::{ExternalWork, external_work};

use crate::handle::{Handle, current_shared};
use crate::service::poll_to_its_end;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::task::Shared;
use crate::task::awaited;
use crate::task::cell::fits;
use crate::task::current::{self, InRuntime};
use crate::task::state::Level;
use crate::timer::Clock;
use crate::tree::cancel;
use engine::{Engine, EngineHandle, Step};
use outside::Idle;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// A runtime on one thread whose schedule is drawn from a seed, with virtual time.
///
/// Dropping it stops everything, as dropping a [`Runtime`](crate::Runtime) does: every future is
/// dropped, leaves first; no shield, cleanup or grace is waited for.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use taskgrove::{sim::Sim, time};
///
/// let sim = Sim::new(7);
/// sim.block_on(async { time::sleep(Duration::from_secs(86_400)).await });
/// assert_eq!(sim.elapsed(), Duration::from_secs(86_400));
/// ```
pub struct Sim {
    handle: Handle,
    engine: Arc<Engine>,
}

impl Sim {
    /// A simulation in which this seed decides. Any seed is as good as any other.
    pub fn new(seed: u64) -> Sim {
        let shared = Arc::new(Shared::new(Clock::manual(), false));
        let engine = Arc::new(Engine::new(shared.serial, seed));
        Shared::open(&shared, Box::new(EngineHandle(engine.clone())), 1);
        Sim {
            handle: Handle::new(shared),
            engine,
        }
    }

    /// The simulation's handle. What it is used for between two calls of
    /// [`block_on`](Sim::block_on) happens in the second.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs a future to its end, and the tasks as far as the seed wants them to get in the
    /// meantime. As with [`Runtime::block_on`](crate::Runtime::block_on) the future is no task.
    /// Tasks that are left go on in the next call.
    ///
    /// The time stands still while anything is ready, and while work of another thread is counted
    /// ([`external_work`]).
    ///
    /// # Panics
    ///
    /// - On a deadlock, when nothing is ready, no timer is left and no work outside is counted: with
    ///   the tree of the tasks, and for each what it waits for.
    /// - On a livelock, when the time stands still while one task is polled more than a million
    ///   times, or all of them more than a million and a thousand times each: with who goes round.
    /// - While another thread, or a task, is in `block_on` of the same simulation.
    /// - With what the future panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{sim::Sim, spawn};
    /// let order = |seed| {
    ///     Sim::new(seed).block_on(async {
    ///         let (tx, rx) = std::sync::mpsc::channel();
    ///         let tasks: Vec<_> = (0..5)
    ///             .map(|n| {
    ///                 let tx = tx.clone();
    ///                 spawn(async move { tx.send(n).unwrap() })
    ///             })
    ///             .collect();
    ///         for task in tasks {
    ///             task.await.unwrap();
    ///         }
    ///         rx.try_iter().collect::<Vec<_>>()
    ///     })
    /// };
    /// assert_eq!(order(1), order(1));
    /// assert!((2..50).any(|seed| order(seed) != order(1)));
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        if const { fits::<F>() } {
            self.drive(pin!(Some(future)))
        } else {
            self.drive(pin!(Some(Box::pin(future))))
        }
    }

    #[track_caller]
    fn drive<F: Future>(&self, mut future: Pin<&mut Option<F>>) -> F::Output {
        let shared = self.handle.shared();
        let driven = self.engine.driven.swap(true, Ordering::AcqRel);
        assert!(
            !driven,
            "`Sim::block_on` was called inside itself, or by two threads at once: await the future instead"
        );
        let _driving = Driving(&self.engine);
        let _in_runtime = InRuntime::enter(shared.clone(), Some(0));
        let woken = Arc::new(AtomicBool::new(true));
        let waker = {
            let (woken, parker) = (woken.clone(), self.engine.outside.parker.clone());
            waker_fn::waker_fn(move || {
                woken.store(true, Ordering::Release);
                parker.unpark();
            })
        };
        let mut cx = Context::from_waker(&waker);
        let mut waits = Vec::new();
        loop {
            match self.engine.step(shared, woken.load(Ordering::Acquire)) {
                Step::Done => {}
                Step::Round => panic!("{}", livelock::describe(&self.engine, shared)),
                Step::Nothing => {
                    if let Idle::Stuck = self.engine.idle(shared, || woken.load(Ordering::Acquire))
                    {
                        panic!("{}", deadlock::describe(&self.engine, shared, &waits));
                    }
                }
                Step::Main => {
                    woken.store(false, Ordering::Release);
                    let mut polled = Poll::Pending;
                    waits = awaited::trace(|| {
                        current::outside_tasks(|| {
                            polled = poll_to_its_end(future.as_mut(), &mut cx)
                        });
                    });
                    if let Poll::Ready(output) = polled {
                        return output;
                    }
                }
            }
        }
    }

    /// The virtual time that has passed, with the precision of a nanosecond.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.handle.shared().clock.now_ns())
    }

    /// Steps done so far: polls, steps of a cancellation, timers fired, jumps of the clock, and
    /// whatever else the seed puts in an order.
    pub fn steps(&self) -> u64 {
        self.engine.steps()
    }

    /// A hash of all steps so far: what kind of step each was, and which task it was about. Two
    /// runs of a program with the same fingerprint went the same way, whatever their seeds: how
    /// many there are of them is how many ways were tried.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{sim::Sim, spawn};
    /// let run = |seed| {
    ///     let sim = Sim::new(seed);
    ///     sim.block_on(async {
    ///         let task = spawn(async { taskgrove::yield_now().await });
    ///         task.await.unwrap();
    ///     });
    ///     (sim.steps(), sim.fingerprint())
    /// };
    /// assert_eq!(run(3), run(3));
    /// assert!((4..50).any(|seed| run(seed) != run(3)));
    /// ```
    pub fn fingerprint(&self) -> u64 {
        self.engine.fingerprint()
    }

    /// The seed it was made with.
    pub fn seed(&self) -> u64 {
        self.engine.seed
    }
}

/// The next number of the simulation the calling code runs in, uniform over all 64 bits. It
/// follows from the seed, so that what a program decides by it is replayed, too. Drawing numbers
/// does not change the schedule.
///
/// # Panics
///
/// Outside a simulation.
///
/// # Examples
///
/// ```
/// use taskgrove::sim::{self, Sim};
/// let draw = |seed| Sim::new(seed).block_on(async { (sim::random(), sim::random()) });
/// assert_eq!(draw(5), draw(5));
/// assert_ne!(draw(5), draw(6));
/// ```
#[track_caller]
pub fn random() -> u64 {
    match current_shared().schedule().random() {
        Some(number) => number,
        None => panic!(
            "`sim::random` was called outside a simulation: its numbers follow from a `Sim`'s seed"
        ),
    }
}

/// Says that nobody drives the simulation any more.
struct Driving<'a>(&'a Engine);

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.driven.store(false, Ordering::Release);
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let shared = self.handle.shared().clone();
        let _in_runtime = InRuntime::enter(shared.clone(), Some(0));
        cancel::request_all(&shared, Level::Kill);
        cancel::release_sentinels(&shared);
        while !self.engine.has_ended() {
            // A kill ends every task. What is not done is in the hands of another thread, which
            // unparks this one when it has let go.
            if let Step::Nothing = self.engine.step(&shared, false) {
                self.engine.outside.parker.park(None);
            }
        }
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim")
            .field("seed", &self.seed())
            .field("steps", &self.steps())
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}
