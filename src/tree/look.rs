//! Snapshots of the tree: the walk pins each task that it meets until all of them are copied.
//!
//! A task that exists during the whole walk is met once, under its parent's lock. Names and other data are
//! copied outside of locks, from tasks that are pinned.

use super::awaits;
use super::cause;
use super::frontier::{AHEAD, Entry, Frontier, Visit};
use crate::id::TaskId;
use crate::snapshot::{Draft, NodeKind, NodeState, Snapshot};
use crate::sync::atomic::Ordering;
use crate::task::awaited::{self, Awaited};
use crate::task::cold::Cold;
use crate::task::raw::Pin;
use crate::task::state::Phase;
use crate::task::{Borrowed, Live, Shared, kind};
use std::time::Duration;

/// Takes a snapshot of the subtree of a task. It is empty if the task is done.
pub(crate) fn of(task: Borrowed<'_>) -> Snapshot {
    let Some(pin) = task.pin() else {
        return Snapshot::empty();
    };
    let shared = pin.live().shared_arc();
    let _visit = shared.visit();
    let above = pin.live().above();
    let parent = above.map(|above| above.id());
    let path = above.map(Live::ancestry).unwrap_or_default();
    let frontier = collect(pin);
    Snapshot::new(
        path.segments(),
        parent,
        draw(&frontier, 0, &Now::of(&shared)),
    )
}

/// Takes a snapshot of all tasks of a runtime, worker by worker.
pub(crate) fn all(shared: &Shared) -> Snapshot {
    let _visit = shared.visit();
    let pins = shared.sentinels().filter_map(|sentinel| sentinel.pin());
    let frontiers: Vec<Frontier> = pins.map(collect).collect();
    let now = Now::of(shared);
    let drafts = frontiers
        .iter()
        .flat_map(|frontier| draw(frontier, 1, &now));
    Snapshot::new(Vec::new(), None, drafts)
}

/// What each task of a runtime that records it was left waiting for by its last poll.
pub(crate) fn awaits(shared: &Shared) -> Vec<(TaskId, Vec<Awaited>)> {
    let _visit = shared.visit();
    let pins = shared.sentinels().filter_map(|sentinel| sentinel.pin());
    let mut all = Vec::new();
    for frontier in pins.map(collect) {
        for entry in &frontier.entries {
            let task = entry.task.live();
            let awaited = awaited::of(task);
            if !awaited.is_empty() {
                all.push((task.id(), awaited));
            }
        }
    }
    all
}

/// The moment of a snapshot.
struct Now {
    /// In nanoseconds and, as birthdays are, in milliseconds of the runtime's clock.
    ns: u64,
    ms: u32,
    /// The polls that last, and when they began.
    polls: Vec<(TaskId, u64)>,
}

impl Now {
    fn of(shared: &Shared) -> Now {
        let ns = shared.refresh_clock();
        Now {
            ns,
            ms: shared.coarse_now(),
            polls: shared.watch.polls(),
        }
    }

    /// How long the poll of a task has lasted.
    fn running_for(&self, task: TaskId) -> Option<Duration> {
        let (_, began) = self.polls.iter().find(|(id, _)| *id == task)?;
        Some(Duration::from_nanos(self.ns.saturating_sub(*began)))
    }
}

fn collect(top: Pin) -> Frontier {
    let mut frontier = Frontier::below(top, 0);
    while frontier.expand(|child, _, _| match child.pin() {
        Some(pin) => Visit::Take(pin.into(), 0),
        None => Visit::Skip,
    }) {}
    frontier
}

/// Why the tasks that were collected are being cancelled: for each the position of its text, which is
/// that of its parent unless it is the target of a request itself or covered, or one past the end. The
/// first task may have its cause from above. Empty if none is being cancelled.
fn causes(entries: &[Entry]) -> (Vec<u32>, Vec<String>) {
    let mut texts = Vec::new();
    let mut of: Vec<u32> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let task = entry.task.live();
        let own = match at {
            // The walk up may be long; a task that is not marked yet has none from above.
            0 if task.word().is_closing() => cause::of(task),
            _ => cause::own(task),
        };
        if let Some(own) = own {
            of.resize(at, u32::MAX);
            of.push(texts.len() as u32);
            texts.push(own.to_string());
        } else if !texts.is_empty() {
            let above = if at == 0 || !cause::inherits(task) {
                None
            } else {
                of.get(entry.parent as usize)
            };
            of.push(above.copied().unwrap_or(u32::MAX));
        }
    }
    (of, texts)
}

