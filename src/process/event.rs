//! What the control is told, and the exit code that follows from a signal.

/// What the control is told.
pub(super) enum Event {
    /// A signal has arrived: its number.
    Signal(i32),
    /// The service has ended, and the runtime is shut down.
    Ended,
}

/// The code of a process in which something had to be killed at this signal.
pub(super) fn code_of(signal: i32) -> u8 {
    128_u8.wrapping_add(signal as u8)
}
