//! [`UnixStream`]: a connection of the Unix domain.

use super::Pauses;
use crate::net::socket::{Shared, bytes_in};
use crate::reactor::{Direction, Interest};
use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

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
    pub(in crate::net) socket: Shared<mio::net::UnixStream>,
}

impl UnixStream {
    pub(super) fn new(stream: mio::net::UnixStream) -> io::Result<Self> {
        let socket = Shared::new(stream, Interest::READABLE | Interest::WRITABLE)?;
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
            let attempt = mio::net::UnixStream::connect_addr(address);
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
        let read = |mut stream: &mio::net::UnixStream| stream.read(buffer);
        self.socket.try_io(Direction::Read, read, |_| false)
    }

    /// Writes what there is room for without waiting. Returns the number of bytes.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and the system's error.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let write = |mut stream: &mio::net::UnixStream| stream.write(bytes);
        let is_short = |written: &usize| is_short(*written, bytes.len());
        self.socket.try_io(Direction::Write, write, is_short)
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

    /// Reads as [`AsyncRead::poll_read`] does. `len` is that of the buffer; with 0 it is ready at once.
    ///
    /// A short read has not emptied the system's buffer: a read also stops behind bytes with which the peer has
    /// sent a descriptor.
    pub(crate) fn poll_read_with(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        mut read: impl FnMut(&mut &mio::net::UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let call = |mut stream: &mio::net::UnixStream| read(&mut stream);
        let waiter = || self.socket.waiter();
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        (self.socket).poll_io(cx, Direction::Read, waiter, call, |_| false)
    }

    /// Writes as [`AsyncWrite::poll_write`] does. `len` is that of what is to be written; with 0 it is ready at
    /// once.
    pub(crate) fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        mut write: impl FnMut(&mut &mio::net::UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let call = |mut stream: &mio::net::UnixStream| write(&mut stream);
        let waiter = || self.socket.waiter();
        let is_short = |written: &usize| is_short(*written, len);
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        (self.socket).poll_io(cx, Direction::Write, waiter, call, is_short)
    }

    /// Shuts down writing, which is no error if the connection is gone.
    pub(crate) fn close(&self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        }
    }
}

/// Whether a write stopped before what was asked for.
fn is_short(transferred: usize, len: usize) -> bool {
    0 < transferred && transferred < len
}

impl AsyncRead for &UnixStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_with(cx, buffer.len(), |stream| stream.read(buffer))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_with(cx, bytes_in(buffers), |stream| {
            stream.read_vectored(buffers)
        })
    }
}

impl AsyncWrite for &UnixStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, bytes.len(), |stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, bytes_in(slices), |stream| stream.write_vectored(slices))
    }

    /// Is ready at once: the system has what was written.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.close())
    }
}

impl AsyncRead for UnixStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read_vectored(cx, buffers)
    }
}

impl AsyncWrite for UnixStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(cx)
    }
}
