//! What is typed: the vtable, the stage, and writing a task into a slot.

use super::{Header, Joined, Node, kind};
use crate::arena::{ARENA, Counted, MAX_SLOT};
use crate::error::{BoxError, JoinError};
use crate::id::TaskId;
use crate::record::Record;
use crate::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use crate::sync::{ByteLock, Life, UnsafeCell};
use crate::task::hub::Hub;
use crate::task::side::Side;
use crate::task::state::State;
use crate::wait::{discard, quietly};
use std::any::Any;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, needs_drop, offset_of, size_of};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

pub(super) const STAGE_EMPTY: u8 = 0;
const STAGE_FUTURE: u8 = 1;
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
    /// For a stage that is boxed.
    pub(super) free: Option<unsafe fn(NonNull<Header>)>,
    pub(super) name: fn() -> &'static str,
}

union Stage<F, T> {
    future: ManuallyDrop<F>,
    value: ManuallyDrop<T>,
    /// Boxed, and nothing for a task that was cancelled: it makes no slot larger than an address.
    error: ManuallyDrop<Option<Box<JoinError>>>,
}

/// The layout of a slot; `B` is the stage, or a pointer to one that is boxed.
#[repr(C)]
struct Cell<B> {
    header: Header,
    body: B,
}

struct Raw<F, O, N>(PhantomData<(F, O, N)>);

impl<F, O, N> Raw<F, O, N>
where
    F: Future,
    O: Outcome<F::Output>,
{
    const BOXED: bool =
        align_of::<Stage<F, O::Value>>() > 8 || size_of::<Cell<Stage<F, O::Value>>>() > MAX_SLOT;
    const BODY: usize = offset_of!(Cell<*mut u8>, body);
    const VTABLE: VTable = VTable {
        poll: Self::poll,
        drop_future: Self::drop_future,
        store_error: Self::store_error,
        drop_output: Self::drop_output,
        read_output: Self::read_output,
        value_needs_drop: needs_drop::<O::Value>(),
        free: if Self::BOXED { Some(Self::free) } else { None },
        name: std::any::type_name::<N>,
    };

    /// # Safety
    /// The slot is valid and was written for these types (rule 1).
    unsafe fn stage(task: NonNull<Header>) -> *mut Stage<F, O::Value> {
        // SAFETY: rule 6; a stage that is not boxed is aligned to 8 at most, as the header is, so
        // that it begins at the same offset as a pointer would.
        unsafe {
            let body = task.as_ptr().cast::<u8>().add(Self::BODY);
            if Self::BOXED {
                body.cast::<*mut Stage<F, O::Value>>().read()
            } else {
                body.cast()
            }
        }
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
                ManuallyDrop::drop(&mut (*Self::stage(task)).future);
            }
        }
    }

    unsafe fn poll(task: NonNull<Header>, cx: &mut Context<'_>) -> Polled {
        // SAFETY: the caller polls, and owns the stage, which is a future (rule 2); it is pinned:
        // a slot and a boxed stage never move.
        let polled = catch_unwind(AssertUnwindSafe(|| unsafe {
            let future = &mut (*Self::stage(task)).future;
            Pin::new_unchecked(&mut **future).poll(cx)
        }));
        if matches!(polled, Ok(Poll::Pending)) {
            return Polled::Pending;
        }
        // SAFETY: as above.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { Self::drop_future(task) }));
        match (polled, dropped) {
            (Ok(Poll::Pending), _) => Polled::Pending,
            (Err(panic), dropped) => {
                if let Err(second) = dropped {
                    discard(second);
                }
                Polled::Panicked(panic)
            }
            (Ok(Poll::Ready(out)), Err(panic)) => {
                quietly(|| drop(out));
                Polled::Panicked(panic)
            }
            (Ok(Poll::Ready(out)), Ok(())) => match O::convert(out) {
                Err(error) => Polled::Error(error),
                // SAFETY: as above; the stage is empty now.
                Ok(value) => unsafe {
                    (&raw mut (*Self::stage(task)).value).write(ManuallyDrop::new(value));
                    Self::set(task, STAGE_VALUE);
                    Polled::Value
                },
            },
        }
    }

    unsafe fn store_error(task: NonNull<Header>, error: JoinError) {
        let error = match error {
            JoinError::Cancelled => None,
            other => Some(Box::new(other)),
        };
        // SAFETY: the caller owns the stage (rule 2), it is empty.
        unsafe {
            (&raw mut (*Self::stage(task)).error).write(ManuallyDrop::new(error));
            Self::set(task, STAGE_ERROR);
        }
    }

    unsafe fn drop_output(task: NonNull<Header>) {
        // SAFETY: the caller owns the stage (rule 2); it is empty before user code runs.
        unsafe {
            let stage = Self::stage(task);
            let was = task.as_ref().stage.load(Ordering::Relaxed);
            Self::set(task, STAGE_EMPTY);
            match was {
                STAGE_VALUE => ManuallyDrop::drop(&mut (*stage).value),
                STAGE_ERROR => ManuallyDrop::drop(&mut (*stage).error),
                _ => {}
            }
        }
    }

    unsafe fn read_output(task: NonNull<Header>, into: *mut ()) {
        let into = into.cast::<Option<Result<O::Value, JoinError>>>();
        // SAFETY: the caller owns the stage (rule 2) and gave a place of that type.
        unsafe {
            let stage = Self::stage(task);
            let was = task.as_ref().stage.load(Ordering::Relaxed);
            Self::set(task, STAGE_EMPTY);
            *into = match was {
                STAGE_VALUE => Some(Ok(ManuallyDrop::take(&mut (*stage).value))),
                STAGE_ERROR => Some(Err(match ManuallyDrop::take(&mut (*stage).error) {
                    None => JoinError::Cancelled,
                    Some(error) => *error,
                })),
                _ => None,
            };
        }
    }

    unsafe fn free(task: NonNull<Header>) {
        // SAFETY: the last reference is gone, and with it future and output; the box was made in
        // `allocate`. A union drops nothing.
        drop(unsafe { Box::from_raw(Self::stage(task)) });
    }
}

