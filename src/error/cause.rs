//! [`CancelCause`]: why something is being cancelled.

use super::failure::TaskFailure;
use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// The cause of a cancellation: which task or service it was asked for, by what, where, and with which
/// reason.
///
/// [`cancel_cause`](crate::cancel_cause()), [`Task::cancel_cause`](crate::Task::cancel_cause) and
/// [`Manager::cancel_cause`](crate::Manager::cancel_cause) return it. Its `Display` is one line. A clone
/// shares the cause. Two causes are equal if they say the same.
///
/// # Examples
///
/// ```
/// use taskgrove::{CauseKind, Runtime};
/// let runtime = Runtime::new()?;
/// let task = runtime.task(std::future::pending::<()>()).name("db").spawn();
/// task.cancel_with("reload");
/// let cause = task.cancel_cause().expect("it was cancelled");
/// assert_eq!((cause.path(), cause.reason()), ("db", Some("reload")));
/// assert!(matches!(cause.kind(), CauseKind::Requested));
/// assert!(cause.to_string().starts_with("db: cancel_with() at "));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct CancelCause(Arc<Inner>);

struct Inner {
    path: String,
    origin: Origin,
    kind: CauseKind,
    reason: Option<Cow<'static, str>>,
}

/// The kind of a [`CancelCause`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CauseKind {
    /// A caller asked for it: `cancel`, `cancel_with`, `stop`, `stop_timeout` or `stop_or_kill`; or the
    /// body of a `background_service` ended, a supervisor stops its child, or `process` received a signal.
    Requested,
    /// A failure of the service cancelled it. For a service around the one that failed, it is that
    /// inner failure.
    Failed(TaskFailure),
    /// The future of `Manager::run`, `Manager::run_service` or `background_service`, or a `CancelOnDrop`,
    /// was dropped.
    Dropped,
    /// A caller asked for a kill, or a supervisor kills its child.
    Killed,
    /// The runtime ends.
    Shutdown,
}

/// What asked for a cancellation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum How {
    Cancel,
    CancelWith,
    Stop,
    StopTimeout,
    StopOrKill,
    Kill,
    /// The body of a `background_service` ended.
    BodyEnd,
    /// A `CancelOnDrop` was dropped.
    HandleDrop,
    /// The future that runs a service was dropped.
    RunDrop,
    Failure,
    Shutdown,
    /// A supervisor stops a child.
    Supervisor,
    /// A supervisor kills a child.
    SupervisorKill,
    /// The process has received a signal.
    #[cfg(feature = "process")]
    Signal,
}

impl How {
    /// The public name of the call.
    fn call(self) -> &'static str {
        match self {
            How::Cancel => "cancel()",
            How::CancelWith => "cancel_with()",
            How::Stop => "stop()",
            How::StopTimeout => "stop_timeout()",
            How::StopOrKill => "stop_or_kill()",
            How::Kill => "kill()",
            How::BodyEnd => "the end of the body of background_service()",
            How::HandleDrop => "the drop of a CancelOnDrop",
            How::RunDrop => "the drop of the future that ran it",
            How::Failure => "a failure",
            How::Shutdown => "the shutdown of the runtime",
            How::Supervisor => "its supervisor stops it",
            How::SupervisorKill => "its supervisor kills it",
            #[cfg(feature = "process")]
            How::Signal => "a signal to the process",
        }
    }

    /// Whether more than the origin is kept: a reason, or the failure.
    pub(crate) fn is_kept(self) -> bool {
        match self {
            How::CancelWith | How::Failure => true,
            #[cfg(feature = "process")]
            How::Signal => true,
            _ => false,
        }
    }

    fn kind(self) -> CauseKind {
        match self {
            How::Kill | How::SupervisorKill => CauseKind::Killed,
            How::HandleDrop | How::RunDrop => CauseKind::Dropped,
            How::Shutdown => CauseKind::Shutdown,
            _ => CauseKind::Requested,
        }
    }
}

/// What a request for cancellation says about itself without using memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Origin {
    pub(crate) how: How,
    pub(crate) location: Option<&'static Location<'static>>,
}

impl Origin {
    /// An origin of which no place is known.
    pub(crate) const fn nowhere(how: How) -> Origin {
        Origin {
            how,
            location: None,
        }
    }

    /// An origin at this place.
    pub(crate) const fn at(how: How, location: &'static Location<'static>) -> Origin {
        Origin {
            how,
            location: Some(location),
        }
    }
}

impl CancelCause {
    /// Makes the cause of a cancellation of the task or service with this path.
    pub(crate) fn new(path: String, origin: Origin) -> CancelCause {
        CancelCause::make(path, origin, origin.how.kind(), None)
    }

    /// As [`CancelCause::new`], with a reason.
    pub(crate) fn with_reason(
        path: String,
        origin: Origin,
        reason: Cow<'static, str>,
    ) -> CancelCause {
        CancelCause::make(path, origin, origin.how.kind(), Some(reason))
    }

    /// Makes the cause of a cancellation by a failure.
    pub(crate) fn failed(path: String, failure: TaskFailure) -> CancelCause {
        let origin = Origin::nowhere(How::Failure);
        CancelCause::make(path, origin, CauseKind::Failed(failure), None)
    }

    fn make(
        path: String,
        origin: Origin,
        kind: CauseKind,
        reason: Option<Cow<'static, str>>,
    ) -> CancelCause {
        CancelCause(Arc::new(Inner {
            path,
            origin,
            kind,
            reason,
        }))
    }

    /// Returns the path of the task or service that the cancellation was asked for. It is empty if that
    /// is the whole runtime.
    ///
    /// The cause may be asked for after the end of its target. Then only the target's name may be known:
    /// the path is `../name`.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Returns the kind of the cause.
    pub fn kind(&self) -> &CauseKind {
        &self.0.kind
    }

    /// Returns the reason that the caller gave, if it gave one.
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Returns the place of the call that asked for the cancellation, if there was one.
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.0.origin.location
    }
}

impl PartialEq for CancelCause {
    fn eq(&self, other: &CancelCause) -> bool {
        let (one, two) = (&*self.0, &*other.0);
        let same_failure = match (&one.kind, &two.kind) {
            (CauseKind::Failed(one), CauseKind::Failed(two)) => one.is(two),
            _ => true,
        };
        (&one.path, one.origin, &one.reason) == (&two.path, two.origin, &two.reason) && same_failure
    }
}

impl Eq for CancelCause {}

impl fmt::Display for CancelCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if !inner.path.is_empty() {
            write!(f, "{}: ", inner.path)?;
        }
        if let CauseKind::Failed(failure) = &inner.kind {
            let text = failure.to_string();
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            write!(f, "{}", lines.next().unwrap_or("a failure"))?;
            return lines.try_for_each(|line| write!(f, "; {line}"));
        }
        f.write_str(inner.origin.how.call())?;
        if let Some(location) = inner.origin.location {
            write!(f, " at {location}")?;
        }
        match &inner.reason {
            Some(reason) => write!(f, ": {reason:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for CancelCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelCause")
            .field("path", &self.path())
            .field("kind", self.kind())
            .field("reason", &self.reason())
            .field(
                "location",
                &format_args!(
                    "{}",
                    self.location().map_or("-".to_owned(), ToString::to_string)
                ),
            )
            .finish()
    }
}
