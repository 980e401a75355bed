//! A task in its slot: header, future or output, raw waker.
//!
//! Field rules (the SAFETY comments name them):
//!
//! 1. **Slot.** A slot is valid while its task is referenced: by itself until it is done and
//!    unlinked, by each handle, waker and [`NodeRef`]. A [`Node`] counts nothing; whoever uses one
//!    is covered by one of these: it runs or has claimed the task, keeps it or a task below it from
//!    being done, holds the lock of the list it is linked in, or has a reference besides.
//! 2. **Stage.** Future and output belong to whom the table in [`super::state`] names. `stage`
//!    says what is there and is written by the same owner; the state word's read-modify-writes
//!    hand it on.
//! 3. **Join waker.** Belongs to the handle while `JOIN_WAKER` is clear and the task is not done,
//!    to the finisher that made the task done with it set.
//! 4. **Hub.** Valid while the task is not done: workers stay until every root is done. So a thread
//!    that is no worker takes a count on the hub *before* it pushes a task it has scheduled (the
//!    task cannot run, let alone be done, before that push).
//! 5. **Record.** Valid while the task is not done: the service's node, above it or itself, owns it.
//! 6. **Provenance.** Every pointer to a slot derives from its page's allocation, never from a
//!    reference; no `&mut` ever covers the header.
#![allow(unsafe_code)]

use super::current;
use super::hub::Hub;
use super::side::Side;
use super::state::{Action, State};
use crate::arena::{ARENA, MAX_SLOT, SlotIndex};
use crate::error::{BoxError, JoinError};
use crate::id::TaskId;
use crate::record::Record;
use crate::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Arc, Life, Mutex, UnsafeCell};
use crate::wait::{discard, quietly};
use std::any::Any;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, offset_of, size_of};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

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

const STAGE_EMPTY: u8 = 0;
const STAGE_FUTURE: u8 = 1;
const STAGE_VALUE: u8 = 2;
const STAGE_ERROR: u8 = 3;

/// The fixed part of a task.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) state: State,
    vtable: &'static VTable,
    join_waker: UnsafeCell<Option<Waker>>,
    /// Immutable once linked.
    pub(crate) parent: AtomicU32,
    /// Guarded by this task's lock.
    pub(crate) first: AtomicU32,
    /// Guarded by the parent's lock.
    pub(crate) next: AtomicU32,
    pub(crate) prev: AtomicU32,
    id: TaskId,
    hub: *const Hub,
    location: &'static Location<'static>,
    /// Odd: a `Box<Side>`; else a borrowed `*const Record`, or null.
    side: AtomicPtr<u8>,
    /// Written by whoever polls.
    pub(crate) polls: AtomicU64,
    pub(crate) birth_ms: u32,
    /// Supervised children linked here; guarded by this task's lock.
    pub(crate) supervised: AtomicU32,
    pub(crate) lock: Mutex<()>,
    pub(crate) kind: u8,
    stage: AtomicU8,
    pub(crate) index: SlotIndex,
    life: Life,
}

const _: () = assert!(cfg!(taskgrove_loom) || size_of::<Header>() == 104);

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

struct VTable {
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Polled,
    drop_future: unsafe fn(NonNull<Header>),
    store_error: unsafe fn(NonNull<Header>, JoinError),
    drop_output: unsafe fn(NonNull<Header>),
    /// Writes an `Option<Result<T, JoinError>>`.
    read_output: unsafe fn(NonNull<Header>, *mut ()),
    free: unsafe fn(NonNull<Header>),
    name: fn() -> &'static str,
}

