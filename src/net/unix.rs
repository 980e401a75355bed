//! Sockets of the Unix domain: a listener, a stream and datagrams.

pub(super) mod datagram;
pub(super) mod listener;
pub(super) mod stream;

use super::socket::can_make;
use std::io;
use std::time::Duration;

/// Pauses between attempts, for as long as the other side has no room.
///
/// The system reports no event for that: an attempt to connect fails at once where the listener's queue is
/// full, and a datagram where that of a receiver is full which the socket is not connected to.
struct Pauses(Duration);

impl Pauses {
    const LONGEST: Duration = Duration::from_millis(10);

    fn new() -> Pauses {
        Pauses(Duration::from_micros(100))
    }

    /// Pauses on the runtime's timer, or, where there is no runtime, on another thread. So it does where the
    /// runtime has ended: a sleep does not wait there.
    async fn pause(&self) {
        let pause = self.0;
        match can_make() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                blocking::unblock(move || std::thread::sleep(pause)).await;
            }
            // Also in a simulation, whose time is not that of other threads.
            _ => crate::time::sleep(pause).await,
        }
    }

    /// Returns what the attempt gave, or waits, and returns `None`, if it is to be repeated.
    async fn after<R>(&mut self, attempt: io::Result<R>) -> Option<io::Result<R>> {
        match attempt {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.pause().await;
                self.0 = Self::LONGEST.min(self.0 * 2);
                None
            }
            done => Some(done),
        }
    }
}
