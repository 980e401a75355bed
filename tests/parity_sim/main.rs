//! The scenarios of the suite `parity` in simulations, over seeds: the same bodies, with the same assertions.
//!
//! `TASKGROVE_SEEDS` sets how many seeds each scenario gets; `TASKGROVE_SEED` replays one. With `--nocapture` each says how
//! many different ways its runs went.

#[path = "../common/mod.rs"]
mod common;
mod drive;

#[path = "../parity/cancellation.rs"]
mod cancellation;
#[path = "../parity/children.rs"]
mod children;
#[path = "../parity/control.rs"]
mod control;
#[path = "../parity/external.rs"]
mod external;
#[path = "../parity/lifecycle.rs"]
mod lifecycle;
#[path = "../parity/order.rs"]
mod order;
#[path = "../parity/scheduling.rs"]
mod scheduling;
#[path = "../parity/stats.rs"]
mod stats;
#[path = "../parity/tasks.rs"]
mod tasks;
#[path = "../parity/util.rs"]
mod util;
