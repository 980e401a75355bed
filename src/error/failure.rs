//! The failure of a task, and the error of a service that fails because of it.
//!
//! The `impl` blocks that walk, print and drop nested failures are in `walk.rs`, `report.rs` and
//! `drop.rs`.

use std::error::Error;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::any::BoxError;
use super::lifecycle::LifecycleError;
use super::moment::Moment;
use crate::id::TaskId;
use crate::sync::OnceLock;

/// The error of a service that failed or was never run.
///
/// Its `Display` prints a line for each failure, with the failures of child services indented below. If the text of an
/// error panics, it is printed as far as it came.
/// Its [`source`](Error::source) is the first failure.
///
/// # Examples
///
/// ```
/// use taskgrove::{FailureKind, Runtime, service_fn};
///
/// let runtime = Runtime::new()?;
/// let error = runtime
///     .run(service_fn("app", |ctx| async move {
///         ctx.task(async { taskgrove::Result::<()>::Err("no route to host".into()) })
///             .name("dial")
///             .spawn()?;
///         std::future::pending().await
///     }))
///     .unwrap_err();
///
/// let [failure] = error.failures() else { panic!("one task failed") };
/// assert_eq!(failure.path(), "app/dial");
/// assert!(matches!(failure.kind(), FailureKind::Error(e) if e.to_string() == "no route to host"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum ServiceError {
    /// The service was not run.
    Lifecycle(LifecycleError),
    /// The service ran and failed.
    Failed(Failures),
}

impl ServiceError {
    /// Returns this service's own failures, in the order in which they happened.
    ///
    /// The slice is empty if the service was not run. A child service that failed is one entry, whose
    /// place in the order is that of the first failure inside it.
    pub fn failures(&self) -> &[TaskFailure] {
        match self {
            ServiceError::Lifecycle(_) => &[],
            ServiceError::Failed(failures) => failures,
        }
    }
}

impl From<LifecycleError> for ServiceError {
    fn from(error: LifecycleError) -> ServiceError {
        ServiceError::Lifecycle(error)
    }
}

impl From<Failures> for ServiceError {
    fn from(failures: Failures) -> ServiceError {
        ServiceError::Failed(failures)
    }
}

impl Error for ServiceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ServiceError::Lifecycle(error) => error.source(),
            ServiceError::Failed(failures) => failures.first().map(|first| first as _),
        }
    }
}

/// The failures of a service, at least one, in the order in which they happened.
///
/// A clone shares the failures.
#[derive(Clone)]
pub struct Failures(Arc<Vec<TaskFailure>>);

impl Failures {
    /// Sorts failures into the order in which they happened. Returns `None` if there are none.
    pub(crate) fn new(mut failures: Vec<TaskFailure>) -> Option<Failures> {
        failures.sort_by_key(TaskFailure::moment);
        (!failures.is_empty()).then(|| Failures(Arc::new(failures)))
    }
}

impl Deref for Failures {
    type Target = [TaskFailure];

    fn deref(&self) -> &[TaskFailure] {
        &self.0
    }
}

impl<'a> IntoIterator for &'a Failures {
    type Item = &'a TaskFailure;
    type IntoIter = std::slice::Iter<'a, TaskFailure>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// The failure of one task or child service: its id, its path, its spawn location and the cause.
///
/// Its [`source`](Error::source) is the task's error, or the error of the child service. A clone
/// shares the failure.
#[derive(Clone)]
pub struct TaskFailure(Arc<Details>);

/// The contents of a [`TaskFailure`]. Their destructor is in `drop.rs`.
pub(super) struct Details {
    task: TaskId,
    path: String,
    location: &'static Location<'static>,
    moment: Moment,
    pub(super) kind: FailureKind,
    /// Set by the supervisor that gives up because of this failure. Other threads may read at any time.
    history: OnceLock<Box<History>>,
}

/// The failures of a supervised child before the one for which its supervisor gave up.
pub(crate) struct History {
    /// Which limit was exceeded.
    pub(crate) limit: String,
    /// The time from the start of the supervisor to the last failure.
    pub(crate) after: Duration,
    /// The failures before it, the newest last.
    pub(crate) earlier: Vec<PastFailure>,
}

/// A failure of a supervised child, and when it happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PastFailure {
    /// The time from the start of the supervisor to the failure.
    pub after: Duration,
    /// The failure.
    pub failure: TaskFailure,
}

