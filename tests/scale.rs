//! Trees of a million tasks, deep and wide: built, snapshot, drawn, cancelled and dropped on stacks of 256 KiB, leaves first.
//! They run by name, optimised: `cargo test --release --test scale -- --ignored`, as the stage `long` does.

mod common;
#[path = "scale/sleeps.rs"]
mod sleeps;

use std::fmt::{self, Write as _};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Cx, Poll};

use common::{Event, watchdog};
use taskgrove::{Context, FailureKind, Manager, NodeKind, Runtime, service_fn};

const N: usize = 1_000_000;
const STACK: usize = 256 * 1024;
/// What a drawn node may take, in bytes: its name, its state and a bounded indentation.
const LINE: usize = 400;

/// One of these tests at a time: each has the machine's memory and cores for itself.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `body` on a small stack, with a runtime whose workers have small stacks, too.
fn on_small_stacks(body: impl FnOnce(Runtime) + Send + 'static) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    watchdog(move || {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let run = move || {
            let rt = Runtime::builder()
                .workers(2)
                .thread_stack_size(STACK)
                .build()
                .expect("a runtime");
            body(rt);
        };
        let ended = thread.spawn(run).expect("a thread").join();
        if let Err(payload) = ended {
            std::panic::resume_unwind(payload);
        }
    });
}

/// Counts the nodes of one tree as they come and go.
#[derive(Debug, Default)]
struct Forest {
    polled: AtomicUsize,
    alive: AtomicUsize,
    dropped: AtomicUsize,
    early: AtomicUsize,
    ready: Event,
}

impl Forest {
    fn new() -> Arc<Forest> {
        Arc::default()
    }

    fn polled(&self) {
        if self.polled.fetch_add(1, SeqCst) + 1 == N {
            self.ready.set();
        }
    }

    /// A node's guard; when it is dropped, exactly `above` of the tree's futures may be left.
    fn node(self: &Arc<Forest>, above: Option<usize>) -> Node {
        self.alive.fetch_add(1, SeqCst);
        let forest = self.clone();
        Node { forest, above }
    }

    fn assert_gone(&self) {
        let early = self.early.load(SeqCst);
        assert_eq!(early, 0, "futures were dropped before one below them");
        assert_eq!(self.dropped.load(SeqCst), N, "each future is dropped once");
        assert_eq!(self.alive.load(SeqCst), 0, "no future is left");
    }

    fn assert_all_there(&self) {
        assert_eq!(self.dropped.load(SeqCst), 0, "nothing was dropped yet");
        assert_eq!(self.alive.load(SeqCst), N, "every future is there");
    }
}

#[derive(Debug)]
struct Node {
    forest: Arc<Forest>,
    /// How many futures must be left once this one is gone; `None` for a leaf among many.
    above: Option<usize>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let left = self.forest.alive.fetch_sub(1, SeqCst) - 1;
        self.forest.dropped.fetch_add(1, SeqCst);
        if self.above.is_some_and(|above| above != left) {
            self.forest.early.fetch_add(1, SeqCst);
        }
    }
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A link of a chain: spawns the next one below itself, then waits for ever.
struct Link {
    node: Node,
    depth: usize,
    ctx: Option<Context>,
    spawned: bool,
    /// The last link fails when this has happened.
    fail: Option<Wait>,
}

impl Link {
    fn first(forest: &Arc<Forest>, ctx: Option<Context>, fail: Option<Wait>) -> Link {
        let node = forest.node(Some(0));
        Link {
            node,
            depth: 0,
            ctx,
            spawned: false,
            fail,
        }
    }

    fn spawn_next(&mut self) {
        let depth = self.depth + 1;
        let next = Link {
            node: self.node.forest.node(Some(depth)),
            depth,
            ctx: self.ctx.take(),
            spawned: false,
            fail: self.fail.take(),
        };
        match next.ctx.clone() {
            Some(ctx) => drop(ctx.task(next).name("link").spawn().expect("a child")),
            None => drop(taskgrove::spawn(next)),
        }
    }
}

