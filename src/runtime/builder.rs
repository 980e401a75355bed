//! [`Builder`]: configures and starts a runtime.

use super::owner::Runtime;
use super::watchdog::{StallHook, Watchdog};
use crate::handle::Handle;
use crate::panics::quietly;
use crate::schedule::pool::{Pool, PoolHandle};
use crate::schedule::worker::Worker;
use crate::snapshot::crowd::Crowd;
use crate::snapshot::stall::Stall;
use crate::sync::{Arc, Parker};
use crate::task::Shared;
use crate::task::crowd::CrowdHook;
use crate::task::current::inside::InRuntime;
use crate::task::watch::Watch;
use crate::timer_queue::Clock;
use std::io;
use std::time::Duration;

/// The most workers that a runtime may have.
const MAX_WORKERS: usize = 1 << 15;
/// The most queues of timers: a thread that parks may have to look at all of them.
const MAX_TIMER_QUEUES: usize = 65;

/// Configures a [`Runtime`]. [`Runtime::builder`] makes one.
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
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    workers: Option<usize>,
    thread_name: String,
    stack_size: Option<usize>,
    track_busy: bool,
    track_awaits: bool,
    stalls: Option<StallHook>,
    crowd: Option<CrowdHook>,
    hooks: Hooks,
}

/// A hook of the user's that a worker thread calls.
type Hook = std::sync::Arc<dyn Fn() + Send + Sync>;

#[derive(Clone, Default)]
struct Hooks {
    start: Option<Hook>,
    stop: Option<Hook>,
}

impl Hooks {
    /// Calls a hook. A panic in it ends nothing.
    fn call(hook: Option<&Hook>) {
        if let Some(hook) = hook {
            quietly(|| hook());
        }
    }
}

impl Builder {
    fn new() -> Self {
        Builder {
            workers: None,
            thread_name: "taskgrove".to_owned(),
            stack_size: None,
            track_busy: false,
            track_awaits: false,
            stalls: None,
            crowd: None,
            hooks: Hooks::default(),
        }
    }

