//! A task in its slot: header, future or output, raw waker.
//!
//! Field rules (the SAFETY comments name them):
//!
//! 1. **Slot.** A slot is valid while its task is referenced: by itself until it is done and
//!    unlinked, by each handle, waker and [`TaskRef`]. A [`Node`] counts nothing; whoever uses one
//!    is covered by one of these: it runs or has claimed the task, keeps it or a task below it from
//!    being done, holds the lock of the list it is linked in, or has a reference besides.
//! 2. **Stage.** Future and output belong to whom the table in [`super::state`] names. `stage`
//!    says what is there and is written by the same owner; the state word's read-modify-writes
//!    hand it on.
//! 3. **Join waker.** Belongs to the handle while `JOIN_WAKER` is clear and the task is not done,
//!    to the finisher that made the task done with it set.
//! 4. **Shared.** Valid while the task is not done: it keeps itself until every root is. So a thread
//!    that is no worker takes a count on the shared *before* it pushes a task it has scheduled (the
//!    task cannot run, let alone be done, before that push).
//! 5. **Record.** Valid while the task is not done, or still linked: the service's node, above it or
//!    itself, counts it, and gives the count up when it is done and unlinked. The cold data of a
//!    service's node is part of its record, so this rule is its own, too.
//! 6. **Provenance.** Every pointer to a slot derives from its page's allocation, never from a
//!    reference; no `&mut` ever covers the header.
#![allow(unsafe_code)]

mod joined;
mod raw;
mod waker;

pub(crate) use joined::Joined;
pub(crate) use raw::{Birth, Extras, Fallible, Plain, Polled, allocate, fits};

use super::cold::Cold;
use super::current;
use super::shared::Shared;
use super::state::State;
use crate::arena::counted::Counted;
use crate::arena::{ARENA, SlotIndex};
use crate::error::JoinError;
use crate::id::TaskId;
use crate::panics::quietly;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Arc, ByteLock, Life, UnsafeCell};
use crate::task::record::Record;
use crate::wait_list::KeptWaker;
use raw::{STAGE_EMPTY, STAGE_FUTURE, STAGE_VALUE, VTable};
use std::mem::{ManuallyDrop, size_of};
use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::{Context, Waker};
use waker::WAKER;
pub(crate) use waker::is_tasks_own;

/// What a task is, fixed at its birth.
pub(crate) mod kind {
    pub(crate) const SERVICE: u8 = 1;
    pub(crate) const DAEMON: u8 = 2;
    /// Counted, limited, its failure is its service's.
    pub(crate) const SUPERVISED: u8 = 4;
    /// It or a task above it has a grace period set.
    pub(crate) const GRACE: u8 = 8;
    /// Parent of roots.
    pub(crate) const SENTINEL: u8 = 16;
}

/// The fixed part of a task.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) state: State,
    vtable: &'static VTable,
    join_waker: UnsafeCell<Option<KeptWaker>>,
    /// Immutable once linked.
    pub(crate) parent: AtomicU32,
    /// Guarded by this task's lock.
    pub(crate) first: AtomicU32,
    /// Guarded by the parent's lock.
    pub(crate) next: AtomicU32,
    pub(crate) prev: AtomicU32,
    id: TaskId,
    shared: *const Shared,
    location: &'static Location<'static>,
    /// Odd: a cold data (a service's own record's, or a `Box<Cold>`); else a borrowed
    /// `*const Record`, or null.
    cold: AtomicPtr<u8>,
    /// Written by whoever polls.
    pub(crate) polls: AtomicU64,
    pub(crate) birth_ms: u32,
    /// Supervised children linked here; guarded by this task's lock.
    pub(crate) supervised: AtomicU32,
    pub(crate) lock: ByteLock,
    pub(crate) kind: u8,
    stage: AtomicU8,
    /// Its parent was being cancelled before its end, so that this may be a part of that.
    pub(crate) swept: AtomicBool,
    pub(crate) index: SlotIndex,
    life: Life,
}

const _: () = assert!(cfg!(taskgrove_loom) || size_of::<Header>() == 104);

#[cfg(taskgrove_loom)]
// SAFETY: there is no data in it; loom checks the accesses.
unsafe impl Sync for Life {}

/// A task, by address. Counts nothing: see rule 1 for when it may be used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(NonNull<Header>);

// SAFETY: what a header allows to any thread is atomic or under a lock; stage and join waker have
// one owner at a time (rules 2, 3), and futures, values and wakers are `Send`.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Deref for Node {
    type Target = Header;

    #[inline(always)]
    fn deref(&self) -> &Header {
        // SAFETY: rule 1.
        let header = unsafe { self.0.as_ref() };
        header.life.used();
        header
    }
}

