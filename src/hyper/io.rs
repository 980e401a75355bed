//! [`Io`]: streams of futures-io for hyper, and the other way round.

use super::buffer;
use super::write::write_through;
use futures_io::{AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Makes any stream of futures-io a stream of hyper, and the other way round.
///
/// A server wraps a stream that is neither [`net::TcpStream`](crate::net::TcpStream) nor
/// [`net::UnixStream`](crate::net::UnixStream), for instance one with TLS, to hand it to hyper. After an
/// upgrade, code that expects futures-io wraps hyper's `Upgraded`.
///
/// hyper gathers what it writes into one buffer, since futures-io does not say whether a stream writes
/// several buffers at once.
///
/// # Examples
///
/// ```
/// use taskgrove::hyper::Io;
/// fn for_hyper<T: hyper::rt::Read + hyper::rt::Write>(_: &T) {}
/// fn for_futures<T: futures_io::AsyncWrite>(_: &T) {}
/// # use std::{io, pin::Pin, task::{Context, Poll}};
/// # #[derive(Default)]
/// # struct Tls;
/// # impl futures_io::AsyncRead for Tls {
/// #     fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
/// #         Poll::Ready(Ok(0))
/// #     }
/// # }
/// # impl futures_io::AsyncWrite for Tls {
/// #     fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
/// #         Poll::Ready(Ok(b.len()))
/// #     }
/// #     fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
/// #         Poll::Ready(Ok(()))
/// #     }
/// #     fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
/// #         Poll::Ready(Ok(()))
/// #     }
/// # }
/// let io = Io::new(Tls);
/// for_hyper(&io);
/// for_futures(&Io::new(io)); // and back
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Io<T>(T);

impl<T> Io<T> {
    /// Wraps a stream.
    pub fn new(stream: T) -> Self {
        Io(stream)
    }

    /// Returns the stream that is wrapped.
    pub fn get_ref(&self) -> &T {
        &self.0
    }

    /// Returns the stream that is wrapped.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.0
    }

    /// Unwraps the stream. Nothing is buffered here.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: AsyncRead + Unpin> hyper::rt::Read for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = Pin::new(&mut self.0);
        let read = ready!(stream.poll_read(cx, cursor.initialize_unfilled()))?;
        buffer::advance_initialized(&mut cursor, read);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> hyper::rt::Write for Io<T> {
    write_through!(|io| &mut io.0, AsyncWrite, poll_shutdown is poll_close);
}

impl<T: hyper::rt::Read + Unpin> AsyncRead for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut read = hyper::rt::ReadBuf::new(bytes);
        ready!(Pin::new(&mut self.0).poll_read(cx, read.unfilled()))?;
        Poll::Ready(Ok(read.filled().len()))
    }
}

impl<T: hyper::rt::Write + Unpin> AsyncWrite for Io<T> {
    write_through!(|io| &mut io.0, hyper::rt::Write, poll_close is poll_shutdown);
}
