//! What the loom models have in place of the operating system's queue of events: a list that they fill.

use super::readiness::Bits;
use crate::sync::{Arc, Bell, Mutex, Parker};
use std::io;
use std::time::Instant;

/// A socket: nothing but its token.
#[derive(Default)]
pub(crate) struct ModelSocket(pub(crate) Option<usize>);

/// What can be registered.
pub(crate) trait Source {
    fn set(&mut self, token: Option<usize>);
}

impl Source for ModelSocket {
    fn set(&mut self, token: Option<usize>) {
        self.0 = token;
    }
}

/// A model's socket is registered for everything.
#[derive(Clone, Copy)]
pub(crate) struct Interest;

impl Interest {
    pub(crate) const WRITABLE: Interest = Interest;

    pub(crate) fn is_writable(self) -> bool {
        true
    }

    pub(crate) fn add(self, _: Interest) -> Interest {
        self
    }
}

pub(crate) const IS_EDGE_TRIGGERED: bool = true;

pub(crate) const STREAM: Interest = Interest;

/// The events that a thread has taken.
#[derive(Default)]
pub(crate) struct Events(Vec<(usize, Bits)>);

impl Events {
    pub(super) fn each(&mut self, mut f: impl FnMut(usize, Bits)) {
        self.0.drain(..).for_each(|(token, bits)| f(token, bits));
    }
}

/// The queue. A thread waits in it on a parker, whose token is the event by which a thread is unparked: as
/// that of the system, it stays until a thread that waits or looks takes it.
pub(super) struct System {
    waiting: Mutex<()>,
    ready: Mutex<Vec<(usize, Bits)>>,
    bell: Arc<Parker>,
}

impl System {
    pub(super) fn new() -> io::Result<Self> {
        Ok(System {
            waiting: Mutex::new(()),
            ready: Mutex::new(Vec::new()),
            bell: Arc::new(Parker::new()),
        })
    }

    pub(super) fn register(
        &self,
        source: &mut impl Source,
        token: usize,
        _: Interest,
    ) -> io::Result<()> {
        source.set(Some(token));
        Ok(())
    }

    pub(super) fn arm(&self, _: &impl Source, _token: usize, _: Interest) -> io::Result<()> {
        unreachable!(
            "a model's socket is registered for everything, and its queue is edge-triggered"
        )
    }

    pub(super) fn deregister(&self, source: &mut impl Source) -> io::Result<()> {
        source.set(None);
        Ok(())
    }

    /// An event happens.
    pub(super) fn happen(&self, token: usize, bits: Bits) {
        self.ready.lock().push((token, bits));
        self.bell.unpark();
    }

    pub(super) fn wait(
        &self,
        parker: &Parker,
        events: &mut Events,
        until: Option<Instant>,
        _exact: bool,
    ) -> bool {
        let _waiting = self.waiting.lock();
        let bell = self.bell.clone();
        let ring: Bell = std::sync::Arc::new(move || bell.unpark());
        parker.park_in(&ring, || {
            self.bell.park(until);
            events.0.append(&mut self.ready.lock());
        });
        !events.0.is_empty()
    }

    pub(super) fn look(&self, events: &mut Events) -> bool {
        let Some(_waiting) = self.waiting.try_lock() else {
            return false;
        };
        self.bell.park(Some(Instant::now()));
        events.0.append(&mut self.ready.lock());
        !events.0.is_empty()
    }
}
