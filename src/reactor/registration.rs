//! [`Registration`]: a socket's side of its registration.

use super::over::over;
use super::readiness::{Bits, Direction, Seen, Spent};
use super::shared::Reactor;
use super::system::{IS_EDGE_TRIGGERED, Interest, Source};
use super::table::Token;
use super::wakers::Waiter;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::task::{Poll, Waker};

/// A socket's registration with the reactor of its runtime. Its owner calls [`end`](Registration::end)
/// before it closes the socket.
pub(crate) struct Registration {
    reactor: Arc<Reactor>,
    token: Token,
    /// What it was registered for at first.
    interest: Interest,
    /// Whether the system watches for writes, see [`super`](super#writing-is-watched-late). Set by a thread
    /// that has made it so, with Release, and read by threads whose calls would block, with Acquire: what they
    /// clear after that, the system reports again.
    watches_writes: AtomicBool,
}

impl Registration {
    /// Registers a socket. Without an interest in writing it is taken for writable, until a call would block.
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
        let watches_writes = interest.is_writable();
        if !watches_writes {
            reactor.table.slot(token).presume(Bits::WRITE);
        }
        // Events may come from here on.
        if let Err(error) = reactor.system.register(source, token.raw(), interest) {
            reactor.table.give(token);
            return Err(error);
        }
        let reactor = reactor.clone();
        let watches_writes = AtomicBool::new(watches_writes);
        Ok(Registration {
            reactor,
            token,
            interest,
            watches_writes,
        })
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
    ///
    /// # Errors
    ///
    /// Returns the system's error if it cannot watch for what comes next. The readiness stays then.
    #[inline]
    pub(crate) fn clear(
        &self,
        source: &impl Source,
        seen: Seen,
        direction: Direction,
        why: Spent,
    ) -> io::Result<()> {
        let begins_to_write =
            || direction == Direction::Write && !self.watches_writes.load(Ordering::Acquire);
        if !IS_EDGE_TRIGGERED || begins_to_write() {
            self.arm(source, direction)?;
        }
        let slot = self.reactor.table.slot(self.token);
        slot.clear(seen, direction, why);
        Ok(())
    }

    /// Has the system report what comes next in this direction, and in those that it watches already.
    #[cold]
    fn arm(&self, source: &impl Source, direction: Direction) -> io::Result<()> {
        let interest = match direction {
            Direction::Read => self.interest,
            Direction::Write => self.interest.add(Interest::WRITABLE),
        };
        (self.reactor.system).arm(source, self.token.raw(), interest)?;
        if direction == Direction::Write {
            self.watches_writes.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// A waiter waits no more.
    pub(crate) fn leave(&self, direction: Direction, number: u64) {
        let slot = self.reactor.table.slot(self.token);
        slot.leave(direction, number);
    }
}

#[cfg(test)]
#[cfg(all(unix, not(taskgrove_loom)))]
mod tests {
    use super::super::system::{Events, READS_FIRST};
    use super::*;
    use std::io::{Read, Write};
    use std::sync::atomic::AtomicUsize;

    type Stream = mio::net::UnixStream;

    fn pair(reactor: &Arc<Reactor>) -> (Registration, Stream, std::os::unix::net::UnixStream) {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("a socket");
        let mut ours = Stream::from_std(ours);
        let registration = Registration::new(reactor, &mut ours, READS_FIRST);
        if !IS_EDGE_TRIGGERED {
            // The system says that it is writable, since that is watched from the start.
            let mut events = Events::default();
            assert!(reactor.look(&mut events));
            reactor.dispatch(&mut events, Waker::wake);
        }
        (registration.expect("registered"), ours, theirs)
    }

    fn poll_write(registration: &Registration, waker: &Waker) -> Poll<io::Result<Seen>> {
        let waiter = || Waiter { number: 1, most: 1 };
        registration.poll_ready(Direction::Write, waiter, waker, drop)
    }

    /// Writes until a write would block. Returns what was known before that, and the number of bytes.
    fn fill(registration: &Registration, ours: &mut Stream) -> (Seen, usize) {
        let Poll::Ready(Ok(seen)) = poll_write(registration, Waker::noop()) else {
            panic!("it is taken for writable");
        };
        let mut sent = 0;
        while let Ok(written) = ours.write(&[0; 4096]) {
            sent += written;
        }
        (seen, sent)
    }

    #[test]
    fn what_was_sent_is_no_event_as_long_as_no_write_would_block() {
        if !IS_EDGE_TRIGGERED {
            // Writing is watched from the start.
            return;
        }
        let reactor = Arc::new(Reactor::new().expect("a reactor"));
        let (registration, mut ours, mut theirs) = pair(&reactor);
        let mut events = Events::default();
        for _ in 0..3 {
            assert!(poll_write(&registration, Waker::noop()).is_ready());
            ours.write_all(b"sent").expect("there is room");
            theirs.read_exact(&mut [0; 4]).expect("it is there");
            assert!(
                !reactor.look(&mut events),
                "nothing to read, and nobody waits"
            );
        }
        theirs.write_all(b"back").expect("there is room");
        assert!(reactor.look(&mut events), "reading is watched");
        registration.end(&mut ours);
    }

    #[test]
    fn a_write_that_would_block_is_told_when_there_is_room() {
        let reactor = Arc::new(Reactor::new().expect("a reactor"));
        let (registration, mut ours, mut theirs) = pair(&reactor);
        let mut events = Events::default();
        // The first wait begins to watch; the second one finds it so.
        for _ in 0..2 {
            let (seen, sent) = fill(&registration, &mut ours);
            let clear = registration.clear(&ours, seen, Direction::Write, Spent::Blocks);
            clear.expect("the system watches");
            let woken = std::sync::Arc::new(AtomicUsize::new(0));
            let count = woken.clone();
            let waker = waker_fn::waker_fn(move || {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert!(poll_write(&registration, &waker).is_pending());
            assert!(!reactor.look(&mut events), "there is no room yet");
            theirs.read_exact(&mut vec![0; sent]).expect("it is there");
            assert!(reactor.look(&mut events));
            reactor.dispatch(&mut events, Waker::wake);
            assert_eq!(woken.load(Ordering::Relaxed), 1);
        }
        registration.end(&mut ours);
    }

    #[test]
    fn room_that_comes_before_the_watch_is_told_by_it() {
        let reactor = Arc::new(Reactor::new().expect("a reactor"));
        let (registration, mut ours, mut theirs) = pair(&reactor);
        let (seen, sent) = fill(&registration, &mut ours);
        theirs.read_exact(&mut vec![0; sent]).expect("it is there");
        let clear = registration.clear(&ours, seen, Direction::Write, Spent::Blocks);
        clear.expect("the system watches");
        assert!(poll_write(&registration, Waker::noop()).is_pending());
        let mut events = Events::default();
        assert!(
            reactor.look(&mut events),
            "the watch says that there is room"
        );
        reactor.dispatch(&mut events, Waker::wake);
        assert!(poll_write(&registration, Waker::noop()).is_ready());
        registration.end(&mut ours);
    }
}