impl PastFailure {
    pub(crate) fn new(after: Duration, failure: TaskFailure) -> PastFailure {
        PastFailure { after, failure }
    }
}

/// The error that a supervisor's `run` returns: the failures of its children, which are recorded as the
/// failures of the supervisor.
#[derive(Debug, thiserror::Error)]
#[error("children of a supervisor failed")]
pub(crate) struct ChildFailures(pub(crate) Vec<TaskFailure>);

/// The cause of a task's failure.
#[non_exhaustive]
pub enum FailureKind {
    /// The task returned this error, which can be downcast.
    Error(BoxError),
    /// The task panicked with this message.
    Panic(String),
    /// The task is a daemon and ended while its service was not being cancelled.
    DaemonExit,
    /// The task is a child service that failed.
    Service(ServiceError),
}

impl FailureKind {
    /// Returns the failures of the service whose failure this is, or none if it began here.
    fn of_service(&self) -> &[TaskFailure] {
        match self {
            FailureKind::Service(error) => error.failures(),
            FailureKind::Error(error) => error
                .downcast_ref()
                .map_or(&[], |error: &ServiceError| error.failures()),
            FailureKind::Panic(_) | FailureKind::DaemonExit => &[],
        }
    }
}

impl TaskFailure {
    /// Makes the failure of a task that was spawned at `location`.
    ///
    /// It happened at `moment`, unless it is the failure of a service below: then it happened at the
    /// moment of that service's first failure.
    pub(crate) fn new(
        task: TaskId,
        path: String,
        location: &'static Location<'static>,
        moment: Moment,
        kind: FailureKind,
    ) -> TaskFailure {
        let first = kind.of_service().first().map(TaskFailure::moment);
        TaskFailure(Arc::new(Details {
            task,
            path,
            location,
            moment: first.unwrap_or(moment),
            kind,
            history: OnceLock::new(),
        }))
    }

    /// Notes that a supervisor gives up because of this failure of its child. The first note counts.
    pub(crate) fn note_history(&self, history: History) {
        // The list has other failures only, so no failure contains itself.
        let _ = self.0.history.set(Box::new(history));
    }

    /// Returns the failures of the same child before this one, the newest last, if this is the failure for which
    /// a [supervisor](crate::supervisor) gave up. It returns nothing for every other failure.
    pub fn earlier(&self) -> &[PastFailure] {
        self.history().map_or(&[], |history| &history.earlier)
    }

    pub(super) fn history(&self) -> Option<&History> {
        self.0.history.get().map(|history| &**history)
    }

    /// Whether both are clones of one failure.
    pub(super) fn is(&self, other: &TaskFailure) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns when this failure happened, or the first failure of the service whose failure it is.
    pub(super) fn moment(&self) -> Moment {
        self.0.moment
    }

    /// Returns the id of the task.
    pub fn task(&self) -> TaskId {
        self.0.task
    }

    /// Returns the task's path in the tree, such as `app/db/conn-3`.
    ///
    /// For an error of a service's `run` it is the path of the service.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Returns where the task was spawned.
    pub fn location(&self) -> &'static Location<'static> {
        self.0.location
    }

    /// Returns the cause.
    pub fn kind(&self) -> &FailureKind {
        &self.0.kind
    }

    /// Returns the failures of the service whose failure this is, or none if it began here.
    pub(super) fn of_service(&self) -> &[TaskFailure] {
        self.kind().of_service()
    }
}

impl Error for TaskFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.kind() {
            FailureKind::Error(error) => Some(&**error),
            FailureKind::Service(error) => Some(error),
            FailureKind::Panic(_) | FailureKind::DaemonExit => None,
        }
    }
}
