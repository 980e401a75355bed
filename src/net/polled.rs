//! [`Polled`]: any other descriptor that the system can wait for.

use super::socket::Socket;
use crate::reactor::{Direction, Interest};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// A descriptor that the runtime waits for: a pipe, a socket of another library, a device.
///
/// `T` keeps its descriptor until it is dropped, and is set to not block. Regular files cannot be waited for.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use taskgrove::net::Polled;
/// let runtime = taskgrove::Runtime::new()?;
/// let (mut here, there) = UnixStream::pair()?;
/// runtime.block_on(async {
///     let there = Polled::new(there)?;
///     here.write_all(b"ping")?;
///     let mut buffer = [0; 16];
///     let read = there.read_with(|mut stream| stream.read(&mut buffer)).await?;
///     assert_eq!(&buffer[..read], b"ping");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Polled<T: AsFd> {
    socket: Socket<Descriptor<T>>,
}

/// What is registered is the descriptor as it was then, so that it is that one which is deregistered.
struct Descriptor<T> {
    owner: T,
    fd: RawFd,
}

impl<T: AsFd> AsFd for Descriptor<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.owner.as_fd()
    }
}

impl<T> AsRawFd for Descriptor<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

impl<T: AsFd> Polled<T> {
    /// Registers a descriptor with the runtime of the calling code, and sets it to not block.
    ///
    /// # Errors
    ///
    /// Returns the system's error, for instance
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) on Linux for a regular file,
    /// and [`AlreadyExists`](io::ErrorKind::AlreadyExists) for a descriptor that is registered already; and
    /// see [`net`](super).
    pub fn new(owner: T) -> io::Result<Polled<T>> {
        rustix::io::ioctl_fionbio(owner.as_fd(), true)?;
        let fd = owner.as_fd().as_raw_fd();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let socket = Socket::new(Descriptor { owner, fd }, interest)?;
        Ok(Polled { socket })
    }

    /// Returns what owns the descriptor.
    pub fn get_ref(&self) -> &T {
        &self.socket.get().owner
    }

    /// Deregisters the descriptor, and returns its owner.
    pub fn into_inner(self) -> T {
        self.socket.into_inner().owner
    }

    /// Waits until a call that reads need not block, as far as is known.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime of the descriptor has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Read).await
    }

    /// Waits until a call that writes need not block, as far as is known.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime of the descriptor has ended.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Write).await
    }

    /// Calls `call`, which reads, when it need not block, and again until it does not return
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// Returns the error of the call, and an error if the runtime of the descriptor has ended.
    pub async fn read_with<R>(&self, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.socket.read_with(|source| call(&source.owner)).await
    }

    /// Calls `call`, which writes, when it need not block, and again until it does not return
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// Returns the error of the call, and an error if the runtime of the descriptor has ended.
    pub async fn write_with<R>(&self, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.socket.write_with(|source| call(&source.owner)).await
    }
}

impl<T: AsFd + std::fmt::Debug> std::fmt::Debug for Polled<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Polled").field(self.get_ref()).finish()
    }
}

impl<T: AsFd> AsFd for Polled<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}
