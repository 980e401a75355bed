//! Spawning: writes the task into a slot and, under the lock of the parent's children, counts it in the
//! parent's state word and links it.
//!
//! That step refuses a child of a parent that is being cancelled or is done. So a cancellation misses no
//! child (one that it may pass over is the subject of [`crate::task::cover`]; one that is spawned in a grace
//! period is linked before the walk that ends the period visits the parent, or is refused): if a walk raises the parent's level before the step, the child is refused; if it does so after,
//! the walk finds the child in the list. The walk reaches each parent in turn, so this holds for a
//! cancellation of any ancestor.

use super::attach::{Attached, Limit, attach, attach_in, count_crowd};
use super::full;
use super::room::Ticket;
use crate::arena::counted::Counted;
use crate::error::{BoxError, TooManyChildren};
use crate::protect::child;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::task::cleanups::Cleanup;
use crate::task::cold::Cold;
use crate::task::cover::Cover;
use crate::task::locals::Locals;
use crate::task::raw::allocate::{self, Seed};
use crate::task::raw::{Fallible, Fresh, Joined, Parent, Plain, Queued, RecordAddress};
use crate::task::record::Record;
use crate::task::{current, kind};
use std::panic::Location;
use std::time::Duration;

pub(crate) use super::attach::Refusal;

/// The options of a new task.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) kind: u8,
    pub(crate) name: Option<Box<str>>,
    pub(crate) grace: Option<Duration>,
    /// The greatest number of live supervised children of the parent, this one included.
    pub(crate) limit: Option<usize>,
    /// What the task is spawned with.
    pub(crate) locals: Option<Box<Locals>>,
    /// A deferred cleanup that the task begins with.
    pub(crate) cleanup: Option<Box<Cleanup>>,
    /// The service is being cancelled, so the task is refused.
    pub(crate) refuse: bool,
}

/// What a caller may set on a service's task.
#[derive(Clone, Copy, Default)]
pub(crate) struct ServiceOptions {
    pub(crate) kind: u8,
    /// As in [`Options`].
    pub(crate) limit: Option<usize>,
}

#[cold]
fn cold(options: &mut Options) -> Box<Cold> {
    let mut cold = Cold::new(RecordAddress::none());
    cold.name = options.name.take();
    cold.grace = options.grace.take();
    if let Some(locals) = options.locals.take() {
        cold.set_locals(locals);
    }
    if let Some(cleanup) = options.cleanup.take() {
        cold.push_cleanup(*cleanup);
    }
    Box::new(cold)
}

/// Collects what a child is made of, besides its future.
#[inline(always)]
fn seed<'a>(
    parent: Parent<'a>,
    options: &mut Options,
    location: &'static Location<'static>,
) -> Seed<'a> {
    let mut seed = bare(parent, options.kind, options.grace, location);
    let plain = options.name.is_none()
        && options.grace.is_none()
        && options.cleanup.is_none()
        && options.locals.is_none();
    if !plain {
        seed.cold = Some(cold(options));
    }
    if let Some(cover) = child::cover_of(parent.task()) {
        cover_seed(&mut seed, cover);
    }
    seed
}

/// The cold data of a child that is spawned inside protection of the parent, if it is.
#[inline(never)]
fn covered(parent: Parent<'_>) -> Option<Box<Cold>> {
    let cover = child::cover_of(parent.task())?;
    let cold = cold(&mut Options::default());
    put(&cold, cover);
    Some(cold)
}

/// Puts a child that is spawned inside protection into its cover.
#[cold]
fn cover_seed(seed: &mut Seed<'_>, cover: Arc<Cover>) {
    let cold = seed
        .cold
        .get_or_insert_with(|| cold(&mut Options::default()));
    put(cold, cover);
    seed.kind |= kind::COVERED;
}

fn put(cold: &Cold, cover: Arc<Cover>) {
    let _ = cold.cover.set(cover);
}

/// As [`seed`], without cold data and outside of protection; `grace` is the child's own.
#[inline(always)]
fn bare<'a>(
    parent: Parent<'a>,
    kind: u8,
    grace: Option<Duration>,
    location: &'static Location<'static>,
) -> Seed<'a> {
    // A child has a grace period of its own, or from above.
    let graceful = if grace.is_some() { kind::GRACE } else { 0 };
    let inherited = parent.task().kinds() & (kind::GRACE | kind::COVERED);
    Seed {
        parent,
        id: current::next_id(parent.shared()),
        kind: kind | graceful | inherited,
        location,
        cold: None,
    }
}

/// As [`raw`], without options.
pub(crate) fn plain<N, F>(
    parent: Parent<'_>,
    future: F,
    location: &'static Location<'static>,
) -> Joined<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut seed = bare(parent, 0, None, location);
    if child::is_protected() {
        seed.cold = covered(parent);
        seed.kind |= if seed.cold.is_some() {
            kind::COVERED
        } else {
            0
        };
    }
    spawn::<N, _>(seed, future)
}

