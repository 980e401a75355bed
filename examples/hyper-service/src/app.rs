//! The tree of services, and the order in which it starts and stops.
//!
//! ```text
//! shop                 a supervisor
//! ├─ workers           a supervisor
//! │  ├─ worker-1
//! │  └─ …
//! └─ http
//!    ├─ conn-1
//!    └─ …
//! ```
//!
//! A cancellation reaches everything in a subtree at once, but a connection that drains still needs the
//! workers, which are not above it. A supervisor is what puts siblings in order: it starts its children from
//! the first to the last, and stops them from the last to the first, each when the one behind it is gone.

use crate::http::Http;
use crate::options::Options;
use crate::stalls::Stalls;
use crate::state::State;
use crate::worker;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use taskgrove::supervisor::{Backoff, ChildSpec, Shutdown, Strategy, Supervisor};
use taskgrove::{Context, ManagerSlot, Service};

/// How long a connection may take to finish what it has begun.
pub(crate) const DRAIN: Duration = Duration::from_secs(8);

/// The root service: a supervisor with a name, and a way to look at what is below it.
pub(crate) struct App {
    supervisor: Arc<Supervisor>,
    state: Arc<State>,
}

impl App {
    pub(crate) fn new(options: &Options, stalls: Arc<Stalls>) -> App {
        let state = Arc::new(State::new(stalls));
        let workers = {
            let (options, state) = (options.clone(), state.clone());
            ChildSpec::new("workers", move || workers(&options, &state))
        };
        let http = {
            let (options, state) = (options.clone(), state.clone());
            ChildSpec::new("http", move || Http::new(&options, state.clone()))
        };
        // The grace is inherited by every connection, and counts from one moment for all of them: a drain
        // takes as long as the slowest connection, not as all of them in a row. What is left when it is over
        // is dropped, so that nothing has to be killed.
        let http = http.grace(DRAIN).shutdown(Shutdown::Wait);
        let http = http.max_children(options.connections);
        // The port opens while the workers still warm up (their supervisor has no `wait_ready`): somebody has
        // to answer `/readyz` with "not yet".
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(workers)
            .child(http);
        state.set_supervisor(State::ROOT, supervisor.handle());
        App {
            supervisor: Arc::new(supervisor),
            state,
        }
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }
}

/// A service may be another one with something around it: this hands its run, and the slot that the handles
/// of the supervisor need, over to the supervisor.
impl Service for App {
    fn name(&self) -> Cow<'static, str> {
        State::ROOT.into()
    }

    fn manager_slot(&self) -> Option<&ManagerSlot> {
        self.supervisor.manager_slot()
    }

    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        self.state.set_manager(ctx.manager().clone());
        self.supervisor.clone().run(ctx).await
    }
}

/// Makes the supervisor of the workers. If it gives up, because one of them fails again and again, the root
/// makes a new one, with new workers: a failure that does not go away goes up the tree.
fn workers(options: &Options, state: &State) -> Supervisor {
    let backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(5));
    let mut supervisor =
        Supervisor::new(Strategy::OneForOne).intensity(20, Duration::from_secs(10));
    for number in 1..=options.workers {
        let worker = worker::spec(number, state.jobs.1.clone(), options.warm_up);
        supervisor = supervisor.child(worker.backoff(backoff.jitter(0.2)));
    }
    state.set_supervisor(State::WORKERS, supervisor.handle());
    supervisor
}
