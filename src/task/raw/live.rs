//! The data that a [`Live`] task leads to: its runtime, its record, its cold data and its ancestors. Also
//! [`Parent`], and how a [`Pin`] is taken.

use super::header::{Borrowed, Header, RawTask, kind};
use super::record_address::RecordAddress;
use super::reference::TaskRef;
use super::rights::{Live, Pin};
use crate::arena::counted::Counted;
use crate::arena::{ARENA, SlotIndex};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::task::cold::Cold;
use crate::task::record::Record;
use crate::task::shared::Shared;
use std::sync::atomic::Ordering::Acquire;

/// Counts the links that this thread has followed, for the tests of how costs grow.
#[cfg(all(test, not(taskgrove_loom)))]
pub(crate) mod followed {
    use std::cell::Cell;

    thread_local! {
        static LINKS: Cell<u64> = const { Cell::new(0) };
    }

    pub(in crate::task::raw) fn one() {
        LINKS.set(LINKS.get() + 1);
    }

    pub(crate) fn so_far() -> u64 {
        LINKS.get()
    }
}

/// Follows a link; `None` if it is empty.
///
/// # Safety
///
/// The caller may follow the link by rule 7.
pub(super) unsafe fn resolve(link: &AtomicU32) -> Option<RawTask> {
    // SAFETY: the caller's.
    unsafe { resolve_index(link.load(Ordering::Relaxed)) }
}

/// As [`resolve`], of the index.
///
/// # Safety
///
/// Rule 7.
pub(super) unsafe fn resolve_index(index: u32) -> Option<RawTask> {
    #[cfg(all(test, not(taskgrove_loom)))]
    followed::one();
    let index = SlotIndex::from_u32(index)?;
    // SAFETY: the caller's: the slot is in use, and holds a task.
    Some(RawTask(unsafe { ARENA.address(index) }.cast()))
}

/// Returns the cold data behind an odd address; `None` if the address is even.
///
/// # Safety
///
/// The address is of a task that has the cold data for `'a`: it is in the slot's `Box`, or part of
/// a record that is there.
#[inline]
unsafe fn cold_behind<'a>(cold: *mut u8) -> Option<&'a Cold> {
    if cold.addr() & 1 == 0 {
        return None;
    }
    let cold = cold.map_addr(|a| a & !1).cast::<Cold>();
    // SAFETY: the caller's. What is tagged is never null.
    unsafe {
        std::hint::assert_unchecked(!cold.is_null());
        Some(&*cold)
    }
}

impl Header {
    /// Returns the address of the record of the service that the task belongs to, or is; null if there
    /// is none.
    ///
    /// # Safety
    ///
    /// The record is valid if this is a service's task, whose cold data is part of it.
    #[inline]
    unsafe fn record_address(&self) -> *const Record {
        // One load: another thread may be making the cold data.
        let cold = self.cold.load(Acquire);
        // SAFETY: the caller's.
        match unsafe { cold_behind(cold) } {
            Some(cold) => cold.record.get().cast(),
            None => cold.cast_const().cast(),
        }
    }

