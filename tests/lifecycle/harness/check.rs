//! Compares what can be seen of the runtime with the model.

use super::drive::Driver;
use super::ends::{failures, outcome, path};
use super::model::{CleanupState, Model, Scheduled};
use super::ops::Kind;
use super::same::same;
use super::world::{Event, Real};
use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use taskgrove::{NodeKind, ServiceError, Task};

#[derive(Default)]
pub(crate) struct Checks {
    /// Events that have been looked at.
    seen: usize,
    watches: Vec<Watch>,
    watched: HashSet<usize>,
}

/// A wait from outside that goes on over many steps, and is polled only when it was woken.
struct Watch {
    node: usize,
    what: Until,
    wait: Option<Pin<Box<dyn Future<Output = bool>>>>,
    woken: Arc<Woken>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Until {
    Done,
    Cancelled,
    External,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Checks {
    pub(crate) fn compare(&mut self, driver: &Driver<'_>) -> Result<(), String> {
        let Driver { model, world, .. } = driver;
        if let Some(sim) = &driver.sim {
            same!(
                "-",
                "the time",
                sim.elapsed().as_nanos(),
                u128::from(model.now)
            );
        }
        let events = world.events();
        order(model, &events, self.seen)?;
        self.seen = events.len();
        cleanups(model, &events)?;
        self.watch(driver)?;
        tree(driver)?;
        let mut over: Vec<(usize, Task<usize>)> = Vec::new();
        for (node, real) in world.nodes().iter_mut().enumerate() {
            task(driver, node, real, &events)?;
            service(driver, node, real, &events)?;
            if model.nodes[node].done
                && let Some(task) = real.task.take()
            {
                match Arc::try_unwrap(task) {
                    Ok(task) => over.push((node, task)),
                    Err(shared) => real.task = Some(shared),
                }
            }
        }
        for (node, task) in over {
            outcome(driver, node, task)?;
        }
        Ok(())
    }

    /// Waits have to resolve when they should, and to be woken for it.
    fn watch(&mut self, driver: &Driver<'_>) -> Result<(), String> {
        for (node, real) in driver.world.nodes().iter().enumerate() {
            let known = real.manager.is_some() || real.task.is_some();
            if !known || !self.watched.insert(node) {
                continue;
            }
            let mut add = |what, wait: Pin<Box<dyn Future<Output = bool>>>| {
                self.watches.push(Watch {
                    node,
                    what,
                    wait: Some(wait),
                    woken: Arc::new(Woken(AtomicBool::new(true))),
                });
            };
            if let Some(manager) = real.manager.clone() {
                let external = manager.clone();
                add(
                    Until::Done,
                    Box::pin(async move {
                        manager.wait_finished().await;
                        true
                    }),
                );
                add(
                    Until::External,
                    Box::pin(async move {
                        let call = external.external_api(std::future::pending::<()>());
                        call.await.is_err()
                    }),
                );
            }
            if let Some(context) = real.context.clone() {
                add(
                    Until::Cancelled,
                    Box::pin(async move {
                        context.cancelled().await;
                        true
                    }),
                );
            }
        }
        for watch in &mut self.watches {
            let node = &driver.model.nodes[watch.node];
            let closing = node.service.as_ref().is_some_and(|s| s.closing);
            let expected = node.done || watch.what != Until::Done && closing;
            if let Some(wait) = &mut watch.wait
                && watch.woken.0.swap(false, Ordering::SeqCst)
            {
                let waker = Waker::from(watch.woken.clone());
                if let Poll::Ready(good) = wait.as_mut().poll(&mut Context::from_waker(&waker)) {
                    same!(watch.node, "a wait's result", good, true);
                    watch.wait = None;
                }
            }
            if watch.wait.is_none() != expected {
                let (node, what) = (watch.node, watch.what);
                return Err(format!("node {node}: {what:?} resolved: {}", !expected));
            }
        }
        Ok(())
    }
}

/// Leaves first: what is dropped has nothing left below it.
fn order(model: &Model, events: &[Event], seen: usize) -> Result<(), String> {
    for (at, event) in events.iter().enumerate().skip(seen) {
        let Event::Gone(node, true) = *event else {
            continue;
        };
        let before = &events[..at];
        for below in node + 1..model.nodes.len() {
            if !model.nodes[below].attached || !model.is_below(below, node) {
                continue;
            }
            let later = events[at..]
                .iter()
                .find(|e| matches!(e, Event::Gone(n, _) if *n == below));
            if later.is_some() {
                return Err(format!("node {node} was dropped before {below}"));
            }
            for (number, cleanup) in model.cleanups.iter().enumerate() {
                let gone = before.contains(&Event::CleanupGone(number));
                if cleanup.node == below && !gone {
                    return Err(format!(
                        "node {node} was dropped before cleanup {number} of {below}"
                    ));
                }
            }
        }
    }
    Ok(())
}

fn cleanups(model: &Model, events: &[Event]) -> Result<(), String> {
    let count = |event| events.iter().filter(|e| **e == event).count();
    for (number, cleanup) in model.cleanups.iter().enumerate() {
        let real = (
            count(Event::CleanupBegun(number)),
            count(Event::CleanupEnded(number)),
            count(Event::CleanupGone(number)),
        );
        let right = match cleanup.state {
            CleanupState::Unborn => real == (0, 0, 0),
            CleanupState::Running => real == (1, 0, 0),
            CleanupState::Ended => real == (1, 1, 1),
            CleanupState::Lost => real.1 == 0 && real.2 == 1,
        };
        if !right {
            let (node, state) = (cleanup.node, cleanup.state);
            return Err(format!(
                "cleanup {number} of {node} (begun, ended, gone) is {real:?}, should be {state:?}"
            ));
        }
    }
    Ok(())
}

/// The snapshot and the counts of the runtime.
fn tree(driver: &Driver<'_>) -> Result<(), String> {
    let Driver { model, world, .. } = driver;
    let live = model.live();
    let snapshot = world.handle.snapshot();
    same!(
        "-",
        "the snapshot's size",
        snapshot.nodes().len(),
        live.len()
    );
    if !model.killed {
        same!(
            "-",
            "live_tasks",
            world.handle.metrics().live_tasks,
            live.len()
        );
    }
    let nodes = world.nodes();
    let id = |n: usize| match &nodes[n].manager {
        Some(manager) => manager.id(),
        None => nodes[n].id,
    };
    for node in live {
        let found = snapshot.nodes().iter().find(|n| Some(n.id) == id(node));
        let Some(found) = found else {
            return Err(format!("node {node} is not in the snapshot"));
        };
        same!(
            node,
            "its parent",
            found.parent,
            model.nodes[node].parent.and_then(id)
        );
        same!(node, "its path", found.path, path(model, node));
        same!(
            node,
            "its being a daemon",
            found.daemon,
            model.nodes[node].kind.is_daemon()
        );
        let kind = if model.nodes[node].kind.is_service() {
            NodeKind::Service
        } else {
            NodeKind::Task
        };
        same!(node, "its kind", found.kind, kind);
    }
    Ok(())
}

/// What holds for every node: its future, its handle.
fn task(driver: &Driver<'_>, node: usize, real: &Real, events: &[Event]) -> Result<(), String> {
    let model = &driver.model;
    let it = &model.nodes[node];
    if it.kind != Kind::Run {
        same!(
            node,
            "the start",
            real.started,
            Some(driver.expected_start(node))
        );
    }
    let gone = events
        .iter()
        .filter(|e| matches!(e, Event::Gone(n, _) if *n == node))
        .count();
    let polled = real.control.was_polled();
    same!(
        node,
        "its future's ends",
        gone,
        usize::from(polled && it.ended)
    );
    if model.is_live(node) && it.closing.is_none() {
        same!(node, "its having been polled", polled, true);
    }
    if !it.attached {
        same!(node, "its having been polled", polled, false);
    }
    if let Some(cancel) = &real.cancel {
        same!(node, "is_done", cancel.is_done(), it.done);
    }
    if let Some(task) = &real.task {
        same!(node, "is_done", task.is_done(), it.done);
        same!(node, "is_daemon", task.is_daemon(), it.kind.is_daemon());
    }
    Ok(())
}

fn service(driver: &Driver<'_>, node: usize, real: &Real, events: &[Event]) -> Result<(), String> {
    let model = &driver.model;
    let it = &model.nodes[node];
    let Some(service) = &it.service else {
        return Ok(());
    };
    let dropped = events
        .iter()
        .filter(|e| **e == Event::ServiceDropped(node))
        .count();
    if it.done || dropped > 1 {
        same!(node, "the service's drops", dropped, 1);
    }
    let Some(manager) = &real.manager else {
        let none = matches!(
            driver.places[node],
            Scheduled::NotRunning | Scheduled::TooMany
        );
        same!(node, "its having no manager", true, none);
        return Ok(());
    };
    same!(node, "is_started", manager.is_started(), service.started);
    same!(node, "is_finished", manager.is_finished(), it.done);
    same!(
        node,
        "is_running",
        manager.is_running(),
        service.started && !it.done
    );
    same!(node, "has a result", manager.result().is_some(), it.done);
    if model.killed {
        return Ok(());
    }
    same!(
        node,
        "is_cancelled",
        manager.is_cancelled(),
        service.cancelled
    );
    same!(
        node,
        "did_error",
        manager.did_error(),
        !service.failures.is_empty()
    );
    let stats = manager.stats().tasks;
    same!(node, "total_count", stats.total_count, service.total);
    same!(
        node,
        "finished_count",
        stats.finished_count,
        service.finished
    );
    match manager.result() {
        Some(Err(ServiceError::Failed(failed))) => failures(model, node, &failed),
        Some(Ok(())) if !service.failures.is_empty() => Err(format!(
            "node {node}: no failures, should be {:?}",
            service.failures
        )),
        Some(Err(error)) => Err(format!("node {node}: {error:?}")),
        _ => Ok(()),
    }
}
