//! [`ClockLooks`]: when a worker reads the clock.

use crate::task::Shared;

/// The most polls between two readings of the clock.
const EVERY_MAX: u32 = 63;
/// About how many nanoseconds pass between two readings.
const APART_NS: u64 = 100_000;

/// When a worker reads the clock: so often that it serves timers and the shared sources in time, and so
/// seldom that it costs nothing.
pub(super) struct ClockLooks {
    /// Polls until the next reading.
    polls_left: u32,
    /// Polls between two readings.
    every: u32,
    /// When it read the clock last, in nanoseconds.
    last_ns: u64,
    /// The millisecond of that reading; another worker may see the next one first.
    last_ms: u32,
    /// Whether the worker has slept since.
    has_slept: bool,
    /// See [`is_slow`](ClockLooks::is_slow).
    slow: bool,
}

impl ClockLooks {
    pub(super) fn new() -> Self {
        ClockLooks {
            polls_left: 0,
            every: 1,
            last_ns: 0,
            last_ms: 0,
            has_slept: true,
            slow: false,
        }
    }

    /// Counts a poll that is about to begin. Returns whether the clock is to be read before it.
    #[inline]
    pub(super) fn is_due(&mut self, shared: &Shared) -> bool {
        // Polls may have become longer than they were: then another thread has seen time pass.
        if self.polls_left > 0 && shared.coarse_now() == self.last_ms {
            self.polls_left -= 1;
            return false;
        }
        true
    }

    /// Whether a poll has begun since the last reading, besides the one right after it.
    pub(super) fn has_polled_since(&self) -> bool {
        self.polls_left < self.every
    }

    /// Reads the clock, and decides when to read it next.
    pub(super) fn read(&mut self, shared: &Shared) -> u64 {
        let now = shared.refresh_clock();
        self.last_ms = shared.coarse_now();
        self.adapt(now.saturating_sub(self.last_ns));
        self.last_ns = now;
        self.polls_left = self.every;
        now
    }

    fn adapt(&mut self, since_last: u64) {
        if std::mem::take(&mut self.has_slept) {
            self.slow = false;
            return;
        }
        let polls = u64::from(self.every - self.polls_left.min(self.every)) + 1;
        match since_last {
            0..APART_NS => self.every = (2 * self.every).min(EVERY_MAX),
            // The number of polls of this length that fit into `APART_NS`.
            since if since >= 2 * APART_NS => {
                self.every = ((polls * APART_NS / since) as u32).clamp(1, EVERY_MAX);
            }
            _ => {}
        }
        self.slow = self.every == 1 && since_last >= APART_NS;
    }

    /// Whether polls are so long that the worker reads the clock before every second one.
    pub(super) fn is_slow(&self) -> bool {
        self.slow
    }

    /// The worker has slept: it reads the clock at once, and the time it slept says nothing of how
    /// long polls are.
    pub(super) fn slept(&mut self) {
        self.polls_left = 0;
        self.has_slept = true;
    }
}
