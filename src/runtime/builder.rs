//! [`Builder`]: configures and starts a runtime.

use super::owner::Runtime;
use crate::handle::Handle;
use crate::schedule::pool::{Pool, PoolHandle};
use crate::schedule::worker::Worker;
use crate::sync::{Arc, Parker};
use crate::task::Shared;
use crate::task::current::InRuntime;
use crate::timer_queue::Clock;
use std::io;

/// The most workers that a runtime may have.
const MAX_WORKERS: usize = 1 << 15;

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
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    workers: Option<usize>,
    thread_name: String,
    stack_size: Option<usize>,
    track_busy: bool,
}

impl Builder {
    fn new() -> Self {
        Builder {
            workers: None,
            thread_name: "taskgrove".to_owned(),
            stack_size: None,
            track_busy: false,
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
        let shared = Arc::new(Shared::new(Clock::real(), self.track_busy));
        let pool = Arc::new(Pool::new(shared.serial, threads));
        Shared::open(&shared, Box::new(PoolHandle(pool.clone())), cores + 1);
        let mut runtime = Runtime {
            handle: Handle::new(shared.clone()),
            pool: pool.clone(),
            threads: Vec::new(),
            is_shut_down: false,
        };
        for index in 0..threads {
            let (shared, pool) = (shared.clone(), pool.clone());
            let mut thread =
                std::thread::Builder::new().name(format!("{}-{index}", self.thread_name));
            if let Some(bytes) = self.stack_size {
                thread = thread.stack_size(bytes);
            }
            let spawned = thread.spawn(move || {
                let _in_runtime = InRuntime::enter(shared.clone(), Some(index));
                Worker::new(&pool, &shared, Arc::new(Parker::new())).run();
            });
            // On an error the runtime is dropped, which ends the threads that were started.
            runtime.threads.push(spawned?);
        }
        Ok(runtime)
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