impl Node {
    pub(crate) fn address(self) -> NonNull<Header> {
        self.0
    }

    /// The inverse of [`Node::address`], under the same rule.
    pub(crate) fn from_address(address: NonNull<Header>) -> Node {
        Node(address)
    }

    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    pub(crate) fn location(&self) -> &'static Location<'static> {
        self.location
    }

    pub(crate) fn is(&self, kind: u8) -> bool {
        self.kind & kind != 0
    }

    pub(crate) fn type_name(&self) -> &'static str {
        (self.vtable.name)()
    }

    /// The runtime; only while the task is not done (rule 4).
    #[inline]
    pub(crate) fn shared(&self) -> &Shared {
        // SAFETY: rule 4.
        let shared = unsafe { &*self.shared };
        shared.life.used();
        shared
    }

    /// The runtime's address, also when the task is done.
    pub(crate) fn shared_ptr(&self) -> *const Shared {
        self.shared
    }

    /// A count on the runtime; only while the task is not done.
    pub(crate) fn shared_arc(&self) -> Arc<Shared> {
        // SAFETY: rule 4; every shared lives in an `Arc`, and the pointer came from one.
        unsafe {
            Arc::increment_strong_count(self.shared);
            Arc::from_raw(self.shared)
        }
    }

    /// The record of the service it belongs to; only while the task is not done (rule 5).
    pub(crate) fn record(&self) -> Option<&Record> {
        // SAFETY: rule 5.
        unsafe { self.record_ptr().as_ref() }
    }

    #[inline]
    pub(crate) fn record_ptr(&self) -> *const Record {
        // One load: another thread may be making the cold data.
        let cold = self.cold.load(Ordering::Acquire);
        match Self::cold_behind(cold) {
            Some(cold) => cold.record(),
            None => cold.cast(),
        }
    }

    #[inline]
    pub(crate) fn cold(&self) -> Option<&Cold> {
        Self::cold_behind(self.cold.load(Ordering::Acquire))
    }

    #[inline]
    fn cold_behind<'a>(cold: *mut u8) -> Option<&'a Cold> {
        // SAFETY: an odd pointer is to a cold data: a `Box`, which stays until the slot is freed,
        // or part of a service's record (rule 5); the callers bind the lifetime to the task's.
        (cold.addr() & 1 == 1).then(|| unsafe { &*cold.map_addr(|a| a & !1).cast::<Cold>() })
    }

    /// The cold data, made if there is none. Not under a lock: it allocates.
    pub(crate) fn cold_or_new(&self) -> &Cold {
        loop {
            if let Some(cold) = self.cold() {
                return cold;
            }
            let plain = self.cold.load(Ordering::Acquire);
            if plain.addr() & 1 == 1 {
                continue;
            }
            let made = Box::into_raw(Box::new(Cold::new(plain.cast())));
            let tagged = made.map_addr(|a| a | 1).cast();
            let swapped =
                self.cold
                    .compare_exchange(plain, tagged, Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_err() {
                // SAFETY: made above, never published.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }

    /// Polls the future. Only by whoever moved the task to `Running`.
    #[inline]
    pub(crate) fn poll(self) -> Polled {
        let waker = ManuallyDrop::new(self.borrowed_waker());
        // SAFETY: rules 1 and 2.
        unsafe { (self.vtable.poll)(self.0, &mut Context::from_waker(&waker)) }
    }

    /// Runs `f` with this task's waker.
    pub(crate) fn with_waker<R>(self, f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let waker = ManuallyDrop::new(self.borrowed_waker());
        f(&mut Context::from_waker(&waker))
    }

    #[inline]
    fn borrowed_waker(self) -> Waker {
        // SAFETY: the vtable keeps the waker contract; this one is not counted, and not dropped.
        unsafe { Waker::new(self.0.as_ptr().cast(), &WAKER) }
    }

    /// Drops the future, if it is there. Panics as its drop does. Only by whoever owns the stage.
    pub(crate) fn drop_future(self) {
        // SAFETY: rules 1 and 2.
        unsafe { (self.vtable.drop_future)(self.0) }
    }

    /// Makes `error` the outcome, instead of any other. Only by whoever owns the stage.
    pub(crate) fn store_error(self, error: JoinError) {
        self.drop_output();
        // SAFETY: rules 1 and 2.
        unsafe { (self.vtable.store_error)(self.0, error) }
    }

    /// Whether the future has ended, or is being dropped. By whoever owns the stage.
    #[inline]
    pub(crate) fn is_future_gone(self) -> bool {
        self.stage.load(Ordering::Relaxed) != STAGE_FUTURE
    }

    /// Whether there is an outcome in the slot that has to be dropped; only by who owns the stage.
    #[inline]
    pub(crate) fn has_output(self) -> bool {
        match self.stage.load(Ordering::Relaxed) {
            STAGE_EMPTY => false,
            STAGE_VALUE => self.vtable.value_needs_drop,
            _ => true,
        }
    }

    /// Drops the outcome; a panic in there is swallowed.
    #[inline]
    pub(crate) fn drop_output(self) {
        if !self.has_output() {
            return;
        }
        // SAFETY: rules 1 and 2.
        quietly(|| unsafe { (self.vtable.drop_output)(self.0) });
    }

    /// Takes the join waker. Only by the finisher, and only if it was set.
    pub(crate) fn take_join_waker(self) -> Option<KeptWaker> {
        // SAFETY: rule 3.
        self.join_waker.with_mut(|waker| unsafe { (*waker).take() })
    }

    pub(crate) fn retain(self) -> TaskRef {
        self.state.retain();
        TaskRef(self)
    }

    /// Gives a reference back.
    #[inline]
    pub(crate) fn release_reference(self) {
        if self.state.drop_reference() {
            self.free();
        }
    }

    /// Gives the task's own reference back: it is done and unlinked, or was never linked. With it a
    /// service's node gives the record up, and the cold data that is part of it.
    #[inline]
    pub(crate) fn release_own(self) {
        if self.is(kind::SERVICE) {
            self.give_record_up();
        }
        self.release_reference();
    }

    fn give_record_up(self) {
        // SAFETY: rule 5; the pointer is the count that came with `Extras::Own`.
        let record = unsafe { Counted::from_raw(self.record_ptr()) };
        quietly(|| drop(record));
    }

    fn free(self) {
        if self.cold.load(Ordering::Acquire).addr() & 1 == 1 {
            self.free_side();
        }
        let index = self.index;
        self.life.end();
        // SAFETY: the last reference is gone (rule 1). The header's fields need no drop: the join
        // waker was taken by whoever it belonged to last. The stage is empty, or a value without a
        // drop.
        unsafe { ARENA.free(index) }
    }

    /// Unless it is part of a service's record.
    #[inline(never)]
    fn free_side(self) {
        if !self.is(kind::SERVICE) {
            let cold = self.cold.load(Ordering::Acquire).map_addr(|a| a & !1);
            // SAFETY: the last reference is gone, so nobody reads the cold data any more.
            let cold = unsafe { Box::from_raw(cold.cast::<Cold>()) };
            quietly(|| drop(cold));
        }
    }

    /// Puts a task that has just been scheduled into a queue of its runtime.
    #[inline]
    pub(crate) fn submit(self) {
        let shared = self.shared();
        if current::on_worker_of(shared) {
            shared.schedule().push(self);
        } else {
            self.submit_from_outside();
        }
    }

    #[inline(never)]
    fn submit_from_outside(self) {
        self.shared_arc().schedule().push(self);
    }

    /// Lets `f` use the runtime, also when the task may be done before `f` returns (rule 4).
    #[inline]
    pub(crate) fn with_shared<R>(self, f: impl FnOnce(&Shared) -> R) -> R {
        let shared = self.shared();
        if current::on_worker_of(shared) {
            f(shared)
        } else {
            f(&self.shared_arc())
        }
    }
}

/// A counted reference.
pub(crate) struct TaskRef(Node);

impl TaskRef {
    /// A parent of roots.
    pub(crate) fn sentinel(shared: &Arc<Shared>) -> TaskRef {
        let (id, _) = shared.id_block(1);
        let birth = Birth {
            shared,
            shared_ptr: Arc::as_ptr(shared),
            id,
            kind: kind::SENTINEL,
            location: Location::caller(),
            extras: Extras::None(std::ptr::null()),
        };
        let (node, joined) = allocate::<_, Plain, ()>(birth, std::future::pending::<()>());
        std::mem::forget(joined);
        node.drop_future();
        // SAFETY: nobody else knows the slot yet.
        unsafe { (&raw mut (*node.0.as_ptr()).state).write(State::sentinel()) };
        node.retain()
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        self.0.retain()
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        self.0.release_reference();
    }
}

impl Deref for TaskRef {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}