    /// Returns the cold data, which is allocated if there is none.
    ///
    /// # Safety
    ///
    /// As for [`Header::record_address`], for `'a`.
    unsafe fn cold_or_new_unchecked<'a>(&self) -> &'a Cold {
        loop {
            let plain = self.cold.load(Acquire);
            // SAFETY: the caller's.
            if let Some(cold) = unsafe { cold_behind(plain) } {
                return cold;
            }
            let made = Box::into_raw(Box::new(Cold::new(RecordAddress::of(plain.cast()))));
            let tagged = made.map_addr(|a| a | 1).cast();
            let swapped =
                (self.cold).compare_exchange(plain, tagged, Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_err() {
                // SAFETY: made above, never published.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }
}

/// The task to spawn a child under. It may be done, in which case it refuses the child. Unlike a [`Live`]
/// it does not lead to the ancestors.
#[derive(Clone, Copy)]
pub(crate) struct Parent<'a> {
    /// The task. Its record, if it has one, is valid for `'a`.
    task: Borrowed<'a>,
    shared: &'a Shared,
}

impl<'a> Live<'a> {
    /// The runtime.
    #[inline]
    pub(crate) fn shared(self) -> &'a Shared {
        // SAFETY: rule 4.
        let shared = unsafe { &*self.shared.cast::<Shared>() };
        shared.life.used();
        shared
    }

    /// Returns a counted reference to the runtime.
    pub(crate) fn shared_arc(self) -> Arc<Shared> {
        let shared = self.shared.cast::<Shared>();
        // SAFETY: rule 4; every `Shared` lives in an `Arc`, and the pointer came from one.
        unsafe {
            Arc::increment_strong_count(shared);
            Arc::from_raw(shared)
        }
    }

    /// The record of the service that the task belongs to, or is.
    #[inline]
    pub(crate) fn record(self) -> Option<&'a Record> {
        // SAFETY: rule 5.
        unsafe { self.record_address().as_ref() }
    }

    /// Whether it is the task of a service that is being cancelled.
    pub(crate) fn is_closing_service(self) -> bool {
        self.is(kind::SERVICE) && self.record().is_some_and(Record::is_closing)
    }

    /// Marks the service as being cancelled with the tree, if it is a service's task. The caller wakes the
    /// waiters.
    pub(crate) fn close_with_tree(self) {
        if self.is(kind::SERVICE)
            && let Some(record) = self.record()
        {
            record.mark_closing_with_tree();
        }
    }

    /// Whether [`Live::record`] is this record.
    #[inline]
    pub(crate) fn is_of(self, record: *const Record) -> bool {
        // SAFETY: rule 5.
        std::ptr::eq(unsafe { self.record_address() }, record)
    }

    /// The task of the service that the task belongs to, or is.
    pub(crate) fn service(self) -> Option<Live<'a>> {
        let service = self.record()?.task()?;
        // SAFETY: it is this task or above it, and so counted as long as this one is.
        Some(unsafe { Live::new(service.0) })
    }

    /// The cold data, if it has been allocated.
    #[inline]
    pub(crate) fn cold(self) -> Option<&'a Cold> {
        // SAFETY: rule 5 for a service's task; any other has a `Box`, which stays until the slot is
        // freed.
        unsafe { cold_behind(self.cold.load(Acquire)) }
    }

    /// Returns the cold data, which is allocated if there is none. Must not be called under a lock of
    /// children, since it allocates.
    pub(crate) fn cold_or_new(self) -> &'a Cold {
        // SAFETY: as above.
        unsafe { self.cold_or_new_unchecked() }
    }

    /// The parent: a sentinel for a root task, `None` for a sentinel.
    pub(crate) fn parent(self) -> Option<Live<'a>> {
        // SAFETY: rule 7: a task that its parent counts keeps the parent from being done.
        unsafe { resolve_index(self.parent).map(|parent| Live::new(parent)) }
    }

    /// The parent, unless that is a sentinel.
    pub(crate) fn above(self) -> Option<Live<'a>> {
        self.parent().filter(|parent| !parent.is(kind::SENTINEL))
    }

    /// This task, and those above it up to the sentinel.
    pub(crate) fn upward(self) -> impl Iterator<Item = Live<'a>> {
        std::iter::successors(Some(self), |task| task.parent())
    }

    /// The task as the parent of a new task.
    #[inline]
    pub(crate) fn as_parent(self) -> Parent<'a> {
        Parent {
            task: self.borrowed(),
            shared: self.shared(),
        }
    }
}

