//! How costs grow, in links between tasks that are followed.

use crate::sim::Sim;
use crate::task::raw::followed;
use crate::{Context, Manager, Runtime, Service, ServiceError, service_fn, yield_now};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

/// A runtime whose tasks all run on this thread, which counts.
fn here() -> Runtime {
    Runtime::builder().workers(0).build().expect("no threads")
}

/// What the innermost of a chain of services waits for, and how each of them ends.
#[derive(Default)]
struct Leaf {
    is_there: bool,
    waker: Option<Waker>,
    may_end: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    /// Each returns `Ok` when the one inside it has ended.
    Well,
    /// The innermost fails; each service fails with the child service it contains.
    ChildFails,
    /// The innermost fails; each runs the next with `run_service`, and returns its error.
    ErrorPassedOn,
    /// The innermost ends, and each is a daemon of the one around it.
    Daemon,
    /// As `Well`, while a cancellation of the outermost is marking.
    Cancelled,
    /// As `Well`, while a cancellation is marking elsewhere.
    CancelledElsewhere,
}

struct Nested {
    below: usize,
    end: End,
    leaf: Arc<Mutex<Leaf>>,
}

impl Service for Nested {
    async fn run(self: Arc<Self>, ctx: Context) -> crate::Result {
        if self.below == 0 {
            poll_fn(|cx| {
                let mut leaf = self.leaf.lock().expect("no panic");
                leaf.is_there = true;
                leaf.waker = Some(cx.waker().clone());
                if leaf.may_end {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            return match self.end {
                End::ChildFails | End::ErrorPassedOn => Err("the innermost failed".into()),
                _ => Ok(()),
            };
        }
        let next = Nested {
            below: self.below - 1,
            end: self.end,
            leaf: self.leaf.clone(),
        };
        type Run = Pin<Box<dyn Future<Output = Result<(), ServiceError>> + Send>>;
        match self.end {
            End::ErrorPassedOn => {
                let run: Run = Box::pin(Manager::run_service(next));
                run.await?;
            }
            End::Daemon => drop(ctx.run_daemon_child_service(next)?),
            _ => drop(ctx.run_child_service(next)?),
        }
        Ok(())
    }
}

/// Links followed from the moment when the innermost of so many services ends until all have.
fn links_of_an_end(services: usize, end: End) -> u64 {
    let runtime = here();
    let leaf = Arc::new(Mutex::new(Leaf::default()));
    let outermost = Nested {
        below: services - 1,
        end,
        leaf: leaf.clone(),
    };
    let manager = runtime.start(outermost).expect("it starts");
    runtime.block_on(async {
        while !leaf.lock().expect("no panic").is_there {
            yield_now().await;
        }
    });
    let polled = Arc::new(AtomicUsize::new(0));
    let count = polled.clone();
    let elsewhere = service_fn("elsewhere", async move |ctx: Context| {
        for _ in 0..5_000 {
            let count = count.clone();
            drop(ctx.run_task(async move {
                count.fetch_add(1, Ordering::Relaxed);
                pending().await
            })?);
        }
        Ok(())
    });
    let elsewhere = Manager::builder(elsewhere).max_children(5_000).build();
    let elsewhere = elsewhere.expect("a new service");
    if end == End::CancelledElsewhere {
        let running = elsewhere.clone();
        drop(runtime.spawn(async move { running.run().await.is_ok() }));
        runtime.block_on(async {
            while polled.load(Ordering::Relaxed) < 5_000 {
                yield_now().await;
            }
        });
        elsewhere.cancel().expect("it runs");
    }
    let before = followed::so_far();
    let waker = {
        let mut leaf = leaf.lock().expect("no panic");
        leaf.may_end = true;
        leaf.waker.take()
    };
    waker.expect("it waits").wake();
    if end == End::Cancelled {
        manager.cancel().expect("it runs");
    }
    runtime.block_on(manager.wait_finished());
    let fails = matches!(end, End::ChildFails | End::ErrorPassedOn | End::Daemon);
    assert_eq!(manager.result().expect("an end").is_err(), fails, "{end:?}");
    followed::so_far() - before
}

#[test]
fn the_end_of_a_nested_service_costs_the_same_at_any_depth() {
    for end in [
        End::Well,
        End::ChildFails,
        End::ErrorPassedOn,
        End::Daemon,
        End::Cancelled,
        End::CancelledElsewhere,
    ] {
        let [few, some, many] = [100, 1_000, 2_000].map(|n| links_of_an_end(n, end));
        let (first, last) = ((some - few) as f64 / 900.0, (many - some) as f64 / 1_000.0);
        assert!(
            last < 1.5 * first,
            "{end:?}: {first} links a level, then {last}"
        );
    }
}

/// A chain of services that run until they are cancelled, and their managers, outermost first.
fn chain(depth: usize, managers: Arc<Mutex<Vec<Manager>>>) -> impl Service {
    struct Link(usize, Arc<Mutex<Vec<Manager>>>);
    impl Service for Link {
        async fn run(self: Arc<Self>, ctx: Context) -> crate::Result {
            let manager = ctx.manager().clone();
            self.1.lock().expect("no panic").push(manager);
            if self.0 > 1 {
                ctx.run_child_service(Link(self.0 - 1, self.1.clone()))?;
            }
            pending().await
        }
    }
    Link(depth, managers)
}

#[test]
fn a_picture_of_a_deep_service_looks_at_few_tasks_above_it() {
    let runtime = here();
    let seen = Arc::new(Mutex::new(Vec::<Manager>::new()));
    const DEPTH: usize = 2_000;
    let manager = runtime.start(chain(DEPTH, seen.clone()));
    let manager = manager.expect("it starts");
    let there = || seen.lock().expect("no panic").len() == DEPTH;
    runtime.block_on(async {
        while !there() {
            yield_now().await;
        }
    });
    // The innermost hundred, each with what is below it.
    let before = followed::so_far();
    let managers = seen.lock().expect("no panic").split_off(DEPTH - 100);
    for (at, manager) in managers.iter().rev().enumerate() {
        let snapshot = manager.snapshot();
        assert_eq!(snapshot.len(), at + 1);
        let path = &snapshot.nodes()[0].path;
        let elided = [&["Link"; 16][..], &["…"], &["Link"; 15]]
            .concat()
            .join("/");
        assert_eq!(*path, elided);
    }
    let (followed, pictured) = (followed::so_far() - before, 100 * 101 / 2);
    assert!(
        followed < 4 * pictured + 100 * 150 + DEPTH as u64 * 2,
        "{followed} links for {pictured} nodes"
    );
    drop(managers);
    runtime.block_on(manager.stop()).expect("it runs");
}

/// Links followed by the end of a service whose tasks have so many different lengths of grace.
fn links_of_graces(tasks: u32, lengths: u32) -> u64 {
    let sim = Sim::new(1);
    let app = service_fn("app", async move |ctx: Context| {
        for task in 0..tasks {
            let grace = Duration::from_millis(100) + Duration::from_micros((task % lengths).into());
            drop(ctx.task(pending::<crate::Result>()).grace(grace).spawn()?);
        }
        Ok(())
    });
    let manager = Manager::builder(app).max_children(tasks as usize).build();
    let manager = manager.expect("a new service");
    let running = manager.clone();
    drop(
        sim.handle()
            .spawn(async move { running.run().await.is_ok() }),
    );
    sim.block_on(async {
        while sim.handle().metrics().polls < u64::from(tasks) + 2 {
            yield_now().await;
        }
        let before = followed::so_far();
        manager.stop().await.expect("it runs");
        followed::so_far() - before
    })
}

#[test]
fn the_end_of_a_grace_costs_the_same_whatever_other_lengths_there_are() {
    let one = links_of_graces(2_000, 1) as f64;
    for lengths in [16, 250, 2_000] {
        let many = links_of_graces(2_000, lengths) as f64;
        assert!(
            many < 3.0 * one,
            "{lengths} lengths: {many} links, {one} with one"
        );
    }
}

#[test]
fn nested_cancellations_in_grace_cost_what_one_does() {
    // Each of a chain of services is cancelled by itself, the innermost first, and all are in grace.
    let links = |depth: usize| {
        let sim = Sim::new(2);
        let seen = Arc::new(Mutex::new(Vec::<Manager>::new()));
        let outermost = chain(depth, seen.clone());
        let manager = Manager::builder(outermost)
            .grace(Duration::from_secs(1))
            .build()
            .expect("a new service");
        let running = manager.clone();
        drop(
            sim.handle()
                .spawn(async move { running.run().await.is_ok() }),
        );
        sim.block_on(async {
            while seen.lock().expect("no panic").len() < depth {
                yield_now().await;
            }
            let before = followed::so_far();
            let managers = std::mem::take(&mut *seen.lock().expect("no panic"));
            for manager in managers.iter().rev() {
                manager.cancel().expect("it runs");
            }
            manager.wait_finished().await;
            (followed::so_far() - before) as f64 / depth as f64
        })
    };
    let [few, many] = [200, 1_000].map(links);
    assert!(many < 1.5 * few, "{few} links a level, {many}");
}
