//! Services and checks that several of the behaviours need.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use taskgrove::{
    Context, FailureKind, LifecycleError, Manager, ManagerSlot, Service, ServiceError, SpawnError,
    Task, TaskFailure,
};

/// An error of the tests' own, so that it can be told from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Oops(pub(crate) &'static str);

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oops: {}", self.0)
    }
}

impl std::error::Error for Oops {}

/// A task's or a service's result: an [`Oops`].
pub(crate) fn oops<T>(what: &'static str) -> taskgrove::Result<T> {
    Err(Oops(what).into())
}

/// What the [`Oops`] behind the failure says, if it is one.
pub(crate) fn oops_of(failure: &TaskFailure) -> Option<&'static str> {
    match failure.kind() {
        FailureKind::Error(e) => e.downcast_ref::<Oops>().map(|o| o.0),
        _ => None,
    }
}

/// The only failure of a service that has failed once.
#[track_caller]
pub(crate) fn only_failure(error: &ServiceError) -> &TaskFailure {
    match error.failures() {
        [failure] => failure,
        all => panic!("one failure expected, not {}: {error}", all.len()),
    }
}

#[track_caller]
pub(crate) fn assert_daemon_exit(error: &ServiceError, path: &str) {
    let failure = only_failure(error);
    assert!(
        matches!(failure.kind(), FailureKind::DaemonExit),
        "{failure} is no daemon exit"
    );
    assert_eq!(failure.path(), path);
    assert!(
        error.to_string().contains(path),
        "{error:?} does not name {path}"
    );
}

#[track_caller]
pub(crate) fn assert_not_running<T: fmt::Debug>(result: Result<T, LifecycleError>) {
    assert!(
        matches!(result, Err(LifecycleError::NotRunning { .. })),
        "NotRunning expected, not {result:?}"
    );
}

/// Runs the manager's service in a root task of its own.
pub(crate) fn in_background(manager: &Manager) -> Task<Result<(), ServiceError>> {
    let manager = manager.clone();
    taskgrove::spawn(async move { manager.run().await })
}

/// A future that a task can hold to stay there until it is dropped.
pub(crate) async fn forever() -> taskgrove::Result {
    pending().await
}

/// Takes a service through its life and checks the manager's answers at each stage. Returns what `run` returned.
pub(crate) async fn lifecycle(
    manager: &Manager,
    make_it_end: impl FnOnce(),
    cancelled_at_the_end: bool,
) -> Result<(), ServiceError> {
    assert_new(manager);

    let run = in_background(manager);
    manager.wait_started().await;
    assert!(manager.is_started());
    assert!(manager.is_running());
    assert!(!manager.is_cancelled());
    assert!(!manager.is_finished());
    assert!(!manager.did_error());
    assert!(manager.id().is_some());
    assert!(manager.result().is_none());

    make_it_end();
    manager.wait_finished().await;
    assert!(manager.is_started());
    assert!(!manager.is_running());
    assert_eq!(manager.is_cancelled(), cancelled_at_the_end);
    assert!(manager.is_finished());

    let result = run.await.expect("nobody cancels the task that runs it");
    assert_eq!(manager.did_error(), result.is_err());
    let recorded = manager.result().expect("a finished service has a result");
    assert_eq!(recorded.is_err(), result.is_err());
    result
}

#[track_caller]
pub(crate) fn assert_new(manager: &Manager) {
    assert!(!manager.is_started());
    assert!(!manager.is_running());
    assert!(!manager.is_cancelled());
    assert!(!manager.is_finished());
    assert!(!manager.did_error());
    assert!(manager.id().is_none());
    assert!(manager.result().is_none());
    assert_eq!(manager.stats().tasks.total_count, 0);
}

/// A service that runs until it is stopped, and can be reached from outside.
#[derive(Default)]
pub(crate) struct Idle {
    pub(crate) slot: ManagerSlot,
}

impl Idle {
    pub(crate) fn new() -> Arc<Idle> {
        Arc::default()
    }

    /// Schedules a task from outside.
    pub(crate) fn schedule<F>(&self, f: F) -> Result<Task<()>, SpawnError>
    where
        F: Future<Output = taskgrove::Result> + Send + 'static,
    {
        self.slot
            .context()
            .map_err(SpawnError::Lifecycle)?
            .run_task(f)
    }
}

impl Service for Idle {
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        ctx.wait_finished().await;
        Ok(())
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.slot)
    }
}
