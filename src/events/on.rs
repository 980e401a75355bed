//! Spans and events of `tracing`.

use crate::error::TaskFailure;
use crate::id::TaskId;
use crate::panics::quietly;
use crate::snapshot::stall::Stall;
use std::panic::Location;
use tracing::level_filters::LevelFilter;
use tracing::{debug, error, info_span, warn};

/// Whether a subscriber may want to know.
#[inline]
pub(crate) fn is_on() -> bool {
    LevelFilter::current() != LevelFilter::OFF
}

/// The span of a task.
pub(crate) struct Span(tracing::Span);

impl Span {
    /// Makes the span, and tells that the task starts. `path` is called if a subscriber wants the span.
    pub(crate) fn begin(
        path: impl FnOnce() -> String,
        id: TaskId,
        location: &'static Location<'static>,
    ) -> Option<Span> {
        let mut begun = None;
        quietly(|| {
            begun = Some(Span(info_span!(
                target: "taskgrove",
                parent: None,
                "task",
                path = path(),
                id = id.get(),
                location = %location,
            )));
        });
        let span = begun?;
        span.run(|| quietly(|| debug!(target: "taskgrove", %location, "started")));
        Some(span)
    }

    /// Runs `f`, which does not panic, in the span.
    // No call of a subscriber is made by a destructor while another one unwinds: two panics would end the process.
    pub(crate) fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let mut entered = None;
        quietly(|| entered = Some(self.0.enter()));
        let result = f();
        quietly(|| drop(entered));
        result
    }

    /// Closes the span.
    pub(crate) fn end(self) {
        quietly(|| drop(self));
    }
}

/// The cancellation of a task was requested.
pub(crate) fn cancelled(path: &str, id: TaskId, kill: bool, cause: Option<&str>) {
    quietly(|| debug!(target: "taskgrove", path, id = id.get(), kill, cause, "cancelled"));
}

/// A task has failed.
pub(crate) fn failed(failure: &TaskFailure) {
    quietly(|| {
        error!(
            target: "taskgrove",
            path = failure.path(),
            id = failure.task().get(),
            location = %failure.location(),
            error = %failure,
            "failed"
        );
    });
}

/// A supervisor starts a child again.
pub(crate) fn restarted(supervisor: &str, child: &str, restarts: u64) {
    quietly(|| warn!(target: "taskgrove", supervisor, child, restarts, "restarted"));
}

/// A poll lasts.
pub(crate) fn stalled(stall: &Stall) {
    quietly(|| {
        warn!(
            target: "taskgrove",
            path = stall.path,
            id = stall.id.get(),
            location = %stall.location,
            running_for = ?stall.running_for,
            "stalled"
        );
    });
}
