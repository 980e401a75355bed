//! The *stage*: the typed part of a slot, behind the header, with the future, and later the value or the
//! failure.

use super::header::{Header, Polled, STAGE_EMPTY, STAGE_ERROR, STAGE_FUTURE, STAGE_VALUE, VTable};
use crate::arena::MAX_SLOT;
use crate::error::{BoxError, JoinError};
use crate::panics::quietly;
use crate::sync::atomic::Ordering;
use std::marker::PhantomData;
use std::mem::{needs_drop, offset_of, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

/// How a future's output becomes a task's.
pub(crate) trait Outcome<Out> {
    type Value: Send;
    fn convert(out: Out) -> Result<Self::Value, BoxError>;
}

/// A raw task: its value is what it returns, also if that is an error.
pub(crate) struct Plain;
impl<T: Send> Outcome<T> for Plain {
    type Value = T;
    fn convert(out: T) -> Result<T, BoxError> {
        Ok(out)
    }
}

/// A task that returns a `Result`, whose error may be a failure: a supervised or a service's task.
pub(crate) struct Fallible;
impl<T: Send> Outcome<Result<T, BoxError>> for Fallible {
    type Value = T;
    fn convert(out: Result<T, BoxError>) -> Result<T, BoxError> {
        out
    }
}

/// The layout of a slot.
#[repr(C)]
struct Cell<B> {
    header: Header,
    body: B,
}

/// The bytes of a slot behind the header.
const ROOM: usize = MAX_SLOT - offset_of!(Cell<u64>, body);

/// Whether a value fits a task's slot. A public function that takes a future which does not fit boxes it
/// before it moves it on: each move is a copy on the stack.
pub(crate) const fn fits<T>() -> bool {
    align_of::<T>() <= 8 && size_of::<T>() <= ROOM
}

/// The outcome of a task that has no value: `None` if it was cancelled. It makes no slot larger than an
/// address does.
type Failure = Option<Box<JoinError>>;

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// Panics because a future was polled that is gone.
#[cold]
fn polled_again() -> ! {
    panic!("a future was polled that is gone");
}

/// The header is followed by the stage: the future, then the value (or its box) or the `Failure`. So
/// a task whose future is gone keeps no more memory than its slot and its outcome.
pub(super) struct Raw<F, O, N>(PhantomData<(F, O, N)>);

impl<F, O, N> Raw<F, O, N>
where
    F: Future,
    O: Outcome<F::Output>,
{
    pub(super) const BODY: usize = offset_of!(Cell<u64>, body);
    /// The size of the largest value that may follow the header, in bytes.
    pub(super) const SIZE: usize = {
        let value = if Self::BOXED_VALUE {
            size_of::<Box<O::Value>>()
        } else {
            size_of::<O::Value>()
        };
        larger(size_of::<F>(), larger(value, size_of::<Failure>()))
    };
    /// A value that does not fit is boxed when it comes, so that only a finished task has the box.
    const BOXED_VALUE: bool = !fits::<O::Value>();
    pub(super) const VTABLE: VTable = VTable {
        poll: Self::poll,
        drop_future: Self::drop_future,
        store_error: Self::store_error,
        drop_output: Self::drop_output,
        read_output: Self::read_output,
        value_needs_drop: Self::BOXED_VALUE || needs_drop::<O::Value>(),
        name: std::any::type_name::<N>,
    };

    /// Returns the address of the stage as that of a `V`, which has to fit.
    ///
    /// # Safety
    ///
    /// The slot is valid and was written for these types (rule 1).
    pub(super) unsafe fn stage<V>(task: NonNull<Header>) -> *mut V {
        // SAFETY: rule 6; the slot has `SIZE` bytes behind its header, aligned to 8.
        unsafe { task.as_ptr().byte_add(Self::BODY).cast() }
    }

    unsafe fn set(task: NonNull<Header>, stage: u8) {
        // SAFETY: rule 1.
        unsafe { task.as_ref() }
            .stage
            .store(stage, Ordering::Relaxed);
    }

    unsafe fn drop_future(task: NonNull<Header>) {
        // SAFETY: the caller owns the stage (rule 2). It is empty before user code runs: a panic
        // there drops nothing twice.
        unsafe {
            if task.as_ref().stage.load(Ordering::Relaxed) == STAGE_FUTURE {
                Self::set(task, STAGE_EMPTY);
                Self::stage::<F>(task).drop_in_place();
            }
        }
    }

    unsafe fn poll(task: NonNull<Header>, cx: &mut Context<'_>) -> Polled {
        // SAFETY: rule 1.
        if unsafe { task.as_ref() }.is_future_gone() {
            polled_again();
        }
        // SAFETY: the caller polls, and owns the stage, which is a future (rule 2); it is pinned: a
        // slot never moves.
        let polled = catch_unwind(AssertUnwindSafe(|| unsafe {
            Pin::new_unchecked(&mut *Self::stage::<F>(task)).poll(cx)
        }));
        if matches!(polled, Ok(Poll::Pending)) {
            return Polled::Pending;
        }
        // SAFETY: as above.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { Self::drop_future(task) }));
        match polled {
            Ok(Poll::Pending) => Polled::Pending,
            Ok(Poll::Ready(out)) => match O::convert(out) {
                Ok(value) => match dropped {
                    // SAFETY: as above; the stage is empty now.
                    Ok(()) => unsafe {
                        if Self::BOXED_VALUE {
                            Self::stage::<Box<O::Value>>(task).write(Box::new(value));
                        } else {
                            Self::stage::<O::Value>(task).write(value);
                        }
                        Self::set(task, STAGE_VALUE);
                        Polled::Value
                    },
                    Err(panic) => {
                        quietly(|| drop(value));
                        Polled::Panicked(panic, None)
                    }
                },
                // A panic in the drop does not hide what was before.
                Err(error) => Polled::Error(error, dropped.err()),
            },
            Err(panic) => Polled::Panicked(panic, dropped.err()),
        }
    }

    unsafe fn store_error(task: NonNull<Header>, error: JoinError) {
        let error = match error {
            JoinError::Cancelled => None,
            other => Some(Box::new(other)),
        };
        // SAFETY: the caller owns the stage (rule 2), and has emptied it.
        unsafe {
            Self::stage::<Failure>(task).write(error);
            Self::set(task, STAGE_ERROR);
        }
    }

    unsafe fn drop_output(task: NonNull<Header>) {
        // SAFETY: the caller owns the stage (rule 2); it is empty before user code runs.
        unsafe {
            let was = task.as_ref().stage.load(Ordering::Relaxed);
            Self::set(task, STAGE_EMPTY);
            match was {
                STAGE_VALUE if Self::BOXED_VALUE => {
                    Self::stage::<Box<O::Value>>(task).drop_in_place();
                }
                STAGE_VALUE => Self::stage::<O::Value>(task).drop_in_place(),
                STAGE_ERROR => Self::stage::<Failure>(task).drop_in_place(),
                _ => {}
            }
        }
    }

    unsafe fn read_output(task: NonNull<Header>, into: *mut ()) {
        let into = into.cast::<Option<Result<O::Value, JoinError>>>();
        // SAFETY: the caller owns the stage (rule 2) and gave a place of that type.
        unsafe {
            let was = task.as_ref().stage.load(Ordering::Relaxed);
            Self::set(task, STAGE_EMPTY);
            *into = match was {
                STAGE_VALUE if Self::BOXED_VALUE => {
                    Some(Ok(*Self::stage::<Box<O::Value>>(task).read()))
                }
                STAGE_VALUE => Some(Ok(Self::stage::<O::Value>(task).read())),
                STAGE_ERROR => Some(Err(match Self::stage::<Failure>(task).read() {
                    None => JoinError::Cancelled,
                    Some(error) => *error,
                })),
                _ => None,
            };
        }
    }
}
