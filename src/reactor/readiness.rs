//! [`Word`]: what is known of a socket's readiness, as a value with pure transitions.
//!
//! | bits | what |
//! |---|---|
//! | 0-7 | [`Bits`] |
//! | 8-31 | the tick, which each event advances |
//! | 32-63 | the generation of the registration |
//!
//! | transition | refused if | effect |
//! |---|---|---|
//! | [`event`](Word::event) | the generation is another one | adds bits, advances the tick |
//! | [`presume`](Word::presume) | never | adds bits |
//! | [`clear`](Word::clear) | an event has come since, or the generation is another one | takes bits away |
//! | [`close`](Word::close) | never | adds `OVER` |
//! | [`release`](Word::release) | never | the next generation: no bits but `OVER` |

/// What the system has reported of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bits(u8);

impl Bits {
    pub(crate) const NONE: Bits = Bits(0);
    /// A call that reads, or accepts, need not block.
    pub(crate) const READ: Bits = Bits(1);
    /// A call that writes need not block.
    pub(crate) const WRITE: Bits = Bits(2);
    /// The end of what can be read has come.
    pub(crate) const READ_CLOSED: Bits = Bits(4);
    /// There was urgent data, at which reads stop.
    pub(crate) const URGENT: Bits = Bits(8);
    /// The runtime has ended.
    const OVER: Bits = Bits(16);

    pub(crate) fn with(self, other: Bits) -> Bits {
        Bits(self.0 | other.0)
    }

    fn has_any(self, of: Bits) -> bool {
        self.0 & of.0 != 0
    }

    /// Whether a wait in this direction is over.
    pub(crate) fn ends(self, direction: Direction) -> bool {
        self.has_any(direction.ends())
    }
}

/// Reading, which includes accepting, or writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Direction {
    /// The bits with which a wait is over.
    fn ends(self) -> Bits {
        let ready = match self {
            Direction::Read => Bits::READ.with(Bits::READ_CLOSED),
            Direction::Write => Bits::WRITE,
        };
        ready.with(Bits::OVER)
    }
}

/// Why readiness is cleared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spent {
    /// The call would block.
    Blocks,
    /// The call transferred less than what was asked for.
    Short,
}

/// A word as it was read before a call to the system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seen(Word);

/// A slot's word; see the module's documentation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Word(u64);

const TICK: u64 = 1 << 8;
const TICKS: u64 = 0xFFFF_FF00;
const GENERATION: u32 = 32;

impl Word {
    /// The word of a slot that was never used.
    pub(super) const NEW: Word = Word(0);

    pub(super) fn from_raw(raw: u64) -> Word {
        Word(raw)
    }

    pub(super) fn raw(self) -> u64 {
        self.0
    }

    pub(super) fn generation(self) -> u32 {
        (self.0 >> GENERATION) as u32
    }

    fn bits(self) -> Bits {
        Bits(self.0 as u8)
    }

    /// Whether an operation in this direction may call the system.
    #[inline]
    pub(super) fn is_ready(self, direction: Direction) -> bool {
        self.bits().ends(direction)
    }

    #[inline]
    pub(super) fn is_over(self) -> bool {
        self.bits().has_any(Bits::OVER)
    }

    /// Whether the system has reported nothing of the socket yet.
    pub(super) fn is_new(self) -> bool {
        self.0 & TICKS == 0
    }

    pub(super) fn seen(self) -> Seen {
        Seen(self)
    }

    /// These bits are taken for granted, without an event.
    pub(super) fn presume(self, bits: Bits) -> Word {
        Word(self.0 | u64::from(bits.0))
    }

    /// An event of the registration with this generation has come.
    pub(super) fn event(self, generation: u32, bits: Bits) -> Option<Word> {
        let tick = self.0.wrapping_add(TICK) & TICKS;
        let rest = self.0 & !TICKS;
        (self.generation() == generation).then_some(Word(rest | tick | u64::from(bits.0)))
    }

    /// An operation that began when the word was `seen` has found that the socket is not ready any more.
    #[inline]
    pub(super) fn clear(self, seen: Seen, direction: Direction, why: Spent) -> Option<Word> {
        let seen = seen.0;
        let changed = (self.0 ^ seen.0) & !u64::from(u8::MAX) != 0;
        let spent = match (direction, why) {
            (Direction::Write, _) => Bits::WRITE,
            (Direction::Read, Spent::Blocks) => Bits::READ.with(Bits::READ_CLOSED),
            (Direction::Read, Spent::Short) if self.bits().has_any(Bits::URGENT) => Bits::NONE,
            (Direction::Read, Spent::Short) => Bits::READ,
        };
        let cleared = Word(self.0 & !u64::from(spent.0));
        (!changed && cleared != self).then_some(cleared)
    }

