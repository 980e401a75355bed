//! The state of the calling thread: which runtime it is in, which worker it is, and which task's code it runs.
//! [`crate::protect::place`] says which scope of protection that code is in.
#![allow(unsafe_code)]

use super::raw::header::{Borrowed, RawTask};
use super::raw::rights::{self, Lend, Live};
use super::requests::Seen;
use super::shared::Shared;
use super::state::Word;
use crate::id::TaskId;
use crate::sync::Arc;
#[cfg(taskgrove_loom)]
use crate::sync::CellKey as _;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::num::NonZeroU64;
use std::panic::Location;

pub(crate) mod closure;
pub(crate) mod code;
pub(crate) mod inside;
pub(crate) mod view;

use code::{Ended, PlaceKind, READY_IN_POLL, Stalls, UNLIMITED};

/// The task whose code the thread runs, and values of this poll.
#[derive(Clone, Copy)]
struct Fields {
    /// The task whose poll, or whose future's drop, the code is in. It is there, and counted by its
    /// parent, as long as it is here: [`run_as`] puts it in and takes it out.
    task: Option<RawTask>,
    /// See [`view::View`].
    word: Word,
    /// See [`view::View`]. Code that [`inside`] has put outside of its task has the number of that level here.
    requests: Seen,
    /// The number of the crate's own awaits that may still be ready in this poll.
    budget: u32,
    place: PlaceKind,
    /// See [`view::View`].
    ended: Ended,
    /// Whether the task was woken by the code it runs.
    woken: bool,
    stalls: Stalls,
}

// Each poll copies it in and out.
const _: () = assert!(cfg!(taskgrove_loom) || size_of::<Fields>() <= 32);

impl Fields {
    const NOTHING: Fields = Fields {
        task: None,
        word: Word::NONE,
        requests: Seen::NONE,
        budget: UNLIMITED,
        place: PlaceKind::Root,
        ended: Ended::NOTHING,
        woken: false,
        stalls: Stalls::NONE,
    };
}

/// A view of [`Fields`] for the length of a call of [`look`] or [`change`]. It cannot be copied, so that no
/// task in it outlives the call.
pub(crate) struct Current(Fields);

impl Current {
    /// The task that the code belongs to.
    #[inline]
    pub(crate) fn task(&self) -> Option<Live<'_>> {
        // SAFETY: the look is inside of `run_as`, whose caller has the task until that returns.
        self.0.task.map(|task| unsafe { Live::new(task) })
    }

    /// The number of the crate's own awaits that may still be ready in this poll.
    #[inline]
    pub(crate) fn budget(&mut self) -> &mut u32 {
        &mut self.0.budget
    }

    #[inline]
    pub(crate) fn has_budget(&self) -> bool {
        self.0.budget > 0
    }

    #[inline]
    pub(crate) fn place(&self) -> PlaceKind {
        self.0.place
    }

    /// Sets the place, and returns the one before.
    #[inline]
    pub(crate) fn set_place(&mut self, place: PlaceKind) -> PlaceKind {
        std::mem::replace(&mut self.0.place, place)
    }

    #[inline]
    pub(crate) fn stalls(&mut self) -> &mut Stalls {
        &mut self.0.stalls
    }

    /// Whether the poll does not end although the turn has come.
    #[inline]
    pub(crate) fn stalls_for_good(&self) -> bool {
        self.0.stalls.are_endless()
    }
}

crate::sync::thread_local! {
    static CURRENT: Cell<Fields> = const { Cell::new(Fields::NOTHING) };
    static WORKER: Cell<(u64, usize)> = const { Cell::new((0, 0)) };
    static IDS: Cell<(u64, u64, u64)> = const { Cell::new((0, 0, 0)) };
}

/// A thread-local value without a destructor: guards put a value in, and restore the one before.
pub(crate) type Lent<T> = ManuallyDrop<RefCell<T>>;

crate::sync::thread_local! {
    static SHARED: Lent<Option<Arc<Shared>>> = const { Lent::new(RefCell::new(None)) };
    /// The runtimes of which this thread is also a worker, in outer calls.
    static OUTER_WORKERS: Lent<Vec<u64>> = const { Lent::new(RefCell::new(Vec::new())) };
}

/// Returns the fields. The key's own `get` and `replace` go through a `Result` that the compiler does not
/// optimise away; this does not.
#[inline]
fn fields() -> Fields {
    let mut fields = Fields::NOTHING;
    CURRENT.with(|cell| fields = cell.get());
    fields
}

#[inline]
fn replace(with: Fields) -> Fields {
    let mut before = Fields::NOTHING;
    CURRENT.with(|cell| before = cell.replace(with));
    before
}

