//! The sockets of `net` as hyper's streams.

use super::buffer;
use crate::net::TcpStream;
#[cfg(unix)]
use crate::net::UnixStream;
use crate::net::socket::bytes_in;
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Writing and its end, for a stream of `net`.
macro_rules! write {
    ($($stream:ty),*) => {$(
        impl hyper::rt::Write for $stream {
            #[inline]
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.poll_write_with(cx, bytes.len(), |stream| stream.write(bytes))
            }

            #[inline]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.poll_write_with(cx, bytes_in(slices), |stream| stream.write_vectored(slices))
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.close())
            }
        }
    )*};
}

/// Reading, for a stream of `net` over a socket of mio's.
#[cfg(unix)]
macro_rules! read {
    ($($stream:ty, $socket:ty;)*) => {$(
        impl buffer::PollRead for $stream {
            type Socket = $socket;

            #[inline]
            fn poll_read(
                &self,
                cx: &mut Context<'_>,
                len: usize,
                mut read: impl FnMut(&Self::Socket) -> io::Result<usize>,
            ) -> Poll<io::Result<usize>> {
                self.poll_read_with(cx, len, |socket| read(socket))
            }
        }

        impl hyper::rt::Read for $stream {
            #[inline]
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut cursor: hyper::rt::ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                buffer::poll_receive(&*self, cx, &mut cursor)
            }
        }
    )*};
}

write!(TcpStream);
#[cfg(unix)]
write!(UnixStream);
#[cfg(unix)]
read! {
    TcpStream, mio::net::TcpStream;
    UnixStream, mio::net::UnixStream;
}

#[cfg(not(unix))]
impl hyper::rt::Read for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        use std::io::Read;
        let len = cursor.remaining();
        let read = self.poll_read_with(cx, len, |stream| stream.read(cursor.initialize_unfilled()));
        let read = std::task::ready!(read)?;
        buffer::advance_initialized(&mut cursor, read);
        Poll::Ready(Ok(()))
    }
}
