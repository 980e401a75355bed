//! [`Socket`]: a socket of mio's with its registration; [`Shared`]: one that can be cloned.

use super::ask::Ask;
use crate::panics::quietly;
use crate::protect::checkpoint;
use crate::reactor::readiness::Spent;
use crate::reactor::{
    Direction, IS_EDGE_TRIGGERED, Interest, Reactor, Registration, Source, Waiter,
};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::task::current;
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::task::{Context, Poll, Waker, ready};

/// How many tasks may wait at once through one handle, each by polling it, without waking each other.
const POLLERS: usize = 32;

/// Whether a transfer that stopped short has emptied, or filled, the system's buffer, and the system will
/// report a change. Elsewhere only a call that would block makes the system report again.
const SHORT_SPENDS: bool = IS_EDGE_TRIGGERED;

/// Calls `f` with the reactor of the runtime that the calling thread is in.
fn with_reactor<R>(f: impl FnOnce(&Arc<Reactor>) -> io::Result<R>) -> io::Result<R> {
    current::with_shared(|shared| {
        let shared = shared.ok_or_else(|| {
            io::Error::other(
                "there is no taskgrove runtime here: make sockets in a task, inside `Runtime::block_on` or under `Handle::enter`",
            )
        })?;
        f(shared.schedule().reactor()?)
    })
}

/// Checks that a socket can be made where the calling code is.
pub(super) fn can_make() -> io::Result<()> {
    with_reactor(|reactor| reactor.check())
}

/// Makes a socket of mio's where it can be registered. Elsewhere it would leave something behind: a file at its path,
/// a connection that the other side has accepted.
pub(super) fn make<S>(make: impl FnOnce() -> io::Result<S>) -> io::Result<S> {
    can_make()?;
    make()
}

/// A socket that is registered with the runtime in which it was made, until it is dropped.
pub(crate) struct Socket<S: Source> {
    /// Both are `Some` until [`into_inner`](Socket::into_inner) or the drop.
    source: Option<S>,
    registration: Option<Registration>,
    /// The number that was drawn last for a waiter. Only that numbers differ matters, so Relaxed suffices.
    numbers: AtomicU64,
}

impl<S: Source> Socket<S> {
    /// Registers a socket, which does not block, with the runtime that the calling thread is in.
    ///
    /// # Errors
    ///
    /// Returns [`Unsupported`](io::ErrorKind::Unsupported) in a simulation, the system's error if it cannot
    /// wait for this socket or has no more room, and an error outside a runtime or if the runtime has ended.
    pub(crate) fn new(mut source: S, interest: Interest) -> io::Result<Self> {
        let register = |reactor: &_| Registration::new(reactor, &mut source, interest);
        let registration = with_reactor(register)?;
        Ok(Socket {
            source: Some(source),
            registration: Some(registration),
            numbers: AtomicU64::new(0),
        })
    }

    /// The socket itself.
    #[inline]
    pub(crate) fn get(&self) -> &S {
        self.source.as_ref().expect("it is there until the drop")
    }

    #[inline]
    fn registration(&self) -> &Registration {
        let registration = self.registration.as_ref();
        registration.expect("it is there until the drop")
    }

    /// Ends the registration, and returns the socket.
    pub(crate) fn into_inner(mut self) -> S {
        self.end().expect("it was there until now")
    }

    fn end(&mut self) -> Option<S> {
        let mut source = self.source.take()?;
        if let Some(registration) = self.registration.take() {
            registration.end(&mut source);
        }
        Some(source)
    }

    fn draw(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Calls `call` when it need not block, until it neither would block nor was interrupted. `is_short`:
    /// whether it transferred less than what was asked for, so that the next call would block.
    ///
    /// A checkpoint. `waiter` is called only if the code has to wait. `call` may be called several times.
    #[inline]
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut waiter: impl FnMut() -> Waiter,
        mut call: impl FnMut(&S) -> io::Result<R>,
        is_short: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        let registration = self.registration();
        let poll = |cx: &mut Context<'_>| loop {
            let waker = cx.waker();
            let polled = registration.poll_ready(direction, &mut waiter, waker, wake_now);
            let seen = ready!(polled)?;
            match call(self.get()) {
                Ok(done) => {
                    if SHORT_SPENDS && is_short(&done) {
                        // After an error the next call finds out, and returns it.
                        let _ = registration.clear(self.get(), seen, direction, Spent::Short);
                    }
                    return Poll::Ready(Ok(done));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    registration.clear(self.get(), seen, direction, Spent::Blocks)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        };
        checkpoint::poll(cx, || None, poll)
    }

    /// Calls `call` once, unless it is known that it would block: then that is the error.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        call: impl FnOnce(&S) -> io::Result<R>,
        is_short: impl FnOnce(&R) -> bool,
    ) -> io::Result<R> {
        let registration = self.registration();
        let Some(seen) = registration.look(direction)? else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let called = call(self.get());
        match &called {
            Ok(done) if SHORT_SPENDS && is_short(done) => {
                let _ = registration.clear(self.get(), seen, direction, Spent::Short);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                registration.clear(self.get(), seen, direction, Spent::Blocks)?;
            }
            _ => {}
        }
        called
    }

