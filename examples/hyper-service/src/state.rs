//! What the parts of the program share.

use crate::stalls::Stalls;
use crate::worker::Job;
use async_channel::{Receiver, Sender};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use taskgrove::supervisor::{ChildInfo, ChildState, SupervisorHandle};
use taskgrove::{Manager, Snapshot};

/// Jobs that wait for a worker. One more waits for room, and so does its request.
const QUEUE: usize = 1_024;

pub(crate) struct State {
    /// The jobs belong to no worker: when one fails, those that it has not taken are done by the others, or
    /// by its next incarnation.
    pub(crate) jobs: (Sender<Job>, Receiver<Job>),
    pub(crate) counts: Counts,
    pub(crate) stalls: Arc<Stalls>,
    draining: AtomicBool,
    manager: OnceLock<Manager>,
    /// By the supervisor's path. A supervisor that is restarted puts its new handle here.
    supervisors: Mutex<BTreeMap<&'static str, SupervisorHandle>>,
}

/// Counts since the start.
#[derive(Default)]
pub(crate) struct Counts {
    /// Connections that were accepted.
    pub(crate) connections: AtomicU64,
    /// Connections that ended with an error.
    pub(crate) broken: AtomicU64,
    /// Requests whose head was read.
    pub(crate) read: AtomicU64,
    /// Requests that got an answer.
    pub(crate) answered: AtomicU64,
}

impl State {
    /// The path of the root.
    pub(crate) const ROOT: &str = "shop";
    /// The path of the workers' supervisor.
    pub(crate) const WORKERS: &str = "shop/workers";

    pub(crate) fn new(stalls: Arc<Stalls>) -> State {
        State {
            jobs: async_channel::bounded(QUEUE),
            counts: Counts::default(),
            stalls,
            draining: AtomicBool::new(false),
            manager: OnceLock::new(),
            supervisors: Mutex::default(),
        }
    }

    pub(crate) fn set_manager(&self, root: Manager) {
        self.stalls.look_at(root.clone());
        // The root is started once.
        let _ = self.manager.set(root);
    }

    pub(crate) fn set_supervisor(&self, path: &'static str, handle: SupervisorHandle) {
        let mut all = (self.supervisors.lock()).unwrap_or_else(PoisonError::into_inner);
        all.insert(path, handle);
    }

    /// Takes a picture of everything from the root down.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let root = self.manager.get();
        root.expect("a request comes after the start").snapshot()
    }

    /// Returns the children of all supervisors, each with its path.
    pub(crate) fn children(&self) -> Vec<(String, ChildInfo)> {
        // Nothing is asked of a supervisor under the lock.
        let all = (self.supervisors.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let of = |(path, handle): (&'static str, SupervisorHandle)| {
            let children = handle.children().into_iter();
            children.map(move |child| (format!("{path}/{}", child.name), child))
        };
        all.into_iter().flat_map(of).collect()
    }

    /// Says whether new requests should come here. One worker is enough; it counts as running when it has
    /// said that it is ready, since its spec has `wait_ready`.
    pub(crate) fn is_ready(&self) -> bool {
        let is_up = |(path, child): &(String, ChildInfo)| {
            path.starts_with(State::WORKERS)
                && path != State::WORKERS
                && child.state == ChildState::Running
        };
        !self.is_draining() && self.children().iter().any(is_up)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Called when the port is closed. From here on answers ask the client to leave.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Relaxed);
    }
}
