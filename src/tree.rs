//! The tree of tasks: spawning into it, polling, cancelling, finishing, and looking at it.
//!
//! This room guards the order of a tree's life: a child is linked before it runs, a cancellation marks
//! a whole subtree before it drops the first future, and a task is done only after every task below it.
//! All walks are loops, in steps of about a thousand tasks. Two tree locks are never held at once, and
//! under one there is no user code, no allocation, no queue and no timer: the walks collect under a
//! lock and act after it.
//!
//! It must not know of threads, of services' managers or of the simulator: it asks the runtime's
//! [`Schedule`](crate::task::Schedule).
//!
//! From below: [`grace`], [`request`], [`requested`] and [`fail`] decide; [`close`], [`finish`],
//! [`settle`] and [`batch`] end tasks; [`poll`] runs them; [`frontier`] is the form of each walk, and
//! [`cancel`], [`full`], [`hands`] and [`look`] are the walks; [`job`] runs what is no poll.

pub(crate) mod batch;
mod cancel;
mod close;
mod fail;
mod finish;
mod frontier;
pub(crate) mod full;
mod grace;
pub(crate) mod hands;
pub(crate) mod job;
pub(crate) mod look;
pub(crate) mod poll;
pub(crate) mod request;
mod requested;
mod settle;
pub(crate) mod spawn;

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
