//! [`Watch`]: what a runtime observes in each poll, because its builder asked for it.
//!
//! A poll looks at one flag to see that nothing is observed.

use super::raw::window::Window;
use crate::id::TaskId;
use crate::sync::CachePadded;

/// The observations of a runtime. They are chosen before it starts.
#[derive(Default)]
pub(crate) struct Watch {
    /// Measures the time in the polls of each task.
    pub(crate) busy: bool,
    /// Records what each task waits for.
    pub(crate) awaits: bool,
    /// Shows the task that each worker polls: one for each worker, or none.
    windows: Box<[CachePadded<Window>]>,
}

impl Watch {
    /// Observes the time in polls, what each task waits for, both or neither.
    pub(crate) fn new(busy: bool, awaits: bool) -> Self {
        Watch {
            busy,
            awaits,
            ..Watch::default()
        }
    }

    /// Shows the tasks that so many workers poll, as well.
    pub(crate) fn show_polls(&mut self, workers: usize) {
        self.windows = (0..workers)
            .map(|_| CachePadded::new(Window::new()))
            .collect();
    }

    /// Whether anything is observed.
    pub(super) fn is_any(&self) -> bool {
        self.busy || self.awaits || !self.windows.is_empty()
    }

    /// The window of a worker.
    pub(crate) fn window(&self, worker: Option<usize>) -> Option<&Window> {
        self.windows.get(worker?).map(|window| &**window)
    }

    /// The windows of all workers.
    pub(crate) fn windows(&self) -> impl ExactSizeIterator<Item = &Window> {
        self.windows.iter().map(|window| &**window)
    }

    /// The tasks that are being polled, and when their polls began, in nanoseconds of the clock.
    pub(crate) fn polls(&self) -> Vec<(TaskId, u64)> {
        self.windows().filter_map(Window::id).collect()
    }
}
