//! [`Runtime`]: building one, blocking on a future, and shutting down.

use crate::error::{ServiceError, StopTimeout};
use crate::handle::Handle;
use crate::pool::{Pool, PoolHandle, Worker};
use crate::service::{Manager, Service};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Parker};
use crate::task::Hub;
use crate::task::current::{self, InRuntime};
use crate::task::state::Level;
use crate::timer::{Clock, Fire};
use crate::tree::{cancel, snapshot};
use std::io;
use std::ops::Deref;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long no worker may get on before those that are in a poll count as stuck.
const STUCK: Duration = Duration::from_millis(100);

/// Workers a runtime may have.
const MAX_WORKERS: usize = 1 << 15;

/// A runtime: worker threads, timers, and the tree of the tasks that run on them.
///
/// It derefs to its [`Handle`], which spawns, starts services and takes snapshots. Dropping it
/// stops everything: every future is dropped, leaves first, after its current poll; no shield,
/// cleanup or grace is waited for, and the workers are joined. So a task that is stuck in a poll
/// holds up the drop. [`shutdown_timeout`](Runtime::shutdown_timeout) first lets protected tasks
/// end, and leaves a stuck thread behind. Dropped on one of its own workers, it stops everything
/// without joining.
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::new()?;
/// let n = runtime.block_on(async {
///     let task = taskgrove::spawn(async { 21 });
///     task.await.unwrap() * 2
/// });
/// assert_eq!(n, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    handle: Handle,
    pool: Arc<Pool>,
    threads: Vec<JoinHandle<()>>,
    ended: bool,
}

/// Configures a [`Runtime`]. Made by [`Runtime::builder`].
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::builder()
///     .workers(1)
///     .thread_name("grove")
///     .build()?;
/// assert_eq!(runtime.metrics().workers, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    workers: Option<usize>,
    thread_name: String,
    stack_size: Option<usize>,
    track_busy: bool,
}

