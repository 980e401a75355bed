//! The futures of the tree's nodes.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, OnceLock};
use std::task::{Context as Cx, Poll};

use taskgrove::{Context, Defer, Runtime, defer, finally, service_fn, shielded, yield_now};

use crate::common::{Event, suspend};
use crate::world::{DEFER, FINALLY, Form, Held, Mail, SHIELD, World};

/// A node's future: it logs when its drop begins and, through its last field, when it has ended.
struct Guarded<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    end: End,
}

impl<T> Future for Guarded<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<T> {
        let end = &self.end;
        if end.world.nodes[end.node].drop_begun.load(SeqCst) != 0 {
            end.world.wrong(format!("{} was polled dead", end.node));
        }
        self.future.as_mut().poll(cx)
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        let world = &self.end.world;
        world.nodes[self.end.node]
            .drop_begun
            .store(world.tick(), SeqCst);
    }
}

struct End {
    world: Arc<World>,
    node: usize,
}

impl Drop for End {
    fn drop(&mut self) {
        let node = &self.world.nodes[self.node];
        let left = {
            let mut mailbox = node.mailbox.lock().unwrap();
            mailbox.closed = true;
            std::mem::take(&mut mailbox.mail)
        };
        // A child that still waits for an answer shall not hang the test: the order of the drops tells on its own.
        for mail in left {
            if let Mail::Ask(answered) = mail {
                answered.set();
            }
        }
        node.drops.fetch_add(1, SeqCst);
        node.drop_ended.store(self.world.tick(), SeqCst);
    }
}

/// Lives as long as one cleanup's future.
struct Mark {
    world: Arc<World>,
    node: usize,
    kind: usize,
}

impl Mark {
    fn new(world: &Arc<World>, node: usize, kind: usize) -> Mark {
        world.nodes[node].scopes[kind].made.fetch_add(1, SeqCst);
        let world = world.clone();
        Mark { world, node, kind }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let tick = self.world.tick();
        self.world.nodes[self.node].scopes[self.kind]
            .dropped
            .store(tick, SeqCst);
    }
}

/// A cleanup: suspends a number of times, looks whether everything above is still there, and has the parent's future serve it.
async fn clean(mark: Mark) {
    let (world, i) = (&mark.world, mark.node);
    let node = &world.nodes[i];
    let scope = &node.scopes[mark.kind];
    scope.runs.fetch_add(1, SeqCst);
    scope.begun.store(world.tick(), SeqCst);
    for turn in 0..node.plan.yields {
        world.check_above(i, "was cleaning up");
        if turn % 2 == 0 {
            yield_now().await;
        } else {
            suspend().await;
        }
    }
    let served = node.parent.filter(|&p| !world.nodes[p].plan.returns);
    if let Some(parent) = served.filter(|_| node.plan.asks) {
        let answered = Event::new();
        world.tell(parent, Mail::Ask(answered.clone()));
        answered.wait().await;
    }
    world.check_above(i, "was ending its cleanup");
    scope.ended.store(world.tick(), SeqCst);
}

