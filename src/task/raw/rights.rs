//! The types of the rights to a task; [`super`] has the table.
//!
//! The methods of a right are in the files that import this one: `steps.rs` (transitions of the state
//! word), `live.rs` (looks), `ends.rs` (the end of a task), `children.rs` (linking) and `submit.rs`
//! (queueing).

use super::header::{Borrowed, Header, RawTask};
use crate::task::state::end_flags::EndFlags;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

/// A task that its parent counts for `'a`, or a sentinel: it is not done, or not unlinked yet. Its
/// runtime, its record and its ancestors are valid as well (rules 4, 5, 7).
///
/// [`Live::new`] is called where one of these holds: a right or a [`Pin`] is borrowed; the lock of the
/// parent's list is held and the task is linked in it; the task is an ancestor of a `Live`; the
/// calling code runs inside `current::run_as` for the task; or the task is a sentinel.
#[derive(Clone, Copy)]
pub(crate) struct Live<'a>(pub(super) Borrowed<'a>);

impl<'a> Live<'a> {
    /// Asserts that the task is live.
    ///
    /// # Safety
    ///
    /// The parent counts the task for `'a`; or it is a sentinel, and its runtime is referenced.
    #[inline(always)]
    pub(in crate::task) unsafe fn new(task: RawTask) -> Live<'a> {
        // SAFETY: the slot is there as long as the parent counts the task.
        Live(unsafe { task.borrowed() })
    }

    /// The task without the claim that it is counted.
    #[inline(always)]
    pub(crate) fn borrowed(self) -> Borrowed<'a> {
        self.0
    }

    pub(in crate::task) fn raw(self) -> RawTask {
        self.0.0
    }
}

impl<'a> Deref for Live<'a> {
    type Target = Borrowed<'a>;

    #[inline(always)]
    fn deref(&self) -> &Borrowed<'a> {
        &self.0
    }
}

impl PartialEq for Live<'_> {
    fn eq(&self, other: &Live<'_>) -> bool {
        self.0 == other.0
    }
}

/// A right to a task. The parent counts the task as long as the right exists.
///
/// # Safety
///
/// The right shows one task, and code that has no more than a shared reference to it cannot end it.
pub(crate) unsafe trait Right {
    /// The task.
    fn live(&self) -> Live<'_>;
}

/// A right that is lent to code that runs as the task.
///
/// # Safety
///
/// What a [`Lent`] of it allows does not end the task.
pub(crate) unsafe trait Lend: Right {}

/// A right that is lent for `'a`. It fits a register: a `&mut` would keep the right in memory. It gives no
/// access to the right itself, which could be exchanged for another or consumed.
pub(crate) struct Lent<'a, R> {
    pub(super) task: RawTask,
    right: PhantomData<&'a mut R>,
}

impl<'a, R: Lend> Lent<'a, R> {
    /// Lends a right.
    #[inline(always)]
    pub(in crate::task) fn of(right: &'a mut R) -> Lent<'a, R> {
        Lent {
            task: right.live().raw(),
            right: PhantomData,
        }
    }

    /// The task.
    #[inline(always)]
    pub(crate) fn live(&self) -> Live<'a> {
        // SAFETY: the right is lent for `'a`.
        unsafe { Live::new(self.task) }
    }

    /// Lends it again.
    #[inline(always)]
    pub(crate) fn again(&mut self) -> Lent<'_, R> {
        Lent {
            task: self.task,
            right: PhantomData,
        }
    }
}

/// Makes a debug build panic where a right is dropped that has to be consumed: that loses the task.
macro_rules! lost_if_dropped {
    ($Right:ident $(<$lifetime:lifetime>)?) => {
        #[cfg(debug_assertions)]
        impl Drop for $Right $(<$lifetime>)? {
            fn drop(&mut self) {
                if !std::thread::panicking() {
                    panic!(concat!(
                        "a task was lost: ",
                        stringify!($Right),
                        " was dropped"
                    ));
                }
            }
        }
    };
}

/// Implements a right that has to be consumed exactly once.
macro_rules! right {
    ($Right:ident) => {
        // SAFETY: the task's slot is there (rule 1), and what the right owns is `Send`.
        unsafe impl Send for $Right {}
        // SAFETY: shared, it only shows the task.
        unsafe impl Sync for $Right {}

        impl $Right {
            /// The task.
            #[inline(always)]
            pub(crate) fn live(&self) -> Live<'_> {
                // SAFETY: the parent counts the task as long as this right exists.
                unsafe { Live::new(self.0) }
            }

            /// Consumes the right.
            #[inline(always)]
            pub(super) fn into_raw(self) -> RawTask {
                let task = self.0;
                std::mem::forget(self);
                task
            }
        }

        // SAFETY: the parent counts the task until the right is consumed.
        unsafe impl Right for $Right {
            #[inline(always)]
            fn live(&self) -> Live<'_> {
                $Right::live(self)
            }
        }

        lost_if_dropped!($Right);
    };
}

/// A task that is scheduled and in no queue. The holder puts it into a queue or starts it.
#[must_use = "a task that is scheduled has to be queued or started"]
pub(crate) struct Queued(pub(super) RawTask);
right!(Queued);

