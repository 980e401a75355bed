//! Every public error.
//!
//! Each error is `Send + Sync + 'static`, so that `?` turns it into a [`BoxError`]. Errors whose
//! causes a caller tells apart are enums with a `From` for each part.
//!
//! Errors of child services nest as deep as the services do. This room guards the stack: dropping,
//! printing and walking such an error takes constant stack, even where each level is wrapped in an
//! error type of the user's. An error type of the user's that contains itself, without one of these
//! errors in between, still recurses.
//!
//! The room is plain data. It knows tasks by their id, path and spawn location only, and must not
//! use any room that runs or stores tasks.

mod any;
mod cause;
mod drop;
mod failure;
mod join;
mod lifecycle;
mod moment;
mod panic;
mod report;
mod spawn;
mod stop;
mod walk;

pub use any::{BoxError, Result};
pub use cause::{CancelCause, CauseKind};
pub(crate) use cause::{How, Origin};
pub(crate) use failure::{ChildFailures, History};
pub use failure::{FailureKind, Failures, PastFailure, ServiceError, TaskFailure};
pub use join::JoinError;
pub use lifecycle::LifecycleError;
pub(crate) use moment::Moment;
pub use panic::Panic;
pub use spawn::{SpawnError, TooManyChildren};
pub use stop::{Elapsed, StopError, StopTimeout};

#[cfg(test)]
mod tests;
