//! Spans and events for `tracing`, with the feature of that name. Without it, nothing in here does anything.
//!
//! The room tells `tracing` what happens to tasks. It knows no task: it gets plain data. A subscriber is code
//! of the user, so each function here is called outside of all locks, and a panic of a subscriber ends here.
//!
//! The target of all of them is `taskgrove`. The span `task` is of a task's own code: it is made before the
//! first poll, entered for each poll, and closed when the future, and the cleanups that it has left, are gone.
//! It has no parent, since its field `path` says where in the tree the task is.
//!
//! | event | level | when |
//! |---|---|---|
//! | `started` | DEBUG | before the first poll of a task, in its span |
//! | `cancelled` | DEBUG | a cancellation was requested, on the thread that did so |
//! | `failed` | ERROR | a task has failed |
//! | `restarted` | WARN | a supervisor starts a child again |
//! | `stalled` | WARN | the watchdog has found a poll that lasts |

#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(feature = "tracing")]
mod on;

#[cfg(not(feature = "tracing"))]
pub(crate) use off::{cancelled, failed, is_on, restarted, stalled};
#[cfg(feature = "tracing")]
pub(crate) use on::{Span, cancelled, failed, is_on, restarted, stalled};
