//! [`Sim`]: the runtime of a simulation, and the loop that drives it.

use super::advance::Advance;
use super::engine::{Driving, Engine, Step};
use super::scheduler::Scheduler;
use super::{deadlock, livelock};
use crate::handle::Handle;
use crate::handle::block_on::poll_into;
use crate::snapshot::crowd::Crowd;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::task::crowd::CrowdHook;
use crate::task::current::inside::InRuntime;
use crate::task::shared::BlockOn;
use crate::task::state::Level;
use crate::task::watch::Watch;
use crate::task::{Shared, awaited, current, fitting};
use crate::timer_queue::Clock;
use crate::tree::request::end_all;
use std::pin::{Pin, pin};
use std::task::Context;
use std::time::Duration;

/// A runtime on one thread, with a schedule drawn from a seed and virtual time.
///
/// Dropping it stops everything, as dropping a [`Runtime`](crate::Runtime) does: it drops every
/// future, leaves first, and waits for no shield, cleanup or grace. If another thread is in the
/// middle of a call about one of the tasks, the drop waits for that call.
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
    pub(super) engine: Arc<Engine>,
}

impl Sim {
    /// Creates a simulation with this seed. All seeds are equally good.
    pub fn new(seed: u64) -> Sim {
        let shared = Arc::new(Shared::new(Clock::manual(), Watch::new(false, true)));
        let engine = Arc::new(Engine::new(shared.serial, seed));
        shared.set_block_on(Box::new(engine.clone()));
        Shared::open(&shared, Box::new(Scheduler(engine.clone())), 1);
        Sim {
            handle: Handle::new(shared),
            engine,
        }
    }

    /// Calls `hook` when the supervised children of a task reach `share` of its limit, as
    /// [`Builder::on_crowd`](crate::Builder::on_crowd) does.
    ///
    /// # Panics
    ///
    /// Panics unless `share` is above 0 and at most 1, and if the simulation has such a hook.
    #[track_caller]
    pub fn on_crowd(self, share: f64, hook: impl Fn(&Crowd) + Send + Sync + 'static) -> Sim {
        let shared = self.handle.shared();
        shared.set_crowd_hook(CrowdHook::new(share, hook));
        self
    }

    /// Returns the simulation's handle. Tasks that are spawned through it between two calls of
    /// [`block_on`](Sim::block_on) run in the second call.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs a future to completion, and in the meantime the tasks, in the order that the seed
    /// draws.
    ///
    /// As with [`Runtime::block_on`](crate::Runtime::block_on), the future is not a task. Tasks that are
    /// not done when it completes go on in the next call.
    ///
    /// Time stands still while anything is ready, and while work of another thread is announced
    /// ([`external_work`](super::external_work)).
    ///
    /// # Panics
    ///
    /// - On a deadlock: nothing is ready, no timer is left, and no work of another thread is announced.
    ///   The message has the tree of the tasks, and for each task what it waits for.
    /// - On a livelock: at one instant of virtual time, one task is polled more than a million times, or
    ///   all tasks together more than a million times and a thousand times each. The message names
    ///   the tasks that were polled most.
    /// - If it is called inside itself, or while another thread is in `block_on` of the same
    ///   simulation.
    /// - If the future panics.
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
        fitting!(future: F => self.run_to_its_end(pin!(Some(future))))
    }

    #[track_caller]
    fn run_to_its_end<F: Future>(&self, future: Pin<&mut Option<F>>) -> F::Output {
        let (shared, mut output) = (self.handle.shared(), None);
        drive(&self.engine, shared, &mut poll_into(&mut output, future));
        output.expect("it is polled until it is ready")
    }

    /// Returns the virtual time since the simulation was created, with a precision of one nanosecond.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.handle.shared().clock.now_ns())
    }

    /// Returns the number of steps so far. Steps are polls, steps of a cancellation, timers that fire,
    /// jumps of the clock, and everything else that happens in an order that the seed draws.
    pub fn steps(&self) -> u64 {
        self.engine.steps()
    }

    /// Returns a hash of all steps so far: the kind of each step, and the task that it was about.
    ///
    /// Two runs of a program with the same fingerprint took the same steps, whatever their seeds. So the
    /// number of different fingerprints is the number of schedules that were tried.
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

    /// Returns the seed that the simulation was created with.
    pub fn seed(&self) -> u64 {
        self.engine.seed
    }
}

