//! The errors of a service that does not schedule a task.

use super::lifecycle::LifecycleError;
use crate::snapshot::crowd::{Census, ChildPlace, write_census};
use std::fmt;

/// The reason why a task or a child service was not scheduled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The service is not running.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// The parent has as many live supervised children as its limit allows.
    #[error(transparent)]
    TooManyChildren(#[from] TooManyChildren),
}

/// The error of a parent that has as many live supervised children as its limit allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct TooManyChildren {
    /// The path of the parent.
    pub parent: String,
    /// The number of live supervised children that the parent may have.
    pub limit: usize,
    /// Up to ten of the most common names among the children, each with the number of children that
    /// have it, the most common first. At most the 10,000 youngest children are looked at.
    pub most_common: Vec<(String, usize)>,
    /// Up to ten of the most common places where children of one name were spawned, the most common
    /// first.
    pub places: Vec<ChildPlace>,
}

impl TooManyChildren {
    /// Makes the error from the parent's path and limit, and its children.
    pub(crate) fn new(parent: String, limit: usize, children: Census) -> TooManyChildren {
        let Census {
            most_common,
            places,
        } = children;
        TooManyChildren {
            parent,
            limit,
            most_common,
            places,
        }
    }
}

impl fmt::Display for TooManyChildren {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` has as many children as it may have: the limit is {}",
            self.parent, self.limit
        )?;
        write_census(&self.most_common, &self.places, f)?;
        f.write_str("; wait for some to end, or raise `max_children`")
    }
}
