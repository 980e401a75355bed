//! Protection: which code may still run when a task, or a body inside it, is to be dropped.
//!
//! # Words
//!
//! - A *shield* is a future inside [`shielded`](shield::shielded).
//! - A [`finally`](finally::finally) has a *body* and, after it, a *cleanup*. The future that
//!   `background_service` runs beside its service is a body, too.
//! - A guard of `defer` leaves a *deferred cleanup* behind, which belongs to the task in which the guard
//!   is dropped, and runs beside that task's future.
//! - A *scope* is what some code runs in, and what ends with it: a task, a body inside a task, or
//!   neither. Scopes nest.
//! - Shields, cleanups and `finally`s are *protection*. Each counts itself into the scope around it as
//!   long as it is active.
//! - Code in a shield or a cleanup is *hard*: it is not told of the turn.
//!
//! When a task has its *turn*, and when it is *due*, is defined for its state word
//! (`task/state.rs`): the turn comes when the task is being cancelled, nothing below it is left, and
//! no grace period runs. A body has its turn with the scope around it, or when its own service has
//! failed. From its turn on, this code may still run:
//!
//! | scope | with protection inside | without |
//! |---|---|---|
//! | task, cancelled | it is polled until the protection has ended | its future is dropped |
//! | body, cancelled | it is polled until the protection has ended | its future is dropped |
//! | task, killed | its future is dropped | its future is dropped |
//! | hard code | runs on | – |
//! | deferred cleanup | runs on, after the future is gone; a kill drops it | – |
//!
//! What code in a shield or a cleanup spawns belongs to that protection ([`cover`]): a cancellation passes over
//! it until the protection ends. Then what is left of it is cancelled, and what is around the protection is
//! dropped only after it: the task, and each body in between.
//!
//! While a scope is polled for the protection in it, the code beside that protection suspends for good
//! at the next of the crate's own awaits ([`checkpoint`]).
//!
//! # What the room guards
//!
//! - Protection ends from the inside out: no scope is dropped while one inside it is protected.
//! - Each protection learns of the turn, also in a set of futures that polls only what was woken
//!   ([`entered`]).
//! - A panic in a poll or in a drop hides neither what was returned nor another panic
//!   ([`last_poll`]).
//!
//! # What the room may not touch
//!
//! It ends no task, though the end of a protection may ask for the cancellation of what it has left. It counts protection in the task's cold data, and the step that ends the poll
//! publishes that in the state word; whether the task is dropped is decided there.
//!
//! # Locks
//!
//! Each body has a lock. A thread that holds the lock of a body takes the one of the body around it,
//! never one inside: locks are taken from the inside out. Wakers are user code, so they are woken and
//! dropped after all of the locks are released.

pub(crate) mod body;
pub(crate) mod checkpoint;
pub(crate) mod child;
mod count;
mod cover;
pub(crate) mod deferred;
pub(crate) mod entered;
pub(crate) mod finally;
mod hold;
pub(crate) mod last_poll;
pub(crate) mod own_end;
pub(crate) mod place;
mod protection;
pub(crate) mod scope;
pub(crate) mod shield;
pub(crate) mod wait;
