//! What the Python original's tests pin, on the threaded runtime with two workers.
//!
//! The number in a test's name is the behaviour's; where the original has a test of its own for it, the doc comment names that.
//! No test depends on timing: what must not happen is asserted while an event that only the test sets holds it back.

#[path = "../common/mod.rs"]
mod common;

mod cancellation;
mod children;
mod control;
mod external;
mod lifecycle;
mod order;
mod scheduling;
mod stats;
mod tasks;
mod util;
