//! The results of the transitions of a state word.

/// What the thread that made a transition has to do.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Nothing.
    Nothing,
    /// Put the task into a queue: it is `Scheduled` and in none.
    Submit,
    /// Drop the task's future: it is `Claimed`.
    Close,
    /// Unlink the task, wake its waits, and go on with its parent: it is `Done`.
    Finish,
}

/// What to do with a task taken from a queue.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Start {
    /// Poll it.
    Poll,
    /// Poll it although its turn has come: it is protected, or its future is gone and its cleanups
    /// are polled.
    PollAtTurn,
    /// Drop its future.
    Close,
    /// Nothing: it is killed and waits for its children.
    Skip,
}

/// The result of marking a task for cancellation.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// Nothing changed: the task is done, or at this level already.
    Refused,
    /// The task is marked, and the caller has to drop its future.
    Claimed,
    /// The task is marked, and the caller has a pin.
    Pinned,
}
