//! Every public error.
//!
//! All of them are `Send + Sync + 'static`, so that `?` turns each into a [`BoxError`]; those that
//! a caller tells apart are enums, with a `From` for each of their parts.
//!
//! Errors of child services nest as deep as the services do. Nothing here recurses over them:
//! dropping, printing and walking such an error takes constant stack, also if each of them is
//! wrapped in an error of the user's own. What recurses in an error of the user's own (one that has
//! another of its kind inside, without one of these in between) is out of reach.

mod children;
mod failure;
mod flat;
mod join;
mod lifecycle;
mod order;
mod report;
mod stop;

pub use children::{SpawnError, TooManyChildren};
pub use failure::{FailureKind, Failures, ServiceError, TaskFailure};
pub use join::{JoinError, Panic};
pub use lifecycle::LifecycleError;
pub(crate) use order::Moment;
pub use stop::{Elapsed, StopError, StopTimeout};

/// Any error: what the tasks and services of an application may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The result of everything that is supervised: nothing or any error, unless said otherwise.
///
/// # Examples
///
/// ```
/// fn port(text: &str) -> taskgrove::Result<u16> {
///     Ok(text.parse()?)
/// }
///
/// assert_eq!(port("80").unwrap(), 80);
/// assert!(port("http").unwrap_err().is::<std::num::ParseIntError>());
/// ```
pub type Result<T = (), E = BoxError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
