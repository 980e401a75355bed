//! The tree of tasks: spawning into it, polling, cancelling, finishing, and looking at it.
//!
//! This room guards the order of a tree's life: a child is linked before it runs, a cancellation marks
//! a whole subtree before it drops the first future, and a task is done only after every task below it.
//! All walks are loops, in steps of about a thousand tasks. Two tree locks are never held at once, and
//! under one there is no user code, no allocation, no queue and no timer: the walks collect under a
//! lock and act after it.
//!
//! A thread that runs user code that may block, such as a destructor, keeps nothing that tasks other than
//! the ancestors of that code's task wait for. [`cancel`], [`batch`] and `task/wakes.rs` say how.
//!
//! It must not know of threads, of services' managers or of the simulator: it asks the runtime's
//! [`Schedule`](crate::task::Schedule).
//!
//! The files, from the bottom up:
//!
//! | file | subject |
//! |---|---|
//! | [`grace`] | which grace period a task has |
//! | [`cause`] | why something is being cancelled |
//! | [`request`] | asks for a cancellation: marks the target, and queues the walk |
//! | [`requested`] | whether a cancellation was requested above a task that is not marked yet |
//! | [`fail`] | whether an end is a failure, and which services have it |
//! | [`close`], [`finish`] | drops the future of a claimed task; what follows when a task is done |
//! | [`settle`], [`batch`] | goes on upward after a step; unlinks siblings together |
//! | [`poll`], [`spawn`], [`attach`] | runs a task; adds one; links it, within a limit |
//! | `blocking` | the poll of a closure that blocks, on the pool of the `blocking` crate (a feature) |
//! | [`frontier`] | the tasks that a walk has met; every walk uses it |
//! | [`cancel`] | the walks of a cancellation: mark, sweep, ends of grace periods |
//! | [`late`] | what is scheduled in a service that is being cancelled |
//! | [`full`], [`room`] | a parent at its limit of children; waits for room under it |
//! | [`look`] | snapshots |
//! | [`hands`] | whether another thread is about to push something, for the simulator |
//! | [`job`] | runs a worker's job |

mod attach;
mod awaits;
pub(crate) mod batch;
#[cfg(feature = "blocking")]
pub(crate) mod blocking;
mod cancel;
pub(crate) mod cause;
mod close;
mod fail;
mod finish;
mod frontier;
pub(crate) mod full;
mod grace;
pub(crate) mod hands;
pub(crate) mod job;
pub(crate) mod late;
pub(crate) mod look;
pub(crate) mod poll;
pub(crate) mod request;
mod requested;
pub(crate) mod room;
mod settle;
pub(crate) mod spawn;

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
