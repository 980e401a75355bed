//! Spawning: a slot is written, one step on the parent's state word counts the child, or refuses
//! it, and under the same lock it is linked. So a cancellation never misses a child (whoever
//! raises the level before that step refuses it, whoever does after finds it in the list), and a
//! parent that is done is never revived.

use super::full;
use super::links::Children;
use crate::arena::counted::Counted;
use crate::error::{BoxError, JoinError, TooManyChildren};
use crate::sync::atomic::Ordering;
use crate::task::cell::{Birth, Extras, Fallible, Joined, Plain, allocate};
use crate::task::cleanups::Cleanup;
use crate::task::cold::Cold;
use crate::task::record::Record;
use crate::task::{Node, Shared, current, kind};
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
    Limit,
}

/// Links `node` under `parent`, which its caller keeps alive.
// Not inlined where the future's type is known: what it calls would be calls there.
#[inline(never)]
pub(crate) fn attach(parent: Node, node: Node, limit: Option<usize>) -> Result<(), Refusal> {
    match link(parent, node, limit) {
        Err(Refusal::Limit) => attach_to_full(parent, node, limit),
        linked => linked,
    }
}

#[cold]
fn attach_to_full(parent: Node, node: Node, limit: Option<usize>) -> Result<(), Refusal> {
    loop {
        let made = full::make_room(parent);
        // Others may have made room meanwhile: what was done before the call does not count.
        match link(parent, node, limit) {
            Err(Refusal::Limit) if made => {}
            linked => return linked,
        }
    }
}

#[inline]
fn link(parent: Node, node: Node, limit: Option<usize>) -> Result<(), Refusal> {
    let children = Children::lock(&parent);
    let full = limit.is_some_and(|limit| children.supervised(0) as usize >= limit);
    if full && !parent.state.load().is_closing() {
        return Err(Refusal::Limit);
    }
    if !parent.state.adopt() {
        return Err(Refusal::Closing);
    }
    if node.is(kind::SUPERVISED) {
        children.supervised(1);
    }
    children.link(node);
    Ok(())
}

/// Ends a task that could not be linked: never polled, done, its handle reads `Cancelled`. The
/// future is dropped here, outside any lock, as code of the calling task.
pub(crate) fn refuse(node: Node) {
    crate::panics::quietly(|| node.drop_future());
    node.store_error(JoinError::Cancelled);
    node.state.refused();
    node.release_own();
}

/// What few tasks need.
#[cold]
fn cold(record: *const Record, options: &mut Options) -> Box<Cold> {
    let mut cold = Cold::new(record);
    cold.name = options.name.take();
    cold.grace = options.grace.take();
    if let Some(cleanup) = options.cleanup.take() {
        cold.push_cleanup(*cleanup);
    }
    Box::new(cold)
}

/// What a child of `parent` is born with.
#[inline(always)]
fn birth<'a>(
    shared: &'a Shared,
    parent: Node,
    options: &mut Options,
    location: &'static Location<'static>,
) -> Birth<'a> {
    let record = parent.record_ptr();
    let graceful = graceful(parent, options.grace);
    let plain = options.name.is_none() && options.grace.is_none() && options.cleanup.is_none();
    let extras = if plain {
        Extras::None(record)
    } else {
        Extras::Cold(cold(record, options))
    };
    Birth {
        shared,
        shared_ptr: parent.shared_ptr(),
        id: current::next_id(shared),
        kind: options.kind | graceful,
        location,
        extras,
    }
}

/// Whether a child of `parent` has a grace period, of its own or from above.
fn graceful(parent: Node, own: Option<Duration>) -> u8 {
    if own.is_some() {
        kind::GRACE
    } else {
        parent.kind & kind::GRACE
    }
}

/// As [`raw`], without options.
pub(crate) fn plain<N, F>(
    shared: &Shared,
    parent: Node,
    future: F,
    location: &'static Location<'static>,
) -> Joined<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let birth = Birth {
        shared,
        shared_ptr: parent.shared_ptr(),
        id: current::next_id(shared),
        kind: graceful(parent, None),
        location,
        extras: Extras::None(parent.record_ptr()),
    };
    born::<N, _>(birth, parent, future)
}

/// A raw task: a child of `parent` (maybe a sentinel), or, if that refuses, born cancelled. `N` is what
/// it is named after. Here and below the future fits a slot (see [`fitting!`](crate::task::fitting)).
pub(crate) fn raw<N, F>(
    shared: &Shared,
    parent: Node,
    future: F,
    mut options: Options,
    location: &'static Location<'static>,
) -> Joined<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let birth = birth(shared, parent, &mut options, location);
    born::<N, _>(birth, parent, future)
}

#[inline(always)]
fn born<N, F>(birth: Birth<'_>, parent: Node, future: F) -> Joined<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let shared = birth.shared;
    let (node, joined) = allocate::<_, Plain, N>(birth, future);
    match attach(parent, node, None) {
        Ok(()) => shared.schedule().on_spawn(node),
        Err(_) => refuse(node),
    }
    joined
}

/// A supervised task of the service that `parent` belongs to.
pub(crate) fn supervised<N, F, T>(
    shared: &Shared,
    parent: Node,
    future: F,
    mut options: Options,
    location: &'static Location<'static>,
) -> Result<Joined<T>, TooManyChildren>
where
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
    T: Send + 'static,
{
    options.kind |= kind::SUPERVISED;
    let birth = birth(shared, parent, &mut options, location);
    let (node, joined) = allocate::<_, Fallible, N>(birth, future);
    let attached = if options.refuse {
        Err(Refusal::Closing)
    } else {
        attach(parent, node, options.limit)
    };
    match attached {
        Ok(()) => {
            if let Some(record) = node.record() {
                record.total.fetch_add(1, Ordering::Relaxed);
            }
            shared.schedule().on_spawn(node);
            Ok(joined)
        }
        Err(Refusal::Closing) => {
            refuse(node);
            Ok(joined)
        }
        Err(Refusal::Limit) => {
            let error = full::too_many(parent, options.limit.unwrap_or(0));
            refuse(node);
            Err(error)
        }
    }
}

/// A service's node, which starts the record when it is linked, before it can run; `own` is its
/// count of it. Of the options kind and limit count.
#[inline]
pub(crate) fn service<N, F>(
    shared: &Shared,
    parent: Node,
    future: F,
    record: &Record,
    own: Counted<Record>,
    options: &Options,
    location: &'static Location<'static>,
) -> Result<(), Refusal>
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let birth = Birth {
        shared,
        shared_ptr: parent.shared_ptr(),
        id: current::next_id(shared),
        kind: options.kind | kind::SERVICE | graceful(parent, record.cold.grace),
        location,
        extras: Extras::Own(own),
    };
    let (node, joined) = allocate::<_, Fallible, N>(birth, future);
    attach(parent, node, options.limit).inspect_err(|_| refuse(node))?;
    if node.is(kind::SUPERVISED)
        && let Some(around) = parent.record()
    {
        around.total.fetch_add(1, Ordering::Relaxed);
    }
    record.start(joined.into_reference());
    shared.schedule().on_spawn(node);
    Ok(())
}
