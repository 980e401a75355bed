//! The simulator: that it repeats, that the seed decides everything, what it says on a deadlock, how fast its time passes, and what
//! holds in it for trees made at random.
//!
//! `TASKGROVE_SEEDS` sets how many seeds the soak runs; `TASKGROVE_SEED` replays one.

mod common;

#[path = "sim/basics.rs"]
mod basics;
#[path = "sim/check.rs"]
mod check;
#[path = "sim/choices.rs"]
mod choices;
#[path = "sim/deadlock.rs"]
mod deadlock;
#[path = "sim/livelock.rs"]
mod livelock;
#[path = "sim/outside.rs"]
mod outside;
#[path = "sim/soak.rs"]
mod soak;
#[path = "sim/virtual_day.rs"]
mod virtual_day;
#[path = "sim/world.rs"]
mod world;
