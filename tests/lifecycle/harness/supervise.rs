//! Supervisors for real: their children are interpreters, one node for each incarnation.

use super::interp::Told;
use super::supervisor::{Plan, Restart, Strategy};
use super::world::{Event, World};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use taskgrove::supervisor::{self, ChildSpec, Shutdown};
use taskgrove::{Context, Service};

/// Longer than a sequence.
const LONG: Duration = Duration::from_secs(1_000_000);

/// A supervisor with a name of ours, whose drop is logged.
pub(crate) struct Supervises {
    node: usize,
    world: Arc<World>,
    inner: Arc<supervisor::Supervisor>,
}

impl Supervises {
    pub(crate) fn new(world: &Arc<World>, node: usize, plan: &Plan, nodes: &[Vec<usize>]) -> Self {
        let strategy = match plan.strategy {
            Strategy::OneForOne => supervisor::Strategy::OneForOne,
            Strategy::OneForAll => supervisor::Strategy::OneForAll,
            Strategy::RestForOne => supervisor::Strategy::RestForOne,
        };
        let inner = supervisor::Supervisor::new(strategy).intensity(plan.intensity, LONG);
        let specs = plan.children.iter().zip(nodes).enumerate();
        let inner = specs.fold(inner, |inner, (child, (&(restart, by_force), nodes))| {
            let spec = spec(world.clone(), format!("c{child}"), nodes.clone());
            inner.child(spec.restart(of(restart)).shutdown(match by_force {
                true => Shutdown::Kill,
                false => Shutdown::Wait,
            }))
        });
        Supervises {
            node,
            world: world.clone(),
            inner: Arc::new(inner),
        }
    }
}

fn of(restart: Restart) -> supervisor::Restart {
    match restart {
        Restart::Permanent => supervisor::Restart::Permanent,
        Restart::Transient => supervisor::Restart::Transient,
        Restart::Temporary => supervisor::Restart::Temporary,
    }
}

/// Its incarnations are these nodes, one after another.
fn spec(world: Arc<World>, name: String, nodes: Vec<usize>) -> ChildSpec {
    let made = AtomicUsize::new(0);
    ChildSpec::new(name, move || {
        let made = made.fetch_add(1, Ordering::Relaxed);
        let before = made.checked_sub(1).map(|before| nodes[before]);
        world.log(Event::Made(nodes[made], before));
        Told::new(&world, nodes[made])
    })
}

impl Service for Supervises {
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        self.inner.clone().run(ctx).await
    }

    fn name(&self) -> std::borrow::Cow<'static, str> {
        format!("n{}", self.node).into()
    }
}

impl Drop for Supervises {
    fn drop(&mut self) {
        self.world.log(Event::ServiceDropped(self.node));
    }
}
