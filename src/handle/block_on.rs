//! [`Handle::block_on`]: blocks a thread that has a handle on a future.

use super::Handle;
use crate::protect::last_poll::poll_to_its_end;
use crate::sync::Arc;
use crate::task::{Shared, current, fitting};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

impl Handle {
    /// Runs a future to its end on the calling thread, as [`Runtime::block_on`](crate::Runtime::block_on)
    /// does, without borrowing the runtime.
    ///
    /// So the runtime may be dropped or shut down meanwhile. The future then goes on: tasks that it waits for
    /// are cancelled, and its sleeps resolve at once. If the runtime has no workers, its drop and this call end
    /// its tasks together. On the handle of a simulation this is [`Sim::block_on`](crate::sim::Sim::block_on).
    ///
    /// # Panics
    ///
    /// Panics if the runtime has been dropped or shut down before the call, on a worker of this runtime, where it
    /// would block the tasks that it waits for, and with a panic of the future.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// let thread = std::thread::spawn(move || handle.block_on(async { taskgrove::spawn(async { 7 }).await }));
    /// assert_eq!(thread.join().expect("the thread does not panic")?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        fitting!(future: F => drive(self.shared(), pin!(Some(future))))
    }
}

/// Polls a future until it is ready, while the workers run the tasks, or with this thread as a worker.
///
/// # Panics
///
/// As [`Handle::block_on`].
pub(crate) fn drive<F: Future>(shared: &Arc<Shared>, future: Pin<&mut Option<F>>) -> F::Output {
    assert!(
        shared.is_open(),
        "the runtime is not running: call `Handle::block_on` before the runtime is dropped or shut down"
    );
    let mut output = None;
    Shared::block_on(shared, &mut poll_into(&mut output, future));
    output.expect("it is polled until it is ready")
}

/// Returns a function that polls a future as code outside of tasks. Once the future is ready, the function puts
/// what it returns into `output`, and returns `true`.
pub(crate) fn poll_into<F: Future>(
    output: &mut Option<F::Output>,
    mut future: Pin<&mut Option<F>>,
) -> impl FnMut(&mut Context<'_>) -> bool {
    move |cx| {
        match current::outside_tasks(|| poll_to_its_end(future.as_mut(), cx)) {
            Poll::Ready(ready) => *output = Some(ready),
            Poll::Pending => {}
        }
        output.is_some()
    }
}
