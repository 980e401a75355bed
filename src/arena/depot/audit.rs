//! A depot looks itself over; see [`audit`](crate::arena::audit).

use super::{BUCKETS, Depot, NIL, Page, Place};
use crate::arena::page::{Pages, SLOT_BITS};
use std::collections::HashSet;

impl Depot {
    /// Panics if the lists and counts do not agree, and, if it is `thorough`, if what is gone of a page
    /// is not free. Says how many slots are not here.
    pub(in crate::arena) fn audit(&self, pages: &Pages, thorough: bool) -> usize {
        let class = self.class;
        let mut out = 0;
        for (key, page) in &self.pages {
            let free: u32 = page.bits.iter().map(|bits| bits.count_ones()).sum();
            assert_eq!(free, page.free, "{class:?}: a page's count of free slots");
            let number = page.number;
            assert_eq!(pages.key(number) as usize, key, "{class:?}: a page's key");
            let right = match page.free {
                _ if page.place == Place::Aside => true,
                0 => page.place == Place::Full,
                free if free == class.capacity() => page.place == Place::Spare,
                free => page.place == Place::Bucket((free >> self.shift) as u8),
            };
            assert!(right, "{class:?}: {free} free slots at {:?}", page.place);
            out += (class.capacity() - page.free) as usize;
        }
        let hanging: usize = (0..BUCKETS).map(|bucket| self.audit_bucket(bucket)).sum();
        let places = self.pages.iter().map(|(_, page)| page.place);
        let expected = places.filter(|place| matches!(place, Place::Bucket(_)));
        assert_eq!(hanging, expected.count(), "{class:?}: pages in lists");
        self.check_trim();
        if thorough {
            self.check_gone();
        }
        let spares = |(key, page): (usize, &Page)| (page.place == Place::Spare).then_some(key);
        let spares: Vec<_> = self.pages.iter().filter_map(spares).collect();
        let spare: Vec<_> = self.spare.iter().map(|spare| *spare as usize).collect();
        assert_eq!(spares, spare, "{class:?}: the spare page");
        out
    }

    /// Panics if one of these slots, which lie in a magazine, is there twice or is free here, too.
    pub(in crate::arena) fn audit_magazine(&self, pages: &Pages, in_magazine: &[u32]) {
        let mut seen = HashSet::new();
        for &index in in_magazine {
            assert!(seen.insert(index), "{index:#x} lies twice in a magazine");
            let page = &self.pages[pages.key(index >> SLOT_BITS) as usize];
            let slot = index & ((1 << SLOT_BITS) - 1);
            let bit = page.bits[(slot / 64) as usize] >> (slot % 64) & 1;
            assert_eq!(bit, 0, "{index:#x} is free and in a magazine");
        }
    }

    /// How many pages hang in this bucket.
    fn audit_bucket(&self, bucket: usize) -> usize {
        let mut count = 0;
        let (mut before, mut at) = (NIL, self.heads[bucket]);
        assert_eq!(at != NIL, self.used >> bucket & 1 == 1, "a bucket's bit");
        while at != NIL {
            let page = &self.pages[at as usize];
            assert_eq!(page.place, Place::Bucket(bucket as u8), "a page's bucket");
            assert_eq!(page.prev, before, "the page before");
            (before, at) = (at, page.next);
            count += 1;
        }
        count
    }
}
