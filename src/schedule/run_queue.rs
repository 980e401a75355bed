//! [`RunQueues`]: the workers' queues of tasks. Here alone a task becomes an address in a ring, and an
//! address a task.
//!
//! The ring ([`queue`](super::queue)) asks that one thread at a time pushes and pops. That is the worker
//! whose queue it is: only its thread gets the [`OwnQueue`], which has these methods and stays on the
//! thread.
#![allow(unsafe_code)]

use super::queue::{Local, STEAL_MAX};
use crate::task::current;
use crate::task::raw::{Header, Queued};
use std::marker::PhantomData;

/// The queues of all workers of one runtime.
pub(super) struct RunQueues {
    /// The runtime's serial number.
    serial: u64,
    /// By the numbers of the workers.
    queues: Box<[RunQueue]>,
}

/// The tasks that wait for one worker, first in, first out.
pub(super) struct RunQueue(Local<Header>);

/// The queue of the calling thread, which is its worker.
#[derive(Clone, Copy)]
pub(super) struct OwnQueue<'a> {
    queue: &'a RunQueue,
    /// The number of the worker.
    index: usize,
    /// It stays on its thread.
    stays: PhantomData<*const ()>,
}

impl RunQueues {
    pub(super) fn new(serial: u64, workers: usize) -> Self {
        let queues = (0..workers).map(|_| RunQueue(Local::new()));
        RunQueues {
            serial,
            queues: queues.collect(),
        }
    }

    /// The queue of the calling thread, if it is a worker of the runtime.
    #[inline]
    pub(super) fn own(&self) -> Option<OwnQueue<'_>> {
        let index = current::worker(self.serial)?;
        Some(OwnQueue {
            queue: &self.queues[index],
            index,
            stays: PhantomData,
        })
    }

    /// The queue of a worker.
    #[inline]
    pub(super) fn of(&self, worker: usize) -> &RunQueue {
        &self.queues[worker]
    }

    /// Whether none has a task: a snapshot, for any thread.
    pub(super) fn are_empty(&self) -> bool {
        self.queues.iter().all(RunQueue::is_empty)
    }
}

impl RunQueue {
    /// How many tasks there are: a snapshot, for any thread.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none: a snapshot, for any thread.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl OwnQueue<'_> {
    /// The number of the worker.
    #[inline]
    pub(super) fn index(self) -> usize {
        self.index
    }

    /// How many tasks there are.
    #[inline]
    pub(super) fn len(self) -> usize {
        self.queue.len()
    }

    /// Whether there are none.
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.queue.is_empty()
    }

    /// Adds a task at the end, or gives it back if the queue is full.
    #[inline]
    pub(super) fn push(self, task: Queued) -> Result<(), Queued> {
        let pushed = self.queue.0.push(task.into_address());
        // SAFETY: the address was refused, and is the task's of above.
        pushed.map_err(|address| unsafe { Queued::from_address(address) })
    }

    /// Takes the oldest task.
    #[inline]
    pub(super) fn pop(self) -> Option<Queued> {
        let address = self.queue.0.pop()?;
        // SAFETY: each address that was pushed comes out once.
        Some(unsafe { Queued::from_address(address) })
    }

    /// Takes the older half of a full queue, oldest first, and adds `last` to it.
    pub(super) fn take_half_and(self, last: Queued) -> Vec<Queued> {
        let mut half = Vec::with_capacity(self.len() / 2 + 1);
        self.queue.0.take_half(&mut half);
        half.push(last.into_address());
        // SAFETY: each address that was pushed comes out once.
        let half = half.into_iter().map(|a| unsafe { Queued::from_address(a) });
        half.collect()
    }

    /// Takes up to half of another queue's oldest tasks, at most 32: the first is returned, with how
    /// many were taken in all, and the rest is put at the end of this queue.
    pub(super) fn steal_from(self, victim: &RunQueue) -> Option<(Queued, usize)> {
        let (first, count) = victim.0.steal_into(&self.queue.0, STEAL_MAX)?;
        // SAFETY: each address that was pushed comes out once.
        Some((unsafe { Queued::from_address(first) }, count))
    }
}
