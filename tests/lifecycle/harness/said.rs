//! What is said of what a future returns: whether an error of it counts, and when it happened.

use super::count::Seen;
use super::model::Model;
use super::node::{Frame, Said, Scope};

impl Model {
    /// Why an error of the poll that is under way counts, whatever ends in it.
    pub(super) fn poll_counts(&self, node: usize) -> Option<Seen> {
        match &self.poll {
            Some(poll) if poll.node == node => poll.counts,
            // Not told to just now: it goes on after a cleanup.
            _ => self.begins(node),
        }
    }

    /// Why an error of a poll that begins now counts.
    pub(super) fn begins(&self, node: usize) -> Option<Seen> {
        match self.nodes[node].closing {
            None => Some(Seen::CountsSamePoll),
            Some(_) => self.in_grace(node).then_some(Seen::CountsGrace),
        }
    }

    /// What is said on the level of the innermost body, in the poll that is under way.
    fn level(&mut self, node: usize) -> Option<&mut Option<Said>> {
        let poll = self.poll.as_mut().filter(|poll| poll.node == node)?;
        poll.said.last_mut()
    }

    /// Protection has ended on this level.
    pub(super) fn say(&mut self, node: usize, said: Said) {
        if let Some(level) = self.level(node) {
            *level = Some(said);
        }
    }

    /// Protection was dropped on this level.
    pub(super) fn say_if_nothing(&mut self, node: usize, said: Said) {
        if let Some(level) = self.level(node) {
            level.get_or_insert(said);
        }
    }

    pub(super) fn said(&mut self, node: usize) -> Option<Said> {
        self.level(node).and_then(|level| *level)
    }

    pub(super) fn enter_level(&mut self, node: usize) {
        if let Some(poll) = self.poll.as_mut().filter(|poll| poll.node == node) {
            poll.said.push(None);
        }
    }

    pub(super) fn leave_level(&mut self, node: usize) {
        if let Some(poll) = self.poll.as_mut().filter(|poll| poll.node == node) {
            poll.said.pop();
        }
    }

    pub(super) fn levels(&self, node: usize) -> usize {
        let is_body = |frame: &&Frame| matches!(frame.scope, Scope::Body(_));
        1 + self.nodes[node].frames.iter().filter(is_body).count()
    }

    /// What is said of a body that ends now, and has just been left: `inside` was said in it.
    pub(super) fn of_body(&self, node: usize, inside: Option<Said>) -> Said {
        let around = &self.nodes[node].frames;
        let protected = around.iter().any(|frame| frame.scope.is_hard())
            || inside.is_some_and(|said| said.counts);
        Said {
            counts: protected || self.poll_counts(node).is_some(),
            step: inside.and_then(|said| said.step).or(Some(self.now)),
        }
    }
}
