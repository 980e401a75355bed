//! What a runtime takes for the time: nanoseconds since its origin, real or virtual.

use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicU64, Ordering};

/// A moment, as nanoseconds since the origin, that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// How far ahead of the last look a moment has to be for [`Clock::seems_ahead`]: a second.
const FAR: u64 = 1_000_000_000;

/// A clock that counts nanoseconds from its own start: with the machine's clock, or by hand.
///
/// 64 bits of nanoseconds are 584 years. What does not fit saturates: moments before the origin are
/// 0, those too far ahead are [`NEVER`].
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    /// A virtual clock's time.
    manual: Option<AtomicU64>,
    /// The real time at a recent look.
    seen: AtomicU64,
}

impl Clock {
    /// The machine's monotonic clock; its origin is now.
    pub(crate) fn real() -> Self {
        Self {
            origin: Instant::now(),
            manual: None,
            seen: AtomicU64::new(0),
        }
    }

    /// As [`Clock::real`], but begun so long ago that nobody has looked since.
    #[cfg(test)]
    #[cfg(not(taskgrove_loom))]
    pub(crate) fn begun(ago: Duration) -> Self {
        let now = Instant::now();
        Self {
            origin: now.checked_sub(ago).expect("the machine is older"),
            ..Self::real()
        }
    }

    /// A clock that stands at 0 until it is advanced.
    pub(crate) fn manual() -> Self {
        Self {
            origin: Instant::now(),
            manual: Some(AtomicU64::new(0)),
            seen: AtomicU64::new(0),
        }
    }

    /// Nanoseconds since the origin. Never goes back.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        match &self.manual {
            None => nanos(self.origin.elapsed()),
            Some(now) => now.load(Ordering::Acquire),
        }
    }

    /// Notes the time of a look; workers do at each of theirs.
    #[inline]
    pub(crate) fn saw(&self, now: u64) {
        self.seen.store(now, Ordering::Relaxed);
    }

    /// Whether `ns` is surely ahead, provided that somebody looked within the last second: a load,
    /// where reading the clock would be a quarter of what entering a timer costs. `false` says
    /// nothing. Should nobody have looked (all slept, or were busy in one poll), a moment that is over
    /// may seem ahead; a timer entered for it fires at the next look, which is the end of that poll.
    #[inline]
    pub(crate) fn seems_ahead(&self, ns: u64) -> bool {
        let far = self.seen.load(Ordering::Relaxed).saturating_add(FAR);
        self.manual.is_none() && ns > far
    }

    /// Sets a manual clock to `ns` after its origin; one that is already past that stays.
    ///
    /// # Panics
    ///
    /// On a real clock.
    pub(crate) fn advance_to(&self, ns: u64) {
        let now = self.manual.as_ref().expect("only a manual clock can jump");
        now.fetch_max(ns, Ordering::AcqRel);
    }

    /// The moment `d` from now, in nanoseconds since the origin; [`NEVER`] if that is out of reach.
    #[inline]
    pub(crate) fn deadline(&self, d: Duration) -> u64 {
        self.now_ns().saturating_add(nanos(d))
    }

    /// The instant `ns` after the origin, or one far ahead if the platform cannot express it.
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

/// Saturates at [`NEVER`].
#[inline]
fn nanos(d: Duration) -> u64 {
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
