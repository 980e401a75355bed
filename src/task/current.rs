//! What the calling thread is doing: which runtime it is in and which task it runs. Inside which
//! scope of protection that is, [`crate::protect::place`] knows.

use super::cell::Node;
use super::requests::Seen;
use super::shared::Shared;
use super::state::Snapshot;
use crate::id::TaskId;
use crate::sync::Arc;
#[cfg(taskgrove_loom)]
use crate::sync::CellKey as _;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::num::NonZeroU64;
use std::panic::Location;

pub(crate) mod code;
pub(crate) mod view;

use code::{Ended, PlaceKind, READY_IN_POLL, Stalls, UNLIMITED};

/// What code the thread runs.
#[derive(Clone, Copy)]
pub(crate) struct Current {
    pub(crate) node: Option<Node>,
    /// See [`view::View`].
    word: Snapshot,
    requests: Seen,
    /// Own awaits that may still be ready in this poll.
    pub(crate) budget: u32,
    pub(crate) place: PlaceKind,
    /// See [`view::View`].
    ended: Ended,
    /// Whether the task was woken by the code it runs.
    woken: bool,
    pub(crate) stalls: Stalls,
}

// Each poll copies it in and out.
const _: () = assert!(cfg!(taskgrove_loom) || size_of::<Current>() <= 32);

impl Current {
    const NOTHING: Current = Current {
        node: None,
        word: Snapshot::NONE,
        requests: Seen::NONE,
        budget: UNLIMITED,
        place: PlaceKind::Root,
        ended: Ended::NOTHING,
        woken: false,
        stalls: Stalls::NONE,
    };

    #[inline]
    fn of(node: Option<Node>, word: Snapshot) -> Current {
        Current {
            node,
            word,
            requests: node.map_or(Seen::NONE, |node| node.shared().requests.look()),
            budget: READY_IN_POLL,
            ..Current::NOTHING
        }
    }
}

crate::sync::thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(Current::NOTHING) };
    static WORKER: Cell<(u64, usize)> = const { Cell::new((0, 0)) };
    static IDS: Cell<(u64, u64, u64)> = const { Cell::new((0, 0, 0)) };
}

/// Has no destructor: guards put a value in, and what was there back.
pub(crate) type Lent<T> = ManuallyDrop<RefCell<T>>;

crate::sync::thread_local! {
    static SHARED: Lent<Option<Arc<Shared>>> = const { Lent::new(RefCell::new(None)) };
    /// Runtimes whose worker this thread is besides, further out.
    static OUTER_WORKERS: Lent<Vec<u64>> = const { Lent::new(RefCell::new(Vec::new())) };
}

/// What the thread runs. The key's own `get` and `replace` return a result on their way, of which the
/// compiler does not see that it is none of the values that mean an error; here nothing is looked at.
#[inline]
pub(crate) fn current() -> Current {
    let mut current = Current::NOTHING;
    CURRENT.with(|cell| current = cell.get());
    current
}

#[inline]
fn replace(with: Current) -> Current {
    let mut before = Current::NOTHING;
    CURRENT.with(|cell| before = cell.replace(with));
    before
}

#[inline]
pub(crate) fn change<R>(f: impl FnOnce(&mut Current) -> R) -> R {
    let mut current = self::current();
    let result = f(&mut current);
    CURRENT.set(current);
    result
}

/// The task whose poll, or whose future's drop, the calling code is in.
#[inline]
pub(crate) fn node() -> Option<Node> {
    current().node
}

/// The runtime the calling thread is in.
pub(crate) fn shared() -> Option<Arc<Shared>> {
    match node() {
        Some(node) => Some(node.shared_arc()),
        None => SHARED.with(|shared| shared.borrow().clone()),
    }
}

/// The calling code is told of a task's panic.
#[cold]
pub(crate) fn heard(id: TaskId, location: &'static Location<'static>) {
    if let Some(shared) = shared() {
        shared.schedule().heard(id, location);
    }
}

#[inline]
pub(crate) fn on_worker_of(shared: &Shared) -> bool {
    WORKER.get().0 == shared.serial
}

/// Whether this thread is a worker of that runtime, maybe while it is another's as well.
pub(crate) fn is_worker_of(shared: &Shared) -> bool {
    on_worker_of(shared) || OUTER_WORKERS.with(|outer| outer.borrow().contains(&shared.serial))
}