impl Queued {
    /// Consumes the right, as an address.
    #[inline(always)]
    pub(crate) fn into_address(self) -> NonNull<Header> {
        self.into_raw().0
    }

    /// Restores a right from the address that [`Queued::into_address`] returned.
    ///
    /// # Safety
    ///
    /// The address was returned by [`Queued::into_address`], and is passed here at most once.
    #[inline(always)]
    pub(crate) unsafe fn from_address(address: NonNull<Header>) -> Queued {
        Queued(RawTask(address))
    }
}

/// A task that this thread is polling.
#[must_use = "a poll ends with `suspend` or `end`"]
pub(crate) struct Running(pub(super) RawTask);
right!(Running);

/// A task whose future this thread is to drop.
#[must_use = "a claimed task has to be closed"]
pub(crate) struct Claimed(pub(super) RawTask);
right!(Claimed);

/// A pin: a count that keeps a task from being done, and its turn from coming, as a child does.
///
/// Dropping it, also while a panic of user code unwinds, gives the count back and leaves what follows to
/// the workers. [`Pin::release`] returns what follows to the caller instead.
#[must_use = "dropping it gives the pin back"]
pub(crate) struct Pin(pub(super) RawTask);

// SAFETY: the pin keeps the task; whatever it allows is atomic or locked.
unsafe impl Send for Pin {}
// SAFETY: as above.
unsafe impl Sync for Pin {}

impl Pin {
    /// The task.
    #[inline]
    pub(crate) fn live(&self) -> Live<'_> {
        // SAFETY: the task is not done as long as this pin exists.
        unsafe { Live::new(self.0) }
    }

    pub(super) fn into_raw(self) -> RawTask {
        let task = self.0;
        std::mem::forget(self);
        task
    }
}

// SAFETY: the task is not done until the pin is given back.
unsafe impl Right for Pin {
    #[inline]
    fn live(&self) -> Live<'_> {
        Pin::live(self)
    }
}

/// Several pins of one task.
#[must_use = "they have to be released"]
pub(crate) struct Pins {
    pub(super) first: Pin,
    pub(super) more: u64,
}

/// A task that this thread has made done, and that its parent still counts.
#[must_use = "a task that is done has to be taken off its parent"]
pub(crate) struct Finished(
    /// The address, with the [`EndFlags`] in the low three bits, which are free because headers are
    /// aligned to 8.
    NonNull<Header>,
);

const _: () = assert!(align_of::<Header>() >= 8);

// SAFETY: as the other rights.
unsafe impl Send for Finished {}
// SAFETY: as above.
unsafe impl Sync for Finished {}

impl Finished {
    /// # Safety
    ///
    /// This thread has made the task done, and has no other right to it.
    #[inline(always)]
    pub(super) unsafe fn new(task: RawTask, flags: EndFlags) -> Finished {
        Finished(task.0.map_addr(|address| address | flags.bits()))
    }

    #[inline(always)]
    pub(super) fn raw(&self) -> RawTask {
        let address = self.0.as_ptr().map_addr(|address| address & !7);
        // SAFETY: the address without the flags is a header's.
        RawTask(unsafe { NonNull::new_unchecked(address) })
    }

    /// Consumes the right.
    #[inline(always)]
    pub(super) fn into_raw(self) -> RawTask {
        let task = self.raw();
        std::mem::forget(self);
        task
    }

    /// The task.
    #[inline(always)]
    pub(crate) fn live(&self) -> Live<'_> {
        // SAFETY: the parent counts the task as long as this right exists.
        unsafe { Live::new(self.raw()) }
    }

    /// The flags that were set just before the task was made done.
    #[inline(always)]
    pub(crate) fn flags(&self) -> EndFlags {
        EndFlags::from_bits(self.0.addr().get())
    }
}

// SAFETY: as the other rights.
unsafe impl Right for Finished {
    #[inline(always)]
    fn live(&self) -> Live<'_> {
        Finished::live(self)
    }
}

lost_if_dropped!(Finished);

/// A task that was just written, and that no other thread knows. Its header names the parent, which is
/// there for `'a`.
#[must_use = "a new task has to be linked or refused"]
pub(crate) struct Fresh<'a>(pub(super) RawTask, pub(super) PhantomData<&'a Header>);

impl Fresh<'_> {
    /// Consumes the right.
    pub(super) fn into_raw(self) -> RawTask {
        let task = self.0;
        std::mem::forget(self);
        task
    }
}

lost_if_dropped!(Fresh<'_>);

impl Deref for Fresh<'_> {
    type Target = Header;

    fn deref(&self) -> &Header {
        // SAFETY: the task's own reference is this right's.
        unsafe { self.0.header() }
    }
}

// So that a step returns it in two registers.
const _: () = assert!(size_of::<Next>() <= 16 || size_of::<usize>() < 8);

/// What the holder of a right has to do after a step.
#[must_use]
pub(crate) enum Next {
    /// Nothing follows, or another thread does it.
    Nothing,
    /// Queue it.
    Submit(Queued),
    /// Drop its future.
    Close(Claimed),
    /// Take it off its parent.
    Finish(Finished),
}
