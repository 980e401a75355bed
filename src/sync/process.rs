//! Atomics and a lock for statics, which live as long as the process.
//!
//! loom's types belong to one execution of a model and cannot be statics. These are std's in both
//! builds, so no model covers them: use them only where no other memory depends on their order in a
//! way that a model has to explore.

pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
#[cfg(any(taskgrove_malloc, taskgrove_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
