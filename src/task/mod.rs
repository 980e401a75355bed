//! Tasks: the state word, the cell in its slot, handles, and what all of a runtime's tasks share.

pub(crate) mod ancestry;
pub(crate) mod awaited;
pub(crate) mod cell;
pub(crate) mod current;
pub(crate) mod hub;
pub(crate) mod join;
pub(crate) mod name;
pub(crate) mod requests;
pub(crate) mod scope;
pub(crate) mod side;
pub(crate) mod state;

pub(crate) use cell::{Node, NodeRef, kind};
pub(crate) use hub::{Hub, Job, Schedule, Walk};
