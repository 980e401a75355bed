//! The plain values that a thread keeps about the code that it runs. Each poll copies them. The room of
//! protection ([`crate::protect`]) gives them their meaning.

/// The kind of code that the thread runs. Code of a `block_on` inside a poll has the kind of that
/// poll.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaceKind {
    /// The task's own code, outside of any body.
    Root,
    /// Code of the thread's innermost body.
    Body,
    /// The destructor of that body's future.
    BodyDrop,
    /// A shield or a cleanup, outside of any body: such code is not told of the turn.
    Hard,
    /// A shield or a cleanup, inside the thread's innermost body.
    HardInBody,
}

/// The number of the crate's own awaits that may be ready in one poll of a task.
pub(crate) const READY_IN_POLL: u32 = 128;
/// The budget of code that belongs to no task.
pub(crate) const UNLIMITED: u32 = u32::MAX;

/// The number of suspensions that a poll may count before it is taken to be a `block_on`. A set of
/// futures returns after one or two futures that woke themselves.
const STALLS: u8 = 127;

/// Counts the suspensions of this poll that woke a waker other than the task's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stalls {
    count: u8,
}

impl Stalls {
    pub(crate) const NONE: Stalls = Stalls { count: 0 };
    const ENDLESS: u8 = 1 << 7;

    /// Whether the turn has come and the poll does not end.
    #[inline]
    pub(crate) fn are_endless(self) -> bool {
        self.count & Self::ENDLESS != 0
    }

    /// Counts a suspension and returns `true` if there are too many. `turn` says whether it is for
    /// the turn.
    pub(crate) fn add(&mut self, turn: bool) -> bool {
        if self.count & !Self::ENDLESS < STALLS {
            self.count += 1;
            return false;
        }
        self.count &= Self::ENDLESS;
        if turn {
            self.count |= Self::ENDLESS;
        }
        true
    }

    /// Starts to count anew if the code is `outside` of tasks: no poll of a task begins or ends
    /// there, so each poll of a body counts for itself.
    pub(crate) fn outside_of_tasks(&mut self, outside: bool) {
        if outside {
            *self = Self::NONE;
        }
    }
}

/// Whether what the code returns comes from inside protection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protected {
    Unknown,
    /// A `finally` has ended whose body was not inside protection, or did not end there.
    No,
    Yes,
}

/// A [`Protected`], and whether the view has a moment, in one byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended(u8);

impl Ended {
    pub(crate) const NOTHING: Ended = Ended(0);
    const MOMENT: u8 = 1 << 7;

    pub(super) fn new(protected: Protected, has_moment: bool) -> Ended {
        Ended(protected as u8 | if has_moment { Self::MOMENT } else { 0 })
    }

    pub(super) fn protected(self) -> Protected {
        match self.0 & !Self::MOMENT {
            0 => Protected::Unknown,
            1 => Protected::No,
            _ => Protected::Yes,
        }
    }

    pub(super) fn has_moment(self) -> bool {
        self.0 & Self::MOMENT != 0
    }
}
