//! [`TcpStream`]: a TCP connection.

use super::resolve::{ToSocketAddrs, first_of};
use super::socket::{Shared, make};
use crate::reactor::{Direction, STREAM};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

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
    pub(crate) socket: Shared<mio::net::TcpStream>,
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
        first_of(&addresses, TcpStream::connect_to).await
    }

    async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::new(make(|| mio::net::TcpStream::connect(address))?)?;
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
}
