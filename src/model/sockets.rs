//! Sockets of a model: the reactor's own code, with a list that the model fills in place of the system's queue.

use crate::reactor::readiness::{Bits, Seen, Spent};
use crate::reactor::{
    Direction, Events, LazyReactor, ModelSocket, Reactor, Registration, STREAM, Waiter,
};
use crate::sync::Arc;
use std::io;
use std::task::{Poll, Waker};

/// A reactor, alone or of a [`Crew`](super::Crew).
#[derive(Clone)]
pub struct Sockets(pub(super) Arc<Reactor>);

/// What was read of a socket's readiness.
#[derive(Clone, Copy)]
pub struct Ready(Seen);

/// A registered socket.
pub struct Socket {
    registration: Registration,
    source: ModelSocket,
}

impl Sockets {
    /// A reactor without a runtime.
    #[allow(clippy::new_without_default, reason = "for models only")]
    pub fn new() -> Sockets {
        let reactor = LazyReactor::new().get_or_make(|| ()).cloned();
        Sockets(reactor.expect("a new one"))
    }

    pub fn register(&self) -> io::Result<Socket> {
        let mut source = ModelSocket::default();
        let registration = Registration::new(&self.0, &mut source, STREAM)?;
        Ok(Socket {
            registration,
            source,
        })
    }

    /// The system reports that the socket with this token can be read.
    pub fn happen(&self, token: usize) {
        self.0.happen(token, Bits::READ);
    }

    /// Does what a worker does with what the system has reported by now.
    pub fn dispatch(&self) {
        let mut events = Events::default();
        let mut wakers = Vec::new();
        if self.0.look(&mut events) {
            self.0.dispatch(&mut events, |waker| wakers.push(waker));
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Does what the end of the runtime does.
    pub fn close(&self) {
        self.0.close().into_iter().for_each(Waker::wake);
    }
}

impl Socket {
    pub fn token(&self) -> usize {
        self.source.0.expect("it is registered")
    }

    /// Waits until the socket can be read.
    pub fn poll(&self, waker: &Waker) -> Poll<io::Result<Ready>> {
        let waiter = || Waiter { number: 0, most: 1 };
        let ready = (self.registration).poll_ready(Direction::Read, waiter, waker, Waker::wake);
        ready.map(|ready| ready.map(Ready))
    }

    /// A read has found that it would block.
    pub fn clear(&self, seen: Ready) {
        let clear = (self.registration).clear(&self.source, seen.0, Direction::Read, Spent::Blocks);
        clear.expect("a read asks the system for nothing");
    }

    /// Deregisters the socket.
    pub fn end(self) {
        let Socket {
            registration,
            mut source,
        } = self;
        registration.end(&mut source);
    }
}
