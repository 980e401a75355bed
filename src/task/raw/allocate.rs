//! Writes a new task, or a sentinel, into a slot.

use super::header::{Header, RawTask, STAGE_FUTURE, kind};
use super::joined::Joined;
use super::live::Parent;
use super::reference::TaskRef;
use super::rights::{Fresh, Pin};
use super::site::SiteCell;
use super::stage::{Outcome, Plain, Raw, fits};
use crate::arena::ARENA;
use crate::arena::counted::Counted;
use crate::error::BoxError;
use crate::id::TaskId;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64};
use crate::sync::{Arc, ByteLock, Life, UnsafeCell};
use crate::task::cold::Cold;
use crate::task::record::Record;
use crate::task::shared::{Schedule, Shared};
use crate::task::state::word::State;
use std::marker::PhantomData;
use std::panic::Location;

/// The parts of a new task, besides its future.
pub(crate) struct Seed<'a> {
    pub(crate) parent: Parent<'a>,
    pub(crate) id: TaskId,
    pub(crate) kind: u8,
    pub(crate) location: &'static Location<'static>,
    pub(crate) cold: Option<Box<Cold>>,
}

impl Seed<'_> {
    /// Takes the cold data, or the record of the service that the parent belongs to.
    #[inline(always)]
    fn cold_address(&mut self) -> *mut u8 {
        let record = self.parent.record_address();
        match self.cold.take() {
            None => record.cast_mut().cast(),
            Some(cold) => {
                cold.record.set(record);
                odd(Box::into_raw(cold))
            }
        }
    }

    /// Writes the task, whose parent is the seed's.
    #[inline(always)]
    fn write<F, O, N>(self, cold: *mut u8, make: impl FnOnce() -> F) -> RawTask
    where
        F: Future + Send,
        O: Outcome<F::Output>,
    {
        write::<F, O, N>(
            self.parent.shared(),
            self.parent.shared_address(),
            self.parent.task().header().index.get(),
            self.id,
            self.kind,
            self.location,
            cold,
            make,
        )
    }
}

/// Returns the address of cold data as a header stores it: odd.
fn odd(cold: *const Cold) -> *mut u8 {
    cold.map_addr(|address| address | 1).cast_mut().cast()
}

/// Writes a task into a slot. It is referenced by itself and by the handle. `N` names it.
///
/// # Panics
///
/// Panics if the seed's kind is that of a service or of a sentinel.
pub(crate) fn task<'a, F, O, N>(mut seed: Seed<'a>, future: F) -> (Fresh<'a>, Joined<O::Value>)
where
    F: Future + Send,
    O: Outcome<F::Output>,
{
    // What they say of a task is true of those that are written below alone.
    assert!(
        seed.kind & (kind::SERVICE | kind::SENTINEL) == 0,
        "a plain task"
    );
    let cold = seed.cold_address();
    let task = seed.write::<F, O, N>(cold, || future);
    // SAFETY: the task was written for such a value, and the second reference is the handle's.
    (Fresh(task, PhantomData), unsafe { Joined::new(task) })
}

/// Writes a service's task into a slot, with the future that `make` returns. It has no handle. `own` is its
/// reference to the record. A panic of `make` leaks the slot and the reference.
///
/// # Panics
///
/// Panics if the seed's kind is that of a sentinel.
pub(crate) fn service<'a, F, O, N>(
    mut seed: Seed<'a>,
    own: Counted<Record>,
    make: impl FnOnce() -> F,
) -> (Fresh<'a>, TaskRef)
where
    F: Future<Output = Result<(), BoxError>> + Send,
    O: Outcome<F::Output>,
{
    assert!(seed.kind & kind::SENTINEL == 0, "a service");
    let cold = odd(&own.cold);
    own.cold.record.set(Counted::as_ptr(&own).cast());
    // The address in the header is this reference.
    Counted::into_raw(own);
    seed.kind |= kind::SERVICE;
    let task = seed.write::<F, O, N>(cold, make);
    (Fresh(task, PhantomData), TaskRef(task))
}

/// Writes a header, and the future that `make` returns, into a slot. The task has two references: its own, and
/// one for the handle or reference that the caller makes.
#[allow(clippy::too_many_arguments, reason = "what a header has, in one place")]
#[inline(always)]
fn write<F, O, N>(
    shared: &Shared,
    shared_address: *const (),
    parent_index: u32,
    id: TaskId,
    kind: u8,
    location: &'static Location<'static>,
    cold: *mut u8,
    make: impl FnOnce() -> F,
) -> RawTask
where
    F: Future + Send,
    O: Outcome<F::Output>,
{
    assert!(fits::<F>(), "the caller boxes what does not fit");
    let slot = ARENA.alloc(Raw::<F, O, N>::BODY + Raw::<F, O, N>::SIZE);
    let task = RawTask(slot.ptr.cast());
    let header = Header {
        // A service's task has no handle that asks for its output.
        state: State::scheduled(kind & kind::SERVICE == 0),
        vtable: const { &Raw::<F, O, N>::VTABLE },
        join_waker: UnsafeCell::new(None),
        parent: parent_index,
        first: AtomicU32::new(0),
        next: AtomicU32::new(0),
        prev: AtomicU32::new(0),
        id,
        shared: shared_address,
        site: SiteCell::new(location),
        cold: AtomicPtr::new(cold),
        polls: AtomicU64::new(0),
        born_ms: shared.coarse_now(),
        supervised: AtomicU32::new(0),
        lock: ByteLock::new(),
        kind,
        stage: AtomicU8::new(STAGE_FUTURE),
        swept: AtomicBool::new(false),
        index: slot.index,
        life: Life::new(),
    };
    // SAFETY: the slot is ours, of that size, aligned to 8, which is enough for the header, and for
    // a future that fits.
    unsafe {
        task.0.write(header);
        Raw::<F, O, N>::stage::<F>(task.0).write(make());
    }
    task
}

impl Shared {
    /// Gives the runtime its scheduler and `count` sentinels.
    pub(crate) fn open(this: &Arc<Self>, schedule: Box<dyn Schedule>, count: usize) {
        this.set_schedule(schedule);
        let (sentinels, pins) = (0..count).map(|_| sentinel(this)).unzip();
        Shared::set_sentinels(this, sentinels, pins);
    }
}

/// A hidden parent of root tasks, which has no future, and the pin that keeps it open.
fn sentinel(shared: &Arc<Shared>) -> (TaskRef, Pin) {
    let (id, _) = shared.id_block(1);
    let task = write::<_, Plain, ()>(
        shared,
        Arc::as_ptr(shared).cast(),
        0,
        id,
        kind::SENTINEL,
        Location::caller(),
        std::ptr::null_mut(),
        std::future::pending::<()>,
    );
    // SAFETY: no other thread knows the slot yet, and the future has no drop. The new word counts the
    // task's own reference, to which one is added here, and the pin.
    unsafe {
        (task.header().vtable.drop_future)(task.0);
        (&raw mut (*task.0.as_ptr()).state).write(State::sentinel());
        (task.borrowed().retain(), Pin(task))
    }
}
