//! Trimming: releases the units that are free inside pages that are in use.
//!
//! A page with one live slot keeps its number but not all of its memory: its units (system pages)
//! without a live slot are released. A release costs a system call, and a page fault when the unit
//! is used again. So a depot is trimmed as a whole, when the memory of its free slots has risen by
//! 4 MiB, and by a sixteenth of all slots, above its lowest value since the last trim. Memory that
//! goes up and down by less is never released, and memory that stays free is released once. Only
//! pages that are at least half free are considered, because the others are handed out first.
//!
//! The system call happens without the depot's lock. Meanwhile the pages are in no list, so that
//! none of their slots is handed out; slots may be given back to them.

use super::Depot;
use crate::arena::free_map::Listed;
use crate::arena::system;

/// The number of pages that are trimmed at a time.
const AT_ONCE: usize = if cfg!(taskgrove_loom) { 1 } else { 64 };

/// Units of a page that can be released, one bit each. The page is in no list until the units have
/// been passed to [`Depot::end_release`].
#[derive(Debug)]
pub(super) struct IdleUnits {
    pub(super) number: u32,
    pub(super) units: u32,
}

impl Depot<'_> {
    /// Finds pages from `cursor` on, by number, that have units to release, and takes them out of
    /// the lists. If there are none, the trim is over.
    pub(super) fn begin_release(&mut self, cursor: &mut u32) -> Vec<IdleUnits> {
        let class = self.class;
        let mut found = Vec::new();
        while found.len() < AT_ONCE
            && let Some(number) = self.pages.next_of(class, *cursor)
        {
            *cursor = number + 1;
            let map = self.map(number);
            let in_use = matches!(map.listed, Listed::Partial(_));
            let enough = map.resident() as usize * class.size() >= system::unit();
            if !in_use || map.free() < class.capacity() / 2 || !enough {
                continue;
            }
            let units = map.idle_units(class);
            if units != 0 {
                found.push(IdleUnits { number, units });
                self.unlist(number);
                self.map(number).listed = Listed::Trimming;
            }
        }
        if found.is_empty() {
            self.state.residency.end_trim();
        }
        found
    }

    /// Puts pages back whose units have been released. Adds to `retired` as [`Depot::give`] does.
    pub(super) fn end_release(&mut self, released: Vec<IdleUnits>, retired: &mut Vec<u32>) {
        let class = self.class;
        for IdleUnits { number, units } in released {
            let map = self.map(number);
            let before = map.resident();
            map.mark_released(class, units);
            map.listed = Listed::Full; // as yet in no list
            let now = map.resident();
            self.state.residency.change(before, now);
            retired.extend(self.relist(number));
        }
    }
}
