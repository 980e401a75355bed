//! [`CrowdHook`]: what to call when a parent has many children.

use super::cold::Cold;
use crate::panics::quietly;
use crate::snapshot::crowd::Crowd;
use crate::sync::Mutex;
use crate::sync::atomic::Ordering;
use std::fmt;
use std::sync::Arc;

type Hook = Arc<dyn Fn(&Crowd) + Send + Sync>;

/// The hook of a runtime, and the share of the limit at which it is called.
pub(crate) struct CrowdHook {
    share: f64,
    /// Emptied when the runtime is dropped: the hook may own a handle of it.
    hook: Mutex<Option<Hook>>,
}

impl Clone for CrowdHook {
    fn clone(&self) -> Self {
        CrowdHook {
            share: self.share,
            hook: Mutex::new(self.hook.lock().clone()),
        }
    }
}

impl fmt::Debug for CrowdHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrowdHook")
            .field("share", &self.share)
            .finish_non_exhaustive()
    }
}

/// What a new child means for the hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Edge {
    /// The number of children has come to the share.
    Reached,
    /// The number has come, from below, to three quarters of that: the next crossing counts again.
    Rearmed,
    /// Both: of a share of at most three, the number below is less than three quarters.
    RearmedAndReached,
}

impl CrowdHook {
    /// # Panics
    ///
    /// Panics unless `share` is above 0 and at most 1.
    #[track_caller]
    pub(crate) fn new(share: f64, hook: impl Fn(&Crowd) + Send + Sync + 'static) -> Self {
        assert!(
            share > 0.0 && share <= 1.0,
            "the share of a limit has to be above 0 and at most 1, and not {share}"
        );
        CrowdHook {
            share,
            hook: Mutex::new(Some(Arc::new(hook))),
        }
    }

    /// Says what it means that a parent with this limit has got its child number `count`.
    pub(crate) fn edge(&self, count: usize, limit: usize) -> Option<Edge> {
        let share = ((limit as f64 * self.share).ceil() as usize).clamp(1, limit.max(1));
        // The lowest number that is not below three quarters.
        let rearmed = share - share / 4;
        match (count == rearmed, count == share) {
            (true, true) => Some(Edge::RearmedAndReached),
            (false, true) => Some(Edge::Reached),
            (true, false) => Some(Edge::Rearmed),
            (false, false) => None,
        }
    }

    /// Notes a crossing in the cold data of the parent. Returns whether the hook is to be called.
    pub(crate) fn crosses(edge: Edge, parent: &Cold) -> bool {
        // Each crossing is noted by the thread whose child it is: no memory depends on the flag, so
        // Relaxed suffices.
        let reached = edge != Edge::Rearmed;
        let before = parent.crowded.swap(reached, Ordering::Relaxed);
        reached && (!before || edge == Edge::RearmedAndReached)
    }

    /// Calls the hook. A panic in it ends here.
    pub(crate) fn call(&self, crowd: &Crowd) {
        let hook = self.hook.lock().clone();
        if let Some(hook) = hook {
            quietly(|| hook(crowd));
        }
    }

    /// Drops the hook.
    pub(crate) fn forget(&self) {
        let hook = self.hook.lock().take();
        quietly(|| drop(hook));
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_crossing_has_an_edge() {
        let edges = |share, limit| {
            let hook = CrowdHook::new(share, |_| {});
            let edge = move |count| hook.edge(count, limit).map(|edge| (count, edge));
            (1..=limit.min(2_000)).filter_map(edge).collect::<Vec<_>>()
        };
        use Edge::{Reached, Rearmed, RearmedAndReached as Both};
        assert_eq!(edges(0.8, 1_000), [(600, Rearmed), (800, Reached)]);
        assert_eq!(edges(1.0, 10), [(8, Rearmed), (10, Reached)]);
        assert_eq!(edges(1.0, 4), [(3, Rearmed), (4, Reached)]);
        assert_eq!(edges(1.0, 3), [(3, Both)]);
        assert_eq!(edges(0.001, 10), [(1, Both)]);
        assert_eq!(edges(0.5, 1), [(1, Both)]);
        assert_eq!(edges(1e-300, usize::MAX), [(1, Both)]);
        assert_eq!(edges(1.0, usize::MAX), []);
    }
}
