//! The real side: handles of all that was started, and a log of what happened.

use super::interp::{Control, Launch, Supervised, Told, raw};
use super::ops::Kind;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Wake, Waker};
use taskgrove::{CancelHandle, Context, Handle, LifecycleError, Manager, SpawnError, Task, TaskId};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// A future is gone; `true`: it was dropped before its end.
    Gone(usize, bool),
    ServiceDropped(usize),
    CleanupBegun(usize),
    CleanupEnded(usize),
    /// A cleanup's future is gone, whether it has run or not.
    CleanupGone(usize),
}

/// What starting something came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Started {
    Yes,
    NotRunning,
    TooMany,
    Other,
}

#[derive(Default)]
pub(crate) struct Real {
    pub(crate) control: Arc<Control>,
    pub(crate) id: Option<TaskId>,
    pub(crate) cancel: Option<CancelHandle>,
    pub(crate) task: Option<Arc<Task<usize>>>,
    pub(crate) manager: Option<Manager>,
    pub(crate) context: Option<Context>,
    pub(crate) started: Option<Started>,
}

#[derive(Default)]
struct Cleanup {
    released: bool,
    panics: bool,
    waker: Option<Waker>,
}

pub(crate) struct World {
    pub(crate) handle: Handle,
    nodes: Mutex<Vec<Real>>,
    cleanups: Mutex<Vec<Cleanup>>,
    events: Mutex<Vec<Event>>,
}

impl World {
    pub(crate) fn new(handle: Handle) -> Arc<Self> {
        Arc::new(World {
            handle,
            nodes: Mutex::default(),
            cleanups: Mutex::default(),
            events: Mutex::default(),
        })
    }

