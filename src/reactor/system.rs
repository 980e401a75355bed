//! [`System`]: the operating system's queue of events, through mio. Under loom, `modelled.rs` takes its place.
//!
//! One thread at a time waits or looks, under a lock. A thread that waits holds the lock for as long as it
//! waits. Nobody else wants it for long: the list of sleepers has at most one thread that waits, and a thread
//! that only looks gives up. A sleeper may be taken off the list and another one enter it before the first
//! has left the queue; the second one then waits for the lock until the first has been unparked.
//!
//! The events are the thread's own, and it dispatches them after it has released the lock.

use super::readiness::Bits;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Bell, Mutex, Parker};
#[cfg(unix)]
use mio::unix::SourceFd;
use mio::{Registry, Token};
use std::io;
#[cfg(unix)]
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use mio::Interest;

/// What can be registered.
#[cfg(unix)]
pub(crate) trait Source: AsRawFd {
    fn register(&mut self, registry: &Registry, token: Token, interest: Interest)
    -> io::Result<()>;
    /// Registers this anew. The system reports at once what is ready by then.
    fn arm(&self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()>;
    fn deregister(&mut self, registry: &Registry) -> io::Result<()>;
}

/// All are registered by their descriptors. If mio knew its own sockets, it would arm those itself, and those only,
/// where its queue is not edge-triggered.
#[cfg(unix)]
impl<S: AsRawFd> Source for S {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.as_raw_fd()), token, interest)
    }

    fn arm(&self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        let fd = self.as_raw_fd();
        match registry.reregister(&mut SourceFd(&fd), token, interest) {
            // Where mio polls, it forgets a descriptor when it reports an error or a hang-up of it.
            Err(error) if !IS_EDGE_TRIGGERED && error.kind() == io::ErrorKind::NotFound => {
                registry.register(&mut SourceFd(&fd), token, interest)
            }
            armed => armed,
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut SourceFd(&self.as_raw_fd()))
    }
}

/// What can be registered.
#[cfg(not(unix))]
pub(crate) trait Source: mio::event::Source {
    /// Does nothing: mio arms its sockets itself when a call would block, for what they were registered for.
    fn arm(&self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(not(unix))]
impl<S: mio::event::Source> Source for S {}

/// What sockets are registered for that write without a wait before: the system reports to them that there is
/// room each time that something has been sent. So they are registered for writing only when a call that
/// writes would block.
pub(crate) const READS_FIRST: Interest = if IS_EDGE_TRIGGERED {
    Interest::READABLE
} else {
    Interest::READABLE.add(Interest::WRITABLE)
};

/// Whether the system's queue is edge-triggered by itself: mio uses epoll or kqueue. Elsewhere it reports an event
/// once, and then no more of that kind until the socket is armed again.
pub(crate) const IS_EDGE_TRIGGERED: bool = !cfg!(mio_unsupported_force_poll_poll)
    && cfg!(any(
        target_os = "android",
        target_os = "illumos",
        target_os = "linux",
        target_os = "redox",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_vendor = "apple",
    ));

/// Whether a change of the registrations may take the ring of a bell away, or begin a wait anew. That is so where mio
/// polls (its issue 1874). So a thread that changes them rings, too, if a thread waits.
const CHANGES_SILENCE: bool = cfg!(unix) && !IS_EDGE_TRIGGERED;

/// What a stream is registered for. Urgent data is reported where the system tells it apart.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const STREAM: Interest = Interest::READABLE
    .add(Interest::WRITABLE)
    .add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const STREAM: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// The token of the events by which a thread that waits is unparked.
const BELL: Token = Token(usize::MAX);
/// The most events that a thread takes at once.
const EVENTS: usize = 1024;

/// The events that a thread has got from the system.
#[derive(Default)]
pub(crate) struct Events(Option<mio::Events>);

impl Events {
    fn buffer(&mut self) -> &mut mio::Events {
        self.0
            .get_or_insert_with(|| mio::Events::with_capacity(EVENTS))
    }

    fn has_any(&self) -> bool {
        let events = self.0.iter().flat_map(mio::Events::iter);
        events
            .map(mio::event::Event::token)
            .any(|token| token != BELL)
    }

