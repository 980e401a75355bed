//! A work-stealing async executor that owns the tree of its tasks.
//!
//! Every task has a parent, and is done only when everything below it is. On that tree there are
//! [services](Service) with child services, daemons, error aggregation and stats, and a
//! cancellation that ends children before their parents, always.
//!
//! ```
//! use taskgrove::{Context, Runtime, service_fn};
//!
//! let app = service_fn("app", async |ctx: Context| {
//!     for n in 0..3 {
//!         ctx.run_task(async move {
//!             println!("task {n}");
//!             Ok(())
//!         })?;
//!     }
//!     Ok(())
//! });
//! Runtime::new()?.run(app)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Runtime`], [`Handle`], [`spawn`]: the executor. [`Task`] is a task's handle.
//! - [`Service`], [`Manager`], [`Context`], [`service_fn`], [`background_service`]: services.
//! - [`shielded`], [`finally`], [`defer`], and `grace` on the builders: what a cancellation has to
//!   wait for.
//! - [`Snapshot`], [`Stats`], [`Metrics`]: looking at it.
//! - [`time`]: sleeps, timeouts, intervals.
//!
//! With `panic = "abort"` a panic in a task ends the process, as everywhere.

mod arena;
#[cfg(all(debug_assertions, not(taskgrove_loom)))]
#[doc(hidden)]
pub use arena::audit;
mod error;
mod handle;
mod id;
#[cfg(taskgrove_loom)]
#[doc(hidden)]
pub mod model;
mod panics;
mod path;
mod protect;
mod runtime;
mod schedule;
mod service;
pub mod sim;
mod snapshot;
mod sync;
mod task;
pub mod time;
mod timer;
mod tree;
mod wait_list;

pub use error::{
    BoxError, FailureKind, Failures, JoinError, LifecycleError, Panic, Result, ServiceError,
    SpawnError, StopError, StopTimeout, TaskFailure, TooManyChildren,
};
pub use handle::{Handle, Metrics, RootBuilder, spawn, yield_now};
pub use id::TaskId;
pub use protect::defer::{Defer, defer};
pub use protect::shield::{finally, shielded};
pub use runtime::{Builder, Runtime};
pub use service::{
    BoxService, ChildServiceBuilder, Context, Manager, ManagerBuilder, ManagerSlot, Service,
    ServiceFn, Stats, TaskBuilder, TaskStats, background_service, service_fn,
};
pub use snapshot::{Node, NodeKind, NodeState, Snapshot};
pub use tree::handle::{CancelHandle, CancelOnDrop, Task};

/// The examples in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
