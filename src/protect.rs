//! Protection: which code of a task may go on when the task's turn to be cancelled has come.

pub(crate) mod defer;
pub(crate) mod own;
pub(crate) mod place;
pub(crate) mod scope;
pub(crate) mod shield;
pub(crate) mod wait;