impl Builder {
    /// Number of worker threads; by default one per available core. With 0 there are none:
    /// [`Runtime::block_on`] drives every task on its caller's thread, and nothing runs while
    /// nobody is in it.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Name of the worker threads, to which their number is appended; by default `taskgrove`.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = name.into();
        self
    }

    /// Stack size of the worker threads in bytes; by default that of the standard library.
    pub fn thread_stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Whether to measure the time each task spends in its polls, for
    /// [`Node::busy`](crate::Node::busy); costs two readings of the clock a poll. By default off.
    pub fn track_busy_time(mut self, on: bool) -> Self {
        self.track_busy = on;
        self
    }

    /// Builds the runtime and starts its threads.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started, that error; those already started have ended by then.
    /// `InvalidInput` for more than 32,768 workers, or a thread name with a NUL byte.
    pub fn build(self) -> io::Result<Runtime> {
        let threads = match self.workers {
            Some(count) => count,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        if threads > MAX_WORKERS {
            let message = format!("{threads} workers: a runtime can have {MAX_WORKERS} at most");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if self.thread_name.contains('\0') {
            let message = "a thread name cannot contain a NUL byte";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let cores = threads.max(1);
        let hub = Arc::new(Hub::new(Clock::real(), self.track_busy));
        let pool = Arc::new(Pool::new(hub.serial, threads));
        Hub::open(&hub, Box::new(PoolHandle(pool.clone())), cores + 1);
        let mut runtime = Runtime {
            handle: Handle::new(hub.clone()),
            pool: pool.clone(),
            threads: Vec::new(),
            ended: false,
        };
        for index in 0..threads {
            let (hub, pool) = (hub.clone(), pool.clone());
            let mut thread =
                std::thread::Builder::new().name(format!("{}-{index}", self.thread_name));
            if let Some(bytes) = self.stack_size {
                thread = thread.stack_size(bytes);
            }
            let spawned = thread.spawn(move || {
                let _in_runtime = InRuntime::enter(hub.clone(), Some(index));
                Worker::new(&pool, &hub, index, Arc::new(Parker::new())).run();
            });
            // Dropping the runtime ends the threads that run already.
            runtime.threads.push(spawned?);
        }
        Ok(runtime)
    }
}

impl Runtime {
    /// A runtime with one worker per available core.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Runtime> {
        Runtime::builder().build()
    }

    /// Configures a runtime.
    pub fn builder() -> Builder {
        Builder {
            workers: None,
            thread_name: "taskgrove".to_owned(),
            stack_size: None,
            track_busy: false,
        }
    }

    /// The runtime's handle, which can be cloned and may outlive it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs a future to its end on the calling thread, while the workers run the tasks. The future
    /// need not be `Send` nor `'static`. It is no task: what it spawns are roots, and
    /// [`shielded`](crate::shielded) changes nothing in it. Several threads may do this at once.
    ///
    /// # Panics
    ///
    /// On a worker of this runtime: it would block the tasks it waits for. With what the future
    /// panics.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::builder().workers(0).build()?;
    /// let text = String::from("borrowed");
    /// assert_eq!(runtime.block_on(async { text.len() }), 8);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let hub = self.handle.hub();
        assert!(
            !current::is_worker_of(hub),
            "`block_on` was called on a worker of the same runtime, and would block the tasks it waits for: await the future instead"
        );
        let _in_runtime = InRuntime::enter(hub.clone(), None);
        let parker = Arc::new(Parker::new());
        let woken = Arc::new(AtomicBool::new(true));
        let waker = waker(&parker, &woken);
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        // Dropped after the driver: the core may have been given back to this thread.
        let _pass_on = PassOn(self.threads.is_empty().then_some(&*self.pool));
        let mut driver: Option<Driver<'_>> = None;
        loop {
            if woken.swap(false, Ordering::AcqRel)
                && let Poll::Ready(output) =
                    current::outside_tasks(|| future.as_mut().poll(&mut cx))
            {
                return output;
            }
            if driver.is_none() && self.threads.is_empty() {
                driver = Driver::take(&self.pool, hub, &parker);
            }
            match &mut driver {
                Some(driver) => driver.run(|| woken.load(Ordering::Acquire)),
                None => self.pool.park_guest(hub, &parker, || {
                    let free =
                        self.threads.is_empty() && !self.pool.core_taken.load(Ordering::Acquire);
                    free || woken.load(Ordering::Acquire)
                }),
            }
        }
    }

    /// Runs a service to its end: [`Manager::run_service`] from synchronous code.
    ///
    /// # Errors
    ///
    /// The service's failures, or [`LifecycleError::AlreadyManaged`](crate::LifecycleError).
    ///
    /// # Panics
    ///
    /// As [`block_on`](Runtime::block_on).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::new()?;
    /// runtime.run(taskgrove::service_fn("hello", async |_| {
    ///     println!("hello");
    ///     Ok(())
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run<S: Service>(&self, service: S) -> Result<(), ServiceError> {
        self.block_on(Manager::run_service(service))
    }

    /// Cancels everything, waits up to `timeout` for what is protected (shields, cleanups,
    /// grace), then does what dropping the runtime does, except that it leaves a thread that is
    /// stuck in a poll behind. On a worker of this runtime there is no waiting.
    ///
    /// # Errors
    ///
    /// [`StopTimeout`] with a snapshot of what was left when the time was over.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let runtime = taskgrove::Runtime::new()?;
    /// runtime.spawn(std::future::pending::<()>());
    /// runtime.shutdown_timeout(Duration::from_secs(5))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Result<(), StopTimeout> {
        self.ended = true;
        let hub = self.handle.hub().clone();
        cancel::request_all(&hub, Level::Cancel);
        cancel::release_sentinels(&hub);
        let on_worker = current::is_worker_of(&hub);
        if !on_worker {
            self.wait_end(&hub, timeout);
        }
        if self.pool.has_ended() {
            self.join();
            return Ok(());
        }
        let remaining = snapshot::all(&hub);
        cancel::request_all(&hub, Level::Kill);
        if self.threads.is_empty() {
            self.wait_end(&hub, Duration::MAX);
        } else if !on_worker {
            let mut seen = self.pool.progress();
            while !self.pool.has_ended() {
                self.pool.end.park(Some(Instant::now() + STUCK));
                let now = self.pool.progress();
                if now == seen && !self.pool.has_ended() {
                    // Every other worker is idle: what is left waits for a poll to end.
                    self.threads.clear();
                    break;
                }
                seen = now;
            }
            self.join();
        }
        if remaining.is_empty() {
            return Ok(());
        }
        Err(StopTimeout { remaining })
    }

    /// Waits until the last task is done, or the time is over; runs the tasks if nobody else does.
    fn wait_end(&self, hub: &Arc<Hub>, timeout: Duration) {
        if !self.threads.is_empty() {
            let deadline = Instant::now().checked_add(timeout);
            while !self.pool.has_ended() && deadline.is_none_or(|at| Instant::now() < at) {
                self.pool.end.park(deadline);
            }
            return;
        }
        let _in_runtime = InRuntime::enter(hub.clone(), None);
        let parker = Arc::new(Parker::new());
        let over = Arc::new(AtomicBool::new(timeout.is_zero()));
        let deadline = hub.clock.deadline(timeout);
        let wake = Fire::Waker(waker(&parker, &over));
        let timer = hub.timers.insert(deadline, wake);
        if let Some(mut driver) = Driver::take(&self.pool, hub, &parker) {
            while !self.pool.has_ended() && !over.load(Ordering::Acquire) {
                driver.run(|| over.load(Ordering::Acquire) || self.pool.has_ended());
            }
        }
        if let Some((key, _)) = timer {
            hub.timers.remove(key);
        }
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A worker catches what tasks panic with: it ends only by returning.
            let _ = thread.join();
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let hub = self.handle.hub().clone();
        cancel::request_all(&hub, Level::Kill);
        cancel::release_sentinels(&hub);
        if self.threads.is_empty() {
            self.wait_end(&hub, Duration::MAX);
        } else if !current::is_worker_of(&hub) {
            self.join();
        }
    }
}

