//! Failures of tasks, and the services that fail by them.

use std::error::Error;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;

use super::order::Moment;
use super::{BoxError, JoinError, LifecycleError, flat, report};
use crate::id::TaskId;

/// A service ended other than well.
///
/// Its `Display` has a line for each failure, those of child services indented below it;
/// [`source`](Error::source) is the first.
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
    /// It was not run at all.
    Lifecycle(LifecycleError),
    /// It failed.
    Failed(Failures),
}

impl ServiceError {
    /// This service's own failures, in the order they happened; none if it was not run.
    ///
    /// A child service that failed is one of them, and happened when the first of its own did.
    pub fn failures(&self) -> &[TaskFailure] {
        match self {
            ServiceError::Lifecycle(_) => &[],
            ServiceError::Failed(failures) => failures,
        }
    }

    /// Where it began: the failures that are not themselves the failure of a service below, in the
    /// order in which they happened, found through child services and through services whose error
    /// a task passed on with `?`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn show(error: &taskgrove::ServiceError) {
    /// for failure in error.root_causes() {
    ///     eprintln!("{}, spawned at {}", failure.path(), failure.location());
    /// }
    /// # }
    /// ```
    pub fn root_causes(&self) -> impl Iterator<Item = &TaskFailure> {
        let leaves = report::Leaves::new(self.failures(), TaskFailure::of_service);
        let mut leaves: Vec<_> = leaves.collect();
        leaves.sort_by_key(|leaf| leaf.moment());
        leaves.into_iter()
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

/// The failures of a service, in the order they happened; at least one.
///
/// Cloning it copies nothing.
#[derive(Clone)]
pub struct Failures(Arc<Vec<TaskFailure>>);

impl Failures {
    /// These failures, put in the order in which they happened; `None` if there are none.
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

/// The failure of one task or child service: which, where and what.
///
/// Its [`source`](Error::source) is the error, or the child service's. Cloning it copies nothing.
#[derive(Clone)]
pub struct TaskFailure(Arc<Record>);

struct Record {
    task: TaskId,
    path: String,
    location: &'static Location<'static>,
    moment: Moment,
    kind: FailureKind,
}

/// What a task failed with.
#[non_exhaustive]
pub enum FailureKind {
    /// It returned this error, which can be downcast.
    Error(BoxError),
    /// It panicked, with this message.
    Panic(String),
    /// It is a daemon and ended, though its service was not being cancelled.
    DaemonExit,
    /// It is a child service, and failed.
    Service(ServiceError),
}

impl FailureKind {
    /// The failures of the service that this is the failure of; none if it began here.
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
    /// The failure of this task, which was spawned at `location`; it happened at `moment`, unless it
    /// is that of a service below, which happened when the first of that service's own did.
    pub(crate) fn new(
        task: TaskId,
        path: String,
        location: &'static Location<'static>,
        moment: Moment,
        kind: FailureKind,
    ) -> TaskFailure {
        let first = kind.of_service().first().map(TaskFailure::moment);
        TaskFailure(Arc::new(Record {
            task,
            path,
            location,
            moment: first.unwrap_or(moment),
            kind,
        }))
    }

    /// When the first of the failures that this one stands for happened.
    pub(super) fn moment(&self) -> Moment {
        self.0.moment
    }

    /// The id of the task.
    pub fn task(&self) -> TaskId {
        self.0.task
    }

    /// The task's place in the tree, such as `app/db/conn-3`; for an error of a service's `run`,
    /// the service's.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Where the task was spawned.
    pub fn location(&self) -> &'static Location<'static> {
        self.0.location
    }

    /// What it failed with.
    pub fn kind(&self) -> &FailureKind {
        &self.0.kind
    }

    /// The failures of the service that this is the failure of; none if it began here.
    pub(super) fn of_service(&self) -> &[TaskFailure] {
        self.kind().of_service()
    }

    /// The failures that this one passes on: a service's, or that of a task it waited for.
    pub(super) fn passed_on(&self) -> &[TaskFailure] {
        let FailureKind::Error(error) = self.kind() else {
            return self.of_service();
        };
        if let Some(failure) = error.downcast_ref() {
            std::slice::from_ref(failure)
        } else if let Some(JoinError::Failed(failure)) = error.downcast_ref() {
            std::slice::from_ref(failure)
        } else {
            self.of_service()
        }
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

impl Drop for Record {
    fn drop(&mut self) {
        flat::drop_in_turn(std::mem::replace(&mut self.kind, FailureKind::DaemonExit));
    }
}
