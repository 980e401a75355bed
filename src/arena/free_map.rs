//! [`FreeMap`]: the free slots of one page, and its position in the lists of its depot.
//!
//! The map lies apart from the page. Allocating and freeing never touch the memory of a slot:
//! memory that was never used is not faulted in, lines that another core used last are not fetched,
//! and a stray write into a free slot cannot corrupt the allocator.

use super::class::{Class, PAGE_BYTES, SLOT_BITS};
use super::system;
use std::ops::Range;

const WORDS: usize = (1 << SLOT_BITS) / 64;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;

/// The list of its depot that a page is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Listed {
    /// In no list, because none of its slots is free.
    Full,
    /// In the list of the pages with about this many free slots.
    Partial(u8),
    /// The page that the depot keeps although all of its slots are free.
    Spare,
    /// In no list while some of its units are being released. Its slots are not handed out.
    Trimming,
}

/// What a depot knows about one page.
#[derive(Debug)]
pub(super) struct FreeMap {
    free: u32,
    pub(super) listed: Listed,
    /// The neighbours in the list, by page number; 0 at an end.
    pub(super) next: u32,
    pub(super) prev: u32,
    /// One bit for each unit without resident memory: no slot in it was handed out since the page
    /// was made or the unit was released. All of its slots are free.
    released: u32,
    /// The number of free slots that overlap a released unit.
    released_slots: u32,
    /// One bit for each slot, set while the slot is free.
    bits: [u64; WORDS],
}

impl FreeMap {
    /// The map of a new page: every slot is free, and the page is in no list yet.
    pub(super) fn new(class: Class) -> FreeMap {
        let capacity = class.capacity();
        let mut bits = [0; WORDS];
        for (word, bits) in bits.iter_mut().enumerate() {
            let rest = capacity.saturating_sub(word as u32 * 64).min(64);
            *bits = u64::MAX.checked_shr(64 - rest).unwrap_or(0);
        }
        FreeMap {
            free: capacity,
            listed: Listed::Full,
            next: 0,
            prev: 0,
            released: all_units(),
            released_slots: capacity,
            bits,
        }
    }

    /// The number of free slots.
    pub(super) fn free(&self) -> u32 {
        self.free
    }

    /// The number of free slots whose memory may be resident.
    pub(super) fn resident(&self) -> u32 {
        self.free - self.released_slots
    }

    /// Moves free slots of the page, which has this `number`, into `out`, lowest index first.
    /// Returns how many.
    pub(super) fn take(&mut self, class: Class, number: u32, out: &mut [u32]) -> usize {
        let want = out.len().min(self.free as usize);
        let mut taken = 0;
        for (word, bits) in self.bits.iter_mut().enumerate() {
            while *bits != 0 && taken < want {
                let slot = word as u32 * 64 + bits.trailing_zeros();
                *bits &= *bits - 1;
                out[taken] = number << SLOT_BITS | slot;
                taken += 1;
            }
            if taken == want {
                break;
            }
        }
        self.free -= taken as u32;
        if let ([first, ..], [.., last]) = (&out[..taken], &out[..taken]) {
            self.mark_resident(class, first & SLOT_MASK, last & SLOT_MASK);
        }
        taken
    }

    /// Takes one slot back.
    pub(super) fn give(&mut self, index: u32) {
        let slot = index & SLOT_MASK;
        let bit = 1 << (slot % 64);
        let word = &mut self.bits[(slot / 64) as usize];
        debug_assert!(*word & bit == 0, "slot {index:#x} was freed twice");
        *word |= bit;
        self.free += 1;
    }

    /// The units that are completely free and may be resident, one bit each.
    pub(super) fn idle_units(&self, class: Class) -> u32 {
        (0..units())
            .filter(|unit| self.released >> unit & 1 == 0 && self.are_free(slots_in(class, *unit)))
            .fold(0, |units, unit| units | 1 << unit)
    }

    /// Records that these units were released.
    pub(super) fn mark_released(&mut self, class: Class, units: u32) {
        self.released |= units;
        self.count_released(class);
    }

    /// Records that the units of the slots from `first` to `last` are in use. The slots were free
    /// until now, and all free slots between the two were taken with them; so a released unit
    /// between the two, which has free slots only, is in use as well.
    fn mark_resident(&mut self, class: Class, first: u32, last: u32) {
        let unit = system::unit();
        let from = first as usize * class.size() / unit;
        let to = ((last as usize + 1) * class.size() - 1) / unit;
        let back = (all_units() >> from << from) & (u32::MAX >> (31 - to));
        if self.released & back != 0 {
            self.released &= !back;
            self.count_released(class);
        }
    }

    fn count_released(&mut self, class: Class) {
        let (mut count, mut end) = (0, 0);
        for unit in (0..units()).filter(|unit| self.released >> unit & 1 == 1) {
            // The first slot may have been counted as the last one of the unit before.
            let slots = slots_in(class, unit);
            count += slots.end.saturating_sub(slots.start.max(end));
            end = slots.end.max(end);
        }
        self.released_slots = count;
    }

    /// Whether all of these slots are free.
    fn are_free(&self, slots: Range<u32>) -> bool {
        let mut at = slots.start;
        while at < slots.end {
            let (word, bit) = ((at / 64) as usize, at % 64);
            let count = (64 - bit).min(slots.end - at);
            let mask = (u64::MAX >> (64 - count)) << bit;
            if self.bits[word] & mask != mask {
                return false;
            }
            at += count;
        }
        true
    }
}

/// Checks for [`audit`](super::audit).
impl FreeMap {
    /// Whether the slot with this index is free.
    pub(super) fn is_free(&self, index: u32) -> bool {
        let slot = index & SLOT_MASK;
        self.are_free(slot..slot + 1)
    }

    /// Panics if the count of free slots is wrong.
    pub(super) fn check_count(&self, class: Class) {
        let free: u32 = self.bits.iter().map(|bits| bits.count_ones()).sum();
        assert_eq!(free, self.free, "{class:?}: a page's count of free slots");
    }

    /// Panics if a released unit has a slot that is not free, or if the slots in released units are
    /// miscounted.
    pub(super) fn check_released(&self, class: Class) {
        let (mut released, mut counted) = (0, 0);
        for unit in (0..units()).filter(|unit| self.released >> unit & 1 == 1) {
            let slots = slots_in(class, unit);
            let free = self.are_free(slots.clone());
            assert!(free, "{class:?}: unit {unit} is released and in use");
            released += slots.end - slots.start.max(counted);
            counted = slots.end;
        }
        assert_eq!(released, self.released_slots, "{class:?}: released slots");
    }
}

/// The number of units in a page.
fn units() -> u32 {
    (PAGE_BYTES / system::unit()) as u32
}

/// Every unit of a page, one bit each.
pub(super) fn all_units() -> u32 {
    (1 << units()) - 1
}

/// The slots that overlap a unit.
fn slots_in(class: Class, unit: u32) -> Range<u32> {
    let (size, bytes) = (class.size(), system::unit());
    let start = unit as usize * bytes;
    let end = (start + bytes).div_ceil(size) as u32;
    ((start / size) as u32).min(class.capacity())..end.min(class.capacity())
}
