//! Walks over nested failures, without recursion.

use super::failure::{FailureKind, ServiceError, TaskFailure};
use super::join::JoinError;
use std::slice;

/// Returns the failures that a failure passes on, or none if it began there.
type Below = fn(&TaskFailure) -> &[TaskFailure];

/// Visits failures and everything below them, each before those that it passes on.
pub(super) struct Walk<'a> {
    below: Below,
    /// For each level that has failures left: its number and these failures.
    levels: Vec<(usize, slice::Iter<'a, TaskFailure>)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(failures: &'a [TaskFailure], below: Below) -> Walk<'a> {
        Walk {
            below,
            levels: vec![(0, failures.iter())],
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    /// The level, the failure, and those that it passes on.
    type Item = (usize, &'a TaskFailure, &'a [TaskFailure]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (level, failures) = self.levels.last_mut()?;
            let level = *level;
            let Some(failure) = failures.next() else {
                self.levels.pop();
                continue;
            };
            if failures.len() == 0 {
                self.levels.pop();
            }
            let below = (self.below)(failure);
            if !below.is_empty() {
                self.levels.push((level + 1, below.iter()));
            }
            return Some((level, failure, below));
        }
    }
}

/// Visits the failures that pass on no other one.
pub(super) struct Leaves<'a>(Walk<'a>);

impl<'a> Leaves<'a> {
    pub(super) fn new(failures: &'a [TaskFailure], below: Below) -> Leaves<'a> {
        Leaves(Walk::new(failures, below))
    }
}

impl<'a> Iterator for Leaves<'a> {
    type Item = &'a TaskFailure;

    fn next(&mut self) -> Option<&'a TaskFailure> {
        self.0
            .find_map(|(_, failure, below)| below.is_empty().then_some(failure))
    }
}

impl ServiceError {
    /// Returns the failures that began the service's failure, in the order in which they happened.
    ///
    /// These are the failures that are not themselves the failure of another service. They are found
    /// through child services, and through services whose error a task passed on with `?`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn show(error: &taskgrove::ServiceError) {
    /// for failure in error.root_causes() {
    ///     eprintln!("{}, spawned at {}", failure.path(), failure.location());
    /// }
    /// # }
    /// ```
    pub fn root_causes(&self) -> impl Iterator<Item = &TaskFailure> {
        let leaves = Leaves::new(self.failures(), TaskFailure::of_service);
        let mut leaves: Vec<_> = leaves.collect();
        leaves.sort_by_key(|leaf| leaf.moment());
        leaves.into_iter()
    }
}

impl TaskFailure {
    /// Returns the first of the failures that began this one, and the number of the others.
    pub(super) fn first_cause(&self) -> (&TaskFailure, usize) {
        let mut causes = Leaves::new(slice::from_ref(self), TaskFailure::passed_on);
        let first = causes.next().unwrap_or(self);
        (first, causes.count())
    }

    /// Returns the failures that this one passes on: those of a service, or that of a task whose
    /// handle this task awaited.
    pub(super) fn passed_on(&self) -> &[TaskFailure] {
        let FailureKind::Error(error) = self.kind() else {
            return self.of_service();
        };
        if let Some(failure) = error.downcast_ref() {
            slice::from_ref(failure)
        } else if let Some(JoinError::Failed(failure)) = error.downcast_ref() {
            slice::from_ref(failure)
        } else {
            self.of_service()
        }
    }
}
