//! Tasks that do what they are told: each future is an interpreter with a mailbox.

use super::ops::{How, Kind};
use super::woken::OnlyWoken;
use super::world::{Event, World};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;
use taskgrove::{
    BoxError, Context, Defer, Manager, Service, background_service, defer, finally, shielded,
};

/// What an interpreter is to do; nodes and cleanups by their numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Do {
    End(How),
    Shield,
    Finally(usize),
    Defer(usize),
    Leave,
    Abort,
    DropDefer,
    Start(Launch),
    Cancel(usize, Option<usize>),
    Kill(usize),
    Await(usize),
    Stop(usize, Option<usize>),
    StopWithin(usize, Duration),
    Ready(usize),
    Sleep(Duration),
    Arm,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch {
    pub(crate) node: usize,
    pub(crate) kind: Kind,
    pub(crate) via: Option<usize>,
    pub(crate) grace: Option<Duration>,
    pub(crate) limit: Option<usize>,
    pub(crate) beside: bool,
    pub(crate) isolated: bool,
    pub(crate) when_room: bool,
}

/// The error that node ends with.
#[derive(Debug)]
pub(crate) struct Fault(pub usize);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "fault {}", self.0)
    }
}

impl std::error::Error for Fault {}

/// What the harness and the interpreter share.
#[derive(Default)]
pub(crate) struct Control {
    inner: Mutex<Inner>,
    in_sets: bool,
}

#[derive(Default)]
struct Inner {
    mailbox: VecDeque<Do>,
    /// Who reads the mailbox.
    waker: Option<Waker>,
    /// What may be dropped by a command when it is the innermost, from the outside in.
    around: Vec<Waker>,
    depth: usize,
    armed: bool,
    polled: bool,
}

impl Control {
    pub(crate) fn new(in_sets: bool) -> Self {
        let inner = Mutex::default();
        Control { inner, in_sets }
    }

    pub(crate) fn tell(&self, what: Do) {
        self.inner.lock().unwrap().mailbox.push_back(what);
    }

    pub(crate) fn clear(&self) {
        self.inner.lock().unwrap().mailbox.clear();
    }

    pub(crate) fn wake(&self) {
        let wakers = {
            let inner = self.inner.lock().unwrap();
            [inner.waker.clone(), inner.around.last().cloned()]
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    pub(crate) fn was_polled(&self) -> bool {
        self.inner.lock().unwrap().polled
    }

    fn next(&self) -> impl Future<Output = Do> + use<'_> {
        poll_fn(|cx| {
            let mut inner = self.inner.lock().unwrap();
            inner.polled = true;
            inner.waker = Some(cx.waker().clone());
            inner.mailbox.pop_front().map_or(Poll::Pending, Poll::Ready)
        })
    }
}

/// Says that a future is gone, and how.
struct Gone {
    node: usize,
    world: Arc<World>,
    ended: bool,
}

impl Drop for Gone {
    fn drop(&mut self) {
        let returned = self.ended || std::thread::panicking();
        self.world.log(Event::Gone(self.node, !returned));
        if !returned && taskgrove::cancel_cause().is_none() {
            self.world.log(Event::NoCause(self.node));
        }
        let armed = self.world.control(self.node).inner.lock().unwrap().armed;
        if armed && !std::thread::panicking() {
            panic!("armed {}", self.node);
        }
    }
}

enum Out {
    Left,
    End(How),
}

async fn interpret(node: usize, world: Arc<World>) -> How {
    let mut gone = Gone {
        node,
        world: world.clone(),
        ended: false,
    };
    let how = levels(node, world).await;
    gone.ended = true;
    how
}

async fn levels(node: usize, world: Arc<World>) -> How {
    loop {
        if let Out::End(how) = level(node, world.clone()).await {
            return how;
        }
    }
}

/// A wait, or a scope, that `Abort` drops when it is the innermost one.
async fn abortable<F: Future>(control: &Control, inner: F) -> Option<F::Output> {
    struct Depth<'a>(&'a Control, usize);
    impl Drop for Depth<'_> {
        fn drop(&mut self) {
            let mut inner = self.0.inner.lock().unwrap();
            inner.depth = self.1 - 1;
            inner.around.truncate(self.1 - 1);
        }
    }
    let depth = {
        let mut inner = control.inner.lock().unwrap();
        inner.depth += 1;
        inner.around.push(Waker::noop().clone());
        Depth(control, inner.depth)
    };
    // Every other node has each of its scopes and waits in a set of its own.
    let mut inner = Box::pin(OnlyWoken::new(inner, control.in_sets));
    let polled = poll_fn(|cx| {
        {
            let mut state = control.inner.lock().unwrap();
            state.around[depth.1 - 1] = cx.waker().clone();
            if state.depth == depth.1 && matches!(state.mailbox.front(), Some(Do::Abort)) {
                state.mailbox.pop_front();
                return Poll::Ready(None);
            }
        }
        inner.as_mut().poll(cx).map(Some)
    })
    .await;
    drop(inner);
    drop(depth);
    polled
}