    /// Gives each event's token, and what it reports, to `f`, and forgets the events.
    pub(super) fn each(&mut self, mut f: impl FnMut(usize, Bits)) {
        let Some(events) = &mut self.0 else { return };
        for event in &*events {
            if event.token() != BELL {
                f(event.token().0, bits(event));
            }
        }
        events.clear();
    }
}

/// What an event reports.
///
/// An error ends both waits, since the next call returns it, and is not kept: a datagram socket goes on
/// after it. Nor is the end of writing: a call that writes returns it for ever, and never blocks then.
fn bits(event: &mio::event::Event) -> Bits {
    let all = [
        (event.is_readable(), Bits::READ),
        (event.is_writable(), Bits::WRITE),
        (event.is_read_closed(), Bits::READ.with(Bits::READ_CLOSED)),
        (event.is_write_closed(), Bits::WRITE),
        (event.is_error(), Bits::READ.with(Bits::WRITE)),
        (event.is_priority(), Bits::URGENT),
    ];
    let reported = all.iter().filter(|(is, _)| *is);
    reported.fold(Bits::NONE, |bits, (_, more)| bits.with(*more))
}

/// The operating system's queue of events.
pub(super) struct System {
    poll: Mutex<mio::Poll>,
    registry: Registry,
    /// Gets the thread that waits out of the queue.
    bell: Bell,
    /// Whether a thread waits in the queue, or is about to, if [`CHANGES_SILENCE`]. The thread that waits writes it, before any
    /// other thread can ring for it and after it has left the queue; threads that have changed the
    /// registrations read it. SeqCst: a change that takes a ring away follows the ring, in the system.
    is_waiting: AtomicBool,
}

impl System {
    pub(super) fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = mio::Waker::new(&registry, BELL)?;
        // An error means that the user has closed the descriptor. The queue is broken then, too, and the
        // thread does not wait in it for long.
        let bell = Arc::new(move || drop(waker.wake()));
        Ok(System {
            poll: Mutex::new(poll),
            registry,
            bell,
            is_waiting: AtomicBool::new(false),
        })
    }

    pub(super) fn register(
        &self,
        source: &mut impl Source,
        token: usize,
        interest: Interest,
    ) -> io::Result<()> {
        let registered = source.register(&self.registry, Token(token), interest);
        self.has_changed();
        registered
    }

    /// See [`Source::arm`].
    #[cold]
    pub(super) fn arm(
        &self,
        source: &impl Source,
        token: usize,
        interest: Interest,
    ) -> io::Result<()> {
        let armed = source.arm(&self.registry, Token(token), interest);
        self.has_changed();
        armed
    }

    pub(super) fn deregister(&self, source: &mut impl Source) -> io::Result<()> {
        let deregistered = source.deregister(&self.registry);
        self.has_changed();
        deregistered
    }

    /// The registrations have changed.
    #[inline]
    fn has_changed(&self) {
        if CHANGES_SILENCE && self.is_waiting.load(Ordering::SeqCst) {
            (self.bell)();
        }
    }

    #[inline]
    fn waits(&self, is_waiting: bool) {
        if CHANGES_SILENCE {
            self.is_waiting.store(is_waiting, Ordering::SeqCst);
        }
    }

    /// See [`Reactor::wait`](super::Reactor::wait).
    pub(super) fn wait(
        &self,
        parker: &Parker,
        events: &mut Events,
        until: Option<Instant>,
        exact: bool,
    ) -> bool {
        let buffer = events.buffer();
        buffer.clear();
        let mut failed = false;
        {
            let mut poll = self.poll.lock();
            self.waits(true);
            parker.park_in(&self.bell, || {
                failed = poll_until(&mut poll, buffer, until, exact).is_err();
            });
            self.waits(false);
        }
        if failed {
            // The queue is broken, for instance because the user has closed its descriptor. The thread
            // must not spin.
            let soon = Instant::now() + Duration::from_millis(10);
            parker.park(Some(until.map_or(soon, |until| until.min(soon))));
        }
        events.has_any()
    }

    /// See [`Reactor::look`](super::Reactor::look).
    pub(super) fn look(&self, events: &mut Events) -> bool {
        let Some(mut poll) = self.poll.try_lock() else {
            return false;
        };
        let buffer = events.buffer();
        buffer.clear();
        let looked = poll.poll(buffer, Some(Duration::ZERO));
        drop(poll);
        looked.is_ok() && events.has_any()
    }
}

/// Polls once. A signal may end it early.
fn poll_once(
    poll: &mut mio::Poll,
    events: &mut mio::Events,
    timeout: Option<Duration>,
) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        polled => polled,
    }
}

/// Polls until there are events, or `until` has come.
///
/// mio rounds a time limit up to whole milliseconds where the system's call takes those. So the whole
/// milliseconds that are left are waited for first, and then, in another call, the rest. That second call
/// is made only if the time has nearly come.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(mio_unsupported_force_poll_poll)
))]
fn poll_until(
    poll: &mut mio::Poll,
    events: &mut mio::Events,
    until: Option<Instant>,
    exact: bool,
) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec};
    let Some(until) = until else {
        return poll_once(poll, events, None);
    };
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let whole = Duration::from_millis(left.as_millis() as u64);
        if !exact || left.is_zero() {
            return poll_once(poll, events, Some(left));
        }
        if whole.is_zero() {
            let timeout = Timespec::try_from(left).ok();
            let mut queue = [PollFd::new(poll.registry(), PollFlags::IN)];
            // An error would be a signal, or one that the next call has, too.
            let _ = rustix::event::poll(&mut queue, timeout.as_ref());
            return poll_once(poll, events, Some(Duration::ZERO));
        }
        poll_once(poll, events, Some(whole))?;
        if !events.is_empty() {
            return Ok(());
        }
    }
}

#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    not(mio_unsupported_force_poll_poll)
)))]
fn poll_until(
    poll: &mut mio::Poll,
    events: &mut mio::Events,
    until: Option<Instant>,
    _exact: bool,
) -> io::Result<()> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    poll_once(poll, events, left)
}