impl Future for Link {
    type Output = taskgrove::Result;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<taskgrove::Result> {
        if !std::mem::replace(&mut self.spawned, true) {
            if self.depth + 1 < N {
                self.spawn_next();
            }
            self.node.forest.polled();
        }
        match &mut self.fail {
            Some(fail) => fail.as_mut().poll(cx).map(|()| Err("it broke".into())),
            None => Poll::Pending,
        }
    }
}

/// A task with `N - 1` children. Parent and children hold a node each.
async fn bush(forest: Arc<Forest>, ctx: Option<Context>) -> taskgrove::Result {
    let _root = forest.node(Some(0));
    for _ in 1..N {
        let node = forest.node(None);
        let leaf = async move {
            node.forest.polled();
            pending::<taskgrove::Result>().await
        };
        match &ctx {
            Some(ctx) => drop(ctx.task(leaf).name("leaf").spawn()?),
            None => drop(taskgrove::spawn(leaf)),
        }
    }
    forest.polled();
    pending().await
}

/// Counts what is written to it.
#[derive(Default)]
struct Sink {
    bytes: usize,
    lines: usize,
}

impl fmt::Write for Sink {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.bytes += s.len();
        self.lines += s.bytes().filter(|&b| b == b'\n').count();
        Ok(())
    }
}

/// Takes a snapshot of the runtime, which must hold `N` tasks of `name`, and draws it.
fn look(rt: &Runtime, name: Option<&str>, others: usize) {
    let snapshot = rt.snapshot();
    assert_eq!(snapshot.nodes().len(), N + others);
    if let Some(name) = name {
        let named = snapshot.nodes().iter().filter(|n| n.name == name).count();
        assert!(named >= N - 1, "{named} of {N} tasks are named {name}");
    }
    let mut longest = 0;
    for node in snapshot.nodes() {
        longest = longest.max(node.path.len());
    }
    assert!(longest < 32 * 64, "a path takes {longest} bytes");
    let mut sink = Sink::default();
    write!(sink, "{snapshot}").expect("the sink takes everything");
    assert!(
        sink.lines + 1 >= N,
        "only {} lines were drawn",
        sink.lines + 1
    );
    assert!(
        sink.bytes <= LINE * (N + others),
        "{} bytes were drawn",
        sink.bytes
    );
}

/// Runs a service with room for a million children whose `run` makes the tree.
fn start(rt: &Runtime, run: impl FnOnce(Context) -> RunFuture + Send + 'static) -> Manager {
    let manager = Manager::builder(service_fn("app", run))
        .max_children(N + 1)
        .build()
        .expect("a new service");
    let running = manager.clone();
    drop(rt.spawn(async move { running.run().await }));
    manager
}

type RunFuture = Pin<Box<dyn Future<Output = taskgrove::Result> + Send>>;

/// A service under whose `run` there is a supervised chain; `run` itself is not one of the `N`.
fn start_chain(rt: &Runtime, forest: &Arc<Forest>, fail: Option<Wait>) -> Manager {
    let forest = forest.clone();
    start(rt, move |ctx| {
        Box::pin(async move {
            let first = Link::first(&forest, Some(ctx.clone()), fail);
            drop(forest);
            ctx.task(first).name("link").spawn()?;
            pending().await
        })
    })
}

/// A service whose `run` is the root of the bush.
fn start_bush(rt: &Runtime, forest: &Arc<Forest>) -> Manager {
    let forest = forest.clone();
    start(rt, move |ctx| Box::pin(bush(forest, Some(ctx))))
}

fn stop_cleanly(rt: &Runtime, manager: &Manager, tasks: usize) {
    rt.block_on(manager.stop()).expect("a started service");
    assert!(
        matches!(manager.result(), Some(Ok(()))),
        "{:?}",
        manager.result()
    );
    let stats = manager.stats().tasks;
    assert_eq!(
        (stats.total_count, stats.finished_count),
        (tasks as u64, tasks as u64)
    );
}

