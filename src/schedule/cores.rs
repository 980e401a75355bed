//! [`Cores`]: the workers' queues of tasks, with their counters. Only this file turns a task into an address in
//! a ring, and back.
//!
//! The ring ([`queue`](super::queue)) requires that one thread at a time pushes and pops. That is the worker
//! that has the core: only its thread gets the [`OwnCore`], which has these methods and cannot leave the
//! thread.
#![allow(unsafe_code)]

use super::counters::Counters;
use super::queue::{Local, STEAL_MAX};
use super::run_next::RunNext;
use crate::task::current;
use crate::task::raw::{Header, Queued};
use std::marker::PhantomData;
use std::ops::Deref;

/// The workers' queues and counters.
pub(super) struct Cores {
    /// The runtime's serial number.
    serial: u64,
    /// One for each worker, at the index of the worker's number.
    cores: Box<[Core]>,
}

/// One worker's queue and counters.
pub(super) struct Core {
    /// The number of the worker.
    pub(super) index: usize,
    /// The tasks that wait for the worker, first in, first out.
    tasks: Local<Header>,
    /// A task that is polled before those.
    next: RunNext<Header>,
    pub(super) counters: Counters,
}

/// The core of the calling thread, which is its worker. It stays on the thread.
#[derive(Clone, Copy)]
pub(super) struct OwnCore<'a> {
    core: &'a Core,
    stays: PhantomData<*const ()>,
}

impl Cores {
    pub(super) fn new(serial: u64, workers: usize) -> Self {
        let cores = (0..workers).map(|index| Core {
            index,
            tasks: Local::new(),
            next: RunNext::new(),
            counters: Counters::new(),
        });
        Cores {
            serial,
            cores: cores.collect(),
        }
    }

    /// The core of the calling thread, if it is a worker of the runtime.
    #[inline]
    pub(super) fn own(&self) -> Option<OwnCore<'_>> {
        let index = current::worker(self.serial)?;
        Some(OwnCore {
            // There is one for each index. Without a panic no caller saves registers for a call.
            core: self.cores.get(index)?,
            stays: PhantomData,
        })
    }
}

impl Deref for Cores {
    type Target = [Core];

    #[inline]
    fn deref(&self) -> &[Core] {
        &self.cores
    }
}

impl Core {
    /// How many tasks wait: a snapshot, for any thread.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.tasks.len() + usize::from(!self.next.is_empty())
    }

    /// Whether none waits: a snapshot, for any thread.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.next.is_empty()
    }
}

impl<'a> Deref for OwnCore<'a> {
    type Target = Core;

    #[inline]
    fn deref(&self) -> &Core {
        self.core
    }
}

impl OwnCore<'_> {
    /// Adds a task at the end, or gives it back if the queue is full.
    #[inline]
    pub(super) fn push(self, task: Queued) -> Result<(), Queued> {
        let pushed = self.core.tasks.push(task.into_address());
        // SAFETY: the address was refused, and is the task's of above.
        pushed.map_err(|address| unsafe { Queued::from_address(address) })
    }

    /// Adds a task that the worker may poll before the others, or that it adds at the end. Gives it back if the
    /// queue is full.
    #[inline]
    pub(super) fn push_next(self, task: Queued) -> Result<(), Queued> {
        if self.core.next.accepts(self.core.tasks.head()) {
            self.core.next.put(task.into_address());
            return Ok(());
        }
        self.push(task)
    }

    /// Whether the worker has added a task to be polled before the others, and has not taken it; another worker
    /// may have.
    #[inline]
    pub(super) fn has_put_next(self) -> bool {
        self.core.next.is_used()
    }

    /// Takes the task that may be polled before the others. Until the queue's head is at the position
    /// `open_from`, no other is added as such.
    pub(super) fn take_next(self, open_from: u64) -> Option<Queued> {
        let address = self.core.next.take_own(open_from)?;
        // SAFETY: each address that was put comes out once.
        Some(unsafe { Queued::from_address(address) })
    }

    /// The positions of the queue's head and tail, which only grow.
    pub(super) fn positions(self) -> (u64, u64) {
        (self.core.tasks.head(), self.core.tasks.tail())
    }

    /// Takes the oldest task.
    #[inline]
    pub(super) fn pop(self) -> Option<Queued> {
        let address = self.core.tasks.pop()?;
        // SAFETY: each address that was pushed comes out once.
        Some(unsafe { Queued::from_address(address) })
    }

    /// Takes the older half of a full queue, oldest first, and adds `last` to it.
    pub(super) fn take_half_and(self, last: Queued) -> Vec<Queued> {
        let mut half = Vec::with_capacity(self.len() / 2 + 1);
        self.core.tasks.take_half(&mut half);
        half.push(last.into_address());
        // SAFETY: each address that was pushed comes out once.
        let half = half.into_iter().map(|a| unsafe { Queued::from_address(a) });
        half.collect()
    }

    /// Takes up to half of another queue's oldest tasks, at most 32: the first is returned, with how
    /// many were taken in all, and the rest is put at the end of this queue. From an empty queue, takes the
    /// task that its worker would poll next.
    pub(super) fn steal_from(self, victim: &Core) -> Option<(Queued, usize)> {
        let stolen = victim.tasks.steal_into(&self.core.tasks, STEAL_MAX);
        let stolen = stolen.or_else(|| Some((victim.next.take()?, 1)));
        let (first, count) = stolen?;
        // SAFETY: each address that was pushed or put comes out once.
        Some((unsafe { Queued::from_address(first) }, count))
    }
}
