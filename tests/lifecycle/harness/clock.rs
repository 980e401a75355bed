//! The model's time: what happens by itself, and when.

use super::model::Model;
use super::node::Scope;

impl Model {
    /// The moments at which something will happen by itself.
    fn moments(&self) -> impl Iterator<Item = u64> {
        let nodes = self.nodes.iter().filter(|node| node.attached && !node.done);
        let nodes = nodes.flat_map(|node| {
            let grace = node.closing.map(|_| node.grace_end);
            let wait = match node.frames.last().map(|frame| frame.scope) {
                Some(Scope::Sleep(until) | Scope::Until(_, until)) => Some(until),
                _ => None,
            };
            [grace, wait]
        });
        let calls = self.calls.iter().filter(|call| call.answer.is_none());
        let all = nodes.flatten().chain(calls.map(|call| call.at));
        all.filter(|at| *at > self.now)
    }

    /// How many timers there are at most. That of a grace may wait for nothing: its task is done, and
    /// what was cancelled with it is not.
    pub(crate) fn timers(&self) -> usize {
        let over = self.nodes.iter().filter(|node| node.attached && node.done);
        let over = over.filter(|node| node.closing.is_some() && node.grace_end > self.now);
        self.moments().count() + over.count()
    }

    /// Lets time pass.
    pub(crate) fn advance_to(&mut self, end: u64) {
        self.settle();
        while let Some(at) = self.moments().min().filter(|at| *at <= end) {
            self.now = at;
            self.settle();
        }
        self.now = end;
    }
}
