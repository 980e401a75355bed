//! [`RecordAddress`]: the record that a task with cold data belongs to.
//!
//! This room follows the address (rule 5), so no other code can write one.

use crate::sync::atomic::{AtomicPtr, Ordering};
use std::ptr::null_mut;

/// The address of a record, or null. It is written before the task is known to any other thread, whose
/// push publishes it; so Relaxed suffices.
pub(crate) struct RecordAddress(AtomicPtr<()>);

impl RecordAddress {
    pub(crate) fn none() -> Self {
        RecordAddress(AtomicPtr::new(null_mut()))
    }

    pub(super) fn of(record: *const ()) -> Self {
        RecordAddress(AtomicPtr::new(record.cast_mut()))
    }

    pub(super) fn set(&self, record: *const ()) {
        self.0.store(record.cast_mut(), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> *const () {
        self.0.load(Ordering::Relaxed)
    }
}
