//! What the calling thread is doing: which runtime it is in, which task it runs, and inside which
//! scope of protection.

use super::awaited::{self, Awaited};
use super::cell::Node;
use super::hub::Hub;
use super::requests::Seen;
use super::scope::{Body, Scope, Turn};
use crate::id::TaskId;
use crate::sync::Arc;
#[cfg(taskgrove_loom)]
use crate::sync::CellKey as _;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::num::NonZeroU64;
use std::panic::Location;
use std::task::{Context, Poll};

/// Own awaits that may be ready in one poll: then they suspend once, so that a loop over awaits
/// that are always ready lets others run (and the cancellation that is to end it).
const READY_IN_POLL: u32 = 128;
const UNLIMITED: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum ScopeKind {
    /// The task's own code.
    Root,
    /// Inside a shield or a cleanup: the turn is not seen.
    Hard,
    /// Inside the body of a `finally` or a `background_service`.
    Body,
}

/// What code the thread runs.
#[derive(Clone, Copy)]
struct Current {
    node: Option<Node>,
    /// The requests for cancellation that there were when this poll began.
    epoch: Seen,
    /// Own awaits that may still be ready in this poll.
    budget: u32,
    kind: ScopeKind,
    /// Whether protection was entered since this poll began.
    protected: bool,
    /// Whether the task was woken by the code it runs.
    woken: bool,
}

impl Current {
    const NOTHING: Current = Current {
        node: None,
        epoch: Seen::NONE,
        budget: UNLIMITED,
        kind: ScopeKind::Root,
        protected: false,
        woken: false,
    };

