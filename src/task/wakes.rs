//! Wakes wakers so that a foreign one, which runs user code and may block, holds up no other.
//!
//! The crate's own wakers (a task's, or that of a thread in `block_on`) are known by their vtables, and are
//! woken at once. Each foreign one is woken
//! by a job that holds nothing else: before it wakes one it puts the rest back into the queue, where
//! an idle worker finds them. Workers leave only when that queue is empty, so that each is woken.
//!
//! With fewer than two workers no other thread could take the rest, and all are woken on the spot.

use super::current;
use super::raw::waker::is_tasks_own;
use super::shared::{Job, Walk};
use crate::id::TaskId;
use crate::panics::quietly;
use crate::sync::process::{AtomicPtr, Ordering};
use crate::wait_list::{More, WaitList};
use std::num::NonZeroU64;
use std::task::{RawWakerVTable, Waker};

/// The table of the wakers of threads in `block_on`, once there was one.
static OF_THREADS: AtomicPtr<RawWakerVTable> = AtomicPtr::new(std::ptr::null_mut());

/// Declares that wakers with this one's vtable run no user code.
pub(crate) fn know(waker: &Waker) {
    OF_THREADS.store(
        std::ptr::from_ref(waker.vtable()).cast_mut(),
        Ordering::Relaxed,
    );
}

/// Whether a waker is the crate's own.
#[inline]
fn is_own(waker: &Waker) -> bool {
    let table = waker.vtable();
    is_tasks_own(waker)
        || std::ptr::eq(
            OF_THREADS.load(Ordering::Relaxed),
            std::ptr::from_ref(table),
        )
}

/// Wakes a waker. The caller may hold rights, pins or a batch: where there is another worker that could
/// wait for them, a foreign waker is left to a job.
#[inline]
pub(crate) fn wake(waker: Waker) {
    if is_own(&waker) {
        waker.wake();
    } else {
        wake_strangers(vec![waker]);
    }
}

/// Wakes all of them, as [`wake`] does.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    let mut strangers = Vec::new();
    for waker in wakers {
        if is_own(&waker) {
            waker.wake();
        } else {
            strangers.push(waker);
        }
    }
    if !strangers.is_empty() {
        wake_strangers(strangers);
    }
}

impl WaitList {
    /// Wakes all waiters and empties the list. A waker that panics or blocks does not keep the
    /// others asleep.
    pub(crate) fn wake_all(&self) {
        match self.take_all() {
            (None, None) => {}
            (Some(waker), None) => wake(waker),
            (first, more) => wake_many(first, more),
        }
    }
}

#[inline(never)]
fn wake_many(first: Option<Waker>, more: Option<More>) {
    let more = more.into_iter().flat_map(More::into_wakers);
    wake_all(first.into_iter().chain(more));
}

#[cold]
fn wake_strangers(wakers: Vec<Waker>) {
    match current::shared() {
        // This thread is a worker, or in `block_on`: the workers are there, and leave last.
        Some(shared) if shared.schedule().has_helpers() => {
            shared
                .schedule()
                .offer(Job::Walk(Box::new(Strangers(wakers))));
        }
        _ => {
            for waker in wakers {
                quietly(|| waker.wake());
            }
        }
    }
}

/// Foreign wakers, as a job that wakes one of them.
struct Strangers(Vec<Waker>);

impl Walk for Strangers {
    fn step(mut self: Box<Self>) -> Option<Box<dyn Walk>> {
        let waker = self.0.pop()?;
        if !self.0.is_empty() {
            wake_strangers(std::mem::take(&mut self.0));
        }
        quietly(|| waker.wake());
        None
    }

    /// None: no task is touched.
    fn target(&self) -> TaskId {
        TaskId::from_raw(NonZeroU64::MAX)
    }
}
