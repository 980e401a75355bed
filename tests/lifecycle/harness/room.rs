//! Waits for room under a parent that is at its limit (`spawn_when_room`): first come, first served.

use super::count::{Seen, seen};
use super::model::{Model, Scheduled};
use super::node::CleanupState;

/// A wait that stands in the line of its parent.
pub(crate) struct RoomWait {
    /// What is to be scheduled.
    task: usize,
    /// The task that waits; `None`: a call from outside any task.
    from: Option<usize>,
    /// The cleanup of that task whose code waits, if it is one's.
    cleanup: Option<usize>,
    /// The service that schedules.
    via: usize,
    parent: usize,
    opts_out: bool,
    /// There is room, which is kept for it until it goes on.
    has_room: bool,
}

/// A wait that is over.
pub(crate) struct Decided {
    pub(crate) task: usize,
    from: Option<usize>,
    via: usize,
    place: Scheduled,
    at: u64,
}

impl Model {
    /// Whether something that comes now gets room under this parent: all that waits comes first.
    pub(super) fn has_room(&self, parent: usize, via: usize) -> bool {
        let mut line = self.line.iter().filter(|wait| wait.parent == parent);
        line.all(|wait| wait.has_room) && self.has_place(parent, via)
    }

    /// Whether another child may be promised room.
    fn has_place(&self, parent: usize, via: usize) -> bool {
        let live = self.children(parent).filter(|n| self.is_supervised(*n));
        let line = self.line.iter().filter(|wait| wait.parent == parent);
        let kept = line.filter(|wait| wait.has_room);
        let service = self.nodes[via].service.as_ref().expect("a service");
        live.count() + kept.count() < service.max_children
    }

    /// What becomes of a call that waits for room, and otherwise would come to `place`.
    pub(crate) fn when_room(
        &mut self,
        task: usize,
        from: Option<usize>,
        via: usize,
        opts_out: bool,
        place: Scheduled,
    ) -> Scheduled {
        let suspends = self.calling.is_none();
        if suspends && from.is_some_and(|from| self.is_suspended(from)) {
            // As every await, it suspends.
            return Scheduled::Waits;
        }
        let never = self.nodes[via]
            .service
            .as_ref()
            .is_some_and(|s| s.max_children == 0);
        let parent = match (place, self.place_via(from, via, opts_out)) {
            (Scheduled::TooMany, Ok(parent)) if !never => parent,
            (Scheduled::Under(_), _) => {
                seen(Seen::RoomAtOnce);
                return place;
            }
            _ => return place,
        };
        seen(match self.line.iter().any(|wait| wait.parent == parent) {
            true => Seen::RoomBehind,
            false => Seen::RoomWaits,
        });
        self.line.push(RoomWait {
            task,
            from,
            cleanup: self.calling,
            via,
            parent,
            opts_out,
            has_room: false,
        });
        Scheduled::Waits
    }

    /// What has come free is kept for those that came first.
    pub(super) fn give_room(&mut self) -> bool {
        for at in 0..self.line.len() {
            let RoomWait { parent, via, .. } = self.line[at];
            if !self.line[at].has_room && self.has_place(parent, via) {
                self.line[at].has_room = true;
                return true;
            }
        }
        false
    }

    /// The wait of this node for room for that task ends with room, with a cancellation, or with the service.
    pub(super) fn stop_waiting_for_room(&mut self, node: usize, task: usize) -> bool {
        let Some(at) = self.line.iter().position(|wait| wait.task == task) else {
            return false;
        };
        if self.is_suspended(node) {
            return false;
        }
        let Some(place) = self.is_over(at) else {
            return false;
        };
        seen(match place {
            Scheduled::Under(_) if self.nodes[node].closing.is_some() => Seen::RoomProtected,
            Scheduled::Under(_) => Seen::RoomCame,
            Scheduled::BornDone => Seen::RoomCancelled,
            _ => Seen::RoomEnded,
        });
        self.decide(at, place);
        self.pop(node);
        self.start(task, place, Some(node));
        true
    }