impl World {
    pub(crate) fn tell(&self, i: usize, mail: Mail) {
        let waker = {
            let mut mailbox = self.nodes[i].mailbox.lock().unwrap();
            if mailbox.closed {
                drop(mailbox);
                if let Mail::Ask(answered) = mail {
                    answered.set();
                }
                return;
            }
            mailbox.mail.push_back(mail);
            mailbox.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Asks for the cancellation of `i` and all below it.
    pub(crate) fn cancel(&self, i: usize) {
        match self.nodes[i].held.get().expect("a handle of the node") {
            Held::Task(task) => task.cancel(),
            Held::Service(manager) => manager.cancel().expect("a started service"),
        }
    }

    /// Waits until `i` and all below it are done.
    pub(crate) async fn wait_done(&self, i: usize) {
        match self.nodes[i].held.get().expect("a handle of the node") {
            Held::Task(task) => task.wait_done().await,
            Held::Service(manager) => manager.wait_finished().await,
        }
    }

    /// Spawns the root, which spawns the rest.
    pub(crate) fn plant(self: &Arc<World>, rt: &Runtime) {
        let held = match self.nodes[0].plan.form {
            Form::Service => Held::Service(rt.start(self.service(0)).expect("a service")),
            _ => Held::Task(rt.spawn(self.raw(0))),
        };
        assert!(self.nodes[0].held.set(held).is_ok(), "planted once");
    }

    fn guarded<T>(
        self: &Arc<World>,
        i: usize,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Guarded<T> {
        self.nodes[i].made.fetch_add(1, SeqCst);
        let (future, world) = (Box::pin(future), self.clone());
        let end = End { world, node: i };
        Guarded { future, end }
    }

    fn raw(self: &Arc<World>, i: usize) -> Guarded<()> {
        self.guarded(i, live(self.clone(), i, None))
    }

    fn supervised(
        self: &Arc<World>,
        i: usize,
        ctx: Arc<OnceLock<Context>>,
    ) -> Guarded<taskgrove::Result> {
        let world = self.clone();
        self.guarded(i, async move {
            live(world, i, ctx.get().cloned()).await;
            Ok(())
        })
    }

    fn service(self: &Arc<World>, i: usize) -> impl taskgrove::Service + use<> {
        let cell = Arc::new(OnceLock::new());
        let future = self.supervised(i, cell.clone());
        service_fn(format!("service-{i}"), move |ctx| {
            assert!(cell.set(ctx).is_ok(), "run once");
            future
        })
    }

    fn spawn_child(self: &Arc<World>, i: usize, ctx: Option<&Context>) {
        let node = &self.nodes[i];
        let held = match (node.plan.form, ctx) {
            (Form::Supervised, Some(ctx)) => {
                let cell = Arc::new(OnceLock::from(ctx.clone()));
                let task = ctx.task(self.supervised(i, cell)).name(format!("task-{i}"));
                let task = match node.plan.grace {
                    Some(grace) => task.grace(grace),
                    None => task,
                };
                task.spawn().map(Held::Task)
            }
            (Form::Service, Some(ctx)) => {
                let child = ctx.child_service(self.service(i));
                let child = match node.plan.grace {
                    Some(grace) => child.grace(grace),
                    None => child,
                };
                child.spawn().map(Held::Service)
            }
            _ => Ok(Held::Task(taskgrove::spawn(self.raw(i)))),
        };
        match held {
            Ok(held) => assert!(node.held.set(held).is_ok(), "spawned once"),
            Err(_) if self.killed.load(SeqCst) => {}
            Err(error) => self.wrong(format!("{i} was not spawned: {error}")),
        }
    }

    fn deferred(self: &Arc<World>, i: usize) -> Defer {
        let guard = defer(clean(Mark::new(self, i, DEFER)));
        self.enter(i, DEFER);
        guard
    }

    fn enter(&self, i: usize, kind: usize) {
        self.nodes[i].scopes[kind].entered.store(true, SeqCst);
    }

    /// Answers mail for ever, or until this node's cancellation has been asked for.
    async fn serve(self: &Arc<World>, i: usize, until: Until) {
        let node = &self.nodes[i];
        let mut go = pin!(self.go.wait());
        poll_fn(|cx| {
            loop {
                let mail = {
                    let mut mailbox = node.mailbox.lock().unwrap();
                    let mail = mailbox.mail.pop_front();
                    if mail.is_none() {
                        mailbox.waker = Some(cx.waker().clone());
                    }
                    mail
                };
                match mail {
                    None => break,
                    Some(Mail::Ask(answered)) => {
                        self.answers.fetch_add(1, SeqCst);
                        answered.set();
                    }
                    Some(Mail::Block) => self.gate.pass(),
                    Some(Mail::Cancel(other)) => {
                        self.cancel(other);
                        self.go.set();
                    }
                }
            }
            let over = match until {
                Until::Dropped => false,
                Until::Go => go.as_mut().poll(cx).is_ready(),
                Until::Ending => go.as_mut().poll(cx).is_ready() && node.targeted.load(SeqCst),
            };
            if over {
                return Poll::Ready(());
            }
            if node.plan.spins {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
    }
}

#[derive(Clone, Copy)]
enum Until {
    Dropped,
    /// Some cancellation has been asked for.
    Go,
    /// This node's has.
    Ending,
}

/// The life of node `i`.
async fn live(world: Arc<World>, i: usize, ctx: Option<Context>) {
    let node = &world.nodes[i];
    let plan = &node.plan;
    let _deferred = plan.scopes[DEFER].then(|| world.deferred(i));
    for &child in &node.children {
        world.spawn_child(child, ctx.as_ref());
    }
    world.start_one();
    if plan.returns {
        return;
    }
    let inner = async {
        if plan.scopes[SHIELD] {
            let mark = Mark::new(&world, i, SHIELD);
            let world = &world;
            shielded(async move {
                world.enter(i, SHIELD);
                world.serve(i, Until::Go).await;
                clean(mark).await;
            })
            .await;
        }
        if plan.ends {
            world.serve(i, Until::Ending).await;
        } else {
            world.serve(i, Until::Dropped).await;
        }
    };
    if plan.scopes[FINALLY] {
        let cleanup = clean(Mark::new(&world, i, FINALLY));
        let world = &world;
        let body = async move {
            world.enter(i, FINALLY);
            inner.await;
        };
        finally(body, cleanup).await;
    } else {
        inner.await;
    }
}