/// Polls the main future, by `poll`, until it is ready, and in the meantime the tasks.
#[track_caller]
fn drive(engine: &Engine, shared: &Arc<Shared>, poll: &mut dyn FnMut(&mut Context<'_>) -> bool) {
    let Some(_driving) = Driving::begin(engine) else {
        panic!(
            "`Sim::block_on` was called inside itself, or by two threads at once: await the future instead"
        );
    };
    let _in_runtime = InRuntime::enter(shared.clone(), Some(0));
    // Whether the main future was woken and not polled since. Any thread that wakes it sets the flag
    // with Release, after it has written what the future waits for. This thread takes it with
    // Acquire, and so sees what every wake before has written. Each write is a read-modify-write,
    // and so the next one in the modification order of what it read, in loom's eyes as well.
    let woken = Arc::new(AtomicBool::new(true));
    let waker = {
        let (woken, parker) = (woken.clone(), engine.inbox.parker().clone());
        waker_fn::waker_fn(move || {
            woken.swap(true, Ordering::Release);
            parker.unpark();
        })
    };
    let mut cx = Context::from_waker(&waker);
    let mut waits = Vec::new();
    loop {
        match engine.step(shared, woken.load(Ordering::Acquire)) {
            Step::Done => {}
            Step::Livelock => panic!("{}", livelock::describe(engine, shared)),
            Step::Nothing => {
                let woken = || woken.load(Ordering::Acquire);
                if let Advance::Deadlock = engine.advance(shared, woken) {
                    panic!("{}", deadlock::describe(engine, shared, &waits));
                }
            }
            Step::Main => {
                // A second wake may have come since the load above. The swap reads it, so that its
                // writes are visible to the poll; a store would overwrite it unread.
                woken.swap(false, Ordering::Acquire);
                waits.clear();
                let ready;
                (ready, waits) = awaited::trace(waits, || poll(&mut cx));
                if ready {
                    break;
                }
            }
        }
    }
    if !shared.is_open() {
        // The simulation was dropped by its own future or by one of its tasks, which left the rest to this.
        end(engine, shared);
    }
}

/// Takes steps until the last task is done. All of them were killed.
fn end(engine: &Engine, shared: &Shared) {
    while !engine.has_ended() {
        // The kill ends every task. One that is not done and has no step to take is in the hands
        // of another thread, which unparks this one after it has pushed.
        if let Step::Nothing = engine.step(shared, false) {
            engine.inbox.park();
        }
    }
}

impl BlockOn for Arc<Engine> {
    fn block_on(&self, shared: &Arc<Shared>, poll: &mut dyn FnMut(&mut Context<'_>) -> bool) {
        drive(self, shared, poll);
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let shared = self.handle.shared().clone();
        shared.forget_crowd_hook();
        let driving = Driving::begin(&self.engine);
        if driving.is_some() {
            let _in_runtime = InRuntime::enter(shared.clone(), Some(0));
            end_all(&shared, Level::Kill);
            return end(&self.engine, &shared);
        }
        // There is a call of `Handle::block_on`. If this is inside it, it takes the steps before it returns; if it is
        // another thread's, its future is given time to end.
        end_all(&shared, Level::Kill);
        if !current::is_worker_of(&shared) {
            let _driving = Driving::await_begin(&self.engine);
            let _in_runtime = InRuntime::enter(shared.clone(), Some(0));
            end(&self.engine, &shared);
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
