//! [`UnixStream`]: a connection of the Unix domain.

use super::Pauses;
use crate::net::socket::{Shared, make};
use crate::reactor::{Direction, READS_FIRST};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::path::Path;

/// A connection of the Unix domain.
///
/// It reads and writes through the traits of `futures-io`, which are implemented for it and for a reference
/// to it. A clone is another handle of the same connection, which is closed when the last handle is dropped.
/// Up to 32 tasks may wait through one handle for the same direction by polling it; more should have a clone
/// each, or they wake each other over and over.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use taskgrove::net::UnixStream;
/// taskgrove::Runtime::new()?.block_on(async {
///     let (mut here, mut there) = UnixStream::pair()?;
///     here.write_all(b"ping").await?;
///     let mut read = [0; 4];
///     there.read_exact(&mut read).await?;
///     assert_eq!(&read, b"ping");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct UnixStream {
    pub(crate) socket: Shared<mio::net::UnixStream>,
}

impl UnixStream {
    pub(super) fn new(stream: mio::net::UnixStream) -> io::Result<Self> {
        let socket = Shared::new(stream, READS_FIRST)?;
        Ok(UnixStream { socket })
    }

    /// Connects to the listener at a path. While the listener's queue is full, this tries again every few
    /// milliseconds, since the system does not say when there is room.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the attempt is given up.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let address = SocketAddr::from_pathname(path)?;
        Self::connect_addr(&address).await
    }

    /// As [`connect`](UnixStream::connect), with an address, which on Linux may be an abstract one.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        let mut pauses = Pauses::new();
        let connected = loop {
            let attempt = make(|| mio::net::UnixStream::connect_addr(address));
            if let Some(done) = pauses.after(attempt).await {
                break done?;
            }
        };
        let stream = UnixStream::new(connected)?;
        if stream.peer_addr().is_ok() {
            return Ok(stream);
        }
        // Where the system does not connect at once, the stream becomes writable when it is connected.
        stream.writable().await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Makes two streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = mio::net::UnixStream::pair()?;
        Ok((UnixStream::new(one)?, UnixStream::new(other)?))
    }

    /// Waits until there is something to read, or the end of the stream, or an error. That is as far as is
    /// known: [`try_read`](UnixStream::try_read) may still find that it would block.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime of the stream has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Read).await
    }

    /// Waits until there is room to write, or an error. That is as far as is known:
    /// [`try_write`](UnixStream::try_write) may still find that it would block.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime of the stream has ended.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Write).await
    }

    /// Reads what is there without waiting. Returns the number of bytes, which is 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is there, and the system's error.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len();
        (self.socket).try_transfer(Direction::Read, len, |mut stream| stream.read(buffer))
    }

    /// Writes what there is room for without waiting. Returns the number of bytes.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and the system's error.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len();
        (self.socket).try_transfer(Direction::Write, len, |mut stream| stream.write(bytes))
    }

    /// Shuts down reading, writing or both, for all handles.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.get().shutdown(how)
    }

    /// Returns the address of the other side.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get().peer_addr()
    }

    /// Returns the address of this side.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get().local_addr()
    }

    /// Takes the error that the socket has kept, if any.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.get().take_error()
    }

    /// Takes a stream of the standard library, and sets it to not block.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        stream.set_nonblocking(true)?;
        UnixStream::new(mio::net::UnixStream::from_std(stream))
    }

    /// Returns the stream as one of the standard library, which does not block.
    ///
    /// # Errors
    ///
    /// Returns [`ResourceBusy`](io::ErrorKind::ResourceBusy) if there are other clones; this handle is
    /// dropped then.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        self.socket.into_inner().map(Into::into)
    }
}