#[test]
#[ignore = "long: the stage `long`"]
fn a_million_deep_is_drawn_and_cancelled() {
    on_small_stacks(|rt| {
        let forest = Forest::new();
        let root = rt.spawn(Link::first(&forest, None, None));
        rt.block_on(forest.ready.wait());
        look(&rt, None, 0);
        forest.assert_all_there();
        root.cancel();
        rt.block_on(root.wait_done());
        forest.assert_gone();
        assert!(rt.snapshot().is_empty());
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn a_million_deep_is_dropped_with_the_runtime() {
    on_small_stacks(|rt| {
        let forest = Forest::new();
        let root = rt.spawn(Link::first(&forest, None, None));
        rt.block_on(forest.ready.wait());
        forest.assert_all_there();
        drop(rt);
        forest.assert_gone();
        assert!(root.is_done());
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn a_million_wide_is_drawn_and_cancelled() {
    on_small_stacks(|rt| {
        let forest = Forest::new();
        let root = rt.spawn(bush(forest.clone(), None));
        rt.block_on(forest.ready.wait());
        look(&rt, None, 0);
        forest.assert_all_there();
        root.cancel();
        rt.block_on(root.wait_done());
        forest.assert_gone();
        assert!(rt.snapshot().is_empty());
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn a_million_wide_is_dropped_with_the_runtime() {
    on_small_stacks(|rt| {
        let forest = Forest::new();
        let root = rt.spawn(bush(forest.clone(), None));
        rt.block_on(forest.ready.wait());
        forest.assert_all_there();
        drop(rt);
        forest.assert_gone();
        assert!(root.is_done());
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn a_million_deep_in_a_service_is_drawn_and_stopped() {
    on_small_stacks(|rt| {
        let forest = Forest::new();
        let manager = start_chain(&rt, &forest, None);
        rt.block_on(forest.ready.wait());
        look(&rt, Some("link"), 2);
        forest.assert_all_there();
        stop_cleanly(&rt, &manager, N);
        forest.assert_gone();
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn a_million_deep_in_a_service_fails_at_the_leaf() {
    on_small_stacks(|rt| {
        let (forest, fail) = (Forest::new(), Event::new());
        let manager = start_chain(&rt, &forest, Some(Box::pin(fail.wait())));
        rt.block_on(forest.ready.wait());
        forest.assert_all_there();
        fail.set();
        rt.block_on(manager.wait_finished());
        forest.assert_gone();
        let error = match manager.result() {
            Some(Err(error)) => error,
            other => panic!("{other:?}"),
        };
        let [failure] = error.failures() else {
            panic!("one failure, not {error:?}");
        };
        let path = failure.path();
        assert!(path.contains("app/link/"), "{path}");
        assert!(path.split('/').count() <= 32, "{path}");
        assert!(matches!(failure.kind(), FailureKind::Error(_)));
        assert!(error.to_string().len() < 10_000);
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn a_million_wide_in_a_service_is_drawn_and_stopped() {
    on_small_stacks(|rt| {
        let forest = Forest::new();
        let manager = start_bush(&rt, &forest);
        rt.block_on(forest.ready.wait());
        look(&rt, Some("leaf"), 1);
        let nodes = manager.snapshot();
        let services = nodes.nodes().iter().filter(|n| n.kind == NodeKind::Service);
        assert_eq!(services.count(), 1);
        forest.assert_all_there();
        stop_cleanly(&rt, &manager, N - 1);
        forest.assert_gone();
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn services_a_million_deep_and_wide_are_dropped_with_the_runtime() {
    on_small_stacks(|rt| {
        let (deep, wide) = (Forest::new(), Forest::new());
        let managers = [start_chain(&rt, &deep, None), start_bush(&rt, &wide)];
        rt.block_on(async {
            deep.ready.wait().await;
            wide.ready.wait().await;
        });
        drop(rt);
        deep.assert_gone();
        wide.assert_gone();
        assert!(managers.iter().all(Manager::is_finished));
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn a_million_roots_come_and_go() {
    on_small_stacks(|rt| {
        let forest = Forest::new();
        for _ in 0..N {
            let node = forest.node(None);
            drop(rt.spawn(async move {
                node.forest.polled();
                pending::<()>().await
            }));
        }
        rt.block_on(forest.ready.wait());
        assert_eq!(rt.snapshot().nodes().len(), N);
        forest.assert_all_there();
        drop(rt);
        forest.assert_gone();
    });
}