impl<'a> Parent<'a> {
    /// Returns a service's task as a parent; `None` if the service has not been started. The caller's
    /// reference keeps the record.
    ///
    /// # Panics
    ///
    /// Panics if the task is another runtime's.
    #[inline]
    pub(crate) fn service(record: &'a Counted<Record>, shared: &'a Shared) -> Option<Parent<'a>> {
        let task = record.task()?;
        assert!(task.is_in(shared), "another runtime's service");
        Some(Parent { task, shared })
    }

    /// Makes a parent of any task, for the loom models: they have no services, so the task has no
    /// record.
    #[cfg(taskgrove_loom)]
    pub(crate) fn of(task: Borrowed<'a>, shared: &'a Shared) -> Parent<'a> {
        Parent { task, shared }
    }

    /// The task.
    #[inline]
    pub(crate) fn task(self) -> Borrowed<'a> {
        self.task
    }

    /// The runtime.
    #[inline]
    pub(crate) fn shared(self) -> &'a Shared {
        self.shared
    }

    /// The address of the record, or null.
    #[inline]
    pub(super) fn record_address(self) -> *const () {
        // SAFETY: the record is there: for the type's lifetime.
        unsafe { self.task.record_address() }.cast()
    }

    #[inline]
    pub(super) fn shared_address(self) -> *const () {
        self.task.shared
    }

    /// The record of the service that the task belongs to, or is.
    #[inline]
    pub(crate) fn record(self) -> Option<&'a Record> {
        // SAFETY: the record is there: for the type's lifetime.
        unsafe { self.task.record_address().as_ref() }
    }

    /// The cold data, if it has been allocated.
    pub(crate) fn cold(self) -> Option<&'a Cold> {
        // SAFETY: the record is there, for the type's lifetime, if it is a service's task; any other has a
        // `Box`, which stays until the slot is freed.
        unsafe { cold_behind(self.task.cold.load(Acquire)) }
    }

    /// As [`Parent::cold`], which is allocated if there is none.
    pub(crate) fn cold_or_new(self) -> &'a Cold {
        // SAFETY: as above.
        unsafe { self.task.cold_or_new_unchecked() }
    }

    /// The name of the service, if it is a service's task.
    pub(crate) fn service_name(self) -> Option<&'a str> {
        if self.task.is(kind::SERVICE) {
            self.record().map(|record| &*record.name)
        } else {
            None
        }
    }
}

impl Shared {
    /// The sentinels, which may be done.
    #[inline]
    pub(crate) fn sentinels(
        &self,
    ) -> impl DoubleEndedIterator<Item = Live<'_>> + ExactSizeIterator {
        let refs = self.sentinel_refs().iter();
        // SAFETY: sentinels have neither record nor parent, and the runtime is referenced.
        refs.map(|sentinel| unsafe { Live::new(sentinel.0) })
    }

    /// The sentinel of the worker with this number, or the one that all other threads share.
    #[inline]
    pub(crate) fn sentinel(&self, worker: Option<usize>) -> Live<'_> {
        let refs = self.sentinel_refs();
        let sentinel = &refs[worker.unwrap_or(refs.len() - 1)];
        // SAFETY: as above.
        unsafe { Live::new(sentinel.0) }
    }
}

impl Header {
    /// Whether it is a task of this runtime.
    #[inline]
    pub(crate) fn is_in(&self, shared: &Shared) -> bool {
        std::ptr::eq(self.shared.cast(), shared)
    }

    /// Whether it is a hidden parent of this runtime's root tasks.
    pub(in crate::task) fn is_sentinel_of(&self, shared: &Shared) -> bool {
        self.is(kind::SENTINEL) && self.is_in(shared)
    }

    /// Whether it is the task of the service with this record: its cold data is part of the record.
    pub(in crate::task) fn is_service_of(&self, record: &Record) -> bool {
        let cold = self.cold.load(Acquire).map_addr(|address| address & !1);
        self.is(kind::SERVICE) && std::ptr::eq(cold.cast(), &record.cold)
    }
}

impl<'a> Borrowed<'a> {
    /// Pins the task, which keeps it from being done; `None` if it is done.
    pub(crate) fn pin(self) -> Option<Pin> {
        self.state.pin().then(|| Pin(self.0))
    }

    /// As [`Borrowed::pin`]; also `None` if the task is of another runtime.
    pub(crate) fn pin_in(self, shared: &Shared) -> Option<Pin> {
        self.is_in(shared).then(|| self.pin()).flatten()
    }

    /// Returns the cold data of a task that is not a service's, which is allocated if there is none. It
    /// is valid as long as the slot.
    ///
    /// # Panics
    ///
    /// If it is a service's task, whose cold data belongs to the record.
    pub(in crate::task) fn plain_cold_or_new(self) -> &'a Cold {
        assert!(!self.is(kind::SERVICE), "a service's is its record's");
        // SAFETY: it is in a `Box` that stays until the slot is freed.
        unsafe { self.cold_or_new_unchecked() }
    }

    /// As [`Borrowed::plain_cold_or_new`], if there is any.
    pub(crate) fn plain_cold(self) -> Option<&'a Cold> {
        if self.is(kind::SERVICE) {
            return None;
        }
        // SAFETY: as above.
        unsafe { cold_behind(self.cold.load(Acquire)) }
    }
}

impl TaskRef {
    /// As [`Borrowed::pin`].
    pub(crate) fn pin(&self) -> Option<Pin> {
        self.borrowed().pin()
    }
}
