//! Sockets of the Unix domain: a listener, a stream and datagrams.

pub(super) mod datagram;
pub(super) mod listener;
pub(super) mod stream;

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

    /// Returns what the attempt gave, or waits, and returns `None`, if it is to be repeated.
    async fn after<R>(&mut self, attempt: io::Result<R>) -> Option<io::Result<R>> {
        match attempt {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                crate::time::sleep(self.0).await;
                self.0 = Self::LONGEST.min(self.0 * 2);
                None
            }
            done => Some(done),
        }
    }
}
