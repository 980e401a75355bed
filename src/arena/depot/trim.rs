//! Giving up what is free inside pages that are in use.
//!
//! A page with one live slot keeps its number, but not its memory: units of it (system pages) of which
//! every slot is free are given up. That costs a call of the system, and a fault when such a unit is
//! used again; so it is done for a whole depot at a time, when the free slots that may be resident have
//! risen by [`STEP`] bytes, and by a sixteenth of all slots, above where they were lowest since the
//! last time. What goes up and down by less never pays, and what goes down for good pays once a unit.
//! Only pages that are at least half free are looked at: the others are those handed out next.
//!
//! The system is not called under the depot's lock. The pages are put aside meanwhile, so that none of
//! their slots is handed out; slots may come back to them.

use super::{Depot, Page, Place};
use crate::arena::page::PAGE_BYTES;
use crate::arena::{Class, system};
use std::ops::Range;

/// How many bytes of free slots have to come up before anything is given up.
const STEP: usize = if cfg!(taskgrove_loom) {
    3 * 512
} else {
    4 * 1024 * 1024
};

/// How many pages are put aside at a time.
const ASIDE: usize = if cfg!(taskgrove_loom) { 1 } else { 64 };

/// What the depot knows for the decision.
#[derive(Debug, Default)]
pub(super) struct Trim {
    /// Free slots whose memory may be resident.
    resident: usize,
    /// The least of that since the last look.
    low: usize,
    /// Somebody is at it.
    busy: bool,
    /// The key that is looked at next.
    at: usize,
}

impl Trim {
    /// Of a page this many free slots were resident, and are now.
    pub(super) fn change(&mut self, before: u32, now: u32) {
        self.resident = self.resident + now as usize - before as usize;
        self.low = self.low.min(self.resident);
    }

    /// There is one more: the lowest number is no other.
    pub(super) fn rise(&mut self) {
        self.resident += 1;
    }
}

/// Units of a page that is aside.
#[derive(Debug)]
pub(in crate::arena) struct Found {
    key: u32,
    pub(in crate::arena) number: u32,
    /// One bit a unit.
    pub(in crate::arena) units: u32,
}

/// How many units a page has.
fn units() -> u32 {
    (PAGE_BYTES / system::unit()) as u32
}

/// Every unit of a page.
pub(super) fn all_units() -> u32 {
    (1 << units()) - 1
}

/// The slots that have a part in a unit.
fn slots_in(class: Class, unit: u32) -> Range<u32> {
    let (size, bytes) = (class.size(), system::unit());
    let start = unit as usize * bytes;
    let end = (start + bytes).div_ceil(size) as u32;
    ((start / size) as u32).min(class.capacity())..end.min(class.capacity())
}

impl Page {
    /// How many free slots may be resident.
    pub(super) fn resident(&self) -> u32 {
        self.free - self.gone_slots
    }

    /// Some slots, in ascending order, were free and are handed out: their units come back. Any unit
    /// between two of them that was gone was all free, so its slots are among them.
    pub(super) fn come_back(&mut self, class: Class, first: u32, last: u32) {
        let unit = system::unit();
        let from = first as usize * class.size() / unit;
        let to = ((last as usize + 1) * class.size() - 1) / unit;
        let back = (all_units() >> from << from) & (u32::MAX >> (31 - to));
        if self.gone & back != 0 {
            self.gone &= !back;
            self.count_gone(class);
        }
    }

    fn count_gone(&mut self, class: Class) {
        let (mut count, mut end) = (0, 0);
        for unit in (0..units()).filter(|unit| self.gone >> unit & 1 == 1) {
            let slots = slots_in(class, unit);
            count += slots.end.saturating_sub(slots.start.max(end));
            end = slots.end.max(end);
        }
        self.gone_slots = count;
    }

    /// Whether all of these are free.
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

    /// The units, one bit each, that are free and not gone.
    fn idle_units(&self, class: Class) -> u32 {
        (0..units())
            .filter(|unit| self.gone >> unit & 1 == 0 && self.are_free(slots_in(class, *unit)))
            .fold(0, |units, unit| units | 1 << unit)
    }
}

impl Depot {
    /// Whether it is time to give something up. The caller then does so: [`Depot::find_idle`],
    /// [`Pages::discard`](crate::arena::page::Pages::discard) without the lock, and
    /// [`Depot::gave_up`], until nothing is found.
    pub(super) fn begin_trim(&mut self) -> bool {
        let class = self.class;
        let slots = self.pages.len() * class.capacity() as usize;
        let step = (STEP / class.size()).max(slots / 16);
        if self.trim.busy || self.trim.resident < self.trim.low + step {
            return false;
        }
        (self.trim.busy, self.trim.at) = (true, 0);
        true
    }

    /// Puts some pages aside that have something to give up. None: it has come to its end.
    pub(in crate::arena) fn find_idle(&mut self) -> Vec<Found> {
        let class = self.class;
        let mut found = Vec::new();
        while found.len() < ASIDE && self.trim.at < self.pages.capacity() {
            let key = self.trim.at as u32;
            self.trim.at += 1;
            let Some(page) = self.pages.get(key as usize) else {
                continue;
            };
            let in_use = matches!(page.place, Place::Bucket(_));
            let enough = page.resident() as usize * class.size() >= system::unit();
            if !in_use || page.free < class.capacity() / 2 || !enough {
                continue;
            }
            let (number, units) = (page.number, page.idle_units(class));
            if units != 0 {
                found.push(Found { key, number, units });
                self.unhang(key);
                self.pages[key as usize].place = Place::Aside;
            }
        }
        if found.is_empty() {
            self.trim.busy = false;
            self.trim.low = self.trim.resident;
        }
        found
    }

    /// Takes pages back that were aside. Adds to `retired` as [`Depot::give`] does.
    pub(in crate::arena) fn gave_up(&mut self, found: Vec<Found>, retired: &mut Vec<u32>) {
        for Found { key, units, .. } in found {
            let page = &mut self.pages[key as usize];
            let before = page.resident();
            page.gone |= units;
            page.count_gone(self.class);
            self.trim.change(before, page.resident());
            page.place = Place::Full; // hangs nowhere
            retired.extend(self.settle(key));
        }
    }
}

#[cfg(any(test, all(debug_assertions, not(taskgrove_loom))))]
impl Page {
    /// Panics if a unit that is gone has a slot that is not free, or the counts are wrong.
    pub(super) fn check_gone(&self, class: Class) {
        let (mut gone, mut counted) = (0, 0);
        for unit in (0..units()).filter(|unit| self.gone >> unit & 1 == 1) {
            let slots = slots_in(class, unit);
            assert!(
                self.are_free(slots.clone()),
                "{class:?}: unit {unit} is gone"
            );
            // Its first may be the last of the unit before.
            gone += slots.end - slots.start.max(counted);
            counted = slots.end;
        }
        assert_eq!(gone, self.gone_slots, "{class:?}: slots that are gone");
    }
}

#[cfg(any(test, all(debug_assertions, not(taskgrove_loom))))]
impl Depot {
    /// Panics if the free slots that may be resident are not the sum of the pages'.
    pub(super) fn check_trim(&self) {
        let resident: usize = self
            .pages
            .iter()
            .map(|(_, page)| page.resident() as usize)
            .sum();
        assert_eq!(
            resident, self.trim.resident,
            "{:?}: resident slots",
            self.class
        );
        assert!(self.trim.low <= self.trim.resident);
    }

    /// Panics if what is gone of a page is not free.
    pub(super) fn check_gone(&self) {
        self.pages
            .iter()
            .for_each(|(_, page)| page.check_gone(self.class));
    }
}
