//! The reactor: the sockets of one runtime, what is known of their readiness, and the operating system's
//! queue of events about them. Only with the feature `net`.
//!
//! The room decides no policy: *which* thread waits in the queue, and when, is the subject of
//! `schedule/idle.rs`. It guards that
//!
//! - no event is lost: a wait that was registered before an event is woken, and one that comes after it
//!   finds the socket ready ([`slot`]);
//! - a socket that is not ready is not taken for ready for ever ([`readiness`]);
//! - an event for a socket that is gone does not reach the socket that has its place now ([`table`]);
//! - at the end of the runtime every wait is woken, and later operations fail ([`Reactor::close`]).
//!
//! No waker is cloned, woken or dropped under a lock of this room, since all three may run code of the
//! user's. The room wakes no waker at all: it gives them to its caller.
//!
//! # Registration
//!
//! A socket is registered with the system once, edge-triggered, for as long as it lives: the system reports
//! a change, and does not report again what it has reported. So what it has reported must be kept. Each
//! registration has a [`Slot`](slot::Slot) with a word, which says what is ready, and with the wakers of the
//! code that waits. An operation on a socket
//!
//! 1. reads the word; if the socket is not ready, it registers a waker, and reads the word again;
//! 2. calls the system;
//! 3. *clears* the readiness if the system says that the call would block, or if a transfer stopped short of
//!    what was asked for; in the former case it begins again.
//!
//! # The interleavings that would fail
//!
//! **A clear against an event.** Between the call that would block and the clear an event may come in. The
//! clear must not take that one away: the system will not repeat it. So the word has a *tick*, which each
//! event advances, and a clear is one compare-and-swap that fails unless the tick is the one that was read
//! in step 1. The tick has 24 bits and is compared in full: a thread would have to be suspended
//! between two instructions for exactly 16,777,216 events of one socket to be wrong.
//!
//! **A wait against an event.** The waiter registers its waker under the slot's lock and then reads the word;
//! the thread with the event changes the word and then takes the wakers under the lock. If the waiter's
//! section is the first, its waker is taken. If it is the second, the lock orders the change of the word
//! before the waiter's second look, which sees it.
//!
//! **A deregistration against an event.** The thread that waits in the queue may have got an event for a
//! socket which another thread closes at that moment, and whose slot a third one gives to a new socket. The
//! event's token has the *generation* of the registration. So has the word, and the change for the event
//! is one compare-and-swap, which is refused if the generation is another one. If the change comes before
//! the deregistration, and the thread takes the wakers of the new socket after that, these wake for nothing,
//! look, and register again.
//!
//! # What is sticky
//!
//! A read that fills its buffer only in part has emptied the system's buffer. That saves the call that would
//! say so. But the end of the stream may have been reported together with the last bytes, and is reported
//! once. So the word also says whether the reading end is *closed*, and a short read does not clear that. A
//! call that would block does: it proves that the end has not come. Likewise a short read does not empty the
//! buffer if there is urgent data in the stream, at which a read stops: once the system has reported such
//! data, short reads of that socket clear nothing. Reads of a Unix stream stop at descriptors, too, of which
//! nothing is reported: there only a call that would block clears.
//!
//! # Writing is watched late
//!
//! A socket for datagrams, and one of the Unix domain, has an event each time that something it sent has left
//! its buffer. That ends a wait in the queue for nothing. So such a socket is registered for reading only, and
//! taken for writable. When a call that writes would block, or stops short, it is registered for both, before
//! `WRITE` is cleared. The system reports with that whether there is room, so that an event which
//! came before is not missed; and the event advances the tick, so that the clear does not take it away.
//!
//! # Queues that are not edge-triggered
//!
//! Some systems' queues ([`system::IS_EDGE_TRIGGERED`]) report an event once, and then nothing more of its kind
//! until the socket is armed again, for all that it was registered for. So a clear arms the socket first: what
//! has come since the call is reported again, and that event advances the tick. Only a call that would block
//! clears there, since to arm is a system call; and every socket that writes is registered for both from
//! the start.

mod lazy;
mod over;
pub(crate) mod readiness;
mod registration;
mod shared;
mod slot;
#[cfg(not(taskgrove_loom))]
mod system;
#[cfg(taskgrove_loom)]
#[path = "reactor/modelled.rs"]
mod system;
mod table;
mod wakers;

pub(crate) use lazy::LazyReactor;
pub(crate) use readiness::Direction;
pub(crate) use registration::Registration;
pub(crate) use shared::Reactor;
#[cfg(taskgrove_loom)]
pub(crate) use system::ModelSocket;
pub(crate) use system::{Events, Interest, STREAM, Source};
#[cfg(not(taskgrove_loom))]
pub(crate) use system::{IS_EDGE_TRIGGERED, READS_FIRST};
pub(crate) use wakers::Waiter;
