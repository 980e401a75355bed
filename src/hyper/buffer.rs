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
    use rustix::net::{RecvFlags, recv};
    use std::io;
    use std::os::fd::AsFd;
    use std::task::{Context, Poll, ready};

    /// A socket that can be read by a call of the caller's.
    pub(in super::super) trait PollRead {
        type Socket: AsFd;

        /// Calls `read`, which asks for `len` bytes, when it need not block.
        fn poll_read(
            &self,
            cx: &mut Context<'_>,
            len: usize,
            read: impl FnMut(&Self::Socket) -> io::Result<usize>,
        ) -> Poll<io::Result<usize>>;
    }

    /// Reads what is there, as much as hyper has room for.
    #[inline]
    pub(in super::super) fn poll_receive(
        socket: &impl PollRead,
        cx: &mut Context<'_>,
        cursor: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: only the system writes to this, and it writes bytes.
        let free = unsafe { cursor.as_mut() };
        let mut filled = 0;
        let read = socket.poll_read(cx, free.len(), |socket| {
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
pub(super) use receive::{PollRead, poll_receive};
