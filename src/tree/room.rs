//! Waiting for room under a parent that is at its limit of supervised children. [`crate::task::room`] has the
//! states, the rule for the locks, and the proof that no wake-up is lost.

use super::full;
use crate::task::raw::{Fresh, Parent, Queued, RoomUnder};
use crate::task::room::Entered;
use crate::task::state::MAX_CHILDREN;
use crate::wait_list::KeptWaker;
use std::task::{Poll, Waker};

/// The greatest limit that a parent can be at.
pub(crate) const MOST: usize = MAX_CHILDREN as usize;

/// A wait for room, under one parent at a time.
#[derive(Default)]
pub(crate) struct RoomWait(Option<Ticket>);

impl RoomWait {
    /// Ready when it has a permit for a child of this parent, whose limit is above 0 and at most [`MOST`]. Returns
    /// the ticket, by which the child is linked.
    ///
    /// The first poll enters the wait behind those that are there. A poll for another parent than the one before
    /// gives up what the wait had there, and enters it anew.
    pub(crate) fn poll(
        &mut self,
        parent: Parent<'_>,
        limit: usize,
        waker: &Waker,
    ) -> Poll<&mut Ticket> {
        let known = self.0.take_if(|ticket| !ticket.at.is_under(parent));
        drop(known);
        let ticket = match &mut self.0 {
            Some(ticket) => {
                ticket.look(waker);
                ticket
            }
            none => none.insert(Ticket::take(parent, limit, waker)),
        };
        if ticket.has_permit {
            Poll::Ready(ticket)
        } else {
            Poll::Pending
        }
    }

    /// Gives up the ticket.
    pub(crate) fn leave(&mut self) {
        self.0 = None;
    }
}

/// A wait that has entered: it has a permit, or will get one. Dropping it leaves the permit to the next wait.
pub(crate) struct Ticket {
    at: RoomUnder,
    number: u64,
    /// Whether it is known to have a permit.
    has_permit: bool,
    /// Whether the permit was used, by a child that was linked or that the parent has refused.
    is_spent: bool,
}

impl Ticket {
    /// Enters a wait, and looks whether it has a permit at once.
    fn take(parent: Parent<'_>, limit: usize, waker: &Waker) -> Ticket {
        let at = RoomUnder::make(parent, limit);
        let mut fresh = Some(KeptWaker::new(waker));
        let (number, entered) = {
            let mut queue = at.lock();
            let children = at.children();
            children.watch(true);
            let count = children.supervised_count() as usize;
            queue.enter(count, limit, &mut fresh)
        };
        drop(fresh);
        let mut ticket = Ticket {
            at,
            number,
            has_permit: entered == Entered::Permitted,
            is_spent: false,
        };
        if entered == Entered::WaitsFirst {
            // In this order: a thread that makes a child done after the second sees the first.
            parent.shared().room_mark.set();
            full::make_room_in_order(parent);
            ticket.look(waker);
        }
        ticket
    }

    /// Looks whether it has a permit. If not, `waker` is woken once it has.
    fn look(&mut self, waker: &Waker) {
        if !self.has_permit {
            let mut waker = KeptWaker::new(waker);
            self.has_permit = self.at.lock().has_permit(self.number, &mut waker);
        }
    }

    /// Links a child by the permit. If the parent refuses it, returns it, and leaves the permit to the next wait.
    /// Also returns the number of children before.
    ///
    /// # Panics
    ///
    /// Panics if there is no permit, or it is spent.
    pub(super) fn adopt<'a>(&mut self, task: Fresh<'a>) -> (Result<Queued, Fresh<'a>>, u32) {
        assert!(self.has_permit && !self.is_spent, "a permit for one child");
        self.is_spent = true;
        let mut queue = self.at.lock();
        let children = self.at.children();
        let before = children.supervised_count();
        let linked = children.adopt(task);
        drop(children);
        queue.give_back();
        self.at.pass_on_from(queue);
        (linked, before)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.is_spent {
            return;
        }
        let mut queue = self.at.lock();
        let waker = queue.leave(self.number);
        self.at.pass_on_from(queue);
        drop(waker);
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use crate::time::timeout;
    use crate::{Context, Manager, Runtime, service_fn};
    use std::future::pending;
    use std::time::Duration;

    /// What makes the ends of tasks slower is a mark of one runtime, and comes with the first wait that is put off.
    #[test]
    fn only_a_wait_that_is_put_off_marks_its_runtime() {
        let runtime = || Runtime::builder().workers(0).build().expect("no threads");
        let (waits, other) = (runtime(), runtime());
        let service = service_fn("waits", async |ctx: Context| {
            let spawn = || {
                let task = ctx.task(pending::<crate::Result>());
                timeout(Duration::from_millis(1), task.spawn_when_room())
            };
            let marked = || {
                crate::task::current::with_shared(|at| at.expect("in a task").room_mark.is_set())
            };
            let in_time = spawn().await.is_ok();
            assert!(in_time && !marked(), "there is room");
            assert!(spawn().await.is_err() && marked(), "there is none");
            ctx.cancel()?;
            Ok(())
        });
        let manager = Manager::builder(service).max_children(1);
        let manager = manager.build().expect("no slot");
        manager.start(&waits).expect("it is open");
        waits.block_on(manager.wait_finished());
        assert!(manager.result().is_some_and(|result| result.is_ok()));
        assert!(waits.shared().room_mark.is_set() && !other.shared().room_mark.is_set());
    }
}
