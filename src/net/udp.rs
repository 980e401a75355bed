//! [`UdpSocket`]: a UDP socket.

mod options;

use super::resolve::{ToSocketAddrs, first_of, resolve_first};
use super::socket::{Shared, make};
use crate::reactor::{Direction, READS_FIRST};
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// A UDP socket.
///
/// All operations take `&self`, so several tasks may send and receive at the same time. A clone is another
/// handle of the same socket. A datagram is received by one caller only.
///
/// A datagram that does not fit the buffer is cut off; what is cut off is lost. On Windows that is an error.
///
/// # Cancellation
///
/// A future that is dropped before it is ready has neither sent nor received anything.
///
/// # Examples
///
/// ```
/// use taskgrove::net::UdpSocket;
/// taskgrove::Runtime::new()?.block_on(async {
///     let server = UdpSocket::bind("127.0.0.1:0").await?;
///     let client = UdpSocket::bind("127.0.0.1:0").await?;
///     client.connect(server.local_addr()?).await?;
///     client.send(b"ping").await?;
///     let mut buffer = [0; 16];
///     let (length, from) = server.recv_from(&mut buffer).await?;
///     assert_eq!(&buffer[..length], b"ping");
///     server.send_to(b"pong", from).await?;
///     assert_eq!(client.recv(&mut buffer).await?, 4);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct UdpSocket {
    pub(in crate::net) socket: Shared<mio::net::UdpSocket>,
}

impl UdpSocket {
    fn new(socket: mio::net::UdpSocket) -> io::Result<Self> {
        let socket = Shared::new(socket, READS_FIRST)?;
        Ok(UdpSocket { socket })
    }

    /// Makes a socket on the first of these addresses on which it can be made. Port 0 stands for a port
    /// that the system chooses.
    ///
    /// # Errors
    ///
    /// Returns the system's error for the last address, or that of the lookup of a name; and see
    /// [`net`](super).
    pub async fn bind(addresses: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        let bind = async |address| UdpSocket::new(make(|| mio::net::UdpSocket::bind(address))?);
        first_of(&addresses, bind).await
    }

    /// Sets the address to which [`send`](UdpSocket::send) sends; from then on only datagrams from there are
    /// received. It is the first of these addresses that the system takes: no datagram is exchanged.
    ///
    /// # Errors
    ///
    /// Returns the system's error for the last address, or that of the lookup of a name.
    pub async fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<()> {
        first_of(&addresses, async |address| {
            self.socket.get().connect(address)
        })
        .await
    }

    /// Sends a datagram to the address that the socket is connected to. Returns the number of bytes, which
    /// is the length of the datagram.
    ///
    /// # Errors
    ///
    /// Returns the system's error. An error of an earlier datagram, for instance that nobody receives at the
    /// address, may be reported by a later call, once.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write_with(|socket| socket.send(bytes)).await
    }

    /// Sends a datagram to the first of these addresses. Returns the number of bytes, which is the length of
    /// the datagram.
    ///
    /// # Errors
    ///
    /// As [`send`](UdpSocket::send); and the error of the lookup of a name.
    pub async fn send_to(&self, bytes: &[u8], target: impl ToSocketAddrs) -> io::Result<usize> {
        let target = resolve_first(&target).await?;
        let send = |socket: &mio::net::UdpSocket| socket.send_to(bytes, target);
        self.socket.write_with(send).await
    }

    /// Receives a datagram from the address that the socket is connected to. Returns its length.
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
    /// As [`recv`](UdpSocket::recv).
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let receive = |socket: &mio::net::UdpSocket| socket.recv_from(buffer);
        self.socket.read_with(receive).await
    }

    /// As [`recv`](UdpSocket::recv), but leaves the datagram to be received.
    ///
    /// # Errors
    ///
    /// As [`recv`](UdpSocket::recv).
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read_with(|socket| socket.peek(buffer)).await
    }

    /// As [`recv_from`](UdpSocket::recv_from), but leaves the datagram to be received.
    ///
    /// # Errors
    ///
    /// As [`recv`](UdpSocket::recv).
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let peek = |socket: &mio::net::UdpSocket| socket.peek_from(buffer);
        self.socket.read_with(peek).await
    }

    /// Waits until there is a datagram, or an error. That is as far as is known:
    /// [`try_recv`](UdpSocket::try_recv) may still find that it would block.
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

    /// As [`readable`](UdpSocket::readable), for a hand-written future. Up to 32 tasks may wait through
    /// one handle like this; more should have a clone each.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime of the socket has ended.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Direction::Read)
    }

    /// As [`writable`](UdpSocket::writable), for a hand-written future. Up to 32 tasks may wait through
    /// one handle like this; more should have a clone each.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime of the socket has ended.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Direction::Write)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        let waiter = || self.socket.waiter();
        (self.socket).poll_ready(cx, direction, &Cell::new(false), waiter)
    }

    /// As [`recv`](UdpSocket::recv), without waiting.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no datagram, and the system's error.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_io(Direction::Read, |socket| socket.recv(buffer))
    }

    /// As [`recv_from`](UdpSocket::recv_from), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](UdpSocket::try_recv).
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_io(Direction::Read, |socket| socket.recv_from(buffer))
    }

    /// As [`send`](UdpSocket::send), without waiting.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and the system's error.
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_io(Direction::Write, |socket| socket.send(bytes))
    }

    /// As [`send_to`](UdpSocket::send_to), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_send`](UdpSocket::try_send).
    pub fn try_send_to(&self, bytes: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.try_io(Direction::Write, |socket| socket.send_to(bytes, target))
    }

    fn try_io<R>(
        &self,
        direction: Direction,
        call: impl FnOnce(&mio::net::UdpSocket) -> io::Result<R>,
    ) -> io::Result<R> {
        self.socket.try_io(direction, call, |_| false)
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
    /// Returns the system's error, for instance [`NotConnected`](io::ErrorKind::NotConnected).
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
    /// Returns the system's error; and see [`net`](super).
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        socket.set_nonblocking(true)?;
        UdpSocket::new(mio::net::UdpSocket::from_std(socket))
    }

    /// Returns the socket as one of the standard library, which does not block.
    ///
    /// # Errors
    ///
    /// Returns [`ResourceBusy`](io::ErrorKind::ResourceBusy) if there are other clones; this handle is
    /// dropped then.
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        self.socket.into_inner().map(Into::into)
    }
}
