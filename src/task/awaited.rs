//! The crate's own awaits in which a poll suspended, for snapshots and for the report of a deadlock. They are
//! recorded if [`Watch::awaits`](super::watch::Watch::awaits) is set, as it is in a simulation. Otherwise
//! the cost is a look at a flag, in awaits that suspend.
//!
//! A record refers to the task that is awaited, which keeps its slot. So a record is dropped at the
//! latest with the future that waits, and two tasks that wait for each other do not keep each other.

use super::cold::Cold;
use super::raw::header::Borrowed;
use super::raw::reference::TaskRef;
use super::raw::rights::Live;
use super::record::Record;
use crate::id::TaskId;
#[cfg(taskgrove_loom)]
use crate::sync::CellKey as _;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;

/// The greatest number of awaits that are recorded for one poll.
const MOST: usize = 4;

/// The task or service that an await is about.
#[derive(Clone, PartialEq)]
pub(crate) struct Whom {
    /// `None` for a service that has not been started.
    task: Option<TaskRef>,
    /// The name of a service. That of a task is found through the reference.
    service: Option<Cow<'static, str>>,
}

/// The event of a service that an await waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Start,
    Ready,
    End,
    /// Its cancellation, or that of the task that waits.
    Cancel,
    /// A call on its behalf, as long as it runs.
    Call,
}

/// What one of the crate's own awaits waits for.
#[derive(Clone, PartialEq)]
pub(crate) enum Awaited {
    /// A task to be done, for its result.
    Result(Whom),
    /// A task to be done.
    Done(Whom),
    Service(Event, Whom),
    /// Room under a task that is at its limit of children.
    Room(Whom),
    /// A moment on the runtime's clock.
    Time(u64),
    /// The end of a time limit, a moment on the runtime's clock, unless a future ends before.
    Limit(u64),
}

impl Whom {
    /// A task that is not a service's.
    pub(crate) fn task(task: Borrowed<'_>) -> Self {
        Whom {
            task: Some(task.retain()),
            service: None,
        }
    }

    /// A service.
    pub(crate) fn service(record: &Record) -> Self {
        Whom {
            task: record.task().map(Borrowed::retain),
            service: Some(record.name.clone()),
        }
    }

    /// A service of which only the name is known.
    pub(crate) fn unknown(name: &str) -> Self {
        Whom {
            task: None,
            service: Some(name.to_owned().into()),
        }
    }

    /// The task, unless it is a service that has not been started.
    pub(crate) fn borrowed(&self) -> Option<Borrowed<'_>> {
        self.task.as_ref().map(TaskRef::borrowed)
    }

    /// The id of the task.
    pub(crate) fn id(&self) -> Option<TaskId> {
        self.task.as_ref().map(|task| task.id())
    }

    /// The name. Ids are unique in one runtime only, so the name tells two runtimes' tasks apart.
    pub(crate) fn name(&self) -> &str {
        match (&self.service, &self.task) {
            (Some(name), _) => name,
            (None, Some(task)) => task.borrowed().plain_name(),
            (None, None) => "",
        }
    }
}

/// The record of a task. It is a type of its own, since `Box<Vec<_>>` asks for a reason: the box is kept as
/// one of any type, and its vector is used again for the next poll.
#[derive(Default)]
struct Kept(Vec<Awaited>);

/// Runs a poll of a task, and keeps the crate's own awaits in which it suspended. `is_over` says whether
/// there is nothing left that waits.
pub(crate) fn record<R>(
    task: Live<'_>,
    poll: impl FnOnce() -> R,
    is_over: impl FnOnce(&R) -> bool,
) -> R {
    let before = task.cold().and_then(Cold::take_awaited);
    let mut kept = before.and_then(|any| any.downcast::<Kept>().ok());
    let mut buffer = kept
        .as_mut()
        .map_or(Vec::new(), |kept| std::mem::take(&mut kept.0));
    buffer.clear();
    let (result, awaited) = trace(buffer, poll);
    if !is_over(&result) && !awaited.is_empty() {
        let mut kept = kept.unwrap_or_default();
        kept.0 = awaited;
        task.cold_or_new().keep_awaited(kept);
    }
    result
}

/// Returns what the task waits for, as [`record`] has kept it.
pub(crate) fn of(task: Live<'_>) -> Vec<Awaited> {
    let kept = task.cold().and_then(|cold| {
        cold.with_awaited(|any| any.downcast_ref::<Kept>().map(|kept| kept.0.clone()))
    });
    kept.flatten().unwrap_or_default()
}

crate::sync::thread_local! {
    static TRACED: Cell<bool> = const { Cell::new(false) };
    /// Belongs to the innermost trace; empty outside of one.
    static AWAITED: ManuallyDrop<RefCell<Vec<Awaited>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

/// Records that the calling code suspends in an await, inside of [`trace`].
#[inline]
pub(crate) fn note(awaited: impl FnOnce() -> Option<Awaited>) {
    if TRACED.get() {
        push(awaited());
    }
}

#[cold]
fn push(awaited: Option<Awaited>) {
    let Some(awaited) = awaited else { return };
    AWAITED.with(|all| {
        let mut all = all.borrow_mut();
        if all.len() < MOST && !all.contains(&awaited) {
            all.push(awaited);
        }
    });
}

/// Runs `f`, and returns the crate's own awaits in which it suspended. They are written into `buffer`, which
/// is empty.
pub(crate) fn trace<R>(buffer: Vec<Awaited>, f: impl FnOnce() -> R) -> (R, Vec<Awaited>) {
    struct Outer(bool, Vec<Awaited>);
    impl Drop for Outer {
        fn drop(&mut self) {
            TRACED.set(self.0);
            exchange(std::mem::take(&mut self.1));
        }
    }
    let _outer = Outer(TRACED.replace(true), exchange(buffer));
    let result = f();
    (result, exchange(Vec::new()))
}

fn exchange(with: Vec<Awaited>) -> Vec<Awaited> {
    AWAITED.with(|all| all.replace(with))
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    fn note_times(times: &[u64]) {
        for &at in times {
            note(|| Some(Awaited::Time(at)));
        }
    }

    fn times(awaited: Vec<Awaited>) -> Vec<u64> {
        let time = |awaited| match awaited {
            Awaited::Time(at) => at,
            _ => panic!("only times were noted"),
        };
        awaited.into_iter().map(time).collect()
    }

    #[test]
    fn the_first_few_are_kept_each_once() {
        let ((), all) = trace(Vec::new(), || note_times(&[1, 1, 2, 1, 3, 4, 5, 6]));
        assert_eq!(times(all), [1, 2, 3, 4]);
    }

    #[test]
    fn a_trace_inside_a_trace_is_its_own() {
        let ((), outer) = trace(Vec::new(), || {
            note_times(&[1]);
            let ((), inner) = trace(Vec::new(), || note_times(&[2]));
            assert_eq!(times(inner), [2]);
            note_times(&[3]);
        });
        assert_eq!(times(outer), [1, 3]);
        note(|| unreachable!("nobody asks"));
    }
}
