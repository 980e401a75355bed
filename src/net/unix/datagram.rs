//! [`UnixDatagram`]: datagrams of the Unix domain.

use super::Pauses;
use crate::net::socket::{Shared, make};
use crate::reactor::{Direction, READS_FIRST};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::path::Path;

/// A socket for datagrams of the Unix domain.
///
/// All operations take `&self`, and a clone is another handle of the same socket. The system loses no
/// datagram: a sender waits until the receiver has room.
///
/// # Cancellation
///
/// A future that is dropped before it is ready has neither sent nor received anything.
///
/// # Examples
///
/// ```
/// use taskgrove::net::UnixDatagram;
/// taskgrove::Runtime::new()?.block_on(async {
///     let (here, there) = UnixDatagram::pair()?;
///     here.send(b"ping").await?;
///     let mut buffer = [0; 16];
///     assert_eq!(there.recv(&mut buffer).await?, 4);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct UnixDatagram {
    pub(in crate::net) socket: Shared<mio::net::UnixDatagram>,
}

impl UnixDatagram {
    fn new(socket: mio::net::UnixDatagram) -> io::Result<Self> {
        let socket = Shared::new(socket, READS_FIRST)?;
        Ok(UnixDatagram { socket })
    }

    /// Makes a socket at a path, where there must be no file yet. The file stays when it is dropped.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        UnixDatagram::new(make(|| mio::net::UnixDatagram::bind(path))?)
    }

    /// As [`bind`](UnixDatagram::bind), with an address, which on Linux may be an abstract one.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        UnixDatagram::new(make(|| mio::net::UnixDatagram::bind_addr(address))?)
    }

    /// Makes a socket without an address. It can send, and receives only if it is connected to a socket
    /// that sends to it.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::new(mio::net::UnixDatagram::unbound()?)
    }

    /// Makes two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = mio::net::UnixDatagram::pair()?;
        Ok((UnixDatagram::new(one)?, UnixDatagram::new(other)?))
    }

    /// Sets the path to which [`send`](UnixDatagram::send) sends; from then on only datagrams from there are
    /// received.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.socket.get().connect(path)
    }

    /// Sends a datagram to the socket that this one is connected to. Returns the number of bytes, which is
    /// the length of the datagram.
    ///
    /// # Errors
    ///
    /// Returns the system's error, and an error if the runtime of the socket has ended.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write_with(|socket| socket.send(bytes)).await
    }

    /// Sends a datagram to the socket at a path. Returns the number of bytes, which is the length of the
    /// datagram. While the receiver has no room, this tries again every few milliseconds, since the system
    /// does not say when there is room; [`send`](UnixDatagram::send) waits for that.
    ///
    /// # Errors
    ///
    /// Returns the system's error, and an error if the runtime of the socket has ended.
    pub async fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let path = path.as_ref();
        let mut pauses = Pauses::new();
        loop {
            // The readiness of this socket says nothing about the receiver's queue.
            let send = |socket: &mio::net::UnixDatagram| Ok(socket.send_to(bytes, path));
            let attempt = self.socket.write_with(send).await?;
            if let Some(done) = pauses.after(attempt).await {
                return done;
            }
        }
    }

    /// Receives a datagram. Returns its length.
    ///
    /// # Errors
    ///
    /// Returns the system's error, and an error if the runtime of the socket has ended.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read_with(|socket| socket.recv(buffer)).await
    }

    /// Receives a datagram. Returns its length, and where it is from.
    ///
    /// # Errors
    ///
    /// As [`recv`](UnixDatagram::recv).
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let receive = |socket: &mio::net::UnixDatagram| socket.recv_from(buffer);
        self.socket.read_with(receive).await
    }

    /// Waits until there is a datagram, or an error, as far as is known.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime of the socket has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Read).await
    }

    /// Waits until there is room to send, or an error, as far as is known.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime of the socket has ended.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Write).await
    }

    /// As [`recv`](UnixDatagram::recv), without waiting.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no datagram, and the system's error.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let receive = |socket: &mio::net::UnixDatagram| socket.recv(buffer);
        self.socket.try_io(Direction::Read, receive, |_| false)
    }

    /// As [`send`](UnixDatagram::send), without waiting.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and the system's error.
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        let send = |socket: &mio::net::UnixDatagram| socket.send(bytes);
        self.socket.try_io(Direction::Write, send, |_| false)
    }

    /// Shuts down sending, receiving or both, for all handles.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.get().shutdown(how)
    }

    /// Returns the address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get().local_addr()
    }

    /// Returns the address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get().peer_addr()
    }

    /// Takes the error that the socket has kept, if any.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.get().take_error()
    }

    /// Takes a socket of the standard library, and sets it to not block.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    pub fn from_std(socket: std::os::unix::net::UnixDatagram) -> io::Result<UnixDatagram> {
        socket.set_nonblocking(true)?;
        UnixDatagram::new(mio::net::UnixDatagram::from_std(socket))
    }

    /// Returns the socket as one of the standard library, which does not block.
    ///
    /// # Errors
    ///
    /// Returns [`ResourceBusy`](io::ErrorKind::ResourceBusy) if there are other clones; this handle is
    /// dropped then.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixDatagram> {
        self.socket.into_inner().map(Into::into)
    }
}
