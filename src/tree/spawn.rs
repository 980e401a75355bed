//! Spawning: a slot is written; one step on the parent's state word counts the child, or refuses it;
//! and under the same lock the child is linked. So a cancellation never misses a child (a walk that
//! raises the level before that step refuses it, one that does after finds it in the list), and a
//! parent that is done is never revived.

use super::full;
use crate::arena::counted::Counted;
use crate::error::{BoxError, TooManyChildren};
use crate::sync::atomic::Ordering;
use crate::task::cleanups::Cleanup;
use crate::task::cold::Cold;
use crate::task::raw::allocate::{self, Seed};
use crate::task::raw::{Children, Fallible, Fresh, Joined, Parent, Plain, Queued};
use crate::task::record::Record;
use crate::task::{current, kind};
use std::panic::Location;
use std::time::Duration;

/// What a caller may set on a task.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) kind: u8,
    pub(crate) name: Option<Box<str>>,
    pub(crate) grace: Option<Duration>,
    /// Live supervised children its parent may have, this one included.
    pub(crate) limit: Option<usize>,
    /// A cleanup it begins with.
    pub(crate) cleanup: Option<Box<Cleanup>>,
    /// Its service is being cancelled: it never runs.
    pub(crate) refuse: bool,
}

/// Why a child was not linked.
pub(crate) enum Refusal {
    /// The parent is being cancelled, or done.
    Closing,
    /// The parent has as many supervised children as it may have.
    Limit,
}

/// Links a new task under its parent.
// Not inlined where the future's type is known: what it calls would be calls there.
#[inline(never)]
fn attach(
    parent: Parent<'_>,
    task: Fresh,
    limit: Option<usize>,
) -> Result<Queued, (Fresh, Refusal)> {
    match link(parent, task, limit) {
        Err((task, Refusal::Limit)) => attach_to_full(parent, task, limit),
        linked => linked,
    }
}

#[cold]
fn attach_to_full(
    parent: Parent<'_>,
    mut task: Fresh,
    limit: Option<usize>,
) -> Result<Queued, (Fresh, Refusal)> {
    loop {
        let made = full::make_room(parent);
        // Others may have made room meanwhile: what was done before the call does not count.
        match link(parent, task, limit) {
            Err((back, Refusal::Limit)) if made => task = back,
            linked => return linked,
        }
    }
}

#[inline]
fn link(parent: Parent<'_>, task: Fresh, limit: Option<usize>) -> Result<Queued, (Fresh, Refusal)> {
    let view = parent.task();
    let children = Children::lock(view);
    let full = limit.is_some_and(|limit| children.supervised_count() as usize >= limit);
    if full && !view.word().is_closing() {
        return Err((task, Refusal::Limit));
    }
    children
        .adopt(task)
        .map_err(|task| (task, Refusal::Closing))
}

#[cold]
fn cold(options: &mut Options) -> Box<Cold> {
    let mut cold = Cold::new(std::ptr::null());
    cold.name = options.name.take();
    cold.grace = options.grace.take();
    if let Some(cleanup) = options.cleanup.take() {
        cold.push_cleanup(*cleanup);
    }
    Box::new(cold)
}

/// What a child is made of.
#[inline(always)]
fn seed<'a>(
    parent: Parent<'a>,
    options: &mut Options,
    location: &'static Location<'static>,
) -> Seed<'a> {
    let graceful = graceful(parent, options.grace);
    let plain = options.name.is_none() && options.grace.is_none() && options.cleanup.is_none();
    Seed {
        parent,
        id: current::next_id(parent.shared()),
        kind: options.kind | graceful,
        location,
        cold: (!plain).then(|| cold(options)),
    }
}

/// Whether a child has a grace period, of its own or from above.
fn graceful(parent: Parent<'_>, own: Option<Duration>) -> u8 {
    if own.is_some() {
        kind::GRACE
    } else {
        parent.task().kinds() & kind::GRACE
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
    let seed = Seed {
        parent,
        id: current::next_id(parent.shared()),
        kind: graceful(parent, None),
        location,
        cold: None,
    };
    spawn::<N, _>(seed, future)
}

/// Spawns a raw task, or, if the parent refuses it, makes one that is cancelled. `N` names it. Here
/// and below the future fits a slot (see [`fitting!`](crate::task::fitting)).
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
    let parent = seed.parent;
    let (task, joined) = allocate::task::<_, Plain, N>(seed, future);
    match attach(parent, task, None) {
        Ok(task) => parent.shared().schedule().on_spawn(task),
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
    mut options: Options,
    location: &'static Location<'static>,
) -> Result<Joined<T>, TooManyChildren>
where
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
    T: Send + 'static,
{
    options.kind |= kind::SUPERVISED;
    let seed = seed(parent, &mut options, location);
    let (task, joined) = allocate::task::<_, Fallible, N>(seed, future);
    let attached = if options.refuse {
        Err((task, Refusal::Closing))
    } else {
        attach(parent, task, options.limit)
    };
    match attached {
        Ok(task) => {
            count_in(parent);
            parent.shared().schedule().on_spawn(task);
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

/// Counts a task that was spawned in the record of its service.
#[inline]
fn count_in(parent: Parent<'_>) {
    if let Some(record) = parent.record() {
        record.total.fetch_add(1, Ordering::Relaxed);
    }
}

/// Spawns a service's task, which starts the record when it is linked, before it can run; `own` is its
/// count of the record. Of the options, `kind` and `limit` count.
///
/// # Errors
///
/// The parent refuses the task; the future was dropped.
#[inline]
pub(crate) fn service<N, F>(
    parent: Parent<'_>,
    future: F,
    record: &Record,
    own: Counted<Record>,
    options: &Options,
    location: &'static Location<'static>,
) -> Result<(), Refusal>
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let seed = Seed {
        parent,
        id: current::next_id(parent.shared()),
        kind: options.kind | graceful(parent, record.cold.grace),
        location,
        cold: None,
    };
    let (task, reference) = allocate::service::<_, Fallible, N>(seed, own, future);
    let task = match attach(parent, task, options.limit) {
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
    Ok(())
}
