//! What has happened to futures, services and cleanups, counted as it happens.

use super::model::Model;
use super::node::CleanupState;
use super::world::Event;

#[derive(Default)]
pub(crate) struct Tally {
    /// Events that have been looked at.
    seen: usize,
    gone: Vec<usize>,
    services: Vec<usize>,
    /// Begun, ended, gone.
    cleanups: Vec<[usize; 3]>,
}

impl Tally {
    /// Looks at what is new.
    pub(crate) fn take(&mut self, model: &Model, events: &[Event]) -> Result<(), String> {
        order(model, events, self.seen)?;
        self.gone.resize(model.nodes.len(), 0);
        self.services.resize(model.nodes.len(), 0);
        self.cleanups.resize(model.cleanups.len(), [0; 3]);
        for (at, event) in events.iter().enumerate().skip(self.seen) {
            match *event {
                Event::Made(node, Some(before)) => {
                    if !events[..at].contains(&Event::ServiceDropped(before)) {
                        return Err(format!("node {node} was made before {before} was gone"));
                    }
                }
                Event::Made(_, None) => {}
                Event::Gone(node, _) => self.gone[node] += 1,
                Event::NoCause(node) => {
                    return Err(format!("node {node} was dropped without a cause"));
                }
                Event::ServiceDropped(node) => self.services[node] += 1,
                Event::CleanupBegun(number) => self.cleanups[number][0] += 1,
                Event::CleanupEnded(number) => self.cleanups[number][1] += 1,
                Event::CleanupGone(number) => self.cleanups[number][2] += 1,
            }
        }
        self.seen = events.len();
        self.cleanups(model)
    }

    /// How often a node's future has ended.
    pub(crate) fn gone(&self, node: usize) -> usize {
        self.gone[node]
    }

    /// How often a service was dropped.
    pub(crate) fn services(&self, node: usize) -> usize {
        self.services[node]
    }

    fn cleanups(&self, model: &Model) -> Result<(), String> {
        for (number, cleanup) in model.cleanups.iter().enumerate() {
            let real = self.cleanups[number];
            let right = match cleanup.state {
                CleanupState::Unborn => real == [0, 0, 0],
                CleanupState::Running => real == [1, 0, 0],
                CleanupState::Ended => real == [1, 1, 1],
                CleanupState::Lost => real[1] == 0 && real[2] == 1,
                CleanupState::LostOrEnded => real[2] == 1,
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
}

/// Leaves first: what is dropped has nothing left below it.
fn order(model: &Model, events: &[Event], seen: usize) -> Result<(), String> {
    for (at, event) in events.iter().enumerate().skip(seen) {
        let Event::Gone(node, true) = *event else {
            continue;
        };
        let before = &events[..at];
        let it = &model.nodes[node];
        for (other, behind) in model.nodes.iter().enumerate() {
            let together = it.stopped_in.is_some() && behind.stopped_in == it.stopped_in;
            let together = together && behind.parent == it.parent && behind.name > it.name;
            if together && events[at..].contains(&Event::Gone(other, true)) {
                return Err(format!("node {node} was stopped before {other}"));
            }
        }
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
