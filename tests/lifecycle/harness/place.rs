//! Where what is started goes, whether it runs, and what protection and grace have to do with it.

use super::count::{Seen, seen};
use super::model::{Model, Scheduled};
use super::node::{Cover, Scope};
use super::ops::Kind;

/// The number of the protection that a deferred cleanup is; those of frames are small.
pub(super) fn cover_of(cleanup: usize) -> usize {
    usize::MAX - cleanup
}

impl Model {
    /// Where what `from` (outside any task, if `None`) schedules would go. `opts_out`: it has a grace of
    /// zero of its own.
    pub(crate) fn place(
        &self,
        from: Option<usize>,
        kind: Kind,
        via: Option<usize>,
        opts_out: bool,
    ) -> Scheduled {
        let Some(via) = via else {
            return match from {
                Some(from) if self.refuses(Some(from), from, opts_out) => Scheduled::BornDone,
                from => Scheduled::Under(from),
            };
        };
        match self.place_via(from, via, opts_out) {
            Err(refused) => refused,
            Ok(parent) if kind != Kind::Run && !self.has_room(parent, via) => Scheduled::TooMany,
            Ok(parent) => Scheduled::Under(Some(parent)),
        }
    }

    /// The parent of what `from` schedules in a service, whether or not there is room.
    pub(super) fn place_via(
        &self,
        from: Option<usize>,
        via: usize,
        opts_out: bool,
    ) -> Result<usize, Scheduled> {
        if self.nodes[via].done {
            return Err(Scheduled::NotRunning);
        }
        let service = self.nodes[via].service.as_ref().expect("a service");
        let here = from.filter(|from| self.service_of(*from) == Some(via));
        let parent = here.unwrap_or(via);
        let killed = self.nodes[via].killed.is_some();
        let runs = !killed && (!service.closing || self.runs(from, parent, via));
        if !runs || self.refuses(from, parent, opts_out) {
            return Err(Scheduled::BornDone);
        }
        Ok(parent)
    }

    /// Whether this parent refuses what `from` schedules under it.
    fn refuses(&self, from: Option<usize>, parent: usize, opts_out: bool) -> bool {
        let grace = self.in_grace(parent) && !opts_out;
        self.nodes[parent].killed.is_some() || !grace && self.refuses_in_cancel(from, parent)
    }

    /// Whether it refuses that for its cancellation alone.
    pub(crate) fn refuses_in_cancel(&self, from: Option<usize>, parent: usize) -> bool {
        let closing = self.nodes[parent].closing.is_some();
        closing && self.cover(from, parent).is_none()
    }

    /// Whether what `from` schedules in this service runs, although the service is being cancelled.
    fn runs(&self, from: Option<usize>, parent: usize, service: usize) -> bool {
        let Some(from) = from else { return false };
        if self.cover(Some(from), parent).is_some() {
            return true;
        }
        if from != parent {
            return self.in_grace(from) && self.in_grace(parent);
        }
        if self.in_grace(from) {
            return true;
        }
        let mut at = from;
        while at != service && self.nodes[at].closing.is_none() {
            if self.is_covered(at) {
                return true;
            }
            let Some(above) = self.nodes[at].parent else {
                return false;
            };
            at = above;
        }
        false
    }

    /// Whether protection of its parent covers this node.
    pub(crate) fn is_covered(&self, node: usize) -> bool {
        let cover = self.nodes[node].cover.as_ref();
        cover.is_some_and(|cover| !cover.called)
    }