    pub(crate) fn nodes(&self) -> MutexGuard<'_, Vec<Real>> {
        self.nodes.lock().unwrap()
    }

    pub(crate) fn new_node(&self) {
        let mut nodes = self.nodes();
        let control = Arc::new(Control::new(nodes.len() % 2 == 1));
        nodes.push(Real {
            control,
            ..Real::default()
        });
    }

    pub(crate) fn new_cleanup(&self, waits: bool) {
        self.cleanups.lock().unwrap().push(Cleanup {
            released: !waits,
            ..Cleanup::default()
        });
    }

    pub(crate) fn release(&self, cleanup: usize, panics: bool) {
        let waker = {
            let mut cleanups = self.cleanups.lock().unwrap();
            let cleanup = &mut cleanups[cleanup];
            cleanup.released = true;
            cleanup.panics = panics;
            cleanup.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn cleanup(
        world: Arc<World>,
        number: usize,
    ) -> impl Future<Output = ()> + Send + 'static {
        struct Gone(Arc<World>, usize);
        impl Drop for Gone {
            fn drop(&mut self) {
                self.0.log(Event::CleanupGone(self.1));
            }
        }
        let gone = Gone(world, number);
        async move {
            let world = &gone.0;
            world.log(Event::CleanupBegun(number));
            let panics = poll_fn(|cx| {
                let mut cleanups = world.cleanups.lock().unwrap();
                let cleanup = &mut cleanups[number];
                if cleanup.released {
                    return Poll::Ready(cleanup.panics);
                }
                cleanup.waker = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
            world.log(Event::CleanupEnded(number));
            if panics {
                panic!("cleanup {number}");
            }
        }
    }

    pub(crate) fn log(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap()
    }

    pub(crate) fn control(&self, node: usize) -> Arc<Control> {
        self.nodes()[node].control.clone()
    }

    pub(crate) fn set_manager(&self, node: usize, manager: Manager) {
        self.nodes()[node].manager = Some(manager);
    }

    pub(crate) fn set_context(&self, node: usize, context: Context) {
        self.nodes()[node].context = Some(context);
    }

    fn set_task(&self, node: usize, task: Task<usize>) {
        let real = &mut self.nodes()[node];
        real.id = Some(task.id());
        real.cancel = Some(task.cancel_handle());
        real.task = Some(Arc::new(task));
    }

    pub(crate) fn root_task(self: &Arc<Self>, node: usize) {
        let builder = self.handle.task(raw(node, self.clone()));
        let task = builder.name(format!("n{node}")).spawn();
        self.set_task(node, task);
        self.nodes()[node].started = Some(Started::Yes);
    }

    pub(crate) fn root_service(self: &Arc<Self>, node: usize) {
        match self.handle.start(Told::new(self, node)) {
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
        let context = self.nodes()[via].context.clone();
        let context = context.expect("a context that was handed out");
        let started = if launch.kind.is_service() {
            let mut builder = context.child_service(Told::new(self, node));
            if let Some(grace) = launch.grace {
                builder = builder.grace(grace);
            }
            if let Some(limit) = launch.limit {
                builder = builder.max_children(limit);
            }
            if launch.kind.is_daemon() {
                builder = builder.daemon();
            }
            builder
                .spawn()
                .map(|manager| self.set_manager(node, manager))
        } else {
            let mut builder = context.task(Supervised::new(node, self.clone()));
            builder = builder.name(format!("n{node}"));
            if let Some(grace) = launch.grace {
                builder = builder.grace(grace);
            }
            if launch.kind.is_daemon() {
                builder = builder.daemon();
            }
            builder.spawn().map(|task| self.set_task(node, task))
        };
        self.nodes()[node].started = Some(match started {
            Ok(()) => Started::Yes,
            Err(SpawnError::TooManyChildren(_)) => Started::TooMany,
            Err(SpawnError::Lifecycle(LifecycleError::NotRunning { .. })) => Started::NotRunning,
            Err(_) => Started::Other,
        });
    }

    pub(crate) fn cancel(&self, node: usize) {
        let (cancel, manager) = {
            let nodes = self.nodes();
            (nodes[node].cancel.clone(), nodes[node].manager.clone())
        };
        if let Some(cancel) = cancel {
            cancel.cancel();
        }
        if let Some(manager) = manager {
            let _ = manager.cancel();
        }
    }

    /// Until that node is done.
    pub(crate) fn wait(&self, node: usize) -> impl Future<Output = ()> + Send + 'static {
        let (task, manager) = {
            let nodes = self.nodes();
            (nodes[node].task.clone(), nodes[node].manager.clone())
        };
        async move {
            if let Some(task) = task {
                task.wait_done().await;
            } else if let Some(manager) = manager {
                manager.wait_finished().await;
            }
        }
    }

    pub(crate) fn detach(&self, node: usize, all: bool) {
        let task = self.nodes()[node].task.take();
        let cancel = self.nodes()[node].cancel.take_if(|_| all);
        drop((task, cancel));
    }

    pub(crate) fn cancel_on_drop(&self, node: usize) -> bool {
        let Some(task) = self.nodes()[node].task.take() else {
            return false;
        };
        match Arc::try_unwrap(task) {
            Ok(task) => {
                drop(task.cancel_on_drop());
                true
            }
            // Somebody waits for it.
            Err(task) => {
                self.nodes()[node].task = Some(task);
                false
            }
        }
    }

    pub(crate) fn forget(&self, node: usize) {
        let real = &mut self.nodes()[node];
        let gone = (real.manager.take(), real.context.take());
        real.id = gone.0.as_ref().and_then(Manager::id);
        drop(gone);
    }

    pub(crate) fn manager(&self, node: usize) -> Option<Manager> {
        self.nodes()[node].manager.clone()
    }

    pub(crate) fn set_ready(&self, service: usize) {
        let context = self.nodes()[service].context.clone();
        context.expect("a context that was handed out").set_ready();
    }

    /// Lets go of everything: what is left of the run is its own.
    pub(crate) fn clear(&self) {
        let nodes = std::mem::take(&mut *self.nodes());
        drop(nodes);
    }
}

/// Whether a wait from outside was woken since the last look.
#[derive(Default)]
pub(crate) struct Woken(Mutex<(bool, Option<Waker>)>);

impl Woken {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Woken(Mutex::new((true, None))))
    }

    /// `around` is woken the next time.
    pub(crate) fn take(&self, around: &Waker) -> bool {
        let mut state = self.0.lock().unwrap();
        state.1 = Some(around.clone());
        std::mem::take(&mut state.0)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let around = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        if let Some(around) = around {
            around.wake();
        }
    }
}