/// The number of the worker this thread is, for the runtime with this serial number.
#[inline]
pub(crate) fn worker(serial: u64) -> Option<usize> {
    let (of, index) = WORKER.get();
    (of == serial).then_some(index)
}

/// A new id, from this thread's block.
#[inline]
pub(crate) fn next_id(shared: &Shared) -> TaskId {
    let (serial, next, end) = IDS.get();
    if serial == shared.serial && next < end {
        IDS.set((serial, next + 1, end));
        return TaskId::from_raw(NonZeroU64::new(next).expect("counting from 1"));
    }
    draw_ids(shared)
}

#[cold]
fn draw_ids(shared: &Shared) -> TaskId {
    let size = shared.schedule().id_block();
    let (first, end) = shared.id_block(size);
    if size > 1 {
        IDS.set((shared.serial, first.get() + 1, end));
    }
    first
}

/// Until dropped, the thread is inside a runtime, as worker or in `block_on`.
pub(crate) struct InRuntime {
    shared: Option<Arc<Shared>>,
    worker: (u64, usize),
    current: Current,
    /// A worker that has become another runtime's, too.
    nested: bool,
}

impl InRuntime {
    pub(crate) fn enter(shared: Arc<Shared>, worker: Option<usize>) -> Self {
        let serial = shared.serial;
        let outer = InRuntime {
            worker: WORKER.get(),
            current: replace(Current::NOTHING),
            shared: SHARED.with(|h| h.replace(Some(shared))),
            nested: worker.is_some() && WORKER.get().0 != 0,
        };
        if outer.nested {
            OUTER_WORKERS.with(|o| o.borrow_mut().push(outer.worker.0));
        }
        if let Some(index) = worker {
            WORKER.set((serial, index));
        }
        outer
    }
}

impl Drop for InRuntime {
    fn drop(&mut self) {
        if self.nested {
            OUTER_WORKERS.with(|outer| {
                let mut outer = outer.borrow_mut();
                outer.pop();
                if outer.is_empty() {
                    // Nobody would free it.
                    *outer = Vec::new();
                }
            });
        }
        WORKER.set(self.worker);
        CURRENT.set(self.current);
        let left = SHARED.with(|h| h.replace(self.shared.take()));
        drop(left);
    }
}

/// Until dropped, the thread is no worker: what it wakes goes where every worker looks. No code of the
/// user's may run meanwhile.
pub(crate) struct Elsewhere((u64, usize));

impl Elsewhere {
    pub(crate) fn pretend() -> Self {
        Elsewhere(WORKER.replace((0, 0)))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        WORKER.set(self.0);
    }
}

/// Until dropped, the thread runs this task (or, for `None`, code that belongs to none).
pub(crate) struct InTask(Current);

impl InTask {
    #[inline]
    pub(crate) fn enter(node: Option<Node>) -> Self {
        InTask(replace(Current::of(node, Snapshot::NONE)))
    }
}

impl Drop for InTask {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Until dropped, the thread polls this task, or drops its future. In between it runs none.
pub(crate) struct Running(());

impl Running {
    /// A poll begins with this word of the task's.
    #[inline]
    pub(crate) fn begin(node: Node, word: Snapshot) -> Self {
        debug_assert!(self::node().is_none() && current().place == PlaceKind::Root);
        CURRENT.set(Current::of(Some(node), word));
        Running(())
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(Current::NOTHING);
    }
}

/// Runs `f` as code that belongs to no task.
pub(crate) fn outside_tasks<R>(f: impl FnOnce() -> R) -> R {
    let _in_task = InTask::enter(None);
    f()
}

/// If the calling code is the task's own, notes that it wants another poll: what a wake would do to
/// the state word is left to the step that ends this poll.
#[inline]
pub(crate) fn note_wake(node: Node) -> bool {
    let own = self::node() == Some(node);
    if own {
        change(|current| current.woken = true);
    }
    own
}

/// Whether the calling code has woken its own task.
#[inline]
pub(crate) fn was_woken() -> bool {
    current().woken
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use crate::Runtime;

    #[test]
    fn each_thread_draws_ids_of_its_own() {
        let rt = Runtime::builder().workers(0).build().expect("a runtime");
        let spawned = || rt.spawn(std::future::pending::<()>()).id();
        let (first, other, second) = (
            spawned(),
            std::thread::scope(|s| s.spawn(spawned).join()).expect("no panic"),
            spawned(),
        );
        assert!(first < second && second < other, "{first} {second} {other}");
    }
}