fn level(node: usize, world: Arc<World>) -> Pin<Box<dyn Future<Output = Out> + Send>> {
    Box::pin(async move {
        let control = world.control(node);
        let mut guards: Guards = Guards(VecDeque::new());
        loop {
            let scope = match control.next().await {
                Do::End(How::Panic) => panic!("fault {node}"),
                Do::End(how) => return Out::End(how),
                Do::Leave => return Out::Left,
                Do::Abort => continue,
                Do::Shield => {
                    let inner = shielded(level(node, world.clone()));
                    abortable(&control, inner).await
                }
                Do::Finally(cleanup) => {
                    let cleanup = World::cleanup(world.clone(), cleanup);
                    let inner = finally(level(node, world.clone()), cleanup);
                    abortable(&control, inner).await
                }
                Do::Defer(cleanup) => {
                    let cleanup = World::cleanup(world.clone(), cleanup);
                    guards.0.push_back(defer(cleanup));
                    continue;
                }
                Do::DropDefer => {
                    drop(guards.0.pop_front());
                    continue;
                }
                Do::Start(launch) if launch.beside => {
                    let (outer, service) = (world.clone(), launch.node);
                    let body = async move |manager: Manager| {
                        outer.set_manager(service, manager);
                        level(node, outer).await
                    };
                    let inner = background_service(Told::new(&world, service), body);
                    // Whatever its end: what follows would race with the turn.
                    abortable(&control, inner).await;
                    continue;
                }
                Do::Start(launch) if launch.kind == Kind::Run => {
                    if let Some(manager) = make(&world, launch) {
                        abortable(&control, manager.run()).await;
                    }
                    continue;
                }
                Do::Start(launch) if launch.when_room => {
                    let inner = world.clone().start_when_room(launch);
                    abortable(&control, inner).await;
                    continue;
                }
                Do::Start(launch) => {
                    world.start(launch);
                    continue;
                }
                Do::Cancel(other, reason) => {
                    world.cancel(other, reason);
                    continue;
                }
                Do::Kill(other) => {
                    world.kill(other);
                    continue;
                }
                Do::Await(other) => {
                    abortable(&control, world.wait(other)).await;
                    continue;
                }
                Do::Stop(other, reason) => {
                    world.cancel(other, reason);
                    abortable(&control, world.wait(other)).await;
                    continue;
                }
                Do::StopWithin(other, length) => {
                    if let Some(manager) = world.manager(other) {
                        abortable(&control, manager.stop_timeout(length)).await;
                    }
                    continue;
                }
                Do::Ready(service) => {
                    world.set_ready(service);
                    continue;
                }
                Do::Sleep(length) => {
                    abortable(&control, taskgrove::time::sleep(length)).await;
                    continue;
                }
                Do::Arm => {
                    control.inner.lock().unwrap().armed = true;
                    continue;
                }
            };
            if let Some(Out::End(how)) = scope {
                return Out::End(how);
            }
        }
    })
}

/// Guards that are dropped first in, first out.
struct Guards(VecDeque<Defer>);

impl Drop for Guards {
    fn drop(&mut self) {
        while let Some(guard) = self.0.pop_front() {
            drop(guard);
        }
    }
}

fn make(world: &Arc<World>, launch: Launch) -> Option<Manager> {
    let mut builder = Manager::builder(Told::new(world, launch.node));
    if let Some(grace) = launch.grace {
        builder = builder.grace(grace);
    }
    if let Some(limit) = launch.limit {
        builder = builder.max_children(limit);
    }
    let manager = builder.build().ok()?;
    world.set_manager(launch.node, manager.clone());
    Some(manager)
}

/// An unsupervised task; its name is this function's.
pub(crate) async fn raw(node: usize, world: Arc<World>) -> usize {
    interpret(node, world).await;
    node
}

fn outcome(node: usize, how: How) -> Result<usize, BoxError> {
    match how {
        How::Error => Err(Fault(node).into()),
        _ => Ok(node),
    }
}

/// A supervised task, whose drop may panic also when it has returned: that is not in its own code.
pub(crate) struct Supervised {
    node: usize,
    world: Arc<World>,
    levels: Pin<Box<dyn Future<Output = How> + Send>>,
    /// From the first poll on; dropped after the rest.
    gone: Option<Gone>,
}

impl Supervised {
    pub(crate) fn new(node: usize, world: Arc<World>) -> Self {
        Supervised {
            levels: Box::pin(levels(node, world.clone())),
            node,
            world,
            gone: None,
        }
    }
}

impl Future for Supervised {
    type Output = Result<usize, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (node, world) = (this.node, &this.world);
        let gone = this.gone.get_or_insert_with(|| Gone {
            node,
            world: world.clone(),
            ended: false,
        });
        // Unless it suspends, it ends here.
        gone.ended = true;
        let polled = this.levels.as_mut().poll(cx);
        gone.ended = polled.is_ready();
        polled.map(|how| outcome(node, how))
    }
}

/// A service whose `run` is told what to do.
pub(crate) struct Told {
    node: usize,
    world: Arc<World>,
}

impl Told {
    pub(crate) fn new(world: &Arc<World>, node: usize) -> Self {
        let world = world.clone();
        Told { node, world }
    }
}

impl Service for Told {
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        self.world.set_context(self.node, ctx);
        let how = interpret(self.node, self.world.clone()).await;
        outcome(self.node, how).map(drop)
    }

    fn name(&self) -> std::borrow::Cow<'static, str> {
        format!("n{}", self.node).into()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.world.log(Event::ServiceDropped(self.node));
    }
}
