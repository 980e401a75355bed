//! [`ChildSpec`]: how a supervisor makes and treats a child.

use super::backoff::Backoff;
use super::rules::{ChildRules, Restart, Shutdown};
use crate::error::LifecycleError;
use crate::handle::local::TaskLocal;
use crate::service::{Manager, ManagerBuilder, Service};
use std::any::TypeId;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

type Factory = dyn Fn() -> ManagerBuilder + Send + Sync;
/// Sets a value for a new incarnation.
type Setting = dyn Fn(ManagerBuilder) -> ManagerBuilder + Send + Sync;

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
    ready_with_children: bool,
    locals: Vec<Arc<Setting>>,
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
            ready_with_children: false,
            locals: Vec::new(),
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

    /// Makes the child ready when all of its child services are; see
    /// [`ManagerBuilder::ready_with_children`](crate::ManagerBuilder::ready_with_children). The supervisor
    /// waits for that if the spec has [`wait_ready`](ChildSpec::wait_ready).
    pub fn ready_with_children(mut self) -> ChildSpec {
        self.ready_with_children = true;
        self
    }

    /// Sets the value of a [`TaskLocal`] for the child and everything below it. Each incarnation gets a clone
    /// of the value; a panic of that clone is a failed start. Of two values for one key the later one counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use taskgrove::supervisor::{ChildSpec, Restart, Strategy, Supervisor};
    /// use taskgrove::{Runtime, TaskLocal, service_fn};
    /// static SHARD: TaskLocal<u32> = TaskLocal::new();
    /// let shard = |number| {
    ///     let service = || service_fn("shard", async |_| {
    ///         println!("serves shard {:?}", SHARD.get());
    ///         Ok(())
    ///     });
    ///     ChildSpec::new(format!("shard-{number}"), service)
    ///         .restart(Restart::Transient)
    ///         .local(&SHARD, number)
    /// };
    /// let shards = Supervisor::new(Strategy::OneForOne).child(shard(1)).child(shard(2));
    /// Runtime::new()?.run(shards)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local<T: Clone + Send + Sync + 'static>(
        mut self,
        key: &'static TaskLocal<T>,
        value: T,
    ) -> ChildSpec {
        self.locals
            .push(Arc::new(move |builder| builder.local(key, value.clone())));
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
        if self.ready_with_children {
            builder = builder.ready_with_children();
        }
        for set in &self.locals {
            builder = set(builder);
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
            .field("ready_with_children", &self.ready_with_children)
            .finish_non_exhaustive()
    }
}
