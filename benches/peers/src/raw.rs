//! What the executors have in common: spawning, joining, cancelling. Each has two workers and is
//! started at its first use, for the life of the process.

use std::future::Future;
use std::pin::Pin;
use std::sync::{OnceLock, mpsc};
use std::task::{Context, Poll, ready};

/// Threads of every executor here.
pub const WORKERS: usize = 2;

/// An executor that spawns from anywhere.
pub trait Raw: 'static {
    const NAME: &'static str;
    /// A handle that can be awaited; dropping it may cancel.
    type Join<T: Send + 'static>: Future<Output = T> + Send + Unpin + 'static;

    /// Spawns from a task of this executor.
    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Spawns from any thread.
    fn spawn_outside<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Self::spawn(future)
    }

    /// Asks for the task's end and forgets it.
    fn cancel<T: Send + 'static>(task: Self::Join<T>);
    /// Lets the task go on without a handle.
    fn detach<T: Send + 'static>(task: Self::Join<T>);

    /// Runs `future` as a task, to its end, from outside.
    fn drive<F>(future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (tx, rx) = mpsc::sync_channel(1);
        Self::detach(Self::spawn_outside(async move {
            let _ = tx.send(future.await);
        }));
        rx.recv().expect("the task was lost")
    }
}

/// The process's taskgrove runtime.
pub fn grove() -> &'static taskgrove::Runtime {
    static RUNTIME: OnceLock<taskgrove::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let builder = taskgrove::Runtime::builder().workers(WORKERS);
        builder.build().expect("threads")
    })
}

/// The process's tokio runtime.
pub fn tokio_runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_time()
            .build()
            .expect("threads")
    })
}

/// A handle whose output cannot be an error here.
#[must_use]
pub struct Unwrapped<J>(J);

impl<T, E: std::fmt::Debug, J: Future<Output = Result<T, E>> + Unpin> Future for Unwrapped<J> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx)).expect("the task ended badly"))
    }
}

/// taskgrove, every task a root.
pub struct GroveRoots;
/// taskgrove, every task a child of the one that spawns it.
pub struct GroveChildren;
pub struct Tokio;
pub struct AsyncExecutor;
pub struct Static;
pub struct FuturesPool;
/// smolscale, whose global executor has as many threads as the machine has cores.
pub struct Smolscale;

impl Raw for GroveRoots {
    const NAME: &'static str = "taskgrove roots";
    type Join<T: Send + 'static> = Unwrapped<taskgrove::Task<T>>;

    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(grove().spawn(future))
    }

    fn cancel<T: Send + 'static>(task: Self::Join<T>) {
        task.0.cancel();
    }

    fn detach<T: Send + 'static>(_: Self::Join<T>) {}
}

impl Raw for GroveChildren {
    const NAME: &'static str = "taskgrove children";
    type Join<T: Send + 'static> = Unwrapped<taskgrove::Task<T>>;

    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(taskgrove::spawn(future))
    }

    fn spawn_outside<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(grove().spawn(future))
    }

    fn cancel<T: Send + 'static>(task: Self::Join<T>) {
        task.0.cancel();
    }

    fn detach<T: Send + 'static>(_: Self::Join<T>) {}
}

impl Raw for Tokio {
    const NAME: &'static str = "tokio";
    type Join<T: Send + 'static> = Unwrapped<tokio::task::JoinHandle<T>>;

    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(tokio::spawn(future))
    }

    fn spawn_outside<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(tokio_runtime().spawn(future))
    }

    fn cancel<T: Send + 'static>(task: Self::Join<T>) {
        task.0.abort();
    }

    fn detach<T: Send + 'static>(_: Self::Join<T>) {}
}

/// Starts the threads that run an async-executor.
fn start(run: impl Fn() + Send + Copy + 'static) {
    for _ in 0..WORKERS {
        std::thread::spawn(run);
    }
}

pub fn executor() -> &'static async_executor::Executor<'static> {
    static EXECUTOR: async_executor::Executor<'static> = async_executor::Executor::new();
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        start(|| futures_lite::future::block_on(EXECUTOR.run(std::future::pending::<()>())));
    });
    &EXECUTOR
}

fn static_executor() -> &'static async_executor::StaticExecutor {
    static EXECUTOR: async_executor::StaticExecutor = async_executor::StaticExecutor::new();
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        start(|| futures_lite::future::block_on(EXECUTOR.run(std::future::pending::<()>())));
    });
    &EXECUTOR
}

macro_rules! async_task {
    ($name:ident, $label:literal, $executor:ident) => {
        impl Raw for $name {
            const NAME: &'static str = $label;
            type Join<T: Send + 'static> = async_executor::Task<T>;

            fn spawn<F>(future: F) -> Self::Join<F::Output>
            where
                F: Future + Send + 'static,
                F::Output: Send + 'static,
            {
                $executor().spawn(future)
            }

            fn cancel<T: Send + 'static>(task: Self::Join<T>) {
                drop(task);
            }

            fn detach<T: Send + 'static>(task: Self::Join<T>) {
                task.detach();
            }
        }
    };
}

async_task!(AsyncExecutor, "async-executor", executor);
async_task!(Static, "StaticExecutor", static_executor);

impl Raw for FuturesPool {
    const NAME: &'static str = "futures ThreadPool";
    type Join<T: Send + 'static> = futures::future::RemoteHandle<T>;

    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        use futures::executor::ThreadPool;
        use futures::task::SpawnExt;
        static POOL: OnceLock<ThreadPool> = OnceLock::new();
        let pool = POOL.get_or_init(|| {
            let mut builder = ThreadPool::builder();
            builder.pool_size(WORKERS).create().expect("threads")
        });
        pool.spawn_with_handle(future).expect("the pool runs")
    }

    fn cancel<T: Send + 'static>(task: Self::Join<T>) {
        drop(task);
    }

    fn detach<T: Send + 'static>(task: Self::Join<T>) {
        task.forget();
    }
}

impl Raw for Smolscale {
    const NAME: &'static str = "smolscale";
    type Join<T: Send + 'static> = async_executor::Task<T>;

    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        smolscale::spawn(future)
    }

    fn cancel<T: Send + 'static>(task: Self::Join<T>) {
        drop(task);
    }

    fn detach<T: Send + 'static>(task: Self::Join<T>) {
        task.detach();
    }
}
