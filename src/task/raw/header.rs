//! [`Header`]: the fixed part of a task, at the beginning of its slot, and the pointers to it.

use super::site::SiteCell;
use crate::arena::{self, SlotIndex};
use crate::error::{BoxError, JoinError, Origin};
use crate::id::TaskId;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use crate::sync::{ByteLock, Life, UnsafeCell};
use crate::task::state::Word;
use crate::task::state::word::State;
use crate::wait_list::KeptWaker;
use std::any::Any;
use std::marker::PhantomData;
use std::mem::size_of;
use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::Context;

/// The kinds of a task, as bits. They are fixed when it is spawned.
pub(crate) mod kind {
    /// It runs a service.
    pub(crate) const SERVICE: u8 = 1;
    /// Its return is a failure of its service, unless that is being cancelled.
    pub(crate) const DAEMON: u8 = 2;
    /// It is counted and limited by its service, and its failure is a failure of that service.
    pub(crate) const SUPERVISED: u8 = 4;
    /// It or one of its ancestors has a grace period.
    pub(crate) const GRACE: u8 = 8;
    /// It is a sentinel, the hidden parent of root tasks.
    pub(crate) const SENTINEL: u8 = 16;
    /// It or one of its ancestors was spawned inside protection: see [`crate::task::cover`].
    pub(crate) const COVERED: u8 = 32;
    /// Its future is a call of a closure that blocks.
    pub(crate) const BLOCKING: u8 = 128;
    /// Of any other task than a service's: its failure is only its handle's.
    pub(crate) const ISOLATED: u8 = 64;
    /// Of a service's task: it has no parent.
    pub(crate) const ROOT_SERVICE: u8 = 64;
}

/// The payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// The result of a poll. The future has been dropped, unless it is `Pending`.
pub(crate) enum Polled {
    /// The future is still there.
    Pending,
    /// The value is in the slot.
    Value,
    /// An error, and the panic of the future's drop, if there was one.
    Error(BoxError, Option<Payload>),
    /// The panic of the poll, or of the drop if only that panicked; then the panic of the drop if both
    /// did.
    Panicked(Payload, Option<Payload>),
}

/// The operations that know the types of a task's future and value. Each is for the holder of the
/// right to the stage (rule 2).
pub(super) struct VTable {
    pub(super) poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Polled,
    pub(super) drop_future: unsafe fn(NonNull<Header>),
    pub(super) store_error: unsafe fn(NonNull<Header>, JoinError),
    pub(super) drop_output: unsafe fn(NonNull<Header>),
    /// Writes an `Option<Result<T, JoinError>>`.
    pub(super) read_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Whether `drop_output` does anything for a value.
    pub(super) value_needs_drop: bool,
    pub(super) name: fn() -> &'static str,
}

pub(super) const STAGE_EMPTY: u8 = 0;
pub(super) const STAGE_FUTURE: u8 = 1;
pub(super) const STAGE_VALUE: u8 = 2;
pub(super) const STAGE_ERROR: u8 = 3;

/// The fixed part of a task, at the beginning of its slot.
#[repr(C)]
pub(crate) struct Header {
    pub(super) state: State,
    pub(super) vtable: &'static VTable,
    /// See rule 3.
    pub(super) join_waker: UnsafeCell<Option<KeptWaker>>,
    /// The parent's slot; 0 for a sentinel. Never changes.
    pub(super) parent: u32,
    /// The slot of the youngest child. Written under this task's lock, whose acquire and release
    /// order the accesses; Relaxed loads without the lock are hints.
    pub(super) first: AtomicU32,
    /// The slot of the next older sibling. Under the parent's lock.
    pub(super) next: AtomicU32,
    /// The slot of the next younger sibling. Under the parent's lock.
    pub(super) prev: AtomicU32,
    pub(super) id: TaskId,
    /// The [`Shared`](crate::task::shared::Shared) of its runtime: rule 4.
    pub(super) shared: *const (),
    pub(super) site: SiteCell,
    /// An odd address is that of the cold data (part of a service's record, or a `Box`); any other
    /// is that of the record of the service that the task belongs to, or null. Changes once at most,
    /// from a record to cold data: the swap releases the new cold data, each load acquires it.
    pub(super) cold: AtomicPtr<u8>,
    /// Written by the worker that polls the task, which the state word orders; all other threads
    /// read it for statistics, so Relaxed suffices.
    pub(super) polls: AtomicU64,
    pub(super) born_ms: u32,
    /// The number of supervised children that are linked and not counted out, and whether the task's room is in
    /// use. Under this task's lock, which orders the accesses, so Relaxed suffices. [`super::children`] says what
    /// it is in a child that is done, and who looks without the lock.
    pub(super) supervised: AtomicU32,
    pub(super) lock: ByteLock,
    pub(super) kind: u8,
    /// What the stage holds: rule 2. The state word orders the accesses, so Relaxed suffices.
    pub(super) stage: AtomicU8,
    /// The parent was being cancelled before this task's end. Set by the walk that marks, before the mark,
    /// whose release publishes it; read after the word was seen to be done. So Relaxed suffices.
    pub(super) swept: AtomicBool,
    pub(super) index: SlotIndex,
    pub(super) life: Life,
}

const _: () = assert!(cfg!(taskgrove_loom) || size_of::<Header>() == 104);

