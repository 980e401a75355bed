//! The unsafe part of a task, and the rights that keep the rest of the crate safe.
//!
//! What code may do with a task follows from the value it has:
//!
//! | value | what it proves | what it allows |
//! |---|---|---|
//! | [`TaskRef`] | the slot is there: one reference is counted | looking at the word, waking, asking for a pin |
//! | [`Borrowed`] | the same, borrowed | the same |
//! | [`Live`] | moreover the parent still counts the task, or it is a sentinel: its runtime, its record and its ancestors are there | walking up, looking at cold data |
//! | [`Pin`] | one count that keeps the task from being done | a `Live` for as long as it exists; given back on drop |
//! | [`Children`] | the lock of a task's list of children | a `Live` of each child that is linked |
//! | [`Fresh`] | a new task that no other thread knows | linking it, or refusing it |
//! | [`Covering`] | this is the protection of the task that it names | covering new children |
//! | [`Queued`] | the task is scheduled, and in no queue | putting it into a queue, or starting it |
//! | [`Running`] | this thread polls the task | the future and the outcome |
//! | [`Claimed`] | this thread is to drop the future | the future and the outcome |
//! | [`Finished`] | this thread made the task done | unlinking it; the join waker; the outcome that no handle wants |
//! | [`Joined`] | this is the only handle of the task | the outcome, once it is done |
//!
//! Each step of the state word consumes the right that it needs, and returns the right that
//! follows from it ([`Next`]). The rights, from `Pin` down, cannot be copied. Only [`Running`] and
//! [`Claimed`] can drop a future ([`Running`] when a poll ends it, [`Claimed`] by `drop_future`), and
//! [`Fresh`] before the task is linked.
//!
//! # Rules
//!
//! The SAFETY comments of this room cite them by number.
//!
//! 1. **Slot.** A slot is valid while its task is referenced: by itself until it is done and
//!    unlinked, by each handle, waker and [`TaskRef`]. Each right covers the slot, too, because the
//!    task is not done, or not unlinked, while the right exists.
//! 2. **Stage.** Future and outcome belong to the holder of the right that the table in
//!    [`super::state`] names. `stage` says what is there and is written by the same holder; the
//!    state word's read-modify-writes hand it on.
//! 3. **Join waker.** Its cell belongs to the handle while `JOIN_WAKER` is clear and the task is
//!    not done, and to the finisher that made the task done with it set.
//! 4. **Runtime.** It is valid while a task of it is counted by its parent: it keeps itself until
//!    its last sentinel is done. A thread that is no worker takes a reference to the runtime *before*
//!    it pushes a task that it has scheduled: the task cannot run, or be done, before that.
//! 5. **Record.** It is valid while the task is counted by its parent: the service's task, which is
//!    the task itself or an ancestor, owns a reference to it, and drops that when it is done and
//!    unlinked. The cold data of a service's task is part of the record, so this rule covers it, too.
//! 6. **Provenance.** Every pointer to a slot derives from its page's allocation, never from a
//!    reference; no `&mut` ever covers the header.
//! 7. **Links.** An index in a header is followed to the parent of a task that the parent still
//!    counts, and along a list under the lock of the list's owner: what is linked is not freed.
//!
//! [`TaskRef`]: reference::TaskRef
//! [`Borrowed`]: header::Borrowed
//! [`Live`]: rights::Live
#![allow(unsafe_code)]

pub(crate) mod allocate;
pub(super) mod children;
mod covered;
mod ends;
pub(super) mod handover;
pub(super) mod header;
pub(super) mod joined;
mod lent;
pub(super) mod live;
pub(super) mod record_address;
pub(super) mod reference;
pub(super) mod rights;
mod site;
pub(super) mod stage;
mod steps;
mod submit;
mod vacancy;
pub(super) mod waker;
pub(super) mod window;

pub(crate) use children::Children;
pub(crate) use covered::Covering;
pub(crate) use handover::{Handover, Part, Taken};
pub(crate) use header::{Header, Payload, Polled};
pub(crate) use joined::Joined;
pub(crate) use lent::{Closing, Polling};
pub(crate) use live::Parent;
#[cfg(all(test, not(taskgrove_loom)))]
pub(crate) use live::followed;
pub(crate) use record_address::RecordAddress;
pub(crate) use rights::{Claimed, Finished, Fresh, Next, Pin, Pins, Queued, Running};
pub(crate) use stage::{Fallible, Plain, fits};
pub(crate) use steps::{Marked, Start, StartRarely};
pub(crate) use submit::hand_over;
pub(crate) use vacancy::RoomUnder;
pub(crate) use waker::is_tasks_own;

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
