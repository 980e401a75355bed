//! The real side: handles of all that was started, and a log of what happened.

use super::causes::reason;
use super::interp::{Control, Launch};
use super::supervisor::Plan;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Wake, Waker};
use taskgrove::{CancelHandle, Context, Handle, Manager, Task, TaskId};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// A future is gone; `true`: it was dropped before its end.
    Gone(usize, bool),
    /// A future was dropped before its end, and `cancel_cause` has not said why.
    NoCause(usize),
    ServiceDropped(usize),
    /// An incarnation of a supervisor's child was made, after that one.
    Made(usize, Option<usize>),
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

/// A supervisor, and the nodes of its children's incarnations.
pub(super) type Planned = (Plan, Vec<Vec<usize>>);

/// To cancel a task, or a service.
type Handles = (
    Option<CancelHandle>,
    Option<Arc<Task<usize>>>,
    Option<Manager>,
);

#[derive(Default)]
struct Cleanup {
    released: bool,
    panics: bool,
    waker: Option<Waker>,
    /// What it is to start.
    launches: VecDeque<Launch>,
}

pub(crate) struct World {
    pub(crate) handle: Handle,
    nodes: Mutex<Vec<Real>>,
    cleanups: Mutex<Vec<Cleanup>>,
    /// Those of supervisors that are to be started, and the nodes of their children's incarnations.
    plans: Mutex<HashMap<usize, Planned>>,
    events: Mutex<Vec<Event>>,
}

impl World {
    pub(crate) fn new(handle: Handle) -> Arc<Self> {
        Arc::new(World {
            handle,
            nodes: Mutex::default(),
            cleanups: Mutex::default(),
            plans: Mutex::default(),
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
        self.tell_cleanup(cleanup, |cleanup| {
            cleanup.released = true;
            cleanup.panics = panics;
        });
    }

    pub(crate) fn start_in_cleanup(&self, cleanup: usize, launch: Launch) {
        self.tell_cleanup(cleanup, |cleanup| cleanup.launches.push_back(launch));
    }

    fn tell_cleanup(&self, cleanup: usize, tell: impl FnOnce(&mut Cleanup)) {
        let waker = {
            let cleanup = &mut self.cleanups.lock().unwrap()[cleanup];
            tell(cleanup);
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
            let next = || {
                poll_fn(|cx| {
                    let mut cleanups = world.cleanups.lock().unwrap();
                    let cleanup = &mut cleanups[number];
                    if let Some(launch) = cleanup.launches.pop_front() {
                        return Poll::Ready(Err(launch));
                    }
                    if cleanup.released {
                        return Poll::Ready(Ok(cleanup.panics));
                    }
                    cleanup.waker = Some(cx.waker().clone());
                    Poll::Pending
                })
            };
            let panics = loop {
                match next().await {
                    Ok(panics) => break panics,
                    Err(launch) if launch.when_room => {
                        world.clone().start_when_room(launch).await;
                    }
                    Err(launch) => world.start(launch),
                }
            };
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
        let manager = context.manager().clone();
        let real = &mut self.nodes()[node];
        real.context = Some(context);
        real.manager.get_or_insert(manager);
    }

    pub(super) fn set_task(&self, node: usize, task: Task<usize>) {
        let real = &mut self.nodes()[node];
        real.id = Some(task.id());
        real.cancel = Some(task.cancel_handle());
        real.task = Some(Arc::new(task));
    }

    pub(super) fn planned(&self, node: usize) -> Option<Planned> {
        self.plans.lock().unwrap().remove(&node)
    }

    pub(crate) fn plan(&self, node: usize, plan: Plan, nodes: Vec<Vec<usize>>) {
        self.plans.lock().unwrap().insert(node, (plan, nodes));
    }

    /// With the reason of that number, if there is one.
    pub(crate) fn cancel(&self, node: usize, number: Option<usize>) {
        let (cancel, task, manager) = self.handles(node);
        match (task, cancel, number) {
            (Some(task), _, Some(number)) => task.cancel_with(reason(number)),
            (_, Some(cancel), _) => cancel.cancel(),
            _ => {}
        }
        let _ = match (manager, number) {
            (Some(manager), Some(number)) => manager.cancel_with(reason(number)),
            (Some(manager), None) => manager.cancel(),
            (None, _) => Ok(()),
        };
    }

    pub(crate) fn kill(&self, node: usize) {
        let (cancel, _, manager) = self.handles(node);
        if let Some(cancel) = cancel {
            cancel.kill();
        }
        if let Some(manager) = manager {
            let _ = manager.kill();
        }
    }

    fn handles(&self, node: usize) -> Handles {
        let real = &self.nodes()[node];
        (real.cancel.clone(), real.task.clone(), real.manager.clone())
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