/// Calls `f` with the state of the calling code.
#[inline]
pub(crate) fn look<R>(f: impl FnOnce(&Current) -> R) -> R {
    f(&Current(fields()))
}

/// Calls `f` with the state of the calling code, and stores what it changes.
#[inline]
pub(crate) fn change<R>(f: impl FnOnce(&mut Current) -> R) -> R {
    let mut current = Current(fields());
    let result = f(&mut current);
    CURRENT.set(current.0);
    result
}

/// Calls `f` with the task whose poll, or whose future's drop, the calling code is in.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(Option<Live<'_>>) -> R) -> R {
    look(|current| f(current.task()))
}

/// Whether the calling code is the task's.
#[inline]
pub(crate) fn is(task: Borrowed<'_>) -> bool {
    fields().task == Some(task.raw())
}

/// The runtime the calling thread is in.
pub(crate) fn shared() -> Option<Arc<Shared>> {
    with(|task| match task {
        Some(task) => Some(task.shared_arc()),
        None => SHARED.with(|shared| shared.borrow().clone()),
    })
}

/// Calls `f` with the runtime the calling thread is in. `f` may not run code of the user's.
#[inline]
pub(crate) fn with_shared<R>(f: impl FnOnce(Option<&Shared>) -> R) -> R {
    with(|task| match task {
        Some(task) => f(Some(task.shared())),
        None => SHARED.with(|shared| f(shared.borrow().as_deref())),
    })
}

/// Tells the scheduler that the calling code has received a task's panic.
#[cold]
pub(crate) fn heard(id: TaskId, location: &'static Location<'static>) {
    if let Some(shared) = shared() {
        shared.schedule().heard(id, location);
    }
}

/// Whether the innermost runtime of which this thread is a worker is that one.
#[inline]
pub(crate) fn on_worker_of(shared: &Shared) -> bool {
    WORKER.get().0 == shared.serial
}

/// Whether this thread is a worker of that runtime, in an outer call or the innermost one.
pub(crate) fn is_worker_of(shared: &Shared) -> bool {
    on_worker_of(shared) || OUTER_WORKERS.with(|outer| outer.borrow().contains(&shared.serial))
}

/// The number of the worker this thread is, for the runtime with this serial number.
#[inline]
pub(crate) fn worker(serial: u64) -> Option<usize> {
    let (of, index) = WORKER.get();
    (of == serial).then_some(index)
}

/// The parent of root tasks that this thread spawns.
#[inline]
pub(crate) fn home(shared: &Shared) -> Live<'_> {
    shared.sentinel(worker(shared.serial))
}

/// Draws an id from this thread's block.
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

/// Until dropped, the thread counts as no worker: a task that it wakes goes to the injector. No user code may
/// run meanwhile.
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

/// The latest request, and the word of the running task.
#[inline]
fn requests_and_word(task: Live<'_>) -> (Seen, Word) {
    // The requests are read before the word. If one of them had marked what it covers by then,
    // the word that is read after that shows its mark.
    let requests = task.shared().requests.look();
    (requests, task.word())
}

/// Runs `f` as code of the task that the caller has the right to: its poll, or the drop of its future. The calling
/// code belongs to no task.
#[inline(always)]
pub(crate) fn run_as<T: Lend, R>(right: &mut T, f: impl FnOnce(rights::Lent<'_, T>) -> R) -> R {
    struct Restore;
    impl Drop for Restore {
        #[inline]
        fn drop(&mut self) {
            CURRENT.set(Fields::NOTHING);
        }
    }
    debug_assert!(fields().task.is_none() && fields().place == PlaceKind::Root);
    let task = right.live();
    let (requests, word) = requests_and_word(task);
    CURRENT.set(Fields {
        task: Some(task.raw()),
        word,
        requests,
        budget: READY_IN_POLL,
        ..Fields::NOTHING
    });
    let _restore = Restore;
    f(rights::Lent::of(right))
}

/// Runs `f` as code that belongs to no task.
pub(crate) fn outside_tasks<R>(f: impl FnOnce() -> R) -> R {
    struct Restore(Fields);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(replace(Fields {
        budget: READY_IN_POLL,
        ..Fields::NOTHING
    }));
    f()
}

/// Notes a wake of the task by its own code. The step that ends this poll then does what the wake would do to
/// the state word. `false` if the calling code is not the task's.
#[inline]
pub(crate) fn note_wake(task: Borrowed<'_>) -> bool {
    let own = is(task);
    if own {
        change(|current| current.0.woken = true);
    }
    own
}

/// Whether the calling code has woken its own task.
#[inline]
pub(crate) fn was_woken() -> bool {
    fields().woken
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