    /// As [`poll_io`](Socket::poll_io), as a future with a wait of its own.
    pub(crate) async fn io<R>(
        &self,
        direction: Direction,
        mut call: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut wait = Wait::new(self, direction);
        poll_fn(|cx| self.poll_io(cx, direction, || wait.waiter(), &mut call, |_| false)).await
    }

    /// Calls `call`, which reads, when it need not block, until it would not.
    pub(crate) async fn read_with<R>(
        &self,
        call: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.io(Direction::Read, call).await
    }

    /// Calls `call`, which writes, when it need not block, until it would not.
    pub(crate) async fn write_with<R>(
        &self,
        call: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.io(Direction::Write, call).await
    }

    /// Calls `call`, which accepts, when it need not block, until it would not. It is not called where no socket
    /// can be made: the connection would be lost.
    pub(super) async fn accept<R>(&self, call: impl Fn(&S) -> io::Result<R>) -> io::Result<R> {
        self.read_with(|listener| make(|| call(listener))).await
    }

    /// Waits until a call in this direction need not block, as far as is known.
    pub(crate) async fn ready(&self, direction: Direction) -> io::Result<()>
    where
        S: Ask,
    {
        let mut wait = Wait::new(self, direction);
        let has_waited = Cell::new(false);
        poll_fn(move |cx| self.poll_ready(cx, direction, &has_waited, || wait.waiter())).await
    }

    /// Polls until a call in this direction need not block. The system is asked if that is so without a wait.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        has_waited: &Cell<bool>,
        mut waiter: impl FnMut() -> Waiter,
    ) -> Poll<io::Result<()>>
    where
        S: Ask,
    {
        let waiter = || {
            has_waited.set(true);
            waiter()
        };
        let ask = |socket: &S| {
            let is_ready = has_waited.get() || socket.is_ready(direction);
            is_ready
                .then_some(())
                .ok_or(io::ErrorKind::WouldBlock.into())
        };
        self.poll_io(cx, direction, waiter, ask, |()| false)
    }
}

/// Wakes a waker whose place another one has taken. At once: if they all are of the task that is polled, as those
/// that are made anew for each poll, they wake it once together.
#[cold]
fn wake_now(waker: Waker) {
    quietly(|| waker.wake());
}

impl<S: Source> Drop for Socket<S> {
    fn drop(&mut self) {
        drop(self.end());
    }
}

/// A future's wait. When this is dropped, its waker is taken out.
struct Wait<'a, S: Source> {
    socket: &'a Socket<S>,
    direction: Direction,
    /// Drawn when it has to wait.
    number: Option<u64>,
}

impl<'a, S: Source> Wait<'a, S> {
    fn new(socket: &'a Socket<S>, direction: Direction) -> Self {
        Wait {
            socket,
            direction,
            number: None,
        }
    }

    fn waiter(&mut self) -> Waiter {
        let number = *self.number.get_or_insert_with(|| self.socket.draw());
        Waiter { number, most: 1 }
    }
}

impl<S: Source> Drop for Wait<'_, S> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.socket.registration().leave(self.direction, number);
        }
    }
}

/// A handle of a socket that can be cloned. Each handle waits on its own when it is polled.
pub(crate) struct Shared<S: Source> {
    socket: Arc<Socket<S>>,
    number: u64,
}

impl<S: Source> Shared<S> {
    pub(crate) fn new(source: S, interest: Interest) -> io::Result<Self> {
        Ok(Shared {
            socket: Arc::new(Socket::new(source, interest)?),
            number: 0,
        })
    }

    /// This handle as a waiter.
    pub(crate) fn waiter(&self) -> Waiter {
        Waiter {
            number: self.number,
            most: POLLERS,
        }
    }

    /// Ends the registration, and returns the socket.
    ///
    /// # Errors
    ///
    /// Returns [`ResourceBusy`](io::ErrorKind::ResourceBusy) if there are other handles.
    pub(crate) fn into_inner(self) -> io::Result<S> {
        // The drop of this handle has nothing to do then.
        let socket = self.socket.clone();
        drop(self);
        match Arc::try_unwrap(socket) {
            Ok(socket) => Ok(socket.into_inner()),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "there are other clones of this socket: drop them first",
            )),
        }
    }
}

impl<S: Source> Deref for Shared<S> {
    type Target = Socket<S>;

    #[inline]
    fn deref(&self) -> &Socket<S> {
        &self.socket
    }
}

impl<S: Source> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Shared {
            socket: self.socket.clone(),
            number: self.socket.draw(),
        }
    }
}

impl<S: Source> Drop for Shared<S> {
    fn drop(&mut self) {
        // The last handle takes the registration along.
        if Arc::strong_count(&self.socket) > 1 {
            for direction in [Direction::Read, Direction::Write] {
                self.socket.registration().leave(direction, self.number);
            }
        }
    }
}
