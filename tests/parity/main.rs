//! What the Python original's tests pin, on the threaded runtime with two workers.
//!
//! What can be driven by something else is in scenarios, which the suite `parity_sim` includes, too: there simulations
//! take the place of `drive`.
//!
//! The number in a test's name is the behaviour's; where the original has a test of its own for it, the doc comment names that.
//! No test depends on timing: what must not happen is asserted while an event that only the test sets holds it back.

#[path = "../common/mod.rs"]
mod common;

mod cancellation;
mod children;
mod control;
mod drive;
mod external;
mod lifecycle;
mod order;
mod overlap;
mod scheduling;
mod stats;
mod tasks;
mod util;
