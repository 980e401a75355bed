//! Behaviour 18: the tree dies leaves first.

use crate::common::{Counter, Event, Log, OnDrop, Rng, suspend, suspend_times};
use crate::drive::{draws, scenario};
use crate::util::forever;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use taskgrove::{Context, Service, background_service, finally, service_fn, yield_now};

/// How a task passes the time until it is cancelled.
#[derive(Clone, Copy)]
enum Wait {
    Parked,
    ForTheEnd,
    Yielding,
    AlwaysReady,
}

impl Wait {
    async fn wait(self, ctx: &Context) -> taskgrove::Result {
        match self {
            Wait::Parked => forever().await,
            Wait::ForTheEnd => {
                ctx.wait_finished().await;
                panic!("a task has outlived its service")
            }
            Wait::Yielding => loop {
                yield_now().await;
            },
            Wait::AlwaysReady => loop {
                suspend().await;
            },
        }
    }
}

/// A resource that is active while its owner's body is there, and that the owner's children use to their end.
#[derive(Default)]
struct Resource {
    active: AtomicBool,
    was_active: AtomicBool,
    checked: AtomicBool,
    /// Everything below this one has started.
    all_below_there: Event,
}

/// A tree, by the children of each node; node 0 is the root and the service's own `run`.
///
/// Every node is two tasks: one that owns a resource, and below it one that uses it, starts the nodes below, and checks at its end that the
/// resource is still there. Both clean up for a number of suspensions.
struct Tree {
    children: Vec<Vec<usize>>,
    resources: Vec<Resource>,
    owners: Vec<(Wait, usize)>,
    users: Vec<(Wait, usize)>,
    ended: Log<usize>,
}

type Boxed = Pin<Box<dyn Future<Output = taskgrove::Result> + Send>>;

impl Tree {
    fn new(children: Vec<Vec<usize>>, waits: &[Wait], rng: &mut Rng) -> Arc<Tree> {
        let n = children.len();
        let mut behaviours = || {
            (0..n)
                .map(|_| (waits[rng.below(waits.len())], rng.below(101)))
                .collect()
        };
        Arc::new(Tree {
            owners: behaviours(),
            users: behaviours(),
            resources: (0..n).map(|_| Resource::default()).collect(),
            ended: Log::new(),
            children,
        })
    }

    fn owner(self: Arc<Self>, ctx: Context, node: usize) -> Boxed {
        let cleanup = self.clone();
        let (wait, suspensions) = self.owners[node];
        let body = async move {
            let resource = &self.resources[node];
            assert!(!resource.was_active.swap(true, Ordering::SeqCst));
            resource.active.store(true, Ordering::SeqCst);
            let _active = OnDrop::new(|| resource.active.store(false, Ordering::SeqCst));
            ctx.run_task(self.clone().user(ctx.clone(), node))?;
            wait.wait(&ctx).await
        };
        Box::pin(finally(body, async move {
            suspend_times(suspensions).await;
            let resource = &cleanup.resources[node];
            assert!(
                !resource.active.load(Ordering::SeqCst),
                "the body is dropped first"
            );
            assert!(
                resource.checked.load(Ordering::SeqCst),
                "the children are done first"
            );
            cleanup.ended.push(node);
        }))
    }

    fn user(self: Arc<Self>, ctx: Context, node: usize) -> Boxed {
        let cleanup = self.clone();
        let (wait, suspensions) = self.users[node];
        let body = async move {
            for &child in &self.children[node] {
                ctx.run_task(self.clone().owner(ctx.clone(), child))?;
                self.resources[child].all_below_there.wait().await;
            }
            self.resources[node].all_below_there.set();
            wait.wait(&ctx).await
        };
        Box::pin(finally(body, async move {
            suspend_times(suspensions).await;
            let resource = &cleanup.resources[node];
            assert!(
                resource.active.load(Ordering::SeqCst),
                "the parent's body is still there"
            );
            assert!(!resource.checked.swap(true, Ordering::SeqCst));
        }))
    }

