//! The tree as JSON, with what the page shows around it.

use crate::state::State;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use taskgrove::supervisor::ChildState;
use taskgrove::{FailureKind, ServiceError, Snapshot};

#[derive(Serialize)]
struct Picture {
    ready: bool,
    draining: bool,
    /// Requests that got an answer.
    answered: u64,
    connections: u64,
    broken: u64,
    /// The nodes of the tree in pre-order: the crate's own form (the feature `serde`).
    #[serde(flatten)]
    tree: Snapshot,
    children: Vec<Child>,
    stalls: BTreeMap<String, u64>,
}

/// A child of a supervisor.
#[derive(Serialize)]
struct Child {
    path: String,
    state: &'static str,
    restarts: u64,
    last_failure: Option<String>,
}

pub(crate) fn json(state: &State) -> Vec<u8> {
    let children = state.children().into_iter();
    let picture = Picture {
        ready: state.is_ready(),
        draining: state.is_draining(),
        answered: state.counts.answered.load(Relaxed),
        connections: state.counts.connections.load(Relaxed),
        broken: state.counts.broken.load(Relaxed),
        tree: state.snapshot(),
        children: children
            .map(|(path, child)| Child {
                path,
                state: describe(child.state),
                restarts: child.restarts,
                last_failure: child.last_failure.as_ref().map(reason),
            })
            .collect(),
        stalls: state.stalls.reports(),
    };
    serde_json::to_vec(&picture).expect("every key is a string")
}

fn describe(state: ChildState) -> &'static str {
    match state {
        ChildState::Starting => "starting",
        ChildState::Running => "running",
        ChildState::BackingOff { .. } => "backing off",
        ChildState::Stopping => "stopping",
        _ => "stopped",
    }
}

/// Returns why a service failed in one line: the cause of the last failure, with its path.
fn reason(error: &ServiceError) -> String {
    let Some(cause) = error.root_causes().last() else {
        return error.to_string();
    };
    match cause.kind() {
        FailureKind::Error(error) => format!("{}: {error}", cause.path()),
        kind => format!("{}: {kind:?}", cause.path()),
    }
}
