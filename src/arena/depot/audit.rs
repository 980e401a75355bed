//! A depot checks its own lists and counts; see [`audit`](crate::arena::audit).

use super::{BUCKETS, Depot, list_for};
use crate::arena::class::SLOT_BITS;
use crate::arena::free_map::Listed;
use std::collections::HashSet;

impl Depot<'_> {
    /// Returns the number of the depot's slots that are not in it: live ones, and those in
    /// magazines.
    ///
    /// # Panics
    ///
    /// If the lists and counts disagree, or, if the audit is `thorough`, if a unit that is marked
    /// as released has a slot that is not free.
    pub(in crate::arena) fn audit(&mut self, thorough: bool) -> usize {
        let class = self.class;
        let (mut pages, mut partial, mut spares) = (0, 0, Vec::new());
        let (mut out, mut resident) = (0, 0);
        let mut next = 0;
        while let Some(number) = self.pages.next_of(class, next) {
            next = number + 1;
            let map = self.map(number);
            let (free, listed) = (map.free(), map.listed);
            map.check_count(class);
            if thorough {
                map.check_released(class);
            }
            resident += map.resident() as usize;
            let right = listed == Listed::Trimming || listed == list_for(class, free);
            assert!(right, "{class:?}: {free} free slots at {listed:?}");
            match listed {
                Listed::Partial(_) => partial += 1,
                Listed::Spare => spares.push(number),
                Listed::Full | Listed::Trimming => {}
            }
            pages += 1;
            out += (class.capacity() - free) as usize;
        }
        assert_eq!(pages, self.state.pages, "{class:?}: pages");
        let in_buckets: usize = (0..BUCKETS).map(|bucket| self.audit_bucket(bucket)).sum();
        assert_eq!(in_buckets, partial, "{class:?}: pages in lists");
        let spare = Some(self.state.spare).filter(|&spare| spare != 0);
        assert!(spares.into_iter().eq(spare), "{class:?}: the spare page");
        self.state.residency.check(class, resident);
        out
    }

    /// Panics if one of these slots, which lie in a magazine, is there twice or is also free in the
    /// depot.
    pub(in crate::arena) fn audit_magazine(&mut self, in_magazine: &[u32]) {
        let mut seen = HashSet::new();
        for &index in in_magazine {
            assert!(seen.insert(index), "{index:#x} lies twice in a magazine");
            let is_free = self.map(index >> SLOT_BITS).is_free(index);
            assert!(!is_free, "{index:#x} is free and in a magazine");
        }
    }

    /// Returns the number of pages in a bucket.
    fn audit_bucket(&mut self, bucket: usize) -> usize {
        let mut count = 0;
        let (mut before, mut at) = (0, self.state.heads[bucket]);
        assert_eq!(
            at != 0,
            self.state.used >> bucket & 1 == 1,
            "a bucket's bit"
        );
        while at != 0 {
            let map = self.map(at);
            assert_eq!(map.listed, Listed::Partial(bucket as u8), "a page's bucket");
            assert_eq!(map.prev, before, "the page before");
            (before, at) = (at, map.next);
            count += 1;
        }
        count
    }
}