    /// The protection that covers what `from` starts under `parent`.
    pub(crate) fn cover(&self, from: Option<usize>, parent: usize) -> Option<Cover> {
        let from = from?;
        let is_body = |scope: &Scope| matches!(scope, Scope::Body(_) | Scope::Beside(_));
        if from == parent
            && let Some(cleanup) = self.deferred
        {
            let around = self.cleanups[cleanup].inside.iter();
            return Some(Cover {
                frame: cover_of(cleanup),
                around: around.map(|body| Scope::Body(*body)).collect(),
                called: false,
            });
        }
        if from == parent {
            let frames = &self.nodes[from].frames;
            let hard = frames.iter().position(|frame| frame.scope.is_hard())?;
            let around = frames[..hard].iter().map(|frame| frame.scope);
            return Some(Cover {
                frame: frames[hard].number,
                around: around.filter(is_body).collect(),
                called: false,
            });
        }
        // It may be below something that is covered.
        let mut at = from;
        while let Some(above) = self.nodes[at].parent {
            if above == parent {
                return self.nodes[at].cover.clone().filter(|cover| !cover.called);
            }
            at = above;
        }
        None
    }

    /// Puts a new node where it belongs.
    pub(crate) fn start(&mut self, node: usize, place: Scheduled, from: Option<usize>) {
        match place {
            Scheduled::Under(parent) => {
                let cover = parent.and_then(|parent| self.cover(from, parent));
                let covered = cover.is_some();
                self.nodes[node].cover = cover;
                self.nodes[node].parent = parent;
                self.nodes[node].attached = true;
                if let Some(service) = &mut self.nodes[node].service {
                    service.started = true;
                }
                if self.is_supervised(node)
                    && let Some(around) = parent.and_then(|p| self.service_of(p))
                {
                    self.service(around).total += 1;
                }
                if let Some(parent) = parent.filter(|_| !covered)
                    && self.nodes[parent].closing.is_some()
                {
                    // It is being cancelled from its birth, and has its parent's grace.
                    self.nodes[node].grace = None;
                    self.cancel_one(node);
                    self.nodes[node].grace_end = self.nodes[parent].grace_end;
                }
                if parent.is_some_and(|parent| self.nodes[parent].killed.is_some()) {
                    self.kill_one(node);
                }
            }
            Scheduled::Waits => {}
            _ => {
                self.nodes[node].done = true;
                self.nodes[node].ended = true;
                if let Some(service) = &mut self.nodes[node].service {
                    service.closing = true;
                    service.cancelled = true;
                }
            }
        }
    }

    /// Whether a cancellation of `above` reaches this node, which nothing in between covers.
    pub(crate) fn is_reached(&self, node: usize, above: usize) -> bool {
        let mut at = node;
        while !self.is_covered(at) {
            match self.nodes[at].parent {
                Some(parent) if parent == above => return true,
                Some(parent) => at = parent,
                None => return false,
            }
        }
        false
    }

    /// A protection has ended: what is left of what was started inside it is cancelled with its parent.
    pub(crate) fn uncover(&mut self, parent: usize, frame: usize) {
        let closing = self.nodes[parent].closing.is_some();
        for child in self.children(parent).collect::<Vec<_>>() {
            let cover = &mut self.nodes[child].cover;
            let Some(left) = cover.as_mut().filter(|cover| cover.frame == frame) else {
                continue;
            };
            if closing {
                left.called = true;
                seen(Seen::LeftCovered);
                self.cancel_with_parent(child);
                if let Some(poll) = &mut self.poll {
                    poll.cancels.push(child);
                }
            } else {
                *cover = None;
                seen(Seen::Uncovered);
            }
        }
    }

    /// Whether something is left that a deferred cleanup started, which ran inside this body, and which is being
    /// cancelled since. The cleanup of the body waits for it, as it does for the deferred one.
    pub(super) fn deferred_has_left(&self, node: usize, body: usize) -> bool {
        self.has_left_in(node, Scope::Body(body), true)
    }

    /// Whether something is left that was started inside protection inside this body, which is not dropped before.
    pub(crate) fn holds(&self, node: usize, body: Scope) -> bool {
        self.has_left_in(node, body, false)
    }

    fn has_left_in(&self, node: usize, body: Scope, deferred: bool) -> bool {
        self.children(node).any(|child| {
            let cover = self.nodes[child].cover.as_ref();
            cover.is_some_and(|cover| {
                let of_deferred = cover.frame > usize::MAX / 2;
                of_deferred == deferred && cover.called && cover.around.contains(&body)
            })
        })
    }
}
