//! hyper's read buffers, which are not initialised. The room's only unsafe code.

#![allow(unsafe_code)]

use hyper::rt::ReadBufCursor;

/// Counts bytes as read that the caller got from [`ReadBufCursor::initialize_unfilled`].
///
/// # Panics
///
/// Panics if there are not so many: a reader has said that it read more than it was given.
pub(super) fn advance_initialized(cursor: &mut ReadBufCursor<'_>, read: usize) {
    let there = cursor.initialize_unfilled().len();
    assert!(read <= there, "a stream has read more than it was given");
    // SAFETY: the first line has initialised all of the buffer, and `read` is within it.
    unsafe { cursor.advance(read) };
}

/// Receives from a socket to where hyper wants the bytes.
#[cfg(unix)]
mod receive {
    use super::ReadBufCursor;
    use crate::net::bytes::ByteStream;
    use crate::net::socket::Shared;
    use crate::reactor::Direction;
    use rustix::net::{RecvFlags, recv};
    use std::io;
    use std::os::fd::AsFd;
    use std::task::{Context, Poll, ready};

    /// Reads what is there, as much as hyper has room for.
    #[inline]
    pub(in super::super) fn poll_receive(
        socket: &Shared<impl ByteStream + AsFd>,
        cx: &mut Context<'_>,
        cursor: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: only the system writes to this, and it writes bytes.
        let free = unsafe { cursor.as_mut() };
        let mut filled = 0;
        let read = socket.poll_transfer(cx, Direction::Read, free.len(), |socket| {
            let (received, _) = recv(socket, &mut *free, RecvFlags::empty())?.0;
            filled = received.len();
            Ok(filled)
        });
        ready!(read)?;
        // SAFETY: the last call, which has ended the loop, has initialised so many bytes from the start.
        unsafe { cursor.advance(filled) };
        Poll::Ready(Ok(()))
    }
}

#[cfg(unix)]
pub(super) use receive::poll_receive;
