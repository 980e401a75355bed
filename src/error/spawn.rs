//! The errors of a service that does not schedule a task.

use super::lifecycle::LifecycleError;
use crate::path::sanitise;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// The largest number of names in [`TooManyChildren::most_common`].
const MOST_COMMON: usize = 10;

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
    /// have it, the most common first.
    pub most_common: Vec<(String, usize)>,
}

impl TooManyChildren {
    /// Makes the error from the parent's path and limit, and the names of its children with counts.
    /// A name may come more than once.
    pub(crate) fn new<'a>(
        parent: String,
        limit: usize,
        names: impl Iterator<Item = (Cow<'a, str>, usize)>,
    ) -> TooManyChildren {
        let mut counts: HashMap<Cow<'a, str>, usize> = HashMap::new();
        for (name, count) in names {
            *counts.entry(name).or_default() += count;
        }
        let mut names: Vec<(Cow<'a, str>, usize)> = counts.into_iter().collect();
        // Equally common names come in alphabetical order, so that equal sets give equal messages.
        let order = |a: &(Cow<'a, str>, usize), b: &(Cow<'a, str>, usize)| {
            b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0))
        };
        if names.len() > MOST_COMMON {
            names.select_nth_unstable_by(MOST_COMMON, order);
            names.truncate(MOST_COMMON);
        }
        names.sort_unstable_by(order);
        let most_common = names.into_iter();
        let most_common = most_common.map(|(name, count)| (name.into_owned(), count));
        let most_common = most_common.collect();
        TooManyChildren {
            parent,
            limit,
            most_common,
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
        for (at, (name, count)) in self.most_common.iter().enumerate() {
            f.write_str(if at == 0 { "; most common: " } else { ", " })?;
            write!(f, "{} (x{count})", sanitise(name))?;
        }
        f.write_str("; wait for some to end, or raise `max_children`")
    }
}
