//! [`RoomUnder`]: the room of a parent, as the threads reach it that take children off, and those that wait.

use super::children::Children;
use super::live::Parent;
use super::reference::TaskRef;
use super::rights::Live;
use crate::sync::{Arc, MutexGuard};
use crate::task::room::{Queue, Room};
use crate::task::wakes;

/// The room under a parent, which may be done. It keeps the parent's slot.
pub(crate) struct RoomUnder {
    parent: TaskRef,
    room: Arc<Room>,
}

impl RoomUnder {
    /// The room under a parent; makes it, for this limit, if there is none.
    pub(crate) fn make(parent: Parent<'_>, limit: usize) -> RoomUnder {
        let room = &parent.cold_or_new().room;
        let room = room.get_or_init(|| Arc::new(Room::new(limit)));
        RoomUnder {
            parent: parent.task().retain(),
            room: room.clone(),
        }
    }

    /// The room under a parent, if it has been made.
    pub(crate) fn of(parent: Parent<'_>) -> Option<RoomUnder> {
        let room = parent.cold()?.room.get()?;
        Some(RoomUnder {
            parent: parent.task().retain(),
            room: room.clone(),
        })
    }

    /// Whether it is the room under this parent.
    pub(crate) fn is_under(&self, parent: Parent<'_>) -> bool {
        self.parent.borrowed() == parent.task()
    }

    /// The greatest number of children, and of permits that are given out.
    pub(crate) fn limit(&self) -> usize {
        self.room.limit()
    }

    /// Locks the queue. The lock of the parent's children may be taken while it is held, and not the other
    /// way round.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.room.lock()
    }

    /// Locks the list of the parent's children.
    pub(crate) fn children(&self) -> Children<'_> {
        Children::lock(self.parent.borrowed())
    }

    /// Gives out the permits that there are, and wakes the waits that have got one. Called by a thread that has
    /// made room, after it has done so, and with neither of the two locks.
    #[cold]
    pub(crate) fn pass_on(&self) {
        self.pass_on_from(self.lock());
    }

    /// As [`RoomUnder::pass_on`], and unlocks the queue.
    pub(crate) fn pass_on_from(&self, mut queue: MutexGuard<'_, Queue>) {
        let limit = self.limit();
        // It does not grow meanwhile: the module of `Room` says why.
        let children = self.parent.supervised_hint() as usize;
        let wakers = queue.give_out(children, limit);
        if queue.comes_to_rest(limit) {
            self.children().watch(false);
        }
        drop(queue);
        wakes::wake_all(wakers);
    }
}

impl Children<'_> {
    /// Returns the room of the parent if that is in use. A caller that has taken children off passes on what they have
    /// left, once it has given up the lock.
    ///
    /// # Panics
    ///
    /// A debug build panics if `parent` is another task.
    #[inline]
    pub(super) fn vacated(&self, parent: Live<'_>) -> Option<RoomUnder> {
        if self.parent.is_watched() {
            self.room(parent)
        } else {
            None
        }
    }

    #[cold]
    fn room(&self, parent: Live<'_>) -> Option<RoomUnder> {
        debug_assert!(self.parent == parent.borrowed(), "another task's room");
        let room = parent.cold()?.room.get()?.clone();
        Some(RoomUnder {
            parent: parent.retain(),
            room,
        })
    }
}