    fn of(node: Option<Node>) -> Current {
        Current {
            node,
            epoch: node.map_or(Seen::NONE, |node| node.hub().requests.look()),
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
type Lent<T> = ManuallyDrop<RefCell<T>>;

crate::sync::thread_local! {
    static HUB: Lent<Option<Arc<Hub>>> = const { Lent::new(RefCell::new(None)) };
    static BODY: Lent<Option<Arc<Body>>> = const { Lent::new(RefCell::new(None)) };
    /// Runtimes whose worker this thread is besides, further out.
    static OUTER_WORKERS: Lent<Vec<u64>> = const { Lent::new(RefCell::new(Vec::new())) };
}

#[inline]
fn change<R>(f: impl FnOnce(&mut Current) -> R) -> R {
    let mut current = CURRENT.get();
    let result = f(&mut current);
    CURRENT.set(current);
    result
}

/// The task whose poll, or whose future's drop, the calling code is in.
#[inline]
pub(crate) fn node() -> Option<Node> {
    CURRENT.get().node
}

/// The runtime the calling thread is in.
pub(crate) fn hub() -> Option<Arc<Hub>> {
    match node() {
        Some(node) => Some(node.hub_arc()),
        None => HUB.with(|hub| hub.borrow().clone()),
    }
}

/// The calling code is told of a task's panic.
#[cold]
pub(crate) fn heard(id: TaskId, location: &'static Location<'static>) {
    if let Some(hub) = hub() {
        hub.schedule().heard(id, location);
    }
}

/// The requests for cancellation that there were when this poll began.
pub(crate) fn epoch() -> Seen {
    CURRENT.get().epoch
}

/// Whether protection was entered since this poll began.
pub(crate) fn protected_in_poll() -> bool {
    CURRENT.get().protected
}

#[inline]
pub(crate) fn on_worker_of(hub: &Hub) -> bool {
    WORKER.get().0 == hub.serial
}

/// Whether this thread is a worker of that runtime, maybe while it is another's as well.
pub(crate) fn is_worker_of(hub: &Hub) -> bool {
    on_worker_of(hub) || OUTER_WORKERS.with(|outer| outer.borrow().contains(&hub.serial))
}

/// The number of the worker this thread is, for the runtime with this serial number.
#[inline]
pub(crate) fn worker(serial: u64) -> Option<usize> {
    let (of, index) = WORKER.get();
    (of == serial).then_some(index)
}

/// A new id, from this thread's block.
#[inline]
pub(crate) fn next_id(hub: &Hub) -> TaskId {
    let (serial, next, end) = IDS.get();
    if serial == hub.serial && next < end {
        IDS.set((serial, next + 1, end));
        return TaskId::from_raw(NonZeroU64::new(next).expect("counting from 1"));
    }
    draw_ids(hub)
}

#[cold]
fn draw_ids(hub: &Hub) -> TaskId {
    let size = hub.schedule().id_block();
    let (first, end) = hub.id_block(size);
    if size > 1 {
        IDS.set((hub.serial, first.get() + 1, end));
    }
    first
}

/// Until dropped, the thread is inside a runtime, as worker or in `block_on`.
pub(crate) struct InRuntime {
    hub: Option<Arc<Hub>>,
    worker: (u64, usize),
    current: Current,
    /// A worker that has become another runtime's, too.
    nested: bool,
}

impl InRuntime {
    pub(crate) fn enter(hub: Arc<Hub>, worker: Option<usize>) -> Self {
        let serial = hub.serial;
        let outer = InRuntime {
            worker: WORKER.get(),
            current: CURRENT.replace(Current::NOTHING),
            hub: HUB.with(|h| h.replace(Some(hub))),
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
        let left = HUB.with(|h| h.replace(self.hub.take()));
        drop(left);
    }
}

/// Until dropped, the thread runs this task (or, for `None`, code that belongs to none).
pub(crate) struct InTask(Current);

impl InTask {
    #[inline]
    pub(crate) fn enter(node: Option<Node>) -> Self {
        InTask(CURRENT.replace(Current::of(node)))
    }
}

impl Drop for InTask {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Runs `f` as code that belongs to no task.
pub(crate) fn outside_tasks<R>(f: impl FnOnce() -> R) -> R {
    let _in_task = InTask::enter(None);
    f()
}

/// One poll of an await of the crate's own: it suspends when the calling code's time is over, and
/// once in a while when it has been ready too often in one poll. `awaited` says what it waits for.
#[inline]
pub(crate) fn poll_own<T>(
    cx: &mut Context<'_>,
    awaited: impl FnOnce() -> Option<Awaited>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if is_suspended() {
        return Poll::Pending;
    }
    let budget = CURRENT.get().budget;
    if budget == 0 {
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    let polled = poll(cx);
    if polled.is_pending() {
        awaited::note(awaited);
    } else if budget != UNLIMITED {
        change(|current| current.budget = budget - 1);
    }
    polled
}

/// Runs `f` as code of a cleanup: the turn is not seen in there.
pub(crate) fn hard<R>(f: impl FnOnce() -> R) -> R {
    let _restore = RestoreKind::replace(ScopeKind::Hard);
    f()
}

struct RestoreKind(ScopeKind);

impl RestoreKind {
    fn replace(kind: ScopeKind) -> Self {
        change(|current| RestoreKind(std::mem::replace(&mut current.kind, kind)))
    }
}

impl Drop for RestoreKind {
    fn drop(&mut self) {
        change(|current| current.kind = self.0);
    }
}

/// Runs `f` inside a body.
pub(crate) fn in_body<R>(body: &Arc<Body>, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<Body>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let outer = self.0.take();
            drop(BODY.with(|b| b.replace(outer)));
        }
    }
    let _kind = RestoreKind::replace(ScopeKind::Body);
    let _body = Restore(BODY.with(|b| b.replace(Some(body.clone()))));
    f()
}

/// The scope the calling code is in.
pub(crate) fn scope() -> Scope {
    let Current { node, kind, .. } = CURRENT.get();
    match (node, kind) {
        (_, ScopeKind::Hard) => Scope::Hard,
        (_, ScopeKind::Body) => match body() {
            Some(body) => Scope::Body(body),
            None => Scope::Hard,
        },
        (Some(node), ScopeKind::Root) => Scope::Root(node.retain()),
        (None, ScopeKind::Root) => Scope::Outside,
    }
}

/// The innermost body.
fn body() -> Option<Arc<Body>> {
    BODY.with(|body| body.borrow().clone())
}

/// Whether the calling code is in this scope.
pub(crate) fn is_in(scope: &Scope) -> bool {
    let current = CURRENT.get();
    match scope {
        Scope::Outside => current.node.is_none() && current.kind == ScopeKind::Root,
        Scope::Hard => current.kind == ScopeKind::Hard,
        Scope::Root(node) => current.node == Some(**node) && current.kind == ScopeKind::Root,
        Scope::Body(of) => {
            current.kind == ScopeKind::Body && body().is_some_and(|body| Arc::ptr_eq(&body, of))
        }
    }
}

/// Notes that protection was entered in this poll.
pub(crate) fn note_protection() {
    change(|current| current.protected = true);
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
    CURRENT.get().woken
}

/// Whether the calling code's time is over: its task's turn has come (or its body's end), and no
/// protection is active around or beside it. An await that asks suspends then, for good.
#[inline]
fn is_suspended() -> bool {
    let Current { node, kind, .. } = CURRENT.get();
    match (node, kind) {
        (Some(node), ScopeKind::Root) => node.state.load().is_turn() && is_dropped_now(node),
        (None, ScopeKind::Root) | (_, ScopeKind::Hard) => false,
        (_, ScopeKind::Body) => is_body_over(),
    }
}

#[cold]
fn is_body_over() -> bool {
    body().is_some_and(|body| body.turn() != Turn::No && !body.is_protected())
}

#[cold]
fn is_dropped_now(node: Node) -> bool {
    node.state.load().is_killed() || !node.side().is_some_and(|side| side.is_protected())
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
