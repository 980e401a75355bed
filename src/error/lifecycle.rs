//! [`LifecycleError`]: a call that does not fit the state of a service.

use crate::path::sanitise;

/// The error of a call that a service cannot serve before its start, twice, or after its end.
///
/// # Examples
///
/// ```
/// use taskgrove::LifecycleError;
///
/// let error = LifecycleError::NotRunning { service: "db".into() };
/// assert!(error.to_string().contains("`db` is not running"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// The slot has no manager: the service never got one, or its manager was dropped before the
    /// start.
    #[error(
        "the service has no manager yet: give it to `Manager::new`, or start it as a service or a \
         child service, before its slot is used"
    )]
    NoManager,
    /// The service has a manager and cannot get another one.
    #[error(
        "service `{}` has a manager already, and a service is managed only once: use that manager, \
         or make a new value of the service",
        sanitise(service)
    )]
    AlreadyManaged {
        /// The name of the service.
        service: String,
    },
    /// The service was started before.
    #[error(
        "service `{}` was started already, and a service runs only once: to run it again, make a \
         new value of it with a manager of its own",
        sanitise(service)
    )]
    AlreadyStarted {
        /// The name of the service.
        service: String,
    },
    /// The service was not started yet.
    #[error(
        "service `{}` was not started: start it first, with `Manager::run` or `Handle::start`",
        sanitise(service)
    )]
    NotStarted {
        /// The name of the service.
        service: String,
    },
    /// The service was not started yet, can no longer be started, is being stopped, or has ended.
    #[error(
        "service `{}` is not running: use it after its start (see `Manager::wait_started`) and \
         before it is stopped or ends",
        sanitise(service)
    )]
    NotRunning {
        /// The name of the service.
        service: String,
    },
}
