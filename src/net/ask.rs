//! [`Ask`]: asks the system whether a call need not block.

use crate::reactor::Direction;

/// A socket of which the system says whether a call need not block.
///
/// The calls that go through this crate clear the readiness that is kept. Others do not: a caller may read from
/// the descriptor by itself, for instance to receive descriptors. So a wait that is over before it has begun
/// asks.
pub(crate) trait Ask {
    /// Whether a call in this direction need not block; `true` if the system does not say.
    fn is_ready(&self, direction: Direction) -> bool;
}

#[cfg(unix)]
impl<S: std::os::fd::AsFd> Ask for S {
    fn is_ready(&self, direction: Direction) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let flags = match direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
        };
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut this = [PollFd::new(self, flags)];
        // An error that waits, and an end, count as ready, and so does a call that fails.
        poll(&mut this, Some(&now)) != Ok(0)
    }
}

#[cfg(not(unix))]
impl<S> Ask for S {
    fn is_ready(&self, _: Direction) -> bool {
        true
    }
}
