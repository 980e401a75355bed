//! [`UnixListener`]: a socket of the Unix domain that accepts connections.

use super::stream::UnixStream;
use crate::net::socket::{Socket, make};
use crate::reactor::Interest;
use std::io;
use std::os::unix::net::SocketAddr;
use std::path::Path;

/// A socket of the Unix domain that accepts connections.
///
/// The file at its path stays when the listener is dropped. Remove it before the path is bound again.
///
/// # Examples
///
/// ```
/// use taskgrove::net::{UnixListener, UnixStream};
/// let path = std::env::temp_dir().join(format!("taskgrove-doc-{}", std::process::id()));
/// taskgrove::Runtime::new()?.block_on(async {
///     let listener = UnixListener::bind(&path)?;
///     let _client = UnixStream::connect(&path).await?;
///     let (_server, _) = listener.accept().await?;
///     std::fs::remove_file(&path)
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixListener {
    pub(in crate::net) socket: Socket<mio::net::UnixListener>,
}

impl UnixListener {
    fn new(listener: mio::net::UnixListener) -> io::Result<Self> {
        let socket = Socket::new(listener, Interest::READABLE)?;
        Ok(UnixListener { socket })
    }

    /// Makes a listener at a path, where there must be no file yet.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        UnixListener::new(make(|| mio::net::UnixListener::bind(path))?)
    }

    /// As [`bind`](UnixListener::bind), with an address, which on Linux may be an abstract one.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        UnixListener::new(make(|| mio::net::UnixListener::bind_addr(address))?)
    }

    /// Accepts a connection. The stream belongs to the runtime of the calling code.
    ///
    /// # Errors
    ///
    /// Returns the system's error. If the process has too many open files, the connection stays in the
    /// system's queue, and so does the error: sleep before the next call.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let accept = mio::net::UnixListener::accept;
        let (stream, peer) = self.socket.accept(accept).await?;
        Ok((UnixStream::new(stream)?, peer))
    }

    /// Returns the address on which it listens.
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

    /// Takes a listener of the standard library, and sets it to not block.
    ///
    /// # Errors
    ///
    /// Returns the system's error; and see [`net`](crate::net).
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        listener.set_nonblocking(true)?;
        UnixListener::new(mio::net::UnixListener::from_std(listener))
    }

    /// Returns the listener as one of the standard library, which does not block.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        Ok(self.socket.into_inner().into())
    }
}
