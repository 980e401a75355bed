//! [`TcpStream`]: a TCP connection.

use super::resolve::{ToSocketAddrs, resolve};
use super::socket::{Shared, bytes_in};
use crate::reactor::{Direction, STREAM};
use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A TCP connection.
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
/// use taskgrove::net::{TcpListener, TcpStream};
/// let runtime = taskgrove::Runtime::new()?;
/// runtime.block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let mut client = TcpStream::connect(listener.local_addr()?).await?;
///     let (server, _) = listener.accept().await?;
///     client.write_all(b"ping").await?;
///     let mut read = [0; 4];
///     (&server).read_exact(&mut read).await?;
///     assert_eq!(&read, b"ping");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct TcpStream {
    pub(in crate::net) socket: Shared<mio::net::TcpStream>,
}

impl TcpStream {
    pub(super) fn new(stream: mio::net::TcpStream) -> io::Result<Self> {
        let socket = Shared::new(stream, STREAM)?;
        Ok(TcpStream { socket })
    }

    /// Connects to the first of these addresses that answers. They are tried one after the other.
    ///
    /// # Errors
    ///
    /// Returns the system's error for the last address, or that of the lookup of a name; and see
    /// [`net`](super).
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the attempt is given up.
    pub async fn connect(addresses: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let mut last = None;
        for address in resolve(&addresses).await? {
            match TcpStream::connect_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("at least one address"))
    }

    async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::new(mio::net::TcpStream::connect(address)?)?;
        let connected = |stream: &mio::net::TcpStream| {
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            match stream.peer_addr() {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                Err(error) => Err(error),
            }
        };
        stream.socket.write_with(connected).await?;
        Ok(stream)
    }

    /// Waits until there is something to read, or the end of the stream, or an error. That is as far as is
    /// known: [`try_read`](TcpStream::try_read) may still find that it would block.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime of the stream has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Read).await
    }

    /// Waits until there is room to write, or an error. That is as far as is known:
    /// [`try_write`](TcpStream::try_write) may still find that it would block.
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
        let read = |mut stream: &mio::net::TcpStream| stream.read(buffer);
        let is_short = |read: &usize| is_short(*read, len);
        self.socket.try_io(Direction::Read, read, is_short)
    }

    /// Writes what there is room for without waiting. Returns the number of bytes.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and the system's error.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let write = |mut stream: &mio::net::TcpStream| stream.write(bytes);
        let is_short = |written: &usize| is_short(*written, bytes.len());
        self.socket.try_io(Direction::Write, write, is_short)
    }

    /// Waits until there is something to read, and copies it into the buffer; it stays there to be read.
    /// Returns the number of bytes, which is 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// Returns the system's error, and an error if the runtime of the stream has ended.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read_with(|stream| stream.peek(buffer)).await
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

    /// Sets whether small writes are sent at once (`TCP_NODELAY`), instead of being collected.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.socket.get().set_nodelay(on)
    }

    /// Returns whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.get().nodelay()
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
    /// Returns the system's error; and see [`net`](super).
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        stream.set_nonblocking(true)?;
        TcpStream::new(mio::net::TcpStream::from_std(stream))
    }

    /// Returns the stream as one of the standard library, which does not block.
    ///
    /// # Errors
    ///
    /// Returns [`ResourceBusy`](io::ErrorKind::ResourceBusy) if there are other clones; this handle is
    /// dropped then.
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        self.socket.into_inner().map(Into::into)
    }

    /// Reads as [`AsyncRead::poll_read`] does. `len` is that of the buffer; with 0 it is ready at once.
    pub(crate) fn poll_read_with(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        mut read: impl FnMut(&mut &mio::net::TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let call = |mut stream: &mio::net::TcpStream| read(&mut stream);
        let waiter = || self.socket.waiter();
        let is_short = |read: &usize| is_short(*read, len);
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        (self.socket).poll_io(cx, Direction::Read, waiter, call, is_short)
    }

    /// Writes as [`AsyncWrite::poll_write`] does. `len` is that of what is to be written; with 0 it is ready at
    /// once.
    pub(crate) fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        mut write: impl FnMut(&mut &mio::net::TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let call = |mut stream: &mio::net::TcpStream| write(&mut stream);
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

/// Whether a transfer stopped before what was asked for, and not because of an end.
fn is_short(transferred: usize, len: usize) -> bool {
    0 < transferred && transferred < len
}

impl AsyncRead for &TcpStream {
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

impl AsyncWrite for &TcpStream {
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

impl AsyncRead for TcpStream {
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

impl AsyncWrite for TcpStream {
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
