//! What managers ask of a service's [`Record`] that needs the tree or the calling code.

use crate::error::{FailureKind, ServiceError};
use crate::sync::Arc;
use crate::task::record::Record;
use crate::task::{Shared, current};

impl Record {
    /// Returns the runtime of a service that was started. Once the service is done this is `None`,
    /// unless it was asked for before.
    pub(super) fn shared(&self) -> Option<&Arc<Shared>> {
        if let Some(shared) = self.runtime.get() {
            return Some(shared);
        }
        let pin = self.task()?.pin()?;
        Some(self.runtime.get_or_init(|| pin.live().shared_arc()))
    }

    /// Returns the result of a service that is finished. The caller hands it to the program, so the
    /// panics in it count as heard (a simulation reports those that are not).
    pub(super) fn result(&self) -> Result<(), ServiceError> {
        if !self.has_errored() {
            return Ok(());
        }
        let Some(failures) = self.sealed_failures() else {
            return Ok(());
        };
        let error = ServiceError::Failed(failures);
        for cause in error.root_causes() {
            if let FailureKind::Panic(_) = cause.kind() {
                current::heard(cause.task(), cause.location());
            }
        }
        Err(error)
    }
}
