//! [`run_blocking`]: a closure that blocks, as a child of the calling task.

use super::child::spawn_here;
use super::task::Task;
use crate::task::raw::fits;
use crate::task::{fitting, kind};
use crate::tree::spawn;
use std::panic::Location;

/// Runs a closure that blocks on a thread of the `blocking` crate's pool, as a child of the calling task, or as a
/// root if the caller is the future of [`Runtime::block_on`](crate::Runtime::block_on).
///
/// The closure is a task like any other: it is in the tree and in snapshots, as
/// [`Blocking`](crate::NodeState::Blocking) while it runs, and its parent is not done before it is. As with
/// [`spawn`](crate::spawn()) it is a raw task; [`Context::run_blocking`](crate::Context::run_blocking) is supervised.
/// Code of the closure is code of that task: what it spawns is below it, and keeps it from being done.
///
/// The pool belongs to the process, has up to 500 threads, and starts and ends them as needed; see the crate
/// [`blocking`](https://docs.rs/blocking). A closure that waits for other closures may wait for ever once it has
/// taken the last of them. In a [simulation](crate::sim) the closure runs in place, as one step.
///
/// # Cancellation
///
/// A task that is cancelled before its closure begins never runs it: the closure is dropped, even if all threads
/// are taken. Once the closure runs nothing can end it, no cancellation and no kill: the task is done when it has
/// returned, and its value counts. So a runtime that is dropped waits for it, as for a poll that does not end;
/// [`Runtime::shutdown_timeout`](crate::Runtime::shutdown_timeout) leaves it behind and names it. A closure that takes
/// long can look at [`Manager::is_cancelled`](crate::Manager::is_cancelled) and the like.
///
/// The closure may drop its own runtime, which does not wait then. It may not wait for the end of its own service, or
/// of another task above it: that wait would never end, and panics.
///
/// # Panics
///
/// Panics outside a runtime. A panic of the closure is the task's.
///
/// # Examples
///
/// ```
/// let runtime = taskgrove::Runtime::new()?;
/// let length = runtime.block_on(async {
///     taskgrove::run_blocking(|| std::fs::read_to_string("Cargo.toml").map(|text| text.len())).await
/// })?;
/// assert!(length? > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn run_blocking<F, T>(f: F) -> Task<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let location = Location::caller();
    if const { fits::<F>() } {
        spawn_closure::<F, _>(async move { f() }, location)
    } else {
        // A large closure is called in its box, which is possible only without its type.
        let f: Box<dyn FnOnce() -> T + Send> = Box::new(f);
        spawn_closure::<F, _>(async move { f() }, location)
    }
}

/// The options of a task whose future is a call of a closure that blocks.
pub(crate) fn options() -> spawn::Options {
    spawn::Options {
        kind: kind::BLOCKING,
        ..spawn::Options::default()
    }
}

#[track_caller]
fn spawn_closure<N, F>(future: F, location: &'static Location<'static>) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fitting!(future: F => spawn_here(future, |parent, future| {
        spawn::raw::<N, _>(parent, future, options(), location)
    }))
}
