//! One task: its slot, its state word, the rights to it, and the state that all tasks of a runtime share.
//!
//! This room guards the life of a slot and the access to what is in it: the future and the outcome have
//! one owner at a time, and a slot is freed with its last reference. [`state`] has the transitions of the
//! state word as pure functions; [`raw`] has the unsafe code and the rights, whose table says what code
//! may do with a task. [`current`] says which task's code a thread runs. [`cold`], [`record`] and
//! [`shared`] are the data of a task, of a service and of a runtime.
//!
//! The room follows links to ancestors, and gives out a task's locked list of children. It walks over no
//! subtree: that is the subject of `tree`. It reaches the scheduler only through the trait [`Schedule`].

mod ancestry;
pub(crate) mod awaited;
pub(crate) mod cleanups;
pub(crate) mod cold;
pub(crate) mod cover;
pub(crate) mod crowd;
pub(crate) mod current;
mod heads;
pub(crate) mod locals;
mod name;
pub(crate) mod raw;
mod reach;
pub(crate) mod record;
pub(crate) mod requests;
pub(crate) mod room;
pub(crate) mod shared;
pub(crate) mod state;
pub(crate) mod wakes;
pub(crate) mod watch;

pub(crate) use name::short;
pub(crate) use raw::header::{Borrowed, kind};
pub(crate) use raw::reference::TaskRef;
pub(crate) use raw::rights::Live;
pub(crate) use shared::{Job, Schedule, Shared, Walk};

/// Evaluates an expression with a future of type `$F`, which is boxed first if it does not fit a slot.
///
/// This is a macro because each function that takes a large future by value copies it once more on
/// the stack. Every public function that takes a future begins with it.
macro_rules! fitting {
    ($future:ident: $F:ty => $body:expr) => {
        if const { $crate::task::raw::fits::<$F>() } {
            $body
        } else {
            let $future = Box::pin($future);
            $body
        }
    };
}

/// Puts a value, which may be large, into a [`SlotBox`](crate::arena::slot_box::SlotBox). This is a macro
/// for the same reason.
macro_rules! held {
    ($value:ident: $T:ty) => {
        if const { $crate::task::raw::fits::<$T>() } {
            $crate::arena::slot_box::SlotBox::<$T>::in_slot($value)
        } else {
            $crate::arena::slot_box::SlotBox::<$T>::in_box(Box::new($value))
        }
    };
}

/// Puts a service, which may be large, into an `Arc`. `Arc::new` would copy it twice.
macro_rules! arced {
    ($service:expr, $S:ty) => {
        if const { size_of::<$S>() > 4096 } {
            std::sync::Arc::<$S>::from(Box::new($service))
        } else {
            std::sync::Arc::<$S>::new($service)
        }
    };
}

pub(crate) use {arced, fitting, held};
