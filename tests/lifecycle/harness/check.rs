//! Compares what can be seen of the runtime with the model.

use super::calls;
use super::causes;
use super::drive::Driver;
use super::ends::{failures, outcome, path, root_causes};
use super::events::Tally;
use super::model::Scheduled;
use super::ops::Kind;
use super::same::same;
use super::world::{Real, Woken};
use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use taskgrove::{NodeKind, ServiceError, Task};

#[derive(Default)]
pub(crate) struct Checks {
    tally: Tally,
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
    Ready,
}

impl Checks {
    pub(crate) fn compare(&mut self, driver: &Driver<'_>) -> Result<(), String> {
        let Driver { model, world, .. } = driver;
        if driver.is_unsaid {
            return Ok(());
        }
        if let Some(sim) = &driver.sim {
            same!(
                "-",
                "the time",
                sim.elapsed().as_nanos(),
                u128::from(model.now)
            );
        }
        self.tally.take(model, &world.events())?;
        self.watch(driver)?;
        calls::compare(model, &driver.calls)?;
        tree(driver)?;
        // The parents of its roots, which stay as long as a handle: one for its own thread, and one
        // for all others.
        let roots = 2;
        let services = model.nodes.iter().filter(|node| node.service.is_some());
        // A service's record has a slot of its own, and so has a page of a few timers.
        let all = model.nodes.len() + services.count() + roots + model.timers() + 1;
        let live = model.live().len() + driver.sim.as_ref().map_or(0, |_| roots);
        driver.slots.check(live, all)?;
        let mut over: Vec<(usize, Task<usize>)> = Vec::new();
        for (node, real) in world.nodes().iter_mut().enumerate() {
            task(driver, node, real, self.tally.gone(node))?;
            service(driver, node, real, self.tally.services(node))?;
            if !model.dropped {
                causes::of_handles(driver, node, real)?;
            }
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
                    woken: Woken::new(),
                });
            };
            if let Some(manager) = real.manager.clone() {
                let (external, ready) = (manager.clone(), manager.clone());
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
                add(
                    Until::Ready,
                    Box::pin(async move { ready.wait_ready().await.is_ok() }),
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
        let nodes = &driver.model.nodes;
        self.watches
            .retain(|watch| !nodes[watch.node].is_forgotten());
        for watch in &mut self.watches {
            let node = &nodes[watch.node];
            let closing = node.service.as_ref().is_some_and(|s| s.closing);
            let ready = node.service.as_ref().is_some_and(|s| s.ready);
            let (expected, result) = match watch.what {
                Until::Done => (node.done, true),
                Until::Ready => (node.done || ready, ready),
                Until::Cancelled | Until::External => (node.done || closing, true),
            };
            if let Some(wait) = &mut watch.wait
                && watch.woken.take(Waker::noop())
            {
                let waker = Waker::from(watch.woken.clone());
                if let Poll::Ready(good) = wait.as_mut().poll(&mut Context::from_waker(&waker)) {
                    same!(watch.node, "a wait's result", good, result);
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
    if !model.dropped {
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
        // Its own, or that of a forgotten service.
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
        causes::in_snapshot(model, node, found.cause.as_deref())?;
    }
    Ok(())
}

/// What holds for every node: its future, its handle.
fn task(driver: &Driver<'_>, node: usize, real: &Real, gone: usize) -> Result<(), String> {
    let model = &driver.model;
    let it = &model.nodes[node];
    if !matches!(it.kind, Kind::Run | Kind::Child) {
        let right = driver.may_be_started(node, real.started);
        same!(
            node,
            "the start",
            (real.started, right),
            (real.started, true)
        );
    }
    let polled = real.control.was_polled();
    same!(
        node,
        "its future's ends",
        gone,
        usize::from(polled && it.ended)
    );
    if model.is_live(node) && it.closing.is_none() && it.supervisor.is_none() {
        same!(node, "its having been polled", polled, true);
    }
    if !it.attached && driver.places[node] != Scheduled::Unsure {
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

fn service(driver: &Driver<'_>, node: usize, real: &Real, dropped: usize) -> Result<(), String> {
    let model = &driver.model;
    let it = &model.nodes[node];
    let Some(service) = &it.service else {
        return Ok(());
    };
    if it.done || dropped > 1 {
        same!(node, "the service's drops", dropped, 1);
    }
    let Some(manager) = &real.manager else {
        let refused = matches!(
            driver.places[node],
            Scheduled::NotRunning | Scheduled::TooMany
        );
        let unheard = it.kind == Kind::Child && !real.control.was_polled();
        let none = refused || unheard || it.is_forgotten();
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
    if model.dropped {
        return Ok(());
    }
    if !service.cancelled_or_not {
        same!(
            node,
            "is_cancelled",
            manager.is_cancelled(),
            service.cancelled
        );
    }
    same!(node, "did_error", manager.did_error(), service.errored);
    let stats = manager.stats().tasks;
    let more = stats.total_count.saturating_sub(service.total);
    let more = more.min(service.perhaps);
    same!(node, "total_count", stats.total_count, service.total + more);
    same!(
        node,
        "finished_count",
        stats.finished_count,
        service.finished + more
    );
    match manager.result() {
        Some(Err(error @ ServiceError::Failed(_))) => {
            failures(model, node, error.failures())?;
            root_causes(model, node, &error)
        }
        Some(Ok(())) if !service.failures.is_empty() => Err(format!(
            "node {node}: no failures, should be {:?}",
            service.failures
        )),
        Some(Err(error)) => Err(format!("node {node}: {error:?}")),
        _ => Ok(()),
    }
}
