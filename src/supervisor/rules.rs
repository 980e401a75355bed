//! The choices that a user makes for a supervisor and its children, as plain data.

use super::backoff::Backoff;
use std::time::Duration;

/// Which children a supervisor restarts when one of them has to be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Restarts that child.
    OneForOne,
    /// Stops all other children in reverse order, then starts all of them in order.
    OneForAll,
    /// Stops the children after that child in reverse order, then starts it and those after it in order.
    RestForOne,
}

/// When a supervisor restarts a child that has ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Restart {
    /// Always. An end without an error counts as a failure, too. This is the default.
    #[default]
    Permanent,
    /// If it has failed, or someone else has killed it, also if it was being cancelled by then. One that someone else
    /// has cancelled, and that ends without having been killed, has ended well.
    Transient,
    /// Never, also not when the strategy restarts the children around it. Its spec is removed with its end.
    Temporary,
}

/// How a supervisor ends a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shutdown {
    /// Cancels the child and waits until it is finished, however long that takes.
    Wait,
    /// Cancels the child, waits for up to that long, then kills it and waits until it is finished.
    Timeout(Duration),
    /// Kills the child and waits until it is finished.
    Kill,
}

impl Default for Shutdown {
    /// Returns a timeout of 5 seconds, as in OTP.
    fn default() -> Shutdown {
        Shutdown::Timeout(Duration::from_secs(5))
    }
}

/// When a supervisor stops by itself because [significant](super::ChildSpec::significant) children have ended.
///
/// Only an end for good counts: that of a transient child without a failure, and each end of a temporary
/// child, if it was not the supervisor that stopped it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AutoShutdown {
    /// Never. The specs of its children may not be significant then.
    #[default]
    Never,
    /// As soon as one significant child has ended.
    AnySignificant,
    /// As soon as the last significant child that was running has ended.
    AllSignificant,
}

/// The choices for one child.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChildRules {
    pub(super) restart: Restart,
    pub(super) backoff: Backoff,
    pub(super) shutdown: Shutdown,
    pub(super) significant: bool,
    /// How long a start may take. `None`: a child is up as soon as it was started.
    pub(super) wait_ready: Option<Duration>,
}

/// The choices for a supervisor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) strategy: Strategy,
    pub(super) max_restarts: usize,
    pub(super) within: Duration,
    pub(super) auto_shutdown: AutoShutdown,
}

impl Rules {
    /// Returns why a child with these rules cannot be one of a supervisor with those.
    pub(super) fn objection(&self, child: &ChildRules) -> Option<&'static str> {
        if !child.significant {
            return None;
        }
        match (self.auto_shutdown, child.restart) {
            (AutoShutdown::Never, _) => Some(
                "it is significant, but its supervisor has no automatic shutdown: set one with \
                 `Supervisor::auto_shutdown`, or leave `ChildSpec::significant` out",
            ),
            (_, Restart::Permanent) => Some(
                "it is significant and permanent, and a permanent child never ends for good: make it \
                 transient or temporary with `ChildSpec::restart`",
            ),
            _ => None,
        }
    }
}
