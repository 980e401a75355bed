//! What is typed: the vtable, the stage, and writing a task into a slot.

use super::{Header, Joined, Node, kind};
use crate::arena::counted::Counted;
use crate::arena::{ARENA, MAX_SLOT};
use crate::error::{BoxError, JoinError};
use crate::id::TaskId;
use crate::panics::quietly;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use crate::sync::{ByteLock, Life, UnsafeCell};
use crate::task::cold::Cold;
use crate::task::current;
use crate::task::record::Record;
use crate::task::shared::Shared;
use crate::task::state::State;
use std::any::Any;
use std::marker::PhantomData;
use std::mem::{needs_drop, offset_of, size_of};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

pub(super) const STAGE_EMPTY: u8 = 0;
pub(super) const STAGE_FUTURE: u8 = 1;
pub(super) const STAGE_VALUE: u8 = 2;
const STAGE_ERROR: u8 = 3;

/// What a poll came to; the future is gone unless it is `Pending`.
pub(crate) enum Polled {
    Pending,
    /// The value is in the slot.
    Value,
    Error(BoxError),
    Panicked(Box<dyn Any + Send>),
}

/// How a future's output becomes a task's.
pub(crate) trait Outcome<Out> {
    type Value: Send;
    fn convert(out: Out) -> Result<Self::Value, BoxError>;
}

/// A raw task: whatever it returns is its value.
pub(crate) struct Plain;
impl<T: Send> Outcome<T> for Plain {
    type Value = T;
    fn convert(out: T) -> Result<T, BoxError> {
        Ok(out)
    }
}

/// A supervised task: an error is a failure.
pub(crate) struct Fallible;
impl<T: Send> Outcome<Result<T, BoxError>> for Fallible {
    type Value = T;
    fn convert(out: Result<T, BoxError>) -> Result<T, BoxError> {
        out
    }
}

/// The operations that know the types. Each is for whoever owns the stage (rule 2).
pub(super) struct VTable {
    pub(super) poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Polled,
    pub(super) drop_future: unsafe fn(NonNull<Header>),
    pub(super) store_error: unsafe fn(NonNull<Header>, JoinError),
    pub(super) drop_output: unsafe fn(NonNull<Header>),
    /// Writes an `Option<Result<T, JoinError>>`.
    pub(super) read_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Whether that does anything for a value.
    pub(super) value_needs_drop: bool,
    pub(super) name: fn() -> &'static str,
}

/// The layout of a slot.
#[repr(C)]
struct Cell<B> {
    header: Header,
    body: B,
}

/// The bytes of a slot behind the header.
const ROOM: usize = MAX_SLOT - offset_of!(Cell<u64>, body);

/// Whether a value can lie in a task's slot. A future that does not is to be boxed by the public
/// function that takes it, before it is moved any further: each move is a copy on the stack.
pub(crate) const fn fits<T>() -> bool {
    align_of::<T>() <= 8 && size_of::<T>() <= ROOM
}

/// The outcome of a task that has no value: `None` if it was cancelled. It makes no slot larger than an
/// address does.
type Failure = Option<Box<JoinError>>;

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// The header is followed by the stage: the future, then the value (or its box) or the `Failure`. So
/// a task whose future is gone keeps no more memory than its slot and its outcome.
struct Raw<F, O, N>(PhantomData<(F, O, N)>);