    /// Sets the number of worker threads. By default there is one for each available core.
    ///
    /// With 0 there are none: [`Runtime::block_on`] runs every task on its caller's thread, and no task
    /// runs while no thread is in it. This is for tests, and for embedding the runtime in a thread of
    /// one's own.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Sets the name of the worker threads, to which a hyphen and their number is appended. By default it
    /// is `taskgrove`.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = name.into();
        self
    }

    /// Sets the stack size of the worker threads, in bytes. By default it is that of the standard
    /// library.
    pub fn thread_stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Sets whether the time that each task spends in its polls is measured, for
    /// [`Node::busy`](crate::Node::busy). This costs two reads of the clock for each poll. By default it
    /// is off.
    pub fn track_busy_time(mut self, on: bool) -> Self {
        self.track_busy = on;
        self
    }

    /// Sets a function that each worker thread calls when it has started, before it runs any task.
    ///
    /// It is for what a thread needs: a priority, a core to run on, a thread-local of another library. It runs
    /// inside the runtime, so that [`Handle::current`] works. A panic in it is reported by the panic hook and has
    /// no other effect. With [`workers(0)`](Builder::workers) the runtime starts no thread, and never calls it. A
    /// second call replaces the first.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// static UP: AtomicUsize = AtomicUsize::new(0);
    /// let runtime = taskgrove::Runtime::builder()
    ///     .workers(2)
    ///     .on_thread_start(|| { UP.fetch_add(1, Ordering::Relaxed); })
    ///     .on_thread_stop(|| { UP.fetch_sub(1, Ordering::Relaxed); })
    ///     .build()?;
    /// drop(runtime);
    /// assert_eq!(UP.load(Ordering::Relaxed), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_thread_start(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.start = Some(std::sync::Arc::new(f));
        self
    }

    /// Sets a function that each worker thread calls when the runtime has ended, as the last thing that it does.
    ///
    /// All tasks are done by then, and what it spawns is cancelled. A thread that
    /// [`shutdown_timeout`](Runtime::shutdown_timeout) has left behind calls it if it ever comes to its end. The
    /// rest is as for [`on_thread_start`](Builder::on_thread_start).
    pub fn on_thread_stop(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.stop = Some(std::sync::Arc::new(f));
        self
    }

    /// Sets whether snapshots say what each parked task waits for, in
    /// [`Node::awaiting`](crate::Node::awaiting). By default it is off.
    ///
    /// Each poll then writes down the awaits of this crate in which it suspends, with a few atomic
    /// operations, and a task that suspends in one gets memory for the record, once. `docs/decisions` has
    /// the counts. A simulation always keeps these records.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let runtime = taskgrove::Runtime::builder().workers(0).track_awaits(true).build()?;
    /// let sleep = taskgrove::time::sleep;
    /// runtime.spawn(async move { sleep(Duration::MAX).await });
    /// runtime.block_on(taskgrove::yield_now());
    /// let snapshot = runtime.snapshot();
    /// assert_eq!(snapshot.nodes()[0].awaiting.as_deref(), Some("sleep without end"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn track_awaits(mut self, on: bool) -> Self {
        self.track_awaits = on;
        self
    }

    /// Calls `hook` when a poll has lasted for `after`, and again each time that this duration doubles.
    ///
    /// A poll that lasts holds up everything else on its worker: it computes, or it blocks the thread. The
    /// hook may log the [`Stall`], take a snapshot, or end the process. It is called on a thread of its
    /// own, the watchdog, which the runtime starts for it; so it is called also while every worker is in
    /// such a poll, and in a runtime with `workers(0)`. The watchdog looks at the workers once in each
    /// `after`, and at the moment at which a call is due. While the hook runs, other stalls wait; if
    /// several calls for one poll became due meanwhile, the hook is called once. A panic in the hook ends
    /// that call only.
    ///
    /// Only polls of tasks count, not the future in [`Runtime::block_on`], nor destructors. A duration of
    /// less than 1 ms counts as 1 ms. A second call of this method replaces the first.
    ///
    /// With a watchdog each poll takes one reading of the clock and a few atomic operations more. Polls in
    /// a simulation take no time, so it has no watchdog.
    ///
    /// # Shutdown
    ///
    /// The watchdog goes on until the workers have ended, and so reports a poll that holds up the drop of
    /// the runtime. Once that drop, or [`shutdown_timeout`](Runtime::shutdown_timeout), has returned, the
    /// hook is not called again. A call that is under way at that moment is not waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{sync::mpsc, thread, time::Duration};
    /// let (stalled, stalls) = mpsc::channel();
    /// let runtime = taskgrove::Runtime::builder()
    ///     .workers(1)
    ///     .on_stall(Duration::from_millis(5), move |stall| {
    ///         eprintln!("{stall}");
    ///         let _ = stalled.send(stall.id);
    ///     })
    ///     .build()?;
    /// let task = runtime.task(async { thread::sleep(Duration::from_millis(20)) }).name("blocks");
    /// let task = task.spawn();
    /// assert_eq!(stalls.recv().unwrap(), task.id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_stall(
        mut self,
        after: Duration,
        hook: impl Fn(&Stall) + Send + Sync + 'static,
    ) -> Self {
        self.stalls = Some(StallHook::new(after, hook));
        self
    }

    /// Calls `hook` when the supervised children of a task or a service reach `share` of the limit that it
    /// has, such as 0.8 of [`max_children`](crate::ManagerBuilder::max_children). What leaks is found before
    /// the limit refuses it.
    ///
    /// The hook is called once for each crossing: again only after the number of children has been below
    /// three quarters of the share. It runs as code of the task that has spawned the child, after the spawn,
    /// and outside of all locks. A panic in it ends that call only. A second call of this method replaces
    /// the first. The hook is dropped with the runtime.
    ///
    /// # Panics
    ///
    /// Panics unless `share` is above 0 and at most 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use taskgrove::{Context, Manager, Runtime, service_fn};
    /// let (tell, told) = mpsc::channel();
    /// let builder = Runtime::builder().workers(0);
    /// let runtime = builder.on_crowd(0.8, move |crowd| drop(tell.send(crowd.to_string()))).build()?;
    /// let app = service_fn("app", async |ctx: Context| {
    ///     for _ in 0..900 {
    ///         ctx.run_daemon_task(std::future::pending())?;
    ///     }
    ///     ctx.cancel()?;
    ///     Ok(())
    /// });
    /// runtime.run(app)?;
    /// let told: Vec<String> = told.try_iter().collect();
    /// assert!(told[0].starts_with("`app` #") && told.len() == 1);
    /// assert!(told[0].contains("has 800 children, and may have 1000; most common: "));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn on_crowd(mut self, share: f64, hook: impl Fn(&Crowd) + Send + Sync + 'static) -> Self {
        self.crowd = Some(CrowdHook::new(share, hook));
        self
    }

    fn watch(&self, workers: usize) -> Watch {
        let mut watch = Watch::new(self.track_busy, self.track_awaits);
        if self.track_busy || self.stalls.is_some() {
            watch.show_polls(workers);
        }
        watch
    }

    /// Builds the runtime and starts its threads.
    ///
    /// # Errors
    ///
    /// Returns the system's error if a thread cannot be started; the threads that were started before
    /// have ended by then. Returns [`InvalidInput`](io::ErrorKind::InvalidInput) for more than 32,768
    /// workers, and for a thread name that contains a NUL byte.
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
        let timer_queues = (cores + 1).min(MAX_TIMER_QUEUES);
        let shared = Shared::with_timer_queues(Clock::real(), self.watch(cores), timer_queues);
        let shared = Arc::new(shared);
        if let Some(crowd) = self.crowd {
            shared.set_crowd_hook(crowd);
        }
        let pool = Arc::new(Pool::new(shared.serial, threads));
        shared.set_block_on(Box::new(pool.clone()));
        Shared::open(&shared, Box::new(PoolHandle(pool.clone())), cores + 1);
        let mut runtime = Runtime {
            handle: Handle::new(shared.clone()),
            pool: pool.clone(),
            threads: Vec::new(),
            is_shut_down: false,
            watchdog: None,
        };
        for index in 0..threads {
            let (shared, pool, hooks) = (shared.clone(), pool.clone(), self.hooks.clone());
            let mut thread =
                std::thread::Builder::new().name(format!("{}-{index}", self.thread_name));
            if let Some(bytes) = self.stack_size {
                thread = thread.stack_size(bytes);
            }
            let spawned = thread.spawn(move || {
                let _in_runtime = InRuntime::enter(shared.clone(), Some(index));
                Hooks::call(hooks.start.as_ref());
                Worker::new(&pool, &shared, Arc::new(Parker::new())).run();
                Hooks::call(hooks.stop.as_ref());
            });
            // On an error the runtime is dropped, which ends the threads that were started.
            runtime.threads.push(spawned?);
        }
        if let Some(stalls) = self.stalls {
            let name = format!("{}-watchdog", self.thread_name);
            runtime.watchdog = Some(Watchdog::start(name, stalls, shared)?);
        }
        Ok(runtime)
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("thread_name", &self.thread_name)
            .field("stack_size", &self.stack_size)
            .field("track_busy", &self.track_busy)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Builds a runtime with one worker for each available core.
    ///
    /// # Errors
    ///
    /// Returns the system's error if a thread cannot be started.
    pub fn new() -> io::Result<Runtime> {
        Runtime::builder().build()
    }

    /// Returns a builder of a runtime.
    pub fn builder() -> Builder {
        Builder::new()
    }
}
