//! [`Clock`]: a runtime's time, real or virtual, in nanoseconds since the runtime's origin.

use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicU64, Ordering};

/// The time that never comes, in nanoseconds since the origin.
pub(crate) const NEVER: u64 = u64::MAX;

/// How far ahead of the last reading a time has to be for [`Clock::seems_ahead`]: one second.
const FAR: u64 = 1_000_000_000;

/// A clock that counts nanoseconds from its origin: the machine's clock, or one that is set by
/// hand.
///
/// 64 bits of nanoseconds are 584 years. Conversions saturate: a time before the origin is 0, and
/// one that is too far ahead is [`NEVER`].
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    /// The time of a manual clock; `None` for the machine's.
    ///
    /// [`Clock::advance_to`] writes it (`AcqRel`, paired with itself and with the `Acquire` load in
    /// [`Clock::now_ns`]): a thread that reads a time sees what happened before the clock was set
    /// to it.
    manual: Option<AtomicU64>,
    /// A recent time of the machine's clock.
    ///
    /// Workers write it at each reading of the clock, and threads that insert a timer read it.
    /// `Relaxed`: it is a hint, on which no other memory depends; see [`Clock::seems_ahead`].
    seen: AtomicU64,
}

impl Clock {
    /// Creates a clock that follows the machine's monotonic clock. Its origin is now.
    pub(crate) fn real() -> Self {
        Self {
            origin: Instant::now(),
            manual: None,
            seen: AtomicU64::new(0),
        }
    }

    /// As [`Clock::real`], with an origin in the past and no reading since.
    #[cfg(test)]
    #[cfg(not(taskgrove_loom))]
    pub(crate) fn begun(ago: Duration) -> Self {
        let now = Instant::now();
        Self {
            origin: now.checked_sub(ago).expect("the machine is older"),
            ..Self::real()
        }
    }

    /// Creates a clock that stands at 0 until it is advanced.
    pub(crate) fn manual() -> Self {
        Self {
            origin: Instant::now(),
            manual: Some(AtomicU64::new(0)),
            seen: AtomicU64::new(0),
        }
    }

    /// The time, in nanoseconds since the origin. It never goes back.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        match &self.manual {
            None => nanos(self.origin.elapsed()),
            Some(now) => now.load(Ordering::Acquire),
        }
    }

    /// The time, as an instant.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        match &self.manual {
            None => Instant::now(),
            Some(_) => self.instant(self.now_ns()),
        }
    }

    /// Records the time of a reading, which a worker does at each of its own.
    #[inline]
    pub(crate) fn saw(&self, now: u64) {
        self.seen.store(now, Ordering::Relaxed);
    }

    /// Whether `ns` is ahead of now, provided that a worker has read the clock within the last
    /// second. `false` means that the caller has to read the clock.
    ///
    /// This costs one load, much less than reading the clock. If no worker has read the clock (all
    /// of them slept, or were busy in one poll), a time that has passed may seem ahead. A timer for
    /// that time fires at the next reading, at the end of that poll.
    #[inline]
    pub(crate) fn seems_ahead(&self, ns: u64) -> bool {
        let far = self.seen.load(Ordering::Relaxed).saturating_add(FAR);
        self.manual.is_none() && ns > far
    }

    /// Sets a manual clock to `ns` after its origin, unless it is already past that.
    ///
    /// # Panics
    ///
    /// If the clock is not manual.
    pub(crate) fn advance_to(&self, ns: u64) {
        let now = self.manual.as_ref().expect("only a manual clock can jump");
        now.fetch_max(ns, Ordering::AcqRel);
    }

    /// The time `d` from now, in nanoseconds since the origin; [`NEVER`] if it does not fit.
    #[inline]
    pub(crate) fn deadline(&self, d: Duration) -> u64 {
        self.now_ns().saturating_add(nanos(d))
    }

    /// The instant `ns` after the origin; one far ahead if the platform cannot express it.
    pub(crate) fn instant(&self, ns: u64) -> Instant {
        let mut ns = ns;
        loop {
            match self.origin.checked_add(Duration::from_nanos(ns)) {
                Some(instant) => return instant,
                None => ns /= 2, // 0 can be added anywhere
            }
        }
    }

    /// The nanoseconds from the origin to `instant`.
    pub(crate) fn ns_of(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.origin))
    }
}

/// A duration in nanoseconds; [`NEVER`] if it does not fit.
#[inline]
pub(crate) fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(NEVER)
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_when_told_and_never_back() {
        let clock = Clock::manual();
        assert_eq!(clock.now_ns(), 0);
        clock.advance_to(50);
        clock.advance_to(20);
        assert_eq!(clock.now_ns(), 50);
        assert_eq!(clock.deadline(Duration::from_nanos(7)), 57);
        clock.advance_to(NEVER);
        assert_eq!(clock.deadline(Duration::from_nanos(7)), NEVER);
    }

    #[test]
    fn a_real_clock_follows_the_machines() {
        let before = Instant::now();
        let clock = Clock::real();
        let now = clock.instant(clock.now_ns());
        assert!(before <= now && now <= Instant::now());
    }

    #[test]
    fn only_what_is_far_from_the_last_look_seems_ahead() {
        let clock = Clock::real();
        assert!(!clock.seems_ahead(FAR) && clock.seems_ahead(FAR + 1));
        clock.saw(5);
        assert!(!clock.seems_ahead(FAR + 5) && clock.seems_ahead(NEVER));
        clock.saw(NEVER - 1);
        assert!(!clock.seems_ahead(NEVER));
        assert!(!Clock::manual().seems_ahead(NEVER), "that one is exact");
    }

    #[test]
    #[should_panic(expected = "only a manual clock")]
    fn a_real_clock_cannot_be_set() {
        Clock::real().advance_to(1);
    }

    #[test]
    fn instants_and_nanoseconds_convert_both_ways() {
        let clock = Clock::manual();
        for ns in [0, 1, 999_999_999, 1_000_000_000, 86_400_000_000_000_007] {
            assert_eq!(clock.ns_of(clock.instant(ns)), ns);
        }
    }

    #[test]
    fn what_is_out_of_reach_saturates() {
        let clock = Clock::manual();
        if let Some(early) = clock.instant(0).checked_sub(Duration::from_nanos(1)) {
            assert_eq!(clock.ns_of(early), 0);
        }
        assert_eq!(clock.deadline(Duration::MAX), NEVER);
        assert!(clock.instant(NEVER) > clock.instant(86_400_000_000_000_000));
        let thousand_years = Duration::from_secs(1000 * 365 * 86_400);
        if let Some(late) = clock.instant(0).checked_add(thousand_years) {
            assert_eq!(clock.ns_of(late), NEVER);
        }
    }
}
