//! A work-stealing async executor that owns the tree of its tasks.
//!
//! Every task has a parent, and a task is done only when all tasks below it are done. On this tree
//! there are [services](Service): long-running components with tasks, daemons and child services. A
//! failure anywhere in a service cancels the service, and its caller gets an error with the path of
//! the task that failed. A cancellation drops the leaves of the tree first: the future of a task is
//! dropped only after all of its children are done.
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
//! - [`Runtime`], [`Handle`] and [`spawn`] are the executor. [`Task`] is the handle of a task.
//! - [`Service`], [`Manager`], [`Context`], [`service_fn`] and [`background_service`] are for services.
//! - [`shielded`], [`finally`], [`defer`], and `grace` on the builders protect cleanup: a cancellation
//!   waits for it.
//! - [`cancel_cause`](cancel_cause()) returns the [`CancelCause`]: why something is being cancelled.
//! - [`TaskLocal`] is the key of a value that goes down the tree.
//! - [`supervisor`] has services that restart their children.
//! - [`Snapshot`], [`Stats`] and [`Metrics`] show what the tasks of a runtime do.
//! - [`time`] has sleeps, timeouts and intervals.
//! - [`sim`] runs the same tasks on one thread in an order that a seed determines, in virtual time.
//! - [`guide`] has a tutorial, pages for those who come from elsewhere, and answers to frequent questions.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `net` | `net`: sockets that the workers wait for themselves |
//! | `hyper` | `hyper`: an executor, a timer and hyper's I/O traits for the sockets; implies `net` |
//! | `blocking` | `run_blocking` and `Context::run_blocking`: closures that block, as tasks of the tree |
//! | `process` | `process`: a service as a program, with signals, a drain and exit codes |
//! | `serde` | snapshots, changes, totals, statistics and metrics can be serialised |
//! | `tracing` | a span for each task, and events of its life |
//!
//! With `tracing`, each task has a span `task` with its `path`, which is entered for its polls, and there are
//! events for starts, cancellations with their cause, failures, restarts and stalls, all with the target
//! `taskgrove`. A subscriber runs on the thread on which these happen, and outside of all locks; a panic in
//! it ends there.
//!
//! With `panic = "abort"`, a panic in a task ends the process.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod arena;
#[doc(hidden)]
pub use arena::audit;
mod error;
mod events;
// The pages are part of the documentation only. The stage `guide` tests their examples, with the crates that these
// compare with.
#[cfg(all(doc, not(doctest)))]
pub mod guide;
mod handle;
#[cfg(feature = "hyper")]
pub mod hyper;
mod id;
#[cfg(taskgrove_loom)]
#[doc(hidden)]
pub mod model;
#[cfg(all(feature = "net", not(taskgrove_loom)))]
pub mod net;
mod panics;
mod path;
#[cfg(feature = "process")]
pub mod process;
mod protect;
#[cfg(feature = "net")]
#[cfg_attr(
    taskgrove_loom,
    allow(dead_code, unused_imports, reason = "the room above is not modelled")
)]
mod reactor;
mod runtime;
mod schedule;
mod service;
pub mod sim;
mod snapshot;
pub mod supervisor;
mod sync;
mod task;
pub mod time;
mod timer_queue;
mod tree;
mod wait_list;

pub use error::{
    BoxError, CancelCause, CauseKind, FailureKind, Failures, JoinError, LifecycleError, Panic,
    Result, ServiceError, SpawnError, StopError, StopTimeout, TaskFailure, TooManyChildren,
};
#[cfg(feature = "blocking")]
pub use handle::blocking::run_blocking;
pub use handle::child::spawn;
pub use handle::defer::{Defer, defer};
pub use handle::enter::Enter;
pub use handle::local::TaskLocal;
pub use handle::task::{CancelHandle, CancelOnDrop, Task};
pub use handle::{Handle, Metrics, RootBuilder, cancel_cause, yield_now};
pub use id::TaskId;
pub use protect::finally::finally;
pub use protect::shield::shielded;
pub use runtime::{Builder, Runtime};
pub use service::{
    BoxService, ChildServiceBuilder, Context, Manager, ManagerBuilder, ManagerSlot, Service,
    ServiceFn, Stats, TaskBuilder, TaskStats, background_service, service_fn,
};
pub use snapshot::changes::Changes;
pub use snapshot::crowd::{ChildPlace, Crowd};
pub use snapshot::stall::Stall;
pub use snapshot::totals::Totals;
pub use snapshot::{Node, NodeKind, NodeState, Snapshot};

/// Runs the examples of the README as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
