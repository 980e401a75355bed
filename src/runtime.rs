//! The runtime with a thread pool: building one, blocking on a future, and shutting down.
//!
//! The room turns the calling thread, or threads that it starts, into workers of a pool, and ends
//! them. It guards that a thread in `block_on` that finds no workers drives the pool itself, and
//! that a runtime that is dropped leaves no task behind. What a worker does is `schedule`'s subject.

mod block_on;
mod builder;
mod driver;
mod owner;
mod shutdown;
mod stuck;
mod watchdog;

pub use builder::Builder;
pub use owner::Runtime;