    /// The runtime has ended.
    pub(super) fn close(self) -> Word {
        Word(self.0 | u64::from(Bits::OVER.0))
    }

    /// The socket is gone.
    pub(super) fn release(self, generations: u32) -> Word {
        let next = self.generation().wrapping_add(1) & generations;
        let over = self.0 & u64::from(Bits::OVER.0);
        Word(u64::from(next) << GENERATION | over)
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use Direction::{Read, Write};

    fn after(bits: Bits) -> Word {
        Word::NEW.event(0, bits).expect("its generation")
    }

    #[test]
    fn a_clear_takes_away_what_was_seen_and_no_later_event() {
        let ready = after(Bits::READ.with(Bits::WRITE));
        for why in [Spent::Blocks, Spent::Short] {
            let cleared = ready.clear(ready.seen(), Read, why).expect("it was ready");
            assert!(!cleared.is_ready(Read) && cleared.is_ready(Write));
            let cleared = ready.clear(ready.seen(), Write, why).expect("it was ready");
            assert!(cleared.is_ready(Read) && !cleared.is_ready(Write));
            let again = ready.event(0, Bits::READ).expect("its generation");
            assert_eq!(again.clear(ready.seen(), Read, why), None);
            assert_eq!(again.clear(ready.seen(), Write, why), None);
        }
    }

    #[test]
    fn a_stale_clear_is_refused_until_the_tick_wraps() {
        let seen = after(Bits::READ);
        let mut word = seen;
        for events in 1..=TICKS >> 8 {
            word = word.event(0, Bits::READ).expect("its generation");
            if events.is_power_of_two() {
                assert_eq!(
                    word.clear(seen.seen(), Read, Spent::Blocks),
                    None,
                    "{events}"
                );
            }
        }
        assert!(word.event(0, Bits::READ) == Some(seen), "2^24 events later");
    }

    #[test]
    fn only_a_call_that_would_block_clears_the_end() {
        let ended = after(Bits::READ.with(Bits::READ_CLOSED));
        let short = ended.clear(ended.seen(), Read, Spent::Short).expect("READ");
        assert!(short.is_ready(Read));
        assert_eq!(short.clear(ended.seen(), Read, Spent::Short), None);
        let blocks = ended
            .clear(ended.seen(), Read, Spent::Blocks)
            .expect("both");
        assert!(!blocks.is_ready(Read));
    }

    #[test]
    fn a_short_read_clears_nothing_where_there_was_urgent_data() {
        let urgent = after(Bits::READ.with(Bits::URGENT));
        assert_eq!(urgent.clear(urgent.seen(), Read, Spent::Short), None);
        let blocks = urgent
            .clear(urgent.seen(), Read, Spent::Blocks)
            .expect("READ");
        assert!(!blocks.is_ready(Read));
        let later = blocks.event(0, Bits::READ).expect("its generation");
        assert_eq!(later.clear(later.seen(), Read, Spent::Short), None);
    }

    #[test]
    fn events_and_clears_of_an_earlier_registration_are_refused() {
        let old = after(Bits::READ.with(Bits::READ_CLOSED));
        let new = old.release(u32::MAX);
        assert!(!new.is_ready(Read) && !new.is_ready(Write) && new.is_new());
        assert_eq!(new.event(0, Bits::READ), None);
        let ready = new.event(1, Bits::READ).expect("its generation");
        assert_eq!(ready.clear(old.seen(), Read, Spent::Blocks), None);
    }

    #[test]
    fn generations_wrap_within_their_bits() {
        let last = Word(0x7FF << GENERATION);
        assert_eq!(last.release(0x7FF), Word::NEW);
        assert_eq!(last.release(0xFFF).generation(), 0x800);
    }

    #[test]
    fn after_the_end_everything_is_ready_to_fail() {
        let over = Word::NEW.close();
        assert!(over.is_over() && over.is_ready(Read) && over.is_ready(Write));
        assert!(over.release(u32::MAX).is_over());
        let event = over.event(0, Bits::READ).expect("its generation");
        let cleared = event.clear(event.seen(), Read, Spent::Blocks);
        assert!(cleared.expect("READ").is_over());
    }
}
