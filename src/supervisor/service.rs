//! [`Supervisor`]: the service.

use super::driver;
use super::handle::{Core, SupervisorHandle};
use super::plan::Plan;
use super::rules::{AutoShutdown, Rules, Strategy};
use super::spec::ChildSpec;
use crate::error::Result;
use crate::panics::quietly;
use crate::service::{Context, ManagerSlot, Service};
use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

/// A service that starts other services, restarts them when they end, and stops them in reverse order.
///
/// See the [module](super) for what it does.
#[must_use = "a supervisor does nothing until it is started as a service"]
pub struct Supervisor {
    rules: Rules,
    specs: Vec<ChildSpec>,
    core: Arc<Core>,
}

impl Supervisor {
    /// Makes a supervisor without children.
    pub fn new(strategy: Strategy) -> Supervisor {
        Supervisor {
            rules: Rules {
                strategy,
                max_restarts: 1,
                within: Duration::from_secs(5),
                auto_shutdown: AutoShutdown::Never,
            },
            specs: Vec::new(),
            core: Arc::new(Core::new()),
        }
    }

    /// Sets how many restarts the supervisor allows within a time; with one more it gives up. By default that is
    /// 1 within 5 seconds, as in OTP.
    ///
    /// A restart of several children because one has ended counts once. After `within` of health, the
    /// [backoff](ChildSpec::backoff) of a child begins anew.
    pub fn intensity(mut self, max_restarts: usize, within: Duration) -> Supervisor {
        self.rules.max_restarts = max_restarts;
        self.rules.within = within;
        self
    }

    /// Sets when the supervisor stops because [significant](ChildSpec::significant) children have ended. It then
    /// ends without an error. By default it never does.
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Supervisor {
        self.rules.auto_shutdown = auto_shutdown;
        self
    }

    /// Adds a child behind the others. A name that another child has fails the start of the supervisor.
    pub fn child(mut self, spec: ChildSpec) -> Supervisor {
        self.specs.push(spec);
        self
    }

    /// Returns a handle, through which the children are seen and changed while the supervisor runs.
    pub fn handle(&self) -> SupervisorHandle {
        SupervisorHandle::new(self.core.clone())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // The driver closes what it has begun. This is for a supervisor that was never started, or that was ended
        // before its first poll.
        self.core.close();
        for spec in self.specs.drain(..) {
            quietly(|| drop(spec));
        }
    }
}

impl Service for Supervisor {
    async fn run(self: Arc<Self>, ctx: Context) -> Result {
        let plan = Plan {
            rules: self.rules,
            specs: self.specs.clone(),
            core: self.core.clone(),
            supervisors: const { &[TypeId::of::<Supervisor>(), TypeId::of::<Arc<Supervisor>>()] },
        };
        driver::run(plan, ctx).await
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        Some(&self.core.slot)
    }
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor")
            .field("rules", &self.rules)
            .field("children", &self.specs)
            .finish_non_exhaustive()
    }
}
