//! How what is started is started for real.

use super::interp::{Launch, Supervised, Told, raw};
use super::ops::Kind;
use super::supervise::Supervises;
use super::world::{Started, World};
use std::sync::Arc;
use taskgrove::{Context, LifecycleError, Manager, Service, SpawnError, TaskBuilder};

impl World {
    pub(crate) fn root_task(self: &Arc<Self>, node: usize) {
        let builder = self.handle.task(raw(node, self.clone()));
        let task = builder.name(format!("n{node}")).spawn();
        self.set_task(node, task);
        self.nodes()[node].started = Some(Started::Yes);
    }

    pub(crate) fn root_service(self: &Arc<Self>, node: usize, limit: Option<usize>) {
        let told = Told::new(self, node);
        let started = match limit {
            None => self.handle.start(told),
            Some(limit) => Manager::builder(told)
                .max_children(limit)
                .start(&self.handle),
        };
        match started {
            Ok(manager) => {
                self.set_manager(node, manager);
                self.nodes()[node].started = Some(Started::Yes);
            }
            Err(LifecycleError::NotRunning { .. }) => {
                self.nodes()[node].started = Some(Started::NotRunning);
            }
            Err(_) => self.nodes()[node].started = Some(Started::Other),
        }
    }

    /// Starts anything but a service that is waited for, from wherever this is called.
    pub(crate) fn start(self: &Arc<Self>, launch: Launch) {
        let node = launch.node;
        if launch.kind == Kind::Raw {
            self.set_task(node, taskgrove::spawn(raw(node, self.clone())));
            self.nodes()[node].started = Some(Started::Yes);
            return;
        }
        let via = launch.via.expect("supervised through a context");
        let context = self.context(via);
        let plan = self.planned(node);
        let started = if let Some((plan, nodes)) = plan {
            self.child_service(launch, &context, Supervises::new(self, node, &plan, &nodes))
        } else if launch.kind.is_service() {
            self.child_service(launch, &context, Told::new(self, node))
        } else {
            let builder = self.task(launch, &context);
            builder.spawn().map(|task| self.set_task(node, task))
        };
        self.started(node, started);
    }

    /// Starts a task as soon as there is room.
    pub(crate) async fn start_when_room(self: Arc<Self>, launch: Launch) {
        let context = self.context(launch.via.expect("supervised through a context"));
        let task = self.task(launch, &context).spawn_when_room().await;
        self.started(
            launch.node,
            task.map(|task| self.set_task(launch.node, task)),
        );
    }

    fn context(&self, via: usize) -> Context {
        let context = self.nodes()[via].context.clone();
        context.expect("a context that was handed out")
    }

    fn task<'a>(
        self: &Arc<Self>,
        launch: Launch,
        context: &'a Context,
    ) -> TaskBuilder<'a, Supervised> {
        let node = launch.node;
        let mut builder = context.task(Supervised::new(node, self.clone()));
        builder = builder.name(format!("n{node}"));
        if let Some(grace) = launch.grace {
            builder = builder.grace(grace);
        }
        if launch.kind.is_daemon() {
            builder = builder.daemon();
        }
        if launch.isolated {
            builder = builder.isolated();
        }
        builder
    }

    fn started(&self, node: usize, result: Result<(), SpawnError>) {
        self.nodes()[node].started = Some(match result {
            Ok(()) => Started::Yes,
            Err(SpawnError::TooManyChildren(_)) => Started::TooMany,
            Err(SpawnError::Lifecycle(LifecycleError::NotRunning { .. })) => Started::NotRunning,
            Err(_) => Started::Other,
        });
    }

    fn child_service<S: Service>(
        &self,
        launch: Launch,
        context: &Context,
        service: S,
    ) -> Result<(), SpawnError> {
        let mut builder = context.child_service(service);
        if let Some(grace) = launch.grace {
            builder = builder.grace(grace);
        }
        if let Some(limit) = launch.limit {
            builder = builder.max_children(limit);
        }
        if launch.kind.is_daemon() {
            builder = builder.daemon();
        }
        let manager = builder.spawn()?;
        self.set_manager(launch.node, manager);
        Ok(())
    }
}
