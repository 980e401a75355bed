//! [`external_work`]: what another thread does for a simulation.

use crate::handle::current_shared;
use crate::sync::Arc;
use crate::task::Shared;

/// Work that another thread does for a simulation, which waits for it. Made by [`external_work`].
#[must_use = "the simulation waits for the work only as long as this lives"]
pub struct ExternalWork {
    shared: Arc<Shared>,
}

/// Says that another thread works for the simulation the calling code runs in, until the value that
/// is returned is dropped. It is for the other thread to drop, after it has completed what the
/// simulation waits for.
///
/// Until then virtual time stands still when nothing is ready, and what would be a deadlock is a
/// wait: the simulation's thread sleeps until it is woken. When the simulation is dropped, it does
/// not wait for the work. The thread may wait for a result of the simulation before it drops this
/// only if that takes no virtual time.
///
/// In a [`Runtime`](crate::Runtime) it changes nothing.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// use std::{future::pending, sync::mpsc, thread, time::Duration};
/// use taskgrove::{sim, spawn, time};
///
/// sim::check(0..10, async || {
///     let (work, (tx, rx)) = (sim::external_work(), mpsc::channel());
///     let signal = spawn(pending::<()>());
///     let done = signal.cancel_handle();
///     thread::spawn(move || {
///         tx.send((1..=100).sum::<u32>()).unwrap();
///         done.cancel();
///         drop(work);
///     });
///     // However long that takes, it takes no virtual time.
///     let waited = time::timeout(Duration::from_secs(1), signal.wait_done()).await;
///     assert_eq!((waited, rx.recv()), (Ok(()), Ok(5050)));
/// });
/// ```
#[track_caller]
pub fn external_work() -> ExternalWork {
    let shared = current_shared();
    shared.schedule().expect(true);
    ExternalWork { shared }
}

impl Drop for ExternalWork {
    fn drop(&mut self) {
        self.shared.schedule().expect(false);
    }
}

impl std::fmt::Debug for ExternalWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExternalWork").finish_non_exhaustive()
    }
}
