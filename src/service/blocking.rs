//! [`Context::run_blocking`]: a closure that blocks, as a task of the service.

use super::context::Context;
use super::tasks::spawn_named;
use crate::error::{Result, SpawnError};
use crate::handle::blocking::options;
use crate::handle::task::Task;
use crate::task::fitting;
use crate::task::raw::fits;
use std::panic::Location;

impl Context {
    /// Runs a closure that blocks on a thread of the `blocking` crate's pool, as a task of the service. An error that
    /// it returns, or its panic, fails the service.
    ///
    /// The task is counted and limited like any other, and has its place in paths and snapshots, as
    /// [`Blocking`](crate::NodeState::Blocking) while the closure runs. What the closure schedules is below that task.
    /// While the service is being cancelled the closure is dropped here; see [`Context`].
    /// [`taskgrove::run_blocking`](crate::run_blocking) says what threads there are, and what a cancellation does:
    /// a closure that runs goes on to its end, and the service is not finished before.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`run_task`](Context::run_task).
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::{Context, Runtime, service_fn};
    /// let service = service_fn("reader", async |ctx: Context| {
    ///     let text = ctx.run_blocking(|| Ok(std::fs::read_to_string("Cargo.toml")?))?;
    ///     assert!(text.await?.contains("taskgrove"));
    ///     Ok(())
    /// });
    /// Runtime::new()?.run(service)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn run_blocking<F, T>(&self, f: F) -> Result<Task<T>, SpawnError>
    where
        F: FnOnce() -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let location = Location::caller();
        if const { fits::<F>() } {
            spawn_closure::<F, _, _>(self, async move { f() }, location)
        } else {
            // A large closure is called in its box, which is possible only without its type.
            let f: Box<dyn FnOnce() -> Result<T> + Send> = Box::new(f);
            spawn_closure::<F, _, _>(self, async move { f() }, location)
        }
    }
}

fn spawn_closure<N, F, T>(
    context: &Context,
    future: F,
    location: &'static Location<'static>,
) -> Result<Task<T>, SpawnError>
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    fitting!(future: F => spawn_named::<N, _, T>(context, future, options(), location))
}