impl<F, O, N> Raw<F, O, N>
where
    F: Future,
    O: Outcome<F::Output>,
{
    const BODY: usize = offset_of!(Cell<u64>, body);
    /// The size of the largest that may follow the header.
    const SIZE: usize = {
        let value = if Self::BOXED_VALUE {
            size_of::<Box<O::Value>>()
        } else {
            size_of::<O::Value>()
        };
        larger(size_of::<F>(), larger(value, size_of::<Failure>()))
    };
    /// A value that does not fit is boxed when it comes, so that only a finished task has the box.
    const BOXED_VALUE: bool = !fits::<O::Value>();
    const VTABLE: VTable = VTable {
        poll: Self::poll,
        drop_future: Self::drop_future,
        store_error: Self::store_error,
        drop_output: Self::drop_output,
        read_output: Self::read_output,
        value_needs_drop: Self::BOXED_VALUE || needs_drop::<O::Value>(),
        name: std::any::type_name::<N>,
    };

    /// Where the stage is; what it is cast to has to fit.
    ///
    /// # Safety
    /// The slot is valid and was written for these types (rule 1).
    unsafe fn stage<V>(task: NonNull<Header>) -> *mut V {
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
        let ended = match polled {
            Ok(Poll::Pending) => return Polled::Pending,
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
                        return Polled::Value;
                    },
                    Err(panic) => {
                        quietly(|| drop(value));
                        return Polled::Panicked(panic);
                    }
                },
                Err(error) => Polled::Error(error),
            },
            Err(panic) => Polled::Panicked(panic),
        };
        // Both come out: a panic in the drop does not hide what was before.
        if let Err(second) = dropped {
            let _noted = current::view::note_panic(second);
        }
        ended
    }

    unsafe fn store_error(task: NonNull<Header>, error: JoinError) {
        let error = match error {
            JoinError::Cancelled => None,
            other => Some(Box::new(other)),
        };
        // SAFETY: the caller owns the stage (rule 2), it is empty.
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

/// What a new task is made of, besides its future.
pub(crate) struct Birth<'a> {
    pub(crate) shared: &'a Shared,
    /// The same, as it came from the `Arc`: counts are reached through it.
    pub(crate) shared_ptr: *const Shared,
    pub(crate) id: TaskId,
    pub(crate) kind: u8,
    pub(crate) location: &'static Location<'static>,
    pub(crate) extras: Extras,
}

/// What a new task's cold pointer is to be.
pub(crate) enum Extras {
    /// Null, or the record of the service it belongs to (rule 5).
    None(*const Record),
    Cold(Box<Cold>),
    /// That of the service whose node it is.
    Own(Counted<Record>),
}

impl Extras {
    /// An odd pointer is one to a cold data.
    fn into_raw(self) -> *mut u8 {
        let cold = match self {
            Extras::None(record) => return record.cast_mut().cast(),
            Extras::Cold(cold) => Box::into_raw(cold).cast_const(),
            Extras::Own(record) => {
                let cold: *const Cold = &record.cold;
                record.cold.set_record(Counted::as_ptr(&record));
                Counted::into_raw(record);
                cold
            }
        };
        cold.map_addr(|address| address | 1).cast_mut().cast()
    }
}

/// Writes a task into a slot: scheduled, in no queue and no list, referenced by itself and by the
/// handle that is returned. `N` names it.
pub(crate) fn allocate<F, O, N>(birth: Birth<'_>, future: F) -> (Node, Joined<O::Value>)
where
    F: Future + Send,
    O: Outcome<F::Output>,
{
    assert!(fits::<F>(), "the caller boxes what does not fit");
    let slot = ARENA.alloc(Raw::<F, O, N>::BODY + Raw::<F, O, N>::SIZE);
    let node = Node(slot.ptr.cast());
    let header = Header {
        // Of a service's node there is no handle: nobody asks for its output.
        state: State::scheduled(birth.kind & kind::SERVICE == 0),
        vtable: const { &Raw::<F, O, N>::VTABLE },
        join_waker: UnsafeCell::new(None),
        parent: AtomicU32::new(0),
        first: AtomicU32::new(0),
        next: AtomicU32::new(0),
        prev: AtomicU32::new(0),
        id: birth.id,
        shared: birth.shared_ptr,
        location: birth.location,
        cold: AtomicPtr::new(birth.extras.into_raw()),
        polls: AtomicU64::new(0),
        birth_ms: birth.shared.coarse_now(),
        supervised: AtomicU32::new(0),
        lock: ByteLock::new(),
        kind: birth.kind,
        stage: AtomicU8::new(STAGE_FUTURE),
        swept: AtomicBool::new(false),
        index: slot.index,
        life: Life::new(),
    };
    // SAFETY: the slot is ours, of that size, aligned to 8, which is enough for the header, and for
    // a future that fits.
    unsafe {
        node.0.write(header);
        Raw::<F, O, N>::stage::<F>(node.0).write(future);
    }
    (node, Joined::new(node))
}
