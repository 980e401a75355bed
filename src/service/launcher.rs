//! [`Launcher`]: a service that has a manager and is yet to be started.

use crate::arena::counted::Counted;
use crate::sync::Mutex;
use crate::task::raw::Parent;
use crate::task::record::Record;
use crate::tree::spawn;
use std::panic::Location;

/// Implemented by services: puts the service's task into the tree. Erases the service's type.
pub(crate) trait Launch: Send {
    /// Starts the service. `counts` are those of its context and of its task.
    fn launch(
        self: Box<Self>,
        counts: [Counted<Record>; 2],
        site: LaunchSite<'_>,
    ) -> Result<(), spawn::Refusal>;
}

/// Where, and with which options, a service is started.
pub(crate) struct LaunchSite<'a> {
    pub(super) record: &'a Record,
    pub(super) parent: Parent<'a>,
    pub(super) options: spawn::ServiceOptions,
    pub(super) location: &'static Location<'static>,
}

/// A service that may be started later. Its managers share the launcher. The last of them drops the
/// service, which is then finished without having been started.
pub(crate) struct Launcher {
    /// `None` once the service was started, and before the launcher is complete.
    pub(super) service: Mutex<Option<Box<dyn Launch>>>,
    record: Counted<Record>,
}

impl Launcher {
    pub(super) fn new(record: Counted<Record>) -> Self {
        Launcher {
            service: Mutex::new(None),
            record,
        }
    }

    pub(super) fn take(&self) -> Option<Box<dyn Launch>> {
        self.service.lock().take()
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        let _starting = Starting(&self.record);
        let service = self.take();
        drop(service);
    }
}

/// A start that has not succeeded yet. If this is dropped before it has, by a refusal or a panic,
/// the service is cancelled, and finished without having been started.
pub(super) struct Starting<'a>(pub(super) &'a Record);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let record = self.0;
        if !record.is_started() {
            record.mark_closing(true);
            record.finish(false);
            record.waiters().wake_all();
        }
    }
}