    /// As [`Model::stop_waiting_for_room`], for the first call from outside or from a cleanup that waits no longer.
    pub(super) fn stop_waiting_beside(&mut self) -> bool {
        for at in 0..self.line.len() {
            let RoomWait {
                task,
                from,
                cleanup,
                ..
            } = self.line[at];
            if let Some(cleanup) = cleanup
                && self.cleanups[cleanup].state != CleanupState::Running
            {
                self.leave_line(task);
                return true;
            }
            if from.is_some() && cleanup.is_none() {
                continue;
            }
            self.deferred = cleanup.filter(|it| self.is_deferred(*it));
            if let Some(place) = self.is_over(at) {
                seen(match (place, cleanup) {
                    (Scheduled::Under(_), None) => Seen::RoomOutsideCame,
                    (_, None) => Seen::RoomOutsideEnded,
                    (Scheduled::Under(_), _) => Seen::RoomCleanupCame,
                    _ => Seen::RoomCleanupEnded,
                });
                self.decide(at, place);
                self.start(task, place, from);
                self.deferred = None;
                return true;
            }
            self.deferred = None;
        }
        false
    }

    /// Whether this is the cleanup of a guard that was dropped.
    pub(super) fn is_deferred(&self, cleanup: usize) -> bool {
        let node = self.cleanups[cleanup].node;
        self.nodes[node].cleanups.contains(&cleanup)
    }

    /// Whether the code of this cleanup waits for room.
    pub(super) fn waits_in(&self, cleanup: usize) -> bool {
        self.line.iter().any(|wait| wait.cleanup == Some(cleanup))
    }

    /// Whether the wait for room of this cleanup's code is over, if that has not heard of it.
    pub(super) fn waits_no_longer(&self, cleanup: usize) -> bool {
        let at = self
            .line
            .iter()
            .position(|wait| wait.cleanup == Some(cleanup));
        at.is_some_and(|at| self.is_over(at).is_some())
    }

    /// What becomes of a wait that is over.
    fn is_over(&self, at: usize) -> Option<Scheduled> {
        let wait = &self.line[at];
        match self.place_via(wait.from, wait.via, wait.opts_out) {
            Err(refused) => Some(refused),
            Ok(_) if !wait.has_room => None,
            Ok(parent) => Some(Scheduled::Under(Some(parent))),
        }
    }

    /// The wait for room for that task is dropped, if it is not over.
    pub(super) fn leave_line(&mut self, task: usize) {
        let Some(at) = self.line.iter().position(|wait| wait.task == task) else {
            return;
        };
        let RoomWait {
            parent,
            from,
            via,
            opts_out,
            ..
        } = self.line[at];
        let behind = self.line[at + 1..].iter().any(|wait| wait.parent == parent);
        seen(match behind {
            true => Seen::RoomPassed,
            false => Seen::RoomDropped,
        });
        // It may have gone on before.
        let place = match self.place_via(from, via, opts_out) {
            Err(_) => Scheduled::Unsure,
            Ok(_) => Scheduled::Waits,
        };
        self.decide(at, place);
        if place == Scheduled::Unsure {
            self.start(task, place, None);
        }
    }

    fn decide(&mut self, at: usize, place: Scheduled) {
        let RoomWait {
            task, from, via, ..
        } = self.line.remove(at);
        let at = self.now;
        self.decided.push(Decided {
            task,
            from,
            via,
            place,
            at,
        });
    }

    /// What has become of a wait, as far as it is said: whether a task hears of the end of its wait before its turn
    /// comes is not, nor is it whether it hears of the cancellation of a service before that has ended, nor whether
    /// room that comes with the end of a grace comes before it.
    pub(crate) fn end_of_wait(&mut self, wait: &Decided) -> Scheduled {
        let refused = matches!(wait.place, Scheduled::BornDone | Scheduled::NotRunning);
        // What ends the wait may cancel the task, too; its turn may come first, and a cleanup run since.
        let turn = wait.from.is_some_and(|node| {
            let from = &self.nodes[node];
            let cancelled = from.killed.is_some() || from.closing == Some(wait.at);
            from.ended || cancelled || self.turn_in_here(node)
        });
        let via = &self.nodes[wait.via];
        // What has the same grace hears of its end one after the other.
        let over = wait.from.into_iter().chain([wait.via]).any(|node| {
            let it = &self.nodes[node];
            it.closing.is_some() && it.grace_end == wait.at
        });
        let unsure = refused && (turn || over || via.done && via.done_at == wait.at);
        let place = if unsure {
            Scheduled::Unsure
        } else {
            wait.place
        };
        if place == Scheduled::Unsure {
            self.service(wait.via).perhaps += 1;
        }
        place
    }
}
