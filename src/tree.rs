//! The tree of tasks, and the walks over it: spawn, finish, cancel, snapshot. All iterative.
//!
//! Two tree locks are never held at once, and under one there is no user code, no allocation, no
//! queue and no timer: the walks collect under a lock and act after it.

mod asked;
pub(crate) mod batch;
pub(crate) mod cancel;
pub(crate) mod cancel_guard;
mod expire;
pub(crate) mod fail;
pub(crate) mod finish;
mod frontier;
pub(crate) mod full;
pub(crate) mod handle;
pub(crate) mod hands;
pub(crate) mod hold;
mod later;
pub(crate) mod links;
pub(crate) mod snapshot;
pub(crate) mod spawn;
mod sweep;

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
