//! [`Table`]: the slots of a reactor, and the tokens that lead to them.
//!
//! A slot's place never moves, so that a token leads to it without a lock. Slots are made in chunks, each of
//! which is twice as large as the one before, and live as long as the table; a slot that is free is used
//! again before another one is made.
//!
//! A token is the index of a slot and the generation of its registration, each in half of a `usize`'s bits.
//! A generation comes again after as many registrations in one slot as those bits can count, which are four
//! thousand million where addresses have 64 bits; the system would have to keep an event for that long.

use super::over::over;
use super::readiness::Bits;
use super::slot::Slot;
use crate::sync::{Mutex, OnceLock};
use std::io;
use std::task::Waker;

/// The bits of a token that are the index.
const INDEX_BITS: u32 = usize::BITS / 2;
const INDICES: usize = (1 << INDEX_BITS) - 1;
/// The bits of a generation.
pub(super) const GENERATIONS: u32 = INDICES as u32;
/// The number of slots in the first chunk.
const FIRST: usize = if cfg!(taskgrove_loom) { 1 } else { 64 };
const CHUNKS: usize = 26;

/// Leads to a registration's slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    index: u32,
    generation: u32,
}

impl Token {
    pub(super) fn raw(self) -> usize {
        (self.generation as usize) << INDEX_BITS | self.index as usize
    }

    pub(super) fn from_raw(raw: usize) -> Token {
        Token {
            index: (raw & INDICES) as u32,
            generation: (raw >> INDEX_BITS) as u32,
        }
    }
}

/// The slots of a reactor.
pub(super) struct Table {
    chunks: [OnceLock<Box<[Slot]>>; CHUNKS],
    places: Mutex<Places>,
}

struct Places {
    free: Vec<u32>,
    /// How many slots were used so far.
    used: u32,
    is_over: bool,
}

/// The chunk that a slot is in, and its place there.
fn place(index: u32) -> (usize, usize) {
    let from_first = index as usize + FIRST;
    let chunk = (from_first / FIRST).ilog2();
    (chunk as usize, from_first - (FIRST << chunk))
}

impl Table {
    pub(super) fn new() -> Self {
        Table {
            chunks: std::array::from_fn(|_| OnceLock::new()),
            places: Mutex::new(Places {
                free: Vec::new(),
                used: 0,
                is_over: false,
            }),
        }
    }

    #[inline]
    pub(super) fn slot(&self, token: Token) -> &Slot {
        self.at(token.index).expect("a slot that was used")
    }

    #[inline]
    fn at(&self, index: u32) -> Option<&Slot> {
        let (chunk, place) = place(index);
        self.chunks.get(chunk)?.get()?.get(place)
    }

    /// Takes a free slot for a new registration.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime has ended, or has as many sockets as there are tokens.
    pub(super) fn take(&self) -> io::Result<Token> {
        let mut places = self.places.lock();
        if places.is_over {
            return Err(over());
        }
        let index = match places.free.pop() {
            Some(index) => index,
            None => {
                let index = places.used;
                let (chunk, _) = place(index);
                if chunk >= CHUNKS || index as usize >= INDICES {
                    return Err(io::Error::other("the runtime has too many sockets"));
                }
                self.chunks[chunk]
                    .get_or_init(|| (0..FIRST << chunk).map(|_| Slot::new()).collect());
                places.used += 1;
                index
            }
        };
        drop(places);
        let slot = self.at(index).expect("its chunk is there");
        let generation = slot.word().generation();
        Ok(Token { index, generation })
    }

    /// Whether slots can be taken.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime has ended.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.places.lock().is_over {
            true => Err(over()),
            false => Ok(()),
        }
    }

    /// Gives a slot back: its socket is gone.
    pub(super) fn give(&self, token: Token) {
        self.slot(token).release(GENERATIONS);
        self.places.lock().free.push(token.index);
    }

    /// An event has come; see [`Slot::event`]. A token that leads nowhere is ignored.
    pub(super) fn event(&self, token: usize, bits: Bits, wake: &mut impl FnMut(Waker)) {
        let token = Token::from_raw(token);
        if let Some(slot) = self.at(token.index) {
            slot.event(token.generation, bits, wake);
        }
    }

    /// The runtime has ended: gives out no slot any more. Returns all wakers.
    ///
    /// A slot that was taken before is closed here; one that would be taken later is refused.
    pub(super) fn close(&self) -> Vec<Waker> {
        let used = {
            let mut places = self.places.lock();
            places.is_over = true;
            places.used
        };
        let mut wakers = Vec::new();
        for index in 0..used {
            if let Some(slot) = self.at(index) {
                slot.close(&mut |waker| wakers.push(waker));
            }
        }
        wakers
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn each_index_has_its_own_place() {
        let mut expected = (0, 0);
        for index in 0..10_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        let (last, _) = place(u32::MAX - 64);
        assert!(last <= CHUNKS, "{last}");
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = Token {
            index: GENERATIONS - 1,
            generation: GENERATIONS,
        };
        assert_eq!(Token::from_raw(token.raw()), token);
    }

    #[test]
    fn a_slot_is_used_again_with_the_next_generation() {
        let table = Table::new();
        let tokens: Vec<_> = (0..200).map(|_| table.take().expect("free")).collect();
        let old = tokens[77];
        table.give(old);
        let new = table.take().expect("free");
        assert_eq!((new.index, new.generation), (77, old.generation + 1));
        table.event(old.raw(), Bits::READ, &mut |_| ());
        assert!(table.slot(new).word().is_new());
        table.event(usize::MAX - 1, Bits::READ, &mut |_| ());
    }

    #[test]
    fn a_closed_table_gives_out_no_slot() {
        let table = Table::new();
        let token = table.take().expect("free");
        assert!(table.check().is_ok());
        assert!(table.close().is_empty());
        assert!(table.check().is_err());
        assert!(table.slot(token).word().is_over());
        table.give(token);
        assert!(table.take().is_err());
    }
}
