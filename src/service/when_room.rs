//! [`WhenRoom`]: the wait for room of a task that is to be scheduled.

use super::context::{Context, SpawnPoint};
use super::waits::RecordWait;
use crate::error::SpawnError;
use crate::protect::wait::TaskWait;
use crate::task::awaited::{Awaited, Whom};
use crate::task::record::Record;
use crate::task::{current, kind};
use crate::tree::late;
use crate::tree::room::{MOST, RoomWait, Ticket};
use std::task::{Context as TaskContext, Poll};

/// A wait until a task can be scheduled. It looks again when it has got a permit, when something happens to the
/// service, and when cancellation of the task that polls is asked for or the grace of that or of the service ends,
/// or a protection of the service's task.
pub(super) struct WhenRoom<'a> {
    context: &'a Context,
    room: RoomWait,
    service: RecordWait<'a>,
    task: TaskWait,
}

impl<'a> WhenRoom<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        WhenRoom {
            context,
            room: RoomWait::default(),
            service: RecordWait::new(context.record()),
            task: TaskWait::default(),
        }
    }

    /// Calls `spawn` when the wait is over: with a permit, or without one where none is needed.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut TaskContext<'_>,
        opts_out: bool,
        mut spawn: impl FnMut(SpawnPoint<'_>, Option<&mut Ticket>) -> Result<T, SpawnError>,
    ) -> Poll<Result<T, SpawnError>> {
        let done = self.look(cx, opts_out, &mut spawn);
        if done.is_ready() {
            return done;
        }
        self.register(cx);
        // What happens after this look wakes the wait.
        self.look(cx, opts_out, spawn)
    }

    fn look<T>(
        &mut self,
        cx: &mut TaskContext<'_>,
        opts_out: bool,
        spawn: impl FnOnce(SpawnPoint<'_>, Option<&mut Ticket>) -> Result<T, SpawnError>,
    ) -> Poll<Result<T, SpawnError>> {
        let room = &mut self.room;
        let looked = self.context.with_spawn_point(opts_out, |at| {
            let never_waits = at.limit == 0 || at.limit > MOST;
            if at.closing || never_waits || late::is_refused(at.parent, opts_out) {
                room.leave();
                return Poll::Ready(spawn(at, None));
            }
            let permit = room.poll(at.parent, at.limit, cx.waker());
            permit.map(|permit| spawn(at, Some(permit)))
        });
        looked.unwrap_or_else(|error| {
            self.room.leave();
            Poll::Ready(Err(error.into()))
        })
    }

    /// Enters the waker where the end and the cancellation of the service are told, and where those of the
    /// calling task are.
    fn register(&mut self, cx: &mut TaskContext<'_>) {
        // Once the service has finished, nobody empties its list: an entry that came too late is taken out here.
        // The caller looks for the end itself.
        let is_over = |record: &Record| record.is_finished().then_some(());
        let _ = self.service.poll(cx, is_over);
        if let Some(running) = current::with(|task| task.map(|task| task.retain())) {
            self.task.register(&running, cx);
        }
    }
}

impl SpawnPoint<'_> {
    /// Describes a wait for room here.
    pub(super) fn awaited_room(&self) -> Awaited {
        let parent = self.parent.task();
        Awaited::Room(if parent.is(kind::SERVICE) {
            Whom::service(self.record)
        } else {
            Whom::task(parent)
        })
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use crate::{Runtime, service_fn};
    use std::sync::{Arc, mpsc};
    use std::task::Waker;

    #[test]
    fn a_wait_that_registers_after_the_end_leaves_no_waker() {
        let runtime = Runtime::new().expect("a runtime");
        let (give, context) = mpsc::channel();
        let service = service_fn("app", move |ctx: Context| {
            let _ = give.send(ctx);
            std::future::ready(Ok(()))
        });
        let service = runtime.start(service).expect("it starts");
        runtime.block_on(service.wait_finished());
        let context = context.recv().expect("it has run");
        let kept = Arc::new(());
        let keeps = kept.clone();
        let waker: Waker = waker_fn::waker_fn(move || {
            let _ = &keeps;
        });
        // The service ends between the first look and this.
        let mut wait = WhenRoom::new(&context);
        wait.register(&mut TaskContext::from_waker(&waker));
        drop((wait, waker));
        assert_eq!(Arc::strong_count(&kept), 1);
    }
}
