//! Atomics, locks, cells, thread-locals and parking: the only room that names them.
//!
//! Every other room imports these from here, so that the same code runs on std or, under
//! `cfg(taskgrove_loom)`, on loom's instrumented types. Each file has one concept and both versions
//! of it. What the versions share is an interface, which is loom's where the two differ (cells take
//! closures) and std's elsewhere.
//!
//! Locks do not poison: user code never runs under a lock of this crate, so no panic passes one.
//!
//! No state here is shared by the process (std's locks are futexes on Linux). A child of `fork` can
//! therefore build a runtime of its own, whatever the parent's threads were waiting for.
//!
//! This room knows nothing of tasks and imports no other room.

pub(crate) mod atomic;
mod byte_lock;
mod cell;
mod condvar;
mod local;
mod mutex;
mod once_lock;
mod parker;
pub(crate) mod process;
mod seg_queue;

pub(crate) use byte_lock::{ByteGuard, ByteLock};
pub(crate) use cell::{Life, UnsafeCell};
pub(crate) use crossbeam_utils::CachePadded;
pub(crate) use local::*;
#[cfg(taskgrove_loom)]
pub(crate) use loom::sync::Arc;
pub(crate) use mutex::{Mutex, MutexGuard};
pub(crate) use once_lock::OnceLock;
#[cfg(feature = "net")]
pub(crate) use parker::Bell;
pub(crate) use parker::Parker;
pub(crate) use seg_queue::*;
#[cfg(not(taskgrove_loom))]
pub(crate) use std::sync::Arc;