/// Spawns a raw task. If the parent refuses it, the handle resolves to `Cancelled`. `N` names it. Here and
/// below the future fits a slot (see [`fitting!`](crate::task::fitting)).
pub(crate) fn raw<N, F>(
    parent: Parent<'_>,
    future: F,
    mut options: Options,
    location: &'static Location<'static>,
) -> Joined<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn::<N, _>(seed(parent, &mut options, location), future)
}

#[inline(always)]
fn spawn<N, F>(seed: Seed<'_>, future: F) -> Joined<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (parent, kind) = (seed.parent, seed.kind);
    let (task, joined) = allocate::task::<_, Plain, N>(seed, future);
    match attach(parent, task, None) {
        Ok(task) => on_spawn(parent, kind, task),
        Err((task, _)) => task.refuse(),
    }
    joined
}

/// Spawns a supervised task of the service that the parent belongs to.
///
/// # Errors
///
/// The parent has as many supervised children as it may have.
pub(crate) fn supervised<N, F, T>(
    parent: Parent<'_>,
    future: F,
    options: Options,
    location: &'static Location<'static>,
) -> Result<Joined<T>, TooManyChildren>
where
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
    T: Send + 'static,
{
    let refuse = options.refuse;
    supervised_by::<N, _, _>(parent, future, options, location, |task, limit| {
        if refuse {
            Err((task, Refusal::Closing))
        } else {
            attach(parent, task, limit)
        }
    })
}

/// As [`supervised`], with a permit that was waited for under this parent.
pub(crate) fn supervised_in<N, F, T>(
    permit: &mut Ticket,
    parent: Parent<'_>,
    future: F,
    options: Options,
    location: &'static Location<'static>,
) -> Result<Joined<T>, TooManyChildren>
where
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
    T: Send + 'static,
{
    let attach = |task, limit: Option<&mut _>| attach_in(permit, task, limit);
    supervised_by::<N, _, _>(parent, future, options, location, attach)
}

#[inline(always)]
fn supervised_by<'a, N, F, T>(
    parent: Parent<'a>,
    future: F,
    mut options: Options,
    location: &'static Location<'static>,
    attach: impl FnOnce(Fresh<'a>, Option<&mut Limit>) -> Attached<'a>,
) -> Result<Joined<T>, TooManyChildren>
where
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
    T: Send + 'static,
{
    options.kind |= kind::SUPERVISED;
    let seed = seed(parent, &mut options, location);
    let (task, joined) = allocate::task::<_, Fallible, N>(seed, future);
    let mut limit = Limit::new(options.limit);
    match attach(task, limit.as_mut()) {
        Ok(task) => {
            count_in(parent);
            on_spawn(parent, options.kind, task);
            count_crowd(parent, limit);
            Ok(joined)
        }
        Err((task, Refusal::Closing)) => {
            task.refuse();
            Ok(joined)
        }
        Err((task, Refusal::Limit)) => {
            let error = full::too_many(parent, options.limit.unwrap_or(0));
            task.refuse();
            Err(error)
        }
    }
}

/// Passes a task that is linked on to the scheduler.
#[inline(always)]
fn on_spawn(parent: Parent<'_>, kind: u8, task: Queued) {
    #[cfg(feature = "blocking")]
    use crate::task::kind::BLOCKING;
    let schedule = parent.shared().schedule();
    #[cfg(feature = "blocking")]
    if kind & BLOCKING != 0 {
        return schedule.on_spawn_blocking(task);
    }
    let _ = kind;
    schedule.on_spawn(task);
}

/// Counts a task that was spawned in the record of its service.
#[inline]
fn count_in(parent: Parent<'_>) {
    if let Some(record) = parent.record() {
        record.total.fetch_add(1, Ordering::Relaxed);
    }
}

/// Spawns a service's task, with the future that `make` returns. It starts the record when it is linked, before it
/// can run; `own` is its count of the record. `make` runs no code of the user's, and so does not panic.
///
/// # Panics
///
/// Panics if `own` is a count of another record.
///
/// # Errors
///
/// The parent refuses the task; the future was dropped.
#[inline]
pub(crate) fn service<N, F>(
    parent: Parent<'_>,
    make: impl FnOnce() -> F,
    record: &Record,
    own: Counted<Record>,
    options: ServiceOptions,
    location: &'static Location<'static>,
) -> Result<(), Refusal>
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    assert!(
        std::ptr::eq(record, &raw const *own),
        "a count of another record"
    );
    let is_root = parent.task().is(kind::SENTINEL);
    let root = if is_root { kind::ROOT_SERVICE } else { 0 };
    let mut seed = bare(parent, options.kind | root, record.cold.grace, location);
    if let Some(cover) = child::cover_of(parent.task()) {
        put(&record.cold, cover);
        seed.kind |= kind::COVERED;
    }
    let (task, reference) = allocate::service::<_, Fallible, N>(seed, own, make);
    let mut limit = Limit::new(options.limit);
    let task = match attach(parent, task, limit.as_mut()) {
        Ok(task) => task,
        Err((task, refusal)) => {
            task.refuse();
            return Err(refusal);
        }
    };
    if options.kind & kind::SUPERVISED != 0 {
        count_in(parent);
    }
    record.start(reference);
    parent.shared().schedule().on_spawn(task);
    count_crowd(parent, limit);
    Ok(())
}