/// Describes the tasks that were collected, parents first and older siblings first, without the `skip` top
/// levels.
fn draw<'a>(frontier: &'a Frontier, skip: usize, now: &'a Now) -> impl Iterator<Item = Draft<'a>> {
    let entries = &frontier.entries;
    let order = preorder(entries);
    let (causes, texts) = causes(entries);
    (0..order.len()).filter_map(move |place| {
        // The tasks do not lie in this order in memory.
        if let Some(&(ahead, _)) = order.get(place + AHEAD) {
            entries[ahead as usize].task.prefetch();
        }
        let (at, depth) = order[place];
        let depth = (depth as usize).checked_sub(skip)?;
        let text = causes.get(at as usize).map(|&text| text as usize);
        let cause = text.and_then(|text| texts.get(text).cloned());
        Some(draft(entries[at as usize].task.live(), depth, now, cause))
    })
}

/// The positions of the entries, and their depths, each before its children.
fn preorder(entries: &[Entry]) -> Vec<(u32, u32)> {
    // Breadth first, youngest first: read backwards, children come before their parents.
    let mut sizes = vec![1u32; entries.len()];
    for at in (1..entries.len()).rev() {
        sizes[entries[at].parent as usize] += sizes[at];
    }
    // Each takes its place from the end of what its parent has left.
    let mut order = vec![(0, 0); entries.len()];
    let mut ends = sizes.clone();
    let mut depths = vec![0u32; entries.len()];
    for at in 1..entries.len() {
        let parent = entries[at].parent as usize;
        let end = ends[parent];
        ends[parent] -= sizes[at];
        ends[at] = end;
        depths[at] = depths[parent] + 1;
        order[(end - sizes[at]) as usize] = (at as u32, depths[at]);
    }
    order
}

fn draft<'a>(task: Live<'a>, depth: usize, now: &Now, cause: Option<String>) -> Draft<'a> {
    let state = state(task);
    let busy = |cold: &Cold| Duration::from_nanos(cold.busy_ns.load(Ordering::Relaxed));
    Draft {
        id: task.id(),
        name: task.name(),
        depth,
        kind: if task.is(kind::SERVICE) {
            NodeKind::Service
        } else {
            NodeKind::Task
        },
        state,
        daemon: task.is(kind::DAEMON),
        polls: task.polls(),
        busy: task
            .shared()
            .watch
            .busy
            .then(|| task.cold().map(busy).unwrap_or_default()),
        age: age(now.ms, task.born_ms()),
        location: task.location(),
        awaiting: awaits::describe(task, state),
        running_for: if state == NodeState::Running {
            now.running_for(task.id())
        } else {
            None
        },
        cause,
    }
}

/// Milliseconds wrap after seven weeks; the coarse clock may be read a bit before it is set.
fn age(now_ms: u32, birth_ms: u32) -> Duration {
    let ms = now_ms.wrapping_sub(birth_ms);
    Duration::from_millis(if ms > u32::MAX - 60_000 { 0 } else { ms.into() })
}

/// What the task is doing, or what its end waits for.
fn state(task: Live<'_>) -> NodeState {
    let word = task.word();
    let cleans_up = word.has_ended()
        || word.is_closing()
            && (word.is_protected()
                || task
                    .cold()
                    .is_some_and(|cold| cold.is_protected() || cold.has_cleanups()));
    let blocks = task.is(kind::BLOCKING);
    match word.phase() {
        Phase::Running | Phase::RunningWoken if blocks && !word.has_ended() => NodeState::Blocking,
        Phase::Running | Phase::RunningWoken => NodeState::Running,
        Phase::Closed => NodeState::WaitingForChildren,
        // At its turn, what is below a task was spawned by what cleans up.
        _ if cleans_up && word.is_turn() => NodeState::CleaningUp,
        _ if word.is_closing() && task.has_children() => NodeState::WaitingForChildren,
        _ if cleans_up => NodeState::CleaningUp,
        _ if word.is_closing() => NodeState::Cancelling,
        Phase::Scheduled => NodeState::Queued,
        // It waits for a thread.
        Phase::Idle if blocks && !word.has_ended() => NodeState::Queued,
        _ => NodeState::Parked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_outlast_the_wrap_of_the_clock() {
        let ms = |now, birth| age(now, birth).as_millis();
        assert_eq!((ms(7, 7), ms(1_000, 7)), (0, 993));
        assert_eq!(ms(3, u32::MAX - 4), 8, "wrapped since");
        assert_eq!(ms(7, 1_007), 0, "born a second after the clock was read");
        let longest = u32::MAX - 60_000;
        assert_eq!(ms(longest, 0), longest.into());
        assert_eq!(ms(longest + 1, 0), 0);
    }
}
