//! [`TcpListener`]: a TCP socket that accepts connections.

use super::resolve::{ToSocketAddrs, first_of};
use super::socket::{Socket, make};
use super::stream::TcpStream;
use crate::reactor::Interest;
use std::io;
use std::net::SocketAddr;

/// A TCP socket that accepts connections.
///
/// # Examples
///
/// ```
/// use taskgrove::net::{TcpListener, TcpStream};
/// let runtime = taskgrove::Runtime::new()?;
/// runtime.block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (server, peer) = listener.accept().await?;
///     assert_eq!(client.local_addr()?, peer);
///     assert_eq!(server.peer_addr()?, peer);
///     Ok(())
/// })
/// # as std::io::Result<()>;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpListener {
    pub(in crate::net) socket: Socket<mio::net::TcpListener>,
}

impl TcpListener {
    fn new(listener: mio::net::TcpListener) -> io::Result<Self> {
        let socket = Socket::new(listener, Interest::READABLE)?;
        Ok(TcpListener { socket })
    }

    /// Makes a listener on the first of these addresses on which it can be made. Port 0 stands for a port
    /// that the system chooses. On Unix the address can be used again at once after a listener on it was
    /// closed.
    ///
    /// # Errors
    ///
    /// Returns the system's error for the last address, or that of the lookup of a name; and see
    /// [`net`](super).
    pub async fn bind(addresses: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let bind = async |address| TcpListener::new(make(|| mio::net::TcpListener::bind(address))?);
        first_of(&addresses, bind).await
    }

    /// Accepts a connection. The stream belongs to the runtime of the calling code.
    ///
    /// # Errors
    ///
    /// Returns the system's error. If the process has too many open files, the connection stays in the
    /// system's queue, and so does the error: sleep before the next call.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accept = mio::net::TcpListener::accept;
        let (stream, peer) = self.socket.accept(accept).await?;
        Ok((TcpStream::new(stream)?, peer))
    }

    /// Returns the address on which it listens.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get().local_addr()
    }

    /// Takes a listener of the standard library, and sets it to not block.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](super).
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        TcpListener::new(mio::net::TcpListener::from_std(listener))
    }

    /// Returns the listener as one of the standard library, which does not block.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        Ok(self.socket.into_inner().into())
    }
}
