//! [`Registration`]: a socket's side of its registration.

use super::over::over;
use super::readiness::{Direction, Seen, Spent};
use super::shared::Reactor;
use super::system::{Interest, Source};
use super::table::Token;
use super::wakers::Waiter;
use crate::sync::Arc;
use std::io;
use std::task::{Poll, Waker};

/// A socket's registration with the reactor of its runtime. Its owner calls [`end`](Registration::end)
/// before it closes the socket.
pub(crate) struct Registration {
    reactor: Arc<Reactor>,
    token: Token,
}

impl Registration {
    /// Registers a socket.
    ///
    /// # Errors
    ///
    /// Returns the system's error, and an error if the runtime has ended.
    pub(crate) fn new(
        reactor: &Arc<Reactor>,
        source: &mut impl Source,
        interest: Interest,
    ) -> io::Result<Self> {
        let token = reactor.table.take()?;
        // Events may come from here on.
        if let Err(error) = reactor.system.register(source, token.raw(), interest) {
            reactor.table.give(token);
            return Err(error);
        }
        let reactor = reactor.clone();
        Ok(Registration { reactor, token })
    }

    /// Ends the registration. The system forgets the socket, and the wakers that are left are dropped.
    pub(crate) fn end(self, source: &mut impl Source) {
        // An error says that the system does not know the socket, for instance because the user has
        // closed its descriptor.
        let _ = self.reactor.system.deregister(source);
        self.reactor.table.give(self.token);
    }

    /// Waits until a call to the system need not block; `waiter` says who waits. The caller may be polled
    /// again without need. Gives the wakers of waiters that it replaces to `wake`.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime has ended.
    #[inline]
    pub(crate) fn poll_ready(
        &self,
        direction: Direction,
        waiter: impl FnOnce() -> Waiter,
        waker: &Waker,
        wake: impl FnMut(Waker),
    ) -> Poll<io::Result<Seen>> {
        let slot = self.reactor.table.slot(self.token);
        let mut word = slot.word();
        if !word.is_ready(direction) {
            word = slot.enter(direction, waiter(), waker, wake);
        }
        if !word.is_ready(direction) {
            return Poll::Pending;
        }
        Poll::Ready(if word.is_over() {
            Err(over())
        } else {
            Ok(word.seen())
        })
    }

    /// What is known now, for one call to the system: `None` if that would block.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime has ended.
    pub(crate) fn look(&self, direction: Direction) -> io::Result<Option<Seen>> {
        let word = self.reactor.table.slot(self.token).word();
        if word.is_over() {
            return Err(over());
        }
        // Nothing is known of a new socket, so the call finds out.
        Ok((word.is_new() || word.is_ready(direction)).then(|| word.seen()))
    }

    /// A call to the system, before which the readiness was `seen`, has found that there is none any more.
    #[inline]
    pub(crate) fn clear(&self, seen: Seen, direction: Direction, why: Spent) {
        let slot = self.reactor.table.slot(self.token);
        slot.clear(seen, direction, why);
    }

    /// A waiter waits no more.
    pub(crate) fn leave(&self, direction: Direction, number: u64) {
        let slot = self.reactor.table.slot(self.token);
        slot.leave(direction, number);
    }
}
