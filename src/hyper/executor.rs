//! [`Executor`]: what hyper spawns, in the tree.

use crate::handle::child::spawn;

/// Spawns hyper's futures as children of the task that calls it, as [`spawn`](crate::spawn()) does.
///
/// The tasks are raw: a service neither counts nor limits them, and their panics are not its failures.
/// They are cancelled before the task that polls the connection, and that task is not done before they
/// are.
///
/// # Panics
///
/// Outside a runtime, [`execute`](hyper::rt::Executor::execute) panics.
///
/// # Examples
///
/// ```
/// use hyper::rt::Executor as _;
/// use taskgrove::hyper::Executor;
/// let (tell, told) = std::sync::mpsc::channel();
/// taskgrove::Runtime::new()?.block_on(async {
///     taskgrove::spawn(async move {
///         let outer = taskgrove::TaskId::current();
///         Executor.execute(async move { tell.send(outer).unwrap() });
///         outer
///     })
///     .await
/// })?;
/// // The outer task was done only after its child.
/// assert!(told.try_recv()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Executor;

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        drop(spawn(future));
    }
}
