//! Why something is being cancelled: kept where it was asked for, and found by a walk upwards.

use super::model::Model;

/// What a cancellation was asked for by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Because {
    /// A call, with the number of its reason if it gave one.
    Asked(Option<usize>),
    Killed,
    /// What owned it was dropped.
    Dropped,
    /// A failure of the service, or of one in it; or the failure of a task that is no service's.
    Failed,
}

/// What a look at a node finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    Nothing,
    /// It was asked of that node.
    Of(usize, Because),
    /// That is not said.
    Unsure,
}

impl Model {
    /// The first request that reaches a node stays its cause.
    pub(super) fn keep_cause(&mut self, target: usize, because: Because) {
        let from_inside = self.poll.is_some() || self.asked || self.broken;
        let now = self.now;
        let it = &mut self.nodes[target];
        match it.closing {
            None => it.because = Some(because),
            // Another one of the same moment may have reached it, or be on its way.
            Some(at) => it.because_unsure |= from_inside && at == now && it.because.is_none(),
        }
    }

    /// That of the nearest node that has one, from this one upwards.
    pub(crate) fn cause(&self, node: usize) -> Cause {
        if self.nodes[node].closing.is_none() {
            return Cause::Nothing;
        }
        let mut at = Some(node);
        while let Some(target) = at {
            let it = &self.nodes[target];
            // That what failed by itself is being cancelled is said of what is below it.
            let itself = target == node && it.service.is_none();
            match &it.because {
                _ if it.because_unsure => return Cause::Unsure,
                Some(Because::Failed) if itself => return Cause::Unsure,
                Some(because) => return Cause::Of(target, because.clone()),
                // Of what is done only its own is known.
                None if it.done => return Cause::Nothing,
                None => at = it.parent,
            }
        }
        Cause::Unsure
    }
}
