//! Waits for an event in the life of a service.

use crate::protect::checkpoint;
use crate::task::awaited::{Awaited, Event, Whom};
use crate::task::current::view;
use crate::task::record::Record;
use crate::wait_list::WaitList;
use crate::wait_list::registration::{HasWaitList, Registration};
use std::future::poll_fn;
use std::task::{Context, Poll};

impl HasWaitList for &Record {
    fn with_list(&self, f: impl FnOnce(&WaitList)) {
        f(self.waiters());
    }
}

impl Record {
    /// Describes a wait for the service, for snapshots and reports of deadlocks.
    pub(super) fn awaited(&self, event: Event) -> Awaited {
        Awaited::Service(event, Whom::service(self))
    }
}

/// A wait for an event that the service's record tells of.
pub(super) struct RecordWait<'a>(Registration<&'a Record>);

impl<'a> RecordWait<'a> {
    pub(super) fn new(record: &'a Record) -> Self {
        RecordWait(Registration::new(record))
    }

    /// Looks for the event in the record, as [`Registration::poll`] does.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        look: impl Fn(&Record) -> Option<T>,
    ) -> Poll<T> {
        self.0.poll(cx, |record, _| look(record))
    }
}

impl Drop for RecordWait<'_> {
    fn drop(&mut self) {
        // The service had not finished when this registered, so its finisher empties the list.
        if self.0.owner().is_finished() {
            self.0.abandon();
        }
    }
}

/// Called by an await that reports the end of the service. If that end is part of a cancellation
/// from above, the calling code has seen that cancellation.
#[inline]
pub(super) fn note_end(record: &Record) {
    if record.is_swept() {
        view::see();
    }
}

/// Called by an await that reports that the service is being cancelled, or is over. If that is part
/// of a cancellation from above, or of one that includes the calling task, the calling code has
/// seen that cancellation.
pub(super) fn note_closing(record: &Record) {
    if record.is_swept() || view::is_within(record) {
        view::see();
    }
}

/// Waits until `look` finds the event in the record.
pub(super) async fn wait<T>(
    record: &Record,
    event: Event,
    look: impl Fn(&Record) -> Option<T>,
) -> T {
    let mut waiting = RecordWait::new(record);
    let awaited = || Some(record.awaited(event));
    poll_fn(|cx| checkpoint::poll(cx, awaited, |cx| waiting.poll(cx, &look))).await
}
