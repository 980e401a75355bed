//! `background_service`: the body, which the failure of the service beside it ends.

use super::cause::Because;
use super::count::{Seen, seen};
use super::model::Model;
use super::node::{Scope, Then};

impl Model {
    /// Whether the code in the innermost scope may not go on: the task's turn has come, or that of
    /// a body around it.
    pub(crate) fn turn_in_here(&self, node: usize) -> bool {
        let hard = self.nodes[node].frames.iter().any(|f| f.scope.is_hard());
        self.is_turn(node) && !hard || self.failed_body(node).is_some()
    }

    /// The outermost body whose service has failed, and in which nothing is protected.
    fn failed_body(&self, node: usize) -> Option<usize> {
        let frames = &self.nodes[node].frames;
        let inside = frames.iter().rposition(|frame| frame.scope.is_hard());
        (inside.map_or(0, |hard| hard + 1)..frames.len()).find(
            |at| matches!(frames[*at].scope, Scope::Beside(service) if self.has_failed(service)),
        )
    }

    pub(crate) fn has_failed(&self, service: usize) -> bool {
        let service = self.nodes[service].service.as_ref();
        service.is_some_and(|service| service.errored)
    }

    /// A body has ended: its service is stopped, and waited for.
    pub(super) fn stop_beside(&mut self, node: usize, service: usize) {
        seen(Seen::BodyStops);
        // It goes with the tree in this very moment: that comes before or after the end of the body.
        // Or a failure of this moment cancels both.
        let it = &self.nodes[service];
        let either =
            it.done && it.done_at == self.now || self.broken && it.closing == Some(self.now);
        if let Some(service) = self.nodes[service].service.as_mut().filter(|_| either) {
            service.cancelled_or_not |= !service.cancelled;
        }
        self.nodes[service].because_unsure |= either;
        self.cancel(service, Because::Asked(None));
        self.push(node, Scope::Ending(service));
    }

    /// Who ran this service is dropped: that cancels it. If it is going with the tree anyway, that
    /// comes before or after its end.
    pub(super) fn drop_run(&mut self, service: usize) {
        let it = self.service(service);
        let either = it.closing && !it.cancelled;
        it.cancelled_or_not |= either;
        self.nodes[service].because_unsure |= either;
        self.cancel(service, Because::Dropped);
    }

    /// The failure of the service beside a body ends that, from the inside out. What is left that was covered in
    /// a body comes before it.
    pub(super) fn end_body(&mut self, node: usize) -> bool {
        let Some(at) = self.failed_body(node) else {
            return false;
        };
        if (self.innermost_body(node)).is_some_and(|body| self.holds(node, body)) {
            return false;
        }
        match self.pop(node) {
            Some(Scope::Beside(service)) if self.nodes[node].frames.len() == at => {
                seen(Seen::BodyFails);
                self.push(node, Scope::Ending(service));
            }
            Some(Scope::Run(service) | Scope::Beside(service) | Scope::Ending(service)) => {
                self.drop_run(service);
                // A body inside may have ended before it.
                self.nodes[service].because_unsure = true;
                // The body around it may be held.
                self.push(node, Scope::Dead);
            }
            Some(Scope::Body(cleanup)) => self.begin_cleanup(node, cleanup, Then::Dropped),
            _ => {}
        }
        true
    }
}
