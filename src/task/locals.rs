//! Values that a task was spawned with, for its code and for everything below it.
//!
//! Nothing is copied at a spawn: a look walks up to the nearest task that has a value for the key. The values
//! are in the cold data. The thread that makes the task done drops them, when nothing below is left; so a
//! look, which is made by code that runs as the task or below it, never meets values that are gone.

use crate::panics::quietly;
use std::any::Any;
use std::sync::Arc;

/// A value, shared with the looks that are under way.
pub(crate) type Value = Arc<dyn Any + Send + Sync>;

/// The values of one task, by the addresses of their keys.
#[derive(Default)]
pub(crate) struct Locals(Vec<(usize, Value)>);

impl Locals {
    /// Sets the value of a key. Returns the one before, if there is one.
    pub(crate) fn set(&mut self, key: usize, value: Value) -> Option<Value> {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => Some(std::mem::replace(known, value)),
            None => {
                self.0.push((key, value));
                None
            }
        }
    }

    pub(super) fn get(&self, key: usize) -> Option<Value> {
        let (_, value) = self.0.iter().find(|(known, _)| *known == key)?;
        Some(value.clone())
    }
}

impl Drop for Locals {
    /// Drops the values, the latest first. A panic of one keeps no other.
    fn drop(&mut self) {
        while let Some((_, value)) = self.0.pop() {
            quietly(|| drop(value));
        }
    }
}
