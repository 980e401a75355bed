//! The crate's own awaits in which a poll suspended. A simulation records them to explain a deadlock. Outside
//! of simulations the cost is a look at a flag, in awaits that suspend.

use crate::id::TaskId;
#[cfg(taskgrove_loom)]
use crate::sync::CellKey as _;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;

/// The greatest number of awaits that are recorded for one poll.
const MOST: usize = 4;

/// The task or service that an await is about. Ids are unique in one runtime only, so the name tells two
/// runtimes' tasks apart.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Whom {
    pub(crate) name: String,
    /// `None` for a service that has not been started.
    pub(crate) id: Option<TaskId>,
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
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// A task to be done, for its result.
    Result(Whom),
    /// A task to be done.
    Done(Whom),
    Service(Event, Whom),
    /// A moment on the runtime's clock.
    Time(u64),
}

impl Whom {
    /// Describes a task.
    pub(crate) fn task(name: &str, id: TaskId) -> Self {
        Whom {
            name: name.to_owned(),
            id: Some(id),
        }
    }
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

/// Runs `f`, and returns the crate's own awaits in which it suspended.
pub(crate) fn trace(f: impl FnOnce()) -> Vec<Awaited> {
    struct Outer(bool, Vec<Awaited>);
    impl Drop for Outer {
        fn drop(&mut self) {
            TRACED.set(self.0);
            exchange(std::mem::take(&mut self.1));
        }
    }
    let _outer = Outer(TRACED.replace(true), exchange(Vec::new()));
    f();
    exchange(Vec::new())
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
        let all = trace(|| note_times(&[1, 1, 2, 1, 3, 4, 5, 6]));
        assert_eq!(times(all), [1, 2, 3, 4]);
    }

    #[test]
    fn a_trace_inside_a_trace_is_its_own() {
        let outer = trace(|| {
            note_times(&[1]);
            assert_eq!(times(trace(|| note_times(&[2]))), [2]);
            note_times(&[3]);
        });
        assert_eq!(times(outer), [1, 3]);
        note(|| unreachable!("nobody asks"));
    }
}
