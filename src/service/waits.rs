//! Waiting for something to become true of a service's record.

use crate::protect::own;
use crate::task::awaited::Event;
use crate::task::current;
use crate::task::record::Record;
use crate::wait_list::WaitKey;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// A place in a record's wait list, given up when dropped.
pub(crate) struct Waiting<'a> {
    record: &'a Record,
    key: Option<WaitKey>,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(record: &'a Record) -> Self {
        Waiting { record, key: None }
    }

    /// Looks; if there is nothing yet, registers and looks again.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        look: impl Fn(&Record) -> Option<T>,
    ) -> Poll<T> {
        if let Some(found) = look(self.record) {
            return Poll::Ready(found);
        }
        self.record.waiters().register(&mut self.key, cx.waker());
        let Some(found) = look(self.record) else {
            return Poll::Pending;
        };
        self.leave();
        Poll::Ready(found)
    }

    fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            self.record.waiters().deregister(key);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Whoever is entered here saw, after that, that the service had not finished: its finisher
        // empties the list later.
        if !self.record.is_finished() {
            self.leave();
        }
    }
}

/// An await reports the end of the service. If that is a part of a cancellation from above, the task
/// knows of that now.
#[inline]
pub(crate) fn note_end(record: &Record) {
    if record.is_swept() {
        current::see();
    }
}

/// An await reports that the service is being cancelled, or over. If that is a part of a
/// cancellation from above, or of one that the calling task is in, the task knows of that now.
pub(crate) fn note_closing(record: &Record) {
    if record.is_swept() || current::is_within(record) {
        current::see();
    }
}

/// Waits until `look` finds that this has happened.
pub(crate) async fn wait<T>(
    record: &Record,
    event: Event,
    look: impl Fn(&Record) -> Option<T>,
) -> T {
    let mut waiting = Waiting::new(record);
    let awaited = || Some(record.awaited(event));
    poll_fn(|cx| own::poll_own(cx, awaited, |cx| waiting.poll(cx, &look))).await
}