/// What a new task is made of, besides its future.
pub(crate) struct Birth<'a> {
    pub(crate) hub: &'a Hub,
    /// The same, as it came from the `Arc`: counts are reached through it.
    pub(crate) hub_ptr: *const Hub,
    pub(crate) id: TaskId,
    pub(crate) kind: u8,
    pub(crate) location: &'static Location<'static>,
    pub(crate) extras: Extras,
}

/// What a new task's side pointer is to be.
pub(crate) enum Extras {
    /// Null, or the record of the service it belongs to (rule 5).
    None(*const Record),
    Side(Box<Side>),
    /// That of the service whose node it is.
    Own(Counted<Record>),
}

impl Extras {
    /// An odd pointer is one to a side record.
    fn into_raw(self) -> *mut u8 {
        let side = match self {
            Extras::None(record) => return record.cast_mut().cast(),
            Extras::Side(side) => Box::into_raw(side).cast_const(),
            Extras::Own(record) => {
                let side: *const Side = &record.side;
                record.side.set_record(Counted::as_ptr(&record));
                Counted::into_raw(record);
                side
            }
        };
        side.map_addr(|address| address | 1).cast_mut().cast()
    }
}

/// Writes a task into a slot: scheduled, in no queue and no list, referenced by itself and by the
/// handle that is returned. `N` names it.
pub(crate) fn allocate<F, O, N>(birth: Birth<'_>, future: F) -> (Node, Joined<O::Value>)
where
    F: Future + Send,
    O: Outcome<F::Output>,
{
    let body = if Raw::<F, O, N>::BOXED {
        size_of::<*mut u8>()
    } else {
        size_of::<Stage<F, O::Value>>()
    };
    let stage = Stage::<F, O::Value> {
        future: ManuallyDrop::new(future),
    };
    let slot = ARENA.alloc(Raw::<F, O, N>::BODY + body);
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
        hub: birth.hub_ptr,
        location: birth.location,
        side: AtomicPtr::new(birth.extras.into_raw()),
        polls: AtomicU64::new(0),
        birth_ms: birth.hub.coarse_now(),
        supervised: AtomicU32::new(0),
        lock: ByteLock::new(),
        kind: birth.kind,
        stage: AtomicU8::new(STAGE_FUTURE),
        index: slot.index,
        life: Life::new(),
    };
    // SAFETY: the slot is ours, of that size, aligned to 8, which is enough for the header, for a
    // pointer, and for a stage that is not boxed.
    unsafe {
        node.0.write(header);
        let tail = node.0.as_ptr().cast::<u8>().add(Raw::<F, O, N>::BODY);
        if Raw::<F, O, N>::BOXED {
            tail.cast::<*mut Stage<F, O::Value>>()
                .write(Box::into_raw(Box::new(stage)));
        } else {
            tail.cast::<Stage<F, O::Value>>().write(stage);
        }
    }
    (node, Joined::new(node))
}
