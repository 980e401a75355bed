//! [`SegQueue`]: an unbounded queue of many producers and many consumers.

#[cfg(not(taskgrove_loom))]
pub(crate) use crossbeam_queue::SegQueue;
#[cfg(taskgrove_loom)]
pub(crate) use modelled::{LOOSE_QUEUES, SegQueue};

#[cfg(taskgrove_loom)]
mod modelled {
    use crate::sync::atomic::{AtomicUsize, Ordering};
    use crate::sync::mutex::Mutex;
    use std::cell::Cell;
    use std::collections::VecDeque;

    std::thread_local! {
        /// Whether `is_empty` and `len` synchronise with nothing, in the model on this thread.
        ///
        /// A length read under the lock would hide an ordering that the protocol around the queue
        /// lacks; a length of its own costs many more runs.
        pub(crate) static LOOSE_QUEUES: Cell<bool> = const { Cell::new(false) };
    }

    /// The interface of crossbeam's queue on a lock.
    #[derive(Debug)]
    pub(crate) struct SegQueue<T> {
        items: Mutex<VecDeque<T>>,
        /// Written under the lock and read without it, with [`LOOSE_QUEUES`] only. Relaxed, because
        /// a look at the length is to order nothing there.
        len: AtomicUsize,
    }

    impl<T> SegQueue<T> {
        pub(crate) fn new() -> Self {
            Self {
                items: Mutex::new(VecDeque::new()),
                len: AtomicUsize::new(0),
            }
        }

        pub(crate) fn push(&self, value: T) {
            let mut items = self.items.lock();
            items.push_back(value);
            if LOOSE_QUEUES.get() {
                self.len.fetch_add(1, Ordering::Relaxed);
            }
        }

        pub(crate) fn pop(&self) -> Option<T> {
            let mut items = self.items.lock();
            let first = items.pop_front()?;
            if LOOSE_QUEUES.get() {
                self.len.fetch_sub(1, Ordering::Relaxed);
            }
            Some(first)
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }

        pub(crate) fn len(&self) -> usize {
            if LOOSE_QUEUES.get() {
                self.len.load(Ordering::Relaxed)
            } else {
                self.items.lock().len()
            }
        }
    }
}
