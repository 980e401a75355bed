//! What the tasks of a snapshot wait for, as text.

use crate::path::sanitise;
use crate::snapshot::NodeState;
use crate::task::awaited::{self, Awaited, Event, Whom};
use crate::task::state::Phase;
use crate::task::{Live, Shared};
use crate::timer_queue::NEVER;
use std::time::Duration;

/// Describes what a task waits for; `None` if the runtime does not record that, or if the task is neither idle
/// nor a blocking job.
pub(super) fn describe(task: Live<'_>, state: NodeState) -> Option<String> {
    let shared = task.shared();
    if !shared.watch.awaits {
        return None;
    }
    if state == NodeState::Blocking {
        return Some("a blocking job".to_owned());
    }
    if task.word().phase() != Phase::Idle {
        return None;
    }
    let awaited = awaited::of(task);
    if awaited.is_empty() {
        return Some("a waker".to_owned());
    }
    let now_ns = shared.clock.now_ns();
    let parts: Vec<String> = awaited.iter().map(|a| what(a, shared, now_ns)).collect();
    Some(parts.join(" or "))
}

fn what(awaited: &Awaited, shared: &Shared, now_ns: u64) -> String {
    match awaited {
        Awaited::Result(task) | Awaited::Done(task) => match task.id() {
            Some(id) => format!("task {} {id}", path(task, shared)),
            None => format!("task {}", path(task, shared)),
        },
        Awaited::Room(parent) => format!("room under {}", path(parent, shared)),
        Awaited::Time(at) => until("sleep", *at, now_ns),
        Awaited::Limit(at) => until("timeout", *at, now_ns),
        Awaited::Service(event, service) => {
            let event = match event {
                Event::Start => "start of",
                Event::Ready => "readiness of",
                Event::End => "end of",
                Event::Cancel => return "cancellation".to_owned(),
                Event::Call => "a call to",
            };
            format!("{event} service {}", path(service, shared))
        }
    }
}

fn until(what: &str, at: u64, now_ns: u64) -> String {
    if at == NEVER {
        return format!("{what} without end");
    }
    let left = Duration::from_nanos(at.saturating_sub(now_ns));
    format!("{what}, {left:.1?} left")
}

/// The path, or the name if the task is another runtime's, or is done.
fn path(whom: &Whom, shared: &Shared) -> String {
    let pin = whom.borrowed().and_then(|task| task.pin_in(shared));
    match pin {
        Some(pin) => pin.live().path(),
        None => sanitise(whom.name()).into_owned(),
    }
}