    fn assert_died_leaves_first(&self) {
        let ended = self.ended.take();
        let mut at = vec![None; self.children.len()];
        for (when, &node) in ended.iter().enumerate() {
            assert!(at[node].replace(when).is_none(), "node {node} ended twice");
        }
        for (node, children) in self.children.iter().enumerate() {
            let own = at[node].unwrap_or_else(|| panic!("node {node} did not clean up"));
            for &child in children {
                assert!(at[child].unwrap() < own, "node {child} ended after {node}");
            }
        }
        for resource in &self.resources {
            assert!(!resource.active.load(Ordering::SeqCst));
            assert!(resource.checked.load(Ordering::SeqCst));
        }
    }

    /// Starts the tree, cancels it when all of it is there, and checks how it died.
    async fn check(self: Arc<Self>, seed: u64) {
        let there = self.resources[0].all_below_there.wait();
        let manager = background_service(DyingTree(self.clone()), async |manager| {
            there.await;
            manager
        })
        .await
        .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert!(manager.is_cancelled());
        assert!(!manager.did_error());
        self.assert_died_leaves_first();
    }
}

struct DyingTree(Arc<Tree>);

impl Service for DyingTree {
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        self.0.clone().owner(ctx, 0).await
    }
}

/// The original's tree of 14.
fn original() -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); 14];
    children[0] = vec![1, 2, 3];
    children[2] = vec![4, 5];
    children[4] = vec![6, 7, 8, 9, 10];
    children[8] = vec![11];
    children[11] = vec![12];
    children[12] = vec![13];
    children
}

/// A tree of up to 24 nodes, each below one drawn from those before it.
fn random(rng: &mut Rng) -> Vec<Vec<usize>> {
    let n = 1 + rng.below(24);
    let mut children = vec![Vec::new(); n];
    for node in 1..n {
        children[rng.below(node)].push(node);
    }
    children
}

/// `test_trio_service_task_cancellation_dag_order`
#[test]
fn b18_parents_resources_outlive_their_childrens_cleanup() {
    scenario(async || {
        for seed in draws(20) {
            let mut rng = Rng::new(seed);
            let waits = [Wait::ForTheEnd, Wait::Parked];
            Tree::new(original(), &waits, &mut rng).check(seed).await;
        }
    });
}

#[test]
fn b18_random_trees_die_leaves_first() {
    scenario(async || {
        for seed in draws(40) {
            let mut rng = Rng::new(seed);
            let waits = [Wait::ForTheEnd, Wait::Parked];
            Tree::new(random(&mut rng), &waits, &mut rng)
                .check(seed)
                .await;
        }
    });
}

#[test]
fn b18_trees_with_tasks_that_are_running_die_leaves_first() {
    scenario(async || {
        for seed in draws(40) {
            let mut rng = Rng::new(seed);
            let waits = [Wait::Yielding, Wait::AlwaysReady, Wait::Parked];
            Tree::new(random(&mut rng), &waits, &mut rng)
                .check(seed)
                .await;
        }
    });
}

/// Until its turn, a parent is polled as before: its children's cleanup may need an answer from it.
#[test]
fn b18_parent_serves_its_childrens_cleanup() {
    scenario(async || {
        let (there, served) = (Event::new(), Counter::new());
        let (set, count) = (there.clone(), served.clone());
        let service = service_fn("app", |ctx: Context| async move {
            let (question, answer) = (Event::new(), Event::new());
            let (ask, answered) = (question.clone(), answer.wait());
            ctx.run_task(finally(
                async move {
                    set.set();
                    forever().await
                },
                async move {
                    ask.set();
                    answered.await;
                    count.add();
                },
            ))?;
            question.wait().await;
            answer.set();
            forever().await
        });
        background_service(service, async |_| there.wait().await)
            .await
            .unwrap();
        assert_eq!(served.get(), 1);
    });
}
