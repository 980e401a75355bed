//! The sockets of `net` as hyper's streams.

use super::buffer;
use super::write::write_through;
use crate::net::TcpStream;
#[cfg(unix)]
use crate::net::UnixStream;
use futures_io::AsyncWrite;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

macro_rules! write {
    ($($stream:ty),*) => {$(
        impl hyper::rt::Write for $stream {
            write_through!(|stream| stream, AsyncWrite, poll_shutdown is poll_close);

            fn is_write_vectored(&self) -> bool {
                true
            }
        }
    )*};
}

#[cfg(unix)]
macro_rules! read {
    ($($stream:ty),*) => {$(
        impl hyper::rt::Read for $stream {
            #[inline]
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut cursor: hyper::rt::ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                buffer::poll_receive(&self.socket, cx, &mut cursor)
            }
        }
    )*};
}

write!(TcpStream);
#[cfg(unix)]
write!(UnixStream);
#[cfg(unix)]
read!(TcpStream, UnixStream);

#[cfg(not(unix))]
impl hyper::rt::Read for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        use crate::reactor::Direction;
        use std::io::Read;
        let len = cursor.remaining();
        let read = (self.socket).poll_transfer(cx, Direction::Read, len, |mut stream| {
            stream.read(cursor.initialize_unfilled())
        });
        let read = std::task::ready!(read)?;
        buffer::advance_initialized(&mut cursor, read);
        Poll::Ready(Ok(()))
    }
}