// SAFETY: what a header allows to any thread is atomic or under a lock. Stage and join waker have one
// owner at a time (rules 2, 3); futures, values and wakers are `Send`. The pointers are followed by
// rules 4 and 5 only.
unsafe impl Send for Header {}
// SAFETY: as above.
unsafe impl Sync for Header {}

#[cfg(taskgrove_loom)]
// SAFETY: there is no data in it; loom checks the accesses.
unsafe impl Sync for Life {}

impl Header {
    /// The task's id.
    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    /// Where the task was spawned.
    pub(crate) fn location(&self) -> &'static Location<'static> {
        self.site.spawned()
    }

    /// The origin of the first request for the task's cancellation, if one was noted. The task may have been
    /// done before that request.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.site.origin()
    }

    /// Notes the origin of a request for the task's cancellation, unless one was noted before.
    #[inline]
    pub(crate) fn note_origin(&self, origin: Origin) {
        self.site.note(origin);
    }

    /// Whether the task is of any of these [kinds](kind).
    #[inline]
    pub(crate) fn is(&self, kind: u8) -> bool {
        self.kind & kind != 0
    }

    /// Whether the task's error or panic is only its handle's.
    pub(crate) fn is_isolated(&self) -> bool {
        self.kind & (kind::ISOLATED | kind::SERVICE) == kind::ISOLATED
    }

    /// All [kinds](kind) of the task.
    #[inline]
    pub(crate) fn kinds(&self) -> u8 {
        self.kind
    }

    /// The name of the type that the task is named after, with its path.
    pub(crate) fn type_name(&self) -> &'static str {
        (self.vtable.name)()
    }

    /// The state word.
    #[inline]
    pub(crate) fn word(&self) -> Word {
        self.state.load()
    }

    /// The number of polls so far, for statistics.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// When the task was spawned, in milliseconds of its runtime's clock.
    pub(crate) fn born_ms(&self) -> u32 {
        self.born_ms
    }

    /// Whether the task's end may be a part of its parent's cancellation.
    pub(crate) fn is_swept(&self) -> bool {
        self.swept.load(Ordering::Relaxed)
    }

    /// Notes that the parent is being cancelled.
    pub(crate) fn set_swept(&self) {
        self.swept.store(true, Ordering::Relaxed);
    }

    /// Whether children are linked: a hint without the lock.
    pub(crate) fn has_children(&self) -> bool {
        self.first.load(Ordering::Relaxed) != 0
    }

    /// Whether both are children of one task.
    #[inline]
    pub(crate) fn is_sibling(&self, other: &Header) -> bool {
        self.parent == other.parent
    }

    /// Whether the future has ended, or is being dropped. For code of the task itself; on any other
    /// thread it may be outdated.
    #[inline]
    pub(crate) fn is_future_gone(&self) -> bool {
        self.stage.load(Ordering::Relaxed) != STAGE_FUTURE
    }

    /// Makes the threads that raise the level or finish the task wake its wait list from now on.
    ///
    /// Returns the word after that. It shows each step that came before; a step that comes later sees
    /// the flag. So a wait that sets the flag and then looks at the word misses nothing.
    pub(crate) fn set_waiters(&self) -> Word {
        self.state.set_waiters()
    }
}

/// A raw pointer to a task. It counts no reference; the unsafe code that uses it says why it is valid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::task) struct RawTask(pub(super) NonNull<Header>);

impl RawTask {
    /// Dereferences the pointer.
    ///
    /// # Safety
    ///
    /// The slot is valid for `'a` (rule 1).
    #[inline(always)]
    pub(super) unsafe fn header<'a>(self) -> &'a Header {
        // SAFETY: the caller's.
        let header = unsafe { self.0.as_ref() };
        header.life.used();
        header
    }

    /// Gives the pointer a lifetime.
    ///
    /// # Safety
    ///
    /// As for [`RawTask::header`].
    #[inline(always)]
    pub(in crate::task) unsafe fn borrowed<'a>(self) -> Borrowed<'a> {
        Borrowed(self, PhantomData)
    }

    pub(in crate::task) fn address(self) -> NonNull<Header> {
        self.0
    }

    /// Fetches the header into the cache.
    pub(super) fn prefetch(self) {
        arena::prefetch(self.0.as_ptr().cast());
    }
}

/// A task whose slot is valid for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Borrowed<'a>(pub(super) RawTask, PhantomData<&'a Header>);

// SAFETY: it is used as a `&Header`.
unsafe impl Send for Borrowed<'_> {}
// SAFETY: as above.
unsafe impl Sync for Borrowed<'_> {}

impl Borrowed<'_> {
    pub(in crate::task) fn raw(self) -> RawTask {
        self.0
    }
}

impl<'a> Borrowed<'a> {
    #[inline(always)]
    pub(super) fn header(self) -> &'a Header {
        // SAFETY: rule 1, for the type's lifetime.
        unsafe { self.0.header() }
    }

    /// Fetches the header into the cache.
    pub(crate) fn prefetch(self) {
        self.0.prefetch();
    }
}

impl PartialEq for Borrowed<'_> {
    fn eq(&self, other: &Borrowed<'_>) -> bool {
        self.0 == other.0
    }
}

impl Deref for Borrowed<'_> {
    type Target = Header;

    #[inline(always)]
    fn deref(&self) -> &Header {
        // SAFETY: rule 1, for the type's lifetime.
        unsafe { self.0.header() }
    }
}