union Stage<F, T> {
    future: ManuallyDrop<F>,
    value: ManuallyDrop<T>,
    error: ManuallyDrop<JoinError>,
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
        free: Self::free,
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
                STAGE_ERROR => Some(Err(ManuallyDrop::take(&mut (*stage).error))),
                _ => None,
            };
        }
    }

    unsafe fn free(task: NonNull<Header>) {
        if Self::BOXED {
            // SAFETY: the last reference is gone, and with it future and output; the box was
            // made in `allocate`. A union drops nothing.
            drop(unsafe { Box::from_raw(Self::stage(task)) });
        }
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
    /// Null, or the record of the service it belongs to (rule 5).
    pub(crate) record: *const Record,
    pub(crate) side: Option<Box<Side>>,
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
    let side = match birth.side {
        Some(side) => Box::into_raw(side).map_addr(|a| a | 1).cast(),
        None => birth.record.cast_mut().cast(),
    };
    let header = Header {
        state: State::scheduled(),
        vtable: const { &Raw::<F, O, N>::VTABLE },
        join_waker: UnsafeCell::new(None),
        parent: AtomicU32::new(0),
        first: AtomicU32::new(0),
        next: AtomicU32::new(0),
        prev: AtomicU32::new(0),
        id: birth.id,
        hub: birth.hub_ptr,
        location: birth.location,
        side: AtomicPtr::new(side),
        polls: AtomicU64::new(0),
        birth_ms: birth.hub.coarse_now(),
        supervised: AtomicU32::new(0),
        lock: Mutex::new(()),
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
    (node, Joined(node, PhantomData))
}

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

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.id, self.state)
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
    pub(crate) fn hub(&self) -> &Hub {
        // SAFETY: rule 4.
        let hub = unsafe { &*self.hub };
        hub.life.used();
        hub
    }

    /// The runtime's address, also when the task is done.
    pub(crate) fn hub_ptr(&self) -> *const Hub {
        self.hub
    }

    /// A count on the runtime; only while the task is not done.
    pub(crate) fn hub_arc(&self) -> Arc<Hub> {
        // SAFETY: rule 4; every hub lives in an `Arc`, and the pointer came from one.
        unsafe {
            Arc::increment_strong_count(self.hub);
            Arc::from_raw(self.hub)
        }
    }

    /// The record of the service it belongs to; only while the task is not done (rule 5).
    pub(crate) fn record(&self) -> Option<&Record> {
        // SAFETY: rule 5.
        unsafe { self.record_ptr().as_ref() }
    }

    pub(crate) fn record_ptr(&self) -> *const Record {
        // One load: another thread may be making the side record.
        let side = self.side.load(Ordering::Acquire);
        match Self::side_behind(side) {
            Some(side) => side.record,
            None => side.cast(),
        }
    }

    #[inline]
    pub(crate) fn side(&self) -> Option<&Side> {
        Self::side_behind(self.side.load(Ordering::Acquire))
    }

    #[inline]
    fn side_behind<'a>(side: *mut u8) -> Option<&'a Side> {
        // SAFETY: an odd pointer is a `Box<Side>` and stays until the slot is freed; the callers
        // bind the lifetime to the task's.
        (side.addr() & 1 == 1).then(|| unsafe { &*side.map_addr(|a| a & !1).cast::<Side>() })
    }

    /// The side record, made if there is none. Not under a lock: it allocates.
    pub(crate) fn side_or_new(&self) -> &Side {
        loop {
            if let Some(side) = self.side() {
                return side;
            }
            let plain = self.side.load(Ordering::Acquire);
            if plain.addr() & 1 == 1 {
                continue;
            }
            let made = Box::into_raw(Box::new(Side::new(plain.cast()))).map_addr(|a| a | 1);
            let swapped =
                self.side
                    .compare_exchange(plain, made.cast(), Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_err() {
                // SAFETY: made above, never published.
                drop(unsafe { Box::from_raw(made.map_addr(|a| a & !1)) });
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

    /// Whether there is an outcome in the slot; only by the finisher.
    pub(crate) fn has_output(self) -> bool {
        self.stage.load(Ordering::Relaxed) != STAGE_EMPTY
    }

    /// Drops the outcome; a panic in there is swallowed.
    pub(crate) fn drop_output(self) {
        if !self.has_output() {
            return;
        }
        // SAFETY: rules 1 and 2.
        quietly(|| unsafe { (self.vtable.drop_output)(self.0) });
    }

    /// Takes the join waker. Only by the finisher, and only if it was set.
    pub(crate) fn take_join_waker(self) -> Option<Waker> {
        // SAFETY: rule 3.
        self.join_waker.with_mut(|waker| unsafe { (*waker).take() })
    }

    pub(crate) fn retain(self) -> NodeRef {
        self.state.retain();
        NodeRef(self)
    }

    /// Gives a reference back.
    #[inline]
    pub(crate) fn release_reference(self) {
        if self.state.drop_reference() {
            self.free();
        }
    }

    fn free(self) {
        let side = self.side.load(Ordering::Acquire);
        if side.addr() & 1 == 1 {
            // SAFETY: the last reference is gone, so nobody reads the side record any more.
            let side = unsafe { Box::from_raw(side.map_addr(|a| a & !1).cast::<Side>()) };
            quietly(|| drop(side));
        }
        let (index, free) = (self.index, self.vtable.free);
        self.life.end();
        // SAFETY: the last reference is gone (rule 1). The header's fields need no drop: the join
        // waker was taken by whoever it belonged to last.
        unsafe {
            free(self.0);
            ARENA.free(index);
        }
    }

    /// Puts a task that has just been scheduled into a queue of its runtime.
    #[inline]
    pub(crate) fn submit(self) {
        self.with_hub(|hub| hub.schedule().push(self));
    }

    /// Lets `f` use the runtime, also when the task may be done before `f` returns (rule 4).
    #[inline]
    pub(crate) fn with_hub<R>(self, f: impl FnOnce(&Hub) -> R) -> R {
        let hub = self.hub();
        if current::on_worker_of(hub) {
            f(hub)
        } else {
            f(&self.hub_arc())
        }
    }

    /// Wakes the task, as its waker does.
    pub(crate) fn wake(self) {
        if self.state.wake() == Action::Submit {
            self.submit();
        }
    }
}

/// A counted reference.
pub(crate) struct NodeRef(Node);

impl NodeRef {
    /// A parent of roots.
    pub(crate) fn sentinel(hub: &Arc<Hub>) -> NodeRef {
        let (id, _) = hub.id_block(1);
        let birth = Birth {
            hub,
            hub_ptr: Arc::as_ptr(hub),
            id,
            kind: kind::SENTINEL,
            location: Location::caller(),
            record: std::ptr::null(),
            side: None,
        };
        let (node, joined) = allocate::<_, Plain, ()>(birth, std::future::pending::<()>());
        std::mem::forget(joined);
        node.drop_future();
        // SAFETY: nobody else knows the slot yet.
        unsafe { (&raw mut (*node.0.as_ptr()).state).write(State::sentinel()) };
        node.retain()
    }
}

impl Clone for NodeRef {
    fn clone(&self) -> Self {
        self.0.retain()
    }
}

impl Drop for NodeRef {
    fn drop(&mut self) {
        self.0.release_reference();
    }
}

impl Deref for NodeRef {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}

impl std::fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

static WAKER: RawWakerVTable =
    RawWakerVTable::new(waker_clone, waker_wake, waker_wake_by_ref, waker_drop);

unsafe fn waker_node(data: *const ()) -> Node {
    // SAFETY: a waker's data is a slot's address, and the waker is a reference (rule 1).
    Node(unsafe { NonNull::new_unchecked(data.cast_mut().cast()) })
}

unsafe fn waker_clone(data: *const ()) -> RawWaker {
    // SAFETY: as the waker's.
    unsafe { waker_node(data) }.state.retain();
    RawWaker::new(data, &WAKER)
}

unsafe fn waker_wake(data: *const ()) {
    // SAFETY: as the waker's; this one was counted.
    unsafe {
        waker_wake_by_ref(data);
        waker_drop(data);
    }
}

unsafe fn waker_wake_by_ref(data: *const ()) {
    // SAFETY: as the waker's.
    unsafe { waker_node(data) }.wake();
}

unsafe fn waker_drop(data: *const ()) {
    // SAFETY: as the waker's; this one was counted.
    unsafe { waker_node(data) }.release_reference();
}

/// The one handle of a task: its reference, and the right to its output.
pub(crate) struct Joined<T>(Node, PhantomData<fn() -> T>);

// SAFETY: shared, it only shows the header; owned, it can move out a `T` that was made elsewhere.
unsafe impl<T: Send> Send for Joined<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Joined<T> {}

impl<T> Joined<T> {
    pub(crate) fn node(&self) -> Node {
        self.0
    }

    pub(crate) fn node_ref(&self) -> &Node {
        &self.0
    }

    /// The output, once the task is done. Panics when polled again after that.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let state = self.0.state.load();
        if !state.is_done() && self.register(state.has_join_waker(), cx.waker()) {
            return Poll::Pending;
        }
        let mut output: Option<Result<T, JoinError>> = None;
        // SAFETY: the task is done, and the interest is ours (rule 2); the place has the type the
        // slot was written for, because `allocate` ties the two.
        unsafe { (self.0.vtable.read_output)(self.0.0, (&raw mut output).cast()) };
        Poll::Ready(output.expect("a task handle was polled after it had resolved"))
    }

    /// Leaves the waker for the finisher; `false` if the task is done.
    fn register(&self, set: bool, waker: &Waker) -> bool {
        if set && !self.0.state.unset_join_waker() {
            return false;
        }
        // The slot is the handle's now, until the flag is set again (rule 3).
        let fresh = match self.0.take_join_waker() {
            Some(old) if old.will_wake(waker) => old,
            old => {
                let fresh = waker.clone();
                quietly(|| drop(old));
                fresh
            }
        };
        // SAFETY: as above.
        self.0.join_waker.with_mut(|w| unsafe { *w = Some(fresh) });
        if self.0.state.set_join_waker() {
            return true;
        }
        self.take_waker();
        false
    }

    fn take_waker(&self) {
        let stale = self.0.take_join_waker();
        quietly(|| drop(stale));
    }
}

impl<T> Drop for Joined<T> {
    fn drop(&mut self) {
        match self.0.state.detach() {
            Ok(before) if before.has_join_waker() => self.take_waker(),
            Ok(_) => return,
            Err(_) => self.0.drop_output(),
        }
        self.0.release_reference();
    }
}
