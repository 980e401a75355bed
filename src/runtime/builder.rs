//! [`Builder`].

use super::owner::Runtime;
use crate::handle::Handle;
use crate::schedule::pool::{Pool, PoolHandle};
use crate::schedule::worker::Worker;
use crate::sync::{Arc, Parker};
use crate::task::Shared;
use crate::task::current::InRuntime;
use crate::timer::Clock;
use std::io;

/// Workers a runtime may have.
const MAX_WORKERS: usize = 1 << 15;

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
    fn new() -> Self {
        Builder {
            workers: None,
            thread_name: "taskgrove".to_owned(),
            stack_size: None,
            track_busy: false,
        }
    }

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
        Builder::new()
    }
}
