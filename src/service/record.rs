//! What managers ask of a service's [`Record`], above what the record itself knows.

use crate::error::{FailureKind, ServiceError};
use crate::sync::Arc;
use crate::task::record::Record;
use crate::task::{Shared, current};

impl Record {
    /// The runtime of a service that was started. `None` once the service is done, unless it was
    /// asked before.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        if let Some(shared) = self.runtime.get() {
            return Some(shared);
        }
        let pin = self.task()?.pin()?;
        Some(self.runtime.get_or_init(|| pin.live().shared_arc()))
    }

    /// The result of a service that is finished. The program hears by this of the panics that are in
    /// it.
    pub(crate) fn result(&self) -> Result<(), ServiceError> {
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
