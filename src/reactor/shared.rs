//! [`Reactor`]: the slots and the queue together.

use super::system::{Events, System};
use super::table::Table;
use crate::sync::Parker;
use std::io;
use std::task::Waker;
use std::time::Instant;

/// The sockets of one runtime, and the system's queue of events about them.
pub(crate) struct Reactor {
    pub(super) system: System,
    pub(super) table: Table,
}

impl Reactor {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Reactor {
            system: System::new()?,
            table: Table::new(),
        })
    }

    /// Whether sockets can be registered.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime has ended.
    #[cfg(not(taskgrove_loom))]
    pub(crate) fn check(&self) -> io::Result<()> {
        self.table.check()
    }

    /// Blocks until there are events, `parker` is unparked, or `until` has come; `exact`: as exactly as the
    /// system lets it, else up to a millisecond later. Returns whether there are events of sockets. One
    /// thread at a time waits; a second one would wait for the first.
    pub(crate) fn wait(
        &self,
        parker: &Parker,
        events: &mut Events,
        until: Option<Instant>,
        exact: bool,
    ) -> bool {
        self.system.wait(parker, events, until, exact)
    }

    /// Looks for events without waiting. Returns whether there are any; `false` if another thread waits or
    /// looks.
    pub(crate) fn look(&self, events: &mut Events) -> bool {
        self.system.look(events)
    }

    /// The system of a model reports an event.
    #[cfg(taskgrove_loom)]
    pub(crate) fn happen(&self, token: usize, bits: super::readiness::Bits) {
        self.system.happen(token, bits);
    }

    /// Notes the events, and gives the wakers of the code that waits for them to `wake`.
    pub(crate) fn dispatch(&self, events: &mut Events, mut wake: impl FnMut(Waker)) {
        events.each(|token, bits| self.table.event(token, bits, &mut wake));
    }

    /// The runtime has ended: no socket can be registered any more, and operations on those that are
    /// registered fail. Returns the wakers of the code that waits.
    pub(crate) fn close(&self) -> Vec<Waker> {
        self.table.close()
    }
}
