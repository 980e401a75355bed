//! The error of sockets whose runtime has ended.

use std::io;

/// The error of an operation on a socket that outlived its runtime.
#[cold]
pub(super) fn over() -> io::Error {
    io::Error::other(
        "the runtime that this socket belongs to has ended: make sockets in the runtime that uses them, and end their tasks before it",
    )
}
