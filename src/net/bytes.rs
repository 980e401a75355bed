//! Streams of bytes: what a connection of TCP and one of the Unix domain share, reading and writing.

use super::socket::Shared;
use super::stream::TcpStream;
#[cfg(unix)]
use super::unix::stream::UnixStream;
use crate::reactor::{Direction, Source};
use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A socket of mio's that carries a stream of bytes.
pub(crate) trait ByteStream: Source {
    /// Whether a read that stops short has emptied the system's buffer.
    const SHORT_READ_EMPTIES: bool;
}

impl ByteStream for mio::net::TcpStream {
    const SHORT_READ_EMPTIES: bool = true;
}

#[cfg(unix)]
impl ByteStream for mio::net::UnixStream {
    /// A read also stops behind bytes with which the peer has sent a descriptor.
    const SHORT_READ_EMPTIES: bool = false;
}

/// Whether a transfer of so many bytes has stopped before the `len` that were asked for, because the system's
/// buffer is empty or full, and not because of an end.
fn is_short<S: ByteStream>(direction: Direction, transferred: usize, len: usize) -> bool {
    let tells = direction == Direction::Write || S::SHORT_READ_EMPTIES;
    tells && 0 < transferred && transferred < len
}

impl<S: ByteStream> Shared<S> {
    /// Reads as [`AsyncRead::poll_read`] does, or writes as [`AsyncWrite::poll_write`] does. `call` asks for
    /// `len` bytes; with 0 it is not called, and this is ready at once.
    pub(crate) fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        len: usize,
        call: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let is_short = |done: &usize| is_short::<S>(direction, *done, len);
        self.poll_io(cx, direction, || self.waiter(), call, is_short)
    }

    /// Reads or writes without waiting. `call` asks for `len` bytes.
    pub(super) fn try_transfer(
        &self,
        direction: Direction,
        len: usize,
        call: impl FnOnce(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let is_short = |done: &usize| is_short::<S>(direction, *done, len);
        self.try_io(direction, call, is_short)
    }
}

/// The most slices that the system takes in one call (`IOV_MAX`); the standard library hands it no more.
const SLICES: usize = 1024;

/// How many bytes one call asks for with these slices. It leaves out the slices that are too many.
fn bytes_in(slices: &[impl Deref<Target = [u8]>]) -> usize {
    let taken = &slices[..slices.len().min(SLICES)];
    let sum = |sum: usize, slice: &_| sum.saturating_add(<[u8]>::len(slice));
    taken.iter().map(Deref::deref).fold(0, sum)
}

/// The result of a close: that the connection is gone is no error.
fn closed(shut_down: io::Result<()>) -> io::Result<()> {
    match shut_down {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        done => done,
    }
}

/// Implements the traits of `futures-io` for streams and for references to them.
macro_rules! async_traits {
    ($($stream:ty),*) => {$(
        impl AsyncRead for $stream {
            #[inline]
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let len = buffer.len();
                (self.socket).poll_transfer(cx, Direction::Read, len, |mut stream| stream.read(buffer))
            }

            #[inline]
            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let len = bytes_in(buffers);
                (self.socket).poll_transfer(cx, Direction::Read, len, |mut stream| {
                    stream.read_vectored(buffers)
                })
            }
        }

        impl AsyncWrite for $stream {
            #[inline]
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let len = bytes.len();
                (self.socket).poll_transfer(cx, Direction::Write, len, |mut stream| stream.write(bytes))
            }

            #[inline]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let len = bytes_in(slices);
                (self.socket).poll_transfer(cx, Direction::Write, len, |mut stream| {
                    stream.write_vectored(slices)
                })
            }

            /// Is ready at once: the system has what was written.
            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(closed(self.shutdown(Shutdown::Write)))
            }
        }
    )*};
}

async_traits!(TcpStream, &TcpStream);
#[cfg(unix)]
async_traits!(UnixStream, &UnixStream);
