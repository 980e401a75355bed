//! Safe functions of this room refuse what would break its rules.

use super::allocate::{self, Seed};
use super::{Children, Fresh, Joined, Next, Plain, Polled, Running};
use crate::Runtime;
use crate::error::JoinError;
use crate::task::record::Record;
use crate::task::{Shared, current, kind};
use std::future::ready;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

/// A runtime of which only this thread polls tasks.
fn runtime() -> Runtime {
    Runtime::builder().workers(0).build().expect("no threads")
}

/// A root task of this kind, which is not linked.
fn root<F>(shared: &Shared, kind: u8, future: F) -> (Fresh<'_>, Joined<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let seed = Seed {
        parent: current::home(shared).as_parent(),
        id: current::next_id(shared),
        kind,
        location: Location::caller(),
        cold: None,
    };
    allocate::task::<F, Plain, F>(seed, future)
}

/// What `f` panics with.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("it did not panic");
    };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .expect("a text")
}

/// Starts a linked root, whose end the scheduler is not told of.
fn start<F: Future<Output = ()> + Send + 'static>(shared: &Shared, future: F) -> Running {
    let (fresh, _joined) = root(shared, 0, future);
    let linked = Children::lock(current::home(shared).borrowed()).adopt(fresh);
    let Ok(queued) = linked else {
        panic!("the sentinel is open");
    };
    match queued.start() {
        Ok((running, _)) => running,
        Err(_) => panic!("it is new"),
    }
}

#[test]
fn a_future_is_not_polled_after_its_end_nor_overwritten_before() {
    let runtime = runtime();
    let mut running = start(runtime.handle().shared(), ready(()));
    current::run_as(&mut running, |mut task| {
        assert!(panic_of(|| task.store_error(JoinError::Cancelled)).contains("is there"));
        assert!(matches!(task.poll(), Polled::Value));
        assert!(panic_of(|| task.poll()).contains("gone"));
    });
    match running.end(false, false, || ()) {
        Next::Finish(task) => drop(task.take_off()),
        _ => panic!("nothing is left of it"),
    }
}

#[test]
fn a_child_is_linked_under_the_parent_it_was_written_for() {
    let runtime = runtime();
    let shared = runtime.handle().shared();
    let (refused, other) = root(shared, 0, ready(()));
    refused.refuse();
    let (fresh, _joined) = root(shared, 0, ready(()));
    let list = || Children::lock(other.borrowed());
    assert_eq!(panic_of(|| list().adopt(fresh)), "another task's child");
}

#[test]
fn only_a_service_is_written_as_one() {
    let runtime = runtime();
    for kind in [kind::SERVICE, kind::SENTINEL] {
        let text = panic_of(|| root(runtime.handle().shared(), kind, ready(())));
        assert_eq!(text, "a plain task");
    }
}

#[test]
fn a_record_is_started_with_its_own_task() {
    let runtime = runtime();
    let (refused, task) = root(runtime.handle().shared(), 0, ready(()));
    refused.refuse();
    let record = Record::new("service".into(), 1, None, None);
    let text = panic_of(|| record.start(task.borrowed().retain()));
    assert_eq!(text, "another service's task");
}