impl Deref for Runtime {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Runtime").field(&self.handle).finish()
    }
}

/// Passes the core of a pool without threads on, should nobody have it when this thread leaves: it
/// may be the one that was woken to take it.
struct PassOn<'a>(Option<&'a Pool>);

impl Drop for PassOn<'_> {
    fn drop(&mut self) {
        if let Some(pool) = self.0
            && !pool.core_taken.load(Ordering::Acquire)
        {
            pool.wake_guest();
        }
    }
}

/// A waker that says so and unparks.
fn waker(parker: &Arc<Parker>, woken: &Arc<AtomicBool>) -> Waker {
    let (parker, woken) = (parker.clone(), woken.clone());
    waker_fn::waker_fn(move || {
        woken.store(true, Ordering::Release);
        parker.unpark();
    })
}

/// The calling thread as the one worker of a runtime that has no threads.
struct Driver<'a> {
    worker: Worker<'a>,
    pool: &'a Pool,
    _in_runtime: InRuntime,
}

impl<'a> Driver<'a> {
    /// `None` if another thread is it.
    fn take(pool: &'a Pool, hub: &'a Arc<Hub>, parker: &Arc<Parker>) -> Option<Self> {
        let taken = pool.core_taken.swap(true, Ordering::AcqRel);
        (!taken).then(|| Driver {
            worker: Worker::new(pool, hub, 0, parker.clone()),
            pool,
            _in_runtime: InRuntime::enter(hub.clone(), Some(0)),
        })
    }

    /// Does some work (always a bit: a future that is always ready starves no task), or sleeps if
    /// there is none, and returns soon once `stop` is true.
    fn run(&mut self, stop: impl Fn() -> bool) {
        for _ in 0..64 {
            if !self.worker.tick() {
                return self.worker.park(stop);
            }
            if stop() {
                return;
            }
        }
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        self.worker.leave();
        self.pool.release_core();
    }
}
