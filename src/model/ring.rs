//! [`Ring`]: the run queue by itself; [`Place`]: the place before it.
#![allow(missing_docs)]

use crate::schedule::queue::Local;
use crate::schedule::run_next::RunNext;
use std::ptr::NonNull;

/// A run queue. Its items are numbers above 0.
pub struct Ring(Local<u8>);

fn item(n: usize) -> NonNull<u8> {
    NonNull::new(std::ptr::without_provenance_mut(n)).expect("not zero")
}

fn number(item: NonNull<u8>) -> usize {
    item.addr().get()
}

impl Ring {
    #[allow(clippy::new_without_default, reason = "for models only")]
    pub fn new() -> Ring {
        Ring(Local::new())
    }

    /// Pushes an item, as the owner; gives it back if there is no room.
    pub fn push(&self, n: usize) -> Result<(), usize> {
        self.0.push(item(n)).map_err(number)
    }

    /// Pops an item, as the owner.
    pub fn pop(&self) -> Option<usize> {
        self.0.pop().map(number)
    }

    /// Takes the older half of the items, as the owner.
    pub fn take_half(&self) -> Vec<usize> {
        let mut half = Vec::new();
        self.0.take_half(&mut half);
        half.into_iter().map(number).collect()
    }

    /// Steals a batch, as the owner of `into`. Returns the oldest item, which is not pushed into `into`, and
    /// the number of items in the batch.
    pub fn steal_into(&self, into: &Ring) -> Option<(usize, usize)> {
        let (first, count) = self.0.steal_into(&into.0, 32)?;
        Some((number(first), count))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The place before a run queue, by itself.
pub struct Place(RunNext<u8>);

impl Place {
    #[allow(clippy::new_without_default, reason = "for models only")]
    pub fn new() -> Place {
        Place(RunNext::new())
    }

    /// Puts an item, as the owner, if the place accepts it.
    pub fn put(&self, n: usize) -> bool {
        let accepts = self.0.accepts(0);
        if accepts {
            self.0.put(item(n));
        }
        accepts
    }

    /// Takes the item, as the owner.
    pub fn take_own(&self) -> Option<usize> {
        self.0.take_own(0).map(number)
    }

    /// Takes the item, as a thief.
    pub fn take(&self) -> Option<usize> {
        self.0.take().map(number)
    }
}
