//! [`Board`]: the children of a supervisor, as its handles see them.
//!
//! The supervisor writes an entry after each step that has changed the child, before it answers callers; handles
//! read at any time. The lock orders them. An entry that is replaced is dropped after the lock, because its errors
//! are the user's.
//!
//! Each name that someone waits for has a list of waiters, as long as there are any ([`Place`]). So a write wakes only
//! those who wait for the children that have changed, however many wait for the others.

use super::info::{ChildInfo, ChildState};
use super::policy::{Child, Key, Phase};
use crate::error::ServiceError;
use crate::panics::quietly;
use crate::service::Manager;
use crate::sync::Mutex;
use crate::wait_list::WaitList;
use crate::wait_list::registration::HasWaitList;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(super) struct Entry {
    name: Arc<str>,
    state: ChildState,
    restarts: u64,
    last_failure: Option<ServiceError>,
    manager: Option<Manager>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The supervisor has not begun.
    Before,
    Open,
    /// All children are being stopped, or were: none comes up any more.
    Ending,
    Over,
}

struct State {
    stage: Stage,
    entries: BTreeMap<Key, Entry>,
    names: HashMap<Arc<str>, Key>,
    /// With the number of places.
    waiters: HashMap<Arc<str>, (Arc<WaitList>, usize)>,
}

impl State {
    fn lists(&self) -> impl Iterator<Item = Arc<WaitList>> {
        self.waiters.values().map(|(list, _)| list.clone())
    }
}

pub(super) struct Board {
    state: Mutex<State>,
}

/// The place of one who waits for a child of this name.
pub(super) struct Place<'a> {
    board: &'a Board,
    name: Arc<str>,
    waiters: Arc<WaitList>,
}

/// What a handle that waits for a child finds.
pub(super) enum Found {
    Up(Manager),
    NotUp,
    NotBegun,
    NoSuchChild,
    Over,
}

impl HasWaitList for &Place<'_> {
    fn with_list(&self, f: impl FnOnce(&WaitList)) {
        f(&self.waiters);
    }
}

impl Place<'_> {
    pub(super) fn look(&self) -> Found {
        self.board.look(&self.name)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.board.state.lock();
        if let Some((_, places)) = state.waiters.get_mut(&self.name) {
            *places -= 1;
            if *places == 0 {
                state.waiters.remove(&self.name);
            }
        }
    }
}

impl Entry {
    /// Describes a child. `manager` is that of its latest incarnation.
    pub(super) fn of(child: &Child, manager: Option<&Manager>) -> Entry {
        let (state, is_alive) = match child.phase {
            Phase::Idle { .. } => (ChildState::Stopped, false),
            Phase::Waiting => (ChildState::Starting, false),
            Phase::BackingOff { until } => (ChildState::BackingOff { until }, false),
            Phase::Starting { .. } => (ChildState::Starting, true),
            Phase::Running { .. } => (ChildState::Running, true),
            Phase::Leaving { .. } | Phase::Stopping { .. } => (ChildState::Stopping, true),
        };
        Entry {
            name: child.name.clone(),
            state,
            restarts: child.restarts,
            last_failure: child.last_failure(),
            manager: manager.filter(|_| is_alive).cloned(),
        }
    }

    /// What the child does, as far as its manager knows better than the supervisor.
    fn state(&self) -> ChildState {
        let is_ending = |manager: &Manager| manager.is_cancelled() || manager.is_finished();
        match self.state {
            ChildState::Running | ChildState::Starting
                if self.manager.as_ref().is_some_and(is_ending) =>
            {
                ChildState::Stopping
            }
            state => state,
        }
    }

    fn info(&self) -> ChildInfo {
        ChildInfo {
            name: self.name.to_string(),
            state: self.state(),
            restarts: self.restarts,
            last_failure: self.last_failure.clone(),
            manager: self.manager.clone(),
        }
    }
}

impl Board {
    pub(super) fn new() -> Board {
        Board {
            state: Mutex::new(State {
                stage: Stage::Before,
                entries: BTreeMap::new(),
                names: HashMap::new(),
                waiters: HashMap::new(),
            }),
        }
    }

    /// Makes a place for one who waits for a child of this name.
    pub(super) fn place(&self, name: &str) -> Place<'_> {
        let name: Arc<str> = Arc::from(name);
        let mut state = self.state.lock();
        let (waiters, places) = state.waiters.entry(name.clone()).or_default();
        *places += 1;
        let waiters = waiters.clone();
        drop(state);
        Place {
            board: self,
            name,
            waiters,
        }
    }

    /// Writes entries, or removes those that are `None`, and wakes those who wait for them. The first write begins the
    /// view, also if there is no child. `is_ending`: no child comes up any more.
    pub(super) fn write(
        &self,
        changes: impl Iterator<Item = (Key, Option<Entry>)>,
        is_ending: bool,
    ) {
        let changes: Vec<_> = changes.collect();
        let mut old = Vec::with_capacity(changes.len());
        let mut lists = Vec::new();
        let mut state = self.state.lock();
        let stage = if is_ending {
            Stage::Ending
        } else {
            Stage::Open
        };
        if std::mem::replace(&mut state.stage, stage) != stage {
            lists.extend(state.lists());
        }
        for (key, entry) in changes {
            let gone = state.entries.remove(&key);
            let changed = entry.as_ref().or(gone.as_ref());
            let waiting = changed.and_then(|entry| state.waiters.get(&entry.name));
            lists.extend(waiting.map(|(list, _)| list.clone()));
            if let Some(gone) = &gone
                && entry.is_none()
                && state.names.get(&gone.name) == Some(&key)
            {
                state.names.remove(&gone.name);
            }
            old.extend(gone);
            if let Some(entry) = entry {
                state.names.insert(entry.name.clone(), key);
                state.entries.insert(key, entry);
            }
        }
        drop(state);
        for entry in old {
            quietly(|| drop(entry));
        }
        wake_all(lists);
    }

    /// Notes that the supervisor is over. The entries stay, without managers.
    pub(super) fn close(&self) {
        let mut old = Vec::new();
        let mut state = self.state.lock();
        state.stage = Stage::Over;
        for entry in state.entries.values_mut() {
            entry.state = ChildState::Stopped;
            old.extend(entry.manager.take());
        }
        let lists = state.lists().collect();
        drop(state);
        quietly(|| drop(old));
        wake_all(lists);
    }

    fn look(&self, name: &str) -> Found {
        let state = self.state.lock();
        match state.stage {
            Stage::Before => return Found::NotBegun,
            Stage::Ending | Stage::Over => return Found::Over,
            Stage::Open => {}
        }
        let Some(entry) = state.names.get(name).and_then(|key| state.entries.get(key)) else {
            return Found::NoSuchChild;
        };
        match (entry.state(), &entry.manager) {
            (ChildState::Running, Some(manager)) => Found::Up(manager.clone()),
            _ => Found::NotUp,
        }
    }

    /// Returns the manager of a child's incarnation that has not finished.
    pub(super) fn manager(&self, name: &str) -> Option<Manager> {
        let state = self.state.lock();
        let entry = state.entries.get(state.names.get(name)?)?;
        let manager = entry.manager.as_ref();
        manager.filter(|manager| !manager.is_finished()).cloned()
    }

    pub(super) fn children(&self) -> Vec<ChildInfo> {
        let state = self.state.lock();
        state.entries.values().map(Entry::info).collect()
    }
}

fn wake_all(lists: Vec<Arc<WaitList>>) {
    for waiters in lists {
        waiters.wake_all();
    }
}
