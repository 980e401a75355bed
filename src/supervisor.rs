//! Supervisors, as in OTP: a service that starts other services, restarts them when they end, and stops them in
//! reverse order.
//!
//! ```
//! use std::time::Duration;
//! use taskgrove::supervisor::{Backoff, ChildSpec, Strategy, Supervisor};
//! use taskgrove::{Runtime, service_fn};
//!
//! let db = ChildSpec::new("db", || {
//!     service_fn("db", async |_| Err("no route to host".into()))
//! });
//! let app = Supervisor::new(Strategy::OneForOne)
//!     .intensity(2, Duration::from_secs(60))
//!     .child(db.backoff(Backoff::constant(Duration::from_millis(1))));
//! let error = Runtime::new()?.run(app).unwrap_err();
//! assert_eq!(error.failures()[0].path(), "Supervisor/db");
//! assert_eq!(error.failures()[0].earlier().len(), 2);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Starting
//!
//! The children are started in the order in which they were given. Each waits for the one before it to be ready, where
//! that has [`ChildSpec::wait_ready`]. A first start that fails is not repeated: the supervisor stops the children
//! that run and fails with that failure. A start fails if the factory or the service's name panics, if the service has
//! a manager already, or if the child is not ready in time or ends before that. When all children have been up, the
//! supervisor is ready itself.
//!
//! Two children of one name, and a [significant](ChildSpec::significant) child that is permanent, or has a supervisor
//! without automatic shutdown, fail the supervisor before any child is started.
//!
//! # Restarting
//!
//! A child has ended when its manager is finished: `run` and everything below have ended, to the last cleanup. Only
//! then is it restarted, so that two incarnations never overlap. [`Restart`] says which ends lead to a restart,
//! [`Strategy`] which other children are restarted with it, and [`Backoff`] how long the supervisor waits before that.
//! The supervisor makes the service anew with the factory of the [`ChildSpec`].
//!
//! A restart that fails counts as one more restart. With one restart more than the
//! [intensity](Supervisor::intensity) allows, the supervisor gives up: it stops the other children and fails with the
//! last failure of that child. Its text has the failures of the child before that one, with their times, and
//! [`TaskFailure::earlier`](crate::TaskFailure::earlier) returns them.
//!
//! # Stopping
//!
//! When the supervisor is cancelled, its children do not notice. It stops them itself, the last one first, each after
//! the one behind it is gone, and each as [`ChildSpec::shutdown`] says. Then it ends. So the times that the children
//! have for their cleanup add up. As in OTP, a failure of a child that is being stopped, such as a panic in its cleanup, does
//! not fail the supervisor; [`SupervisorHandle::children`] shows it. A supervisor that is killed takes its children with it
//! at once.
//!
//! A supervisor that was started with children ends by itself when no child is left that could run again: all have
//! ended, and will not be restarted, and none of those that are left was stopped through a handle. A supervisor that was
//! started without children is there for those that come through its [handle](SupervisorHandle), and ends when no
//! child runs and all handles were dropped.
//!
//! # In the tree
//!
//! The children are services below the supervisor's task; the path of a child is that of the supervisor and the name of
//! its spec. They do not count in the supervisor's [`Stats`](crate::Stats), nor towards its `max_children`. A supervisor
//! may be a child of another one, which restarts it with all of its children.

// The room of supervisors. `policy` decides, and knows nothing but data and times. `driver` carries it out as the code
// of the supervisor's task; `live` has what it keeps of each child. `board`, `inbox` and `reply` are what it shares with
// handles. The room uses what a service may use, and may not touch records, state words or the tree.

mod backoff;
mod board;
mod driver;
mod handle;
mod inbox;
mod info;
mod intensity;
mod live;
mod plan;
mod policy;
mod reply;
mod rules;
mod service;
mod spec;

pub use crate::error::PastFailure;
pub use backoff::Backoff;
pub use handle::SupervisorHandle;
pub use info::{ChildInfo, ChildState, SupervisorError};
pub use rules::{AutoShutdown, Restart, Shutdown, Strategy};
pub use service::Supervisor;
pub use spec::ChildSpec;
