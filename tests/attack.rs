//! Attempts to break the promises of the API: each test is a way in which one did not hold.

mod common;

#[path = "attack/batches.rs"]
mod batches;
#[path = "attack/destructors.rs"]
mod destructors;
#[path = "attack/hands.rs"]
mod hands;
#[path = "attack/managers.rs"]
mod managers;
#[path = "attack/memory.rs"]
mod memory;
#[path = "attack/moved.rs"]
mod moved;
#[path = "attack/races.rs"]
mod races;
#[path = "attack/records.rs"]
mod records;
#[path = "attack/shutdowns.rs"]
mod shutdowns;
#[path = "attack/threads.rs"]
mod threads;
#[path = "attack/twice.rs"]
mod twice;
