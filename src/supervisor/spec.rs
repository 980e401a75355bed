//! [`ChildSpec`]: how a supervisor makes and treats a child.

use super::backoff::Backoff;
use super::rules::{ChildRules, Restart, Shutdown};
use crate::error::LifecycleError;
use crate::service::{Manager, ManagerBuilder, Service};
use std::any::TypeId;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

type Factory = dyn Fn() -> ManagerBuilder + Send + Sync;

/// Describes a child of a supervisor: its name, how to make it, and when to restart it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use taskgrove::service_fn;
/// use taskgrove::supervisor::{Backoff, ChildSpec, Restart};
/// let spec = ChildSpec::new("db", || service_fn("db", async |_| Ok(())))
///     .restart(Restart::Transient)
///     .backoff(Backoff::exponential(Duration::from_millis(10), Duration::from_secs(5)))
///     .wait_ready(Duration::from_secs(1));
/// println!("{spec:?}");
/// ```
#[derive(Clone)]
#[must_use = "a spec has an effect when it is given to a supervisor"]
pub struct ChildSpec {
    pub(super) name: Arc<str>,
    factory: Arc<Factory>,
    grace: Option<Duration>,
    max_children: Option<usize>,
    restart: Restart,
    backoff: Backoff,
    /// `None`: that of the type of the service.
    shutdown: Option<Shutdown>,
    service: TypeId,
    significant: bool,
    wait_ready: Option<Duration>,
    pub(super) location: &'static Location<'static>,
}

impl ChildSpec {
    /// Makes a spec of a child that is to have this name. The supervisor calls `factory` for each incarnation,
    /// as its own code: a factory that blocks holds the supervisor up.
    ///
    /// A panic of the factory, or of the service's [`name`](Service::name), is a failed start. So is a service
    /// that has a manager already.
    #[track_caller]
    pub fn new<S: Service>(
        name: impl Into<String>,
        factory: impl Fn() -> S + Send + Sync + 'static,
    ) -> ChildSpec {
        ChildSpec {
            name: Arc::from(name.into()),
            factory: Arc::new(move || Manager::builder(factory())),
            grace: None,
            max_children: None,
            restart: Restart::default(),
            backoff: Backoff::default(),
            shutdown: None,
            service: TypeId::of::<S>(),
            significant: false,
            wait_ready: None,
            location: Location::caller(),
        }
    }

    /// Sets when the child is restarted. By default it is [permanent](Restart::Permanent).
    pub fn restart(mut self, restart: Restart) -> ChildSpec {
        self.restart = restart;
        self
    }

    /// Sets how long the supervisor waits before it restarts the child. By default it does not wait.
    pub fn backoff(mut self, backoff: Backoff) -> ChildSpec {
        self.backoff = backoff;
        self
    }

    /// Sets the child's grace period; see [`ManagerBuilder::grace`](crate::ManagerBuilder::grace). A period
    /// that is longer than the time limit of [`shutdown`](ChildSpec::shutdown) is cut short by it.
    pub fn grace(mut self, period: Duration) -> ChildSpec {
        self.grace = Some(period);
        self
    }

    /// Sets how many live supervised children the child's task, and each other task of the child, may have; see
    /// [`ManagerBuilder::max_children`](crate::ManagerBuilder::max_children).
    pub fn max_children(mut self, limit: usize) -> ChildSpec {
        self.max_children = Some(limit);
        self
    }

    /// Makes the supervisor wait, at each start of the child, until it has called
    /// [`Context::set_ready`](crate::Context::set_ready), before it starts the children behind it.
    ///
    /// A child that is not ready within `timeout`, or ends before it is, has a failed start. A child that is
    /// not permanent and ends before it is ready, without an error, is taken to have been ready.
    pub fn wait_ready(mut self, timeout: Duration) -> ChildSpec {
        self.wait_ready = Some(timeout);
        self
    }

    /// Sets how the supervisor ends the child. By default it cancels the child and kills it after 5 seconds; for
    /// a child whose service is a [`Supervisor`](super::Supervisor), it waits without limit.
    pub fn shutdown(mut self, shutdown: Shutdown) -> ChildSpec {
        self.shutdown = Some(shutdown);
        self
    }

    /// Lets the end of this child stop the supervisor, as
    /// [`Supervisor::auto_shutdown`](super::Supervisor::auto_shutdown) says. The child has to be
    /// transient or temporary.
    pub fn significant(mut self) -> ChildSpec {
        self.significant = true;
        self
    }

    /// Returns the choices for the child. `supervisors` are the types of supervisors.
    pub(super) fn rules(&self, supervisors: &[TypeId]) -> ChildRules {
        let shutdown = self.shutdown.unwrap_or({
            if supervisors.contains(&self.service) {
                Shutdown::Wait
            } else {
                Shutdown::default()
            }
        });
        ChildRules {
            restart: self.restart,
            backoff: self.backoff,
            shutdown,
            significant: self.significant,
            wait_ready: self.wait_ready,
        }
    }

    pub(super) fn waits_ready(&self) -> bool {
        self.wait_ready.is_some()
    }

    /// Makes an incarnation, which is not started. Runs code of the user, which may panic.
    pub(super) fn make(&self) -> Result<Manager, LifecycleError> {
        let mut builder = (self.factory)().name(&*self.name);
        if let Some(period) = self.grace {
            builder = builder.grace(period);
        }
        if let Some(limit) = self.max_children {
            builder = builder.max_children(limit);
        }
        builder.build()
    }
}

impl std::fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChildSpec")
            .field("name", &self.name)
            .field("restart", &self.restart)
            .field("backoff", &self.backoff)
            .field("shutdown", &self.shutdown)
            .field("significant", &self.significant)
            .field("wait_ready", &self.wait_ready)
            .field("grace", &self.grace)
            .field("max_children", &self.max_children)
            .finish_non_exhaustive()
    }
}
