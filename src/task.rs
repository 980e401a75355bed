//! Tasks: the state word, the cell in its slot, handles, and what all of a runtime's tasks share.

mod ancestry;
pub(crate) mod awaited;
pub(crate) mod cleanups;
pub(crate) mod cold;
pub(crate) mod current;
mod heads;
mod name;
pub(crate) mod raw;
mod reach;
pub(crate) mod record;
pub(crate) mod requests;
pub(crate) mod shared;
pub(crate) mod state;
pub(crate) mod wakes;

pub(crate) use name::short;
pub(crate) use raw::header::{Borrowed, kind};
pub(crate) use raw::reference::TaskRef;
pub(crate) use raw::rights::Live;
pub(crate) use shared::{Job, Schedule, Shared, Walk};

/// Evaluates an expression with a future of type `$F`, which is boxed before if it does not fit a
/// slot. A macro, because each function that is given a large future by value copies it once more on
/// the stack; so every public function that takes one begins with this.
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

/// Makes a [`SlotBox`](crate::arena::slot_box::SlotBox) of a value, which may be large: a macro for the
/// same reason.
macro_rules! held {
    ($value:ident: $T:ty) => {
        if const { $crate::task::raw::fits::<$T>() } {
            $crate::arena::slot_box::SlotBox::<$T>::in_slot($value)
        } else {
            $crate::arena::slot_box::SlotBox::<$T>::in_box(Box::new($value))
        }
    };
}

/// Shares a service, which may be large. `Arc::new` copies it twice.
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
