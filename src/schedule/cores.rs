//! [`Cores`]: the workers' queues of tasks, with their counters. Only this file turns a task into an address in
//! a ring, and back.
//!
//! The ring ([`queue`](super::queue)) requires that one thread at a time pushes and pops. That is the worker
//! that has the core: only its thread gets the [`OwnCore`], which has these methods and cannot leave the
//! thread.
#![allow(unsafe_code)]

use super::counters::Counters;
use super::queue::{Local, STEAL_MAX};
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
            core: &self.cores[index],
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
        self.tasks.len()
    }

    /// Whether none waits: a snapshot, for any thread.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
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
    /// many were taken in all, and the rest is put at the end of this queue.
    pub(super) fn steal_from(self, victim: &Core) -> Option<(Queued, usize)> {
        let (first, count) = victim.tasks.steal_into(&self.core.tasks, STEAL_MAX)?;
        // SAFETY: each address that was pushed comes out once.
        Some((unsafe { Queued::from_address(first) }, count))
    }
}
