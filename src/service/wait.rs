//! Waiting for something to become true of a service's record.

use super::manager::Shared;
use crate::record::{Record, wait_serial};
use crate::sync::Arc;
use crate::task::awaited::Event;
use crate::task::current;
use crate::wait::WaitKey;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// A place in a record's wait list, given up when dropped.
pub(crate) struct Waiting {
    record: Arc<Record>,
    key: Option<WaitKey>,
}

impl Waiting {
    pub(crate) fn new(record: &Arc<Record>) -> Self {
        Waiting {
            record: record.clone(),
            key: None,
        }
    }

    /// Looks; if there is nothing yet, registers and looks again.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        look: impl Fn(&Record) -> Option<T>,
    ) -> Poll<T> {
        if let Some(found) = look(&self.record) {
            return Poll::Ready(found);
        }
        let list = &self.record.waiters;
        list.register(&mut self.key, cx.waker(), wait_serial());
        look(&self.record).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.record.waiters.deregister(key);
        }
    }
}

/// Waits until `look` finds that this has happened.
pub(crate) async fn wait<T>(
    shared: &Shared,
    event: Event,
    look: impl Fn(&Record) -> Option<T>,
) -> T {
    let mut waiting = Waiting::new(&shared.record);
    let awaited = || Some(shared.awaited(event));
    poll_fn(|cx| current::poll_own(cx, awaited, |cx| waiting.poll(cx, &look))).await
}
