//! What a program asks of the simulation that it runs in: pseudo-random numbers ([`random()`]), and to
//! wait for another thread ([`external_work()`]).

use crate::handle::current_shared;
use crate::sync::Arc;
use crate::task::Shared;

/// Draws a pseudo-random number of the simulation that the calling code runs in, uniform over all
/// `u64`s.
///
/// The numbers follow from the simulation's seed, so that a choice that a program makes by them is
/// replayed with the rest. Drawing numbers leaves the schedule as it is.
///
/// # Panics
///
/// Outside a simulation.
///
/// # Examples
///
/// ```
/// use taskgrove::sim::{self, Sim};
/// let draw = |seed| Sim::new(seed).block_on(async { (sim::random(), sim::random()) });
/// assert_eq!(draw(5), draw(5));
/// assert_ne!(draw(5), draw(6));
/// ```
#[track_caller]
pub fn random() -> u64 {
    match current_shared().schedule().random() {
        Some(number) => number,
        None => panic!(
            "`sim::random` was called outside a simulation: its numbers follow from a `Sim`'s seed"
        ),
    }
}

/// Keeps a simulation waiting for another thread's work until it is dropped. Made by
/// [`external_work`].
#[must_use = "the simulation waits for the work only as long as this lives"]
pub struct ExternalWork {
    shared: Arc<Shared>,
}

/// Announces that another thread works for the simulation that the calling code runs in.
///
/// The simulation waits until the returned value is dropped: virtual time stands still when nothing is
/// ready, and the simulation's thread sleeps where it would otherwise report a deadlock. Move the
/// value to the other thread, which drops it after it has completed what the simulation waits for.
/// That thread may itself wait for a result of the simulation before it drops the value, if the
/// result takes no virtual time.
///
/// A simulation that is dropped does not wait for the work. In a [`Runtime`](crate::Runtime) the value
/// has no effect.
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
///     // However long the thread takes, no virtual time passes.
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
