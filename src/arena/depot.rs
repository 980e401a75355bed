//! The depot of one class: which slots of its pages are free.
//!
//! A page's free slots are bits in a record that lies apart from the page: taking and giving slots
//! never touches the slots themselves, so memory nobody has used yet is not faulted in, memory used
//! last by another core is not pulled over, and a stray write into a free slot cannot break the
//! allocator.
//!
//! Pages that have free slots hang in lists by how many. Slots are taken from the fullest pages, so
//! that the emptiest ones run dry and come back. One wholly free page is kept, so that a class that
//! goes up and down around the edge of a page does not make one each time; further ones are
//! retired. All of this is safe code; it is called under the class's lock.

#[cfg(all(debug_assertions, not(taskgrove_loom)))]
mod audit;

use slab::Slab;

use super::Class;
use super::page::{OutOfMemory, Pages, SLOT_BITS};

const WORDS: usize = (1 << SLOT_BITS) / 64;
const BUCKETS: usize = 16;
const NIL: u32 = u32::MAX;

/// Where a page hangs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Nowhere: no slot is free.
    Full,
    /// In the list of the pages with about as many free slots.
    Bucket(u8),
    /// The page that is kept although all of it is free.
    Spare,
}

/// What a depot knows of a page.
#[derive(Debug)]
struct Page {
    number: u32,
    free: u32,
    place: Place,
    next: u32,
    prev: u32,
    /// One bit a slot, set when it is free.
    bits: [u64; WORDS],
}

impl Page {
    /// A page with every slot free, hanging nowhere yet.
    fn new(number: u32, capacity: u32) -> Page {
        let mut bits = [0; WORDS];
        for (word, bits) in bits.iter_mut().enumerate() {
            let rest = capacity.saturating_sub(word as u32 * 64).min(64);
            *bits = u64::MAX.checked_shr(64 - rest).unwrap_or(0);
        }
        Page {
            number,
            free: capacity,
            place: Place::Full,
            next: NIL,
            prev: NIL,
            bits,
        }
    }

    /// Moves free slots into `out`, lowest first, and says how many.
    fn take(&mut self, out: &mut [u32]) -> usize {
        let want = out.len().min(self.free as usize);
        let mut taken = 0;
        for (word, bits) in self.bits.iter_mut().enumerate() {
            while *bits != 0 && taken < want {
                let slot = word as u32 * 64 + bits.trailing_zeros();
                *bits &= *bits - 1;
                out[taken] = self.number << SLOT_BITS | slot;
                taken += 1;
            }
            if taken == want {
                break;
            }
        }
        self.free -= taken as u32;
        taken
    }

    /// Takes back one slot.
    fn give(&mut self, index: u32) {
        let slot = index & ((1 << SLOT_BITS) - 1);
        let bit = 1 << (slot % 64);
        let word = &mut self.bits[(slot / 64) as usize];
        debug_assert!(*word & bit == 0, "slot {index:#x} was freed twice");
        *word |= bit;
        self.free += 1;
    }
}

/// The free slots of one class.
#[derive(Debug)]
pub(super) struct Depot {
    class: Class,
    pages: Slab<Page>,
    heads: [u32; BUCKETS],
    /// Bit `b` is set while bucket `b` has a page.
    used: u16,
    spare: Option<u32>,
    /// Shifts a count of free slots to its bucket.
    shift: u32,
}

impl Depot {
    pub(super) fn new(class: Class) -> Depot {
        Depot {
            class,
            pages: Slab::new(),
            heads: [NIL; BUCKETS],
            used: 0,
            spare: None,
            // The capacity's highest bit comes to lie at bucket 8, so every count is below 16.
            shift: class.capacity().ilog2() - 3,
        }
    }

    /// Moves free slots into `out` (which is not empty) and says how many: at least one, and at
    /// least half of what was asked for unless memory is out. A page's slots come in ascending
    /// order.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if there is no free slot and no memory for a page.
    pub(super) fn take(&mut self, pages: &Pages, out: &mut [u32]) -> Result<usize, OutOfMemory> {
        let mut taken = 0;
        while taken < out.len() {
            let key = if self.used != 0 {
                self.heads[self.used.trailing_zeros() as usize]
            } else if taken > 0 && taken >= out.len() / 2 {
                break;
            } else if let Some(spare) = self.spare {
                spare
            } else {
                match self.add_page(pages) {
                    Ok(key) => key,
                    Err(_) if taken > 0 => break,
                    Err(error) => return Err(error),
                }
            };
            taken += self.pages[key as usize].take(&mut out[taken..]);
            let retired = self.settle(key);
            debug_assert!(retired.is_none(), "a page is not wholly free after a take");
        }
        Ok(taken)
    }

    /// Takes back slots, and adds to `retired` the numbers of pages which the depot has given up.
    /// The caller ends those after it has let go of the lock.
    pub(super) fn give(
        &mut self,
        pages: &Pages,
        slots: impl Iterator<Item = u32>,
        retired: &mut Vec<u32>,
    ) {
        // Neighbours in a magazine often share a page: its place is put right once a run.
        let mut run: Option<(u32, u32)> = None;
        for index in slots {
            let number = index >> SLOT_BITS;
            let key = match run {
                Some((same, key)) if same == number => key,
                _ => {
                    if let Some((_, done)) = run {
                        retired.extend(self.settle(done));
                    }
                    pages.key(number)
                }
            };
            run = Some((number, key));
            self.pages[key as usize].give(index);
        }
        if let Some((_, done)) = run {
            retired.extend(self.settle(done));
        }
    }

    fn add_page(&mut self, pages: &Pages) -> Result<u32, OutOfMemory> {
        let vacant = self.pages.vacant_entry();
        let key = vacant.key() as u32; // page numbers are bounded, so are keys
        let number = pages.add(self.class, key)?;
        vacant.insert(Page::new(number, self.class.capacity()));
        Ok(key)
    }

    /// Hangs a page where its count of free slots belongs. Returns its number if it is wholly free
    /// and not needed: it is then gone from here.
    fn settle(&mut self, key: u32) -> Option<u32> {
        let page = &self.pages[key as usize];
        let place = match page.free {
            0 => Place::Full,
            free if free == self.class.capacity() => Place::Spare,
            free => Place::Bucket((free >> self.shift) as u8),
        };
        if place == page.place {
            return None;
        }
        self.unhang(key);
        match place {
            Place::Full => {}
            Place::Bucket(bucket) => self.push(key, bucket),
            Place::Spare if self.spare.is_none() => self.spare = Some(key),
            Place::Spare => return Some(self.pages.remove(key as usize).number),
        }
        self.pages[key as usize].place = place;
        None
    }

    /// Puts a page at the head of a bucket.
    fn push(&mut self, key: u32, bucket: u8) {
        let head = std::mem::replace(&mut self.heads[bucket as usize], key);
        if head != NIL {
            self.pages[head as usize].prev = key;
        }
        let page = &mut self.pages[key as usize];
        (page.prev, page.next) = (NIL, head);
        self.used |= 1 << bucket;
    }

    /// Takes a page from where it hangs.
    fn unhang(&mut self, key: u32) {
        let Page {
            place, prev, next, ..
        } = self.pages[key as usize];
        match place {
            Place::Full => {}
            Place::Spare => self.spare = None,
            Place::Bucket(bucket) => {
                if next != NIL {
                    self.pages[next as usize].prev = prev;
                }
                if prev != NIL {
                    self.pages[prev as usize].next = next;
                } else {
                    self.heads[bucket as usize] = next;
                    if next == NIL {
                        self.used &= !(1 << bucket);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
impl Depot {
    /// How many slots of the depot's pages are elsewhere: live or in magazines.
    pub(super) fn slots_out(&self) -> usize {
        let capacity = self.class.capacity();
        let out = |(_, page): (usize, &Page)| (capacity - page.free) as usize;
        self.pages.iter().map(out).sum()
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A depot with its pages; ends what the depot retires, as the arena does.
    struct Bench {
        depot: Depot,
        pages: &'static Pages,
    }

    impl Bench {
        fn new(pages: &'static Pages, bytes: usize) -> Bench {
            let depot = Depot::new(Class::of(bytes).unwrap());
            Bench { depot, pages }
        }

        /// Exactly `count` slots.
        fn take(&mut self, count: usize) -> Vec<u32> {
            let mut out = vec![0; count];
            let mut taken = 0;
            while taken < count {
                taken += self.depot.take(self.pages, &mut out[taken..]).unwrap();
            }
            out
        }

        fn give(&mut self, slots: impl IntoIterator<Item = u32>) {
            let mut retired = Vec::new();
            self.depot.give(self.pages, slots.into_iter(), &mut retired);
            self.pages.retire(&retired);
        }
    }

    #[test]
    fn every_slot_of_a_page_is_given_out_once() {
        static PAGES: Pages = Pages::new();
        for bytes in (64..=512).step_by(8) {
            let mut bench = Bench::new(&PAGES, bytes);
            let capacity = bench.depot.class.capacity();
            let slots = bench.take(capacity as usize);
            assert_eq!(PAGES.live(), 1, "{bytes}");
            let distinct: HashSet<u32> = slots.iter().copied().collect();
            assert_eq!(distinct.len(), slots.len());
            let last = slots.iter().map(|s| s & 1023).max().unwrap();
            assert_eq!(last, capacity - 1);
            let more = bench.take(1);
            assert_eq!(PAGES.live(), 2);
            bench.give(slots.into_iter().chain(more));
            assert_eq!(PAGES.live(), 1, "one wholly free page is kept");
            PAGES.retire(&[bench.depot.pages[bench.depot.spare.unwrap() as usize].number]);
        }
    }

    #[test]
    fn half_of_what_was_asked_for_is_worth_no_page() {
        static PAGES: Pages = Pages::new();
        let mut bench = Bench::new(&PAGES, 512);
        let mut held = bench.take(bench.depot.class.capacity() as usize);
        for (free, got, pages) in [(50, 50, 1), (51, 51, 1), (49, 100, 2)] {
            bench.give(held.split_off(held.len() - free));
            let mut out = [0; 100];
            let taken = bench.depot.take(&PAGES, &mut out).unwrap();
            assert_eq!((taken, PAGES.live()), (got, pages), "{free} were free");
            held.extend(&out[..taken.min(free)]);
        }
    }

    #[test]
    fn slots_come_from_the_fullest_page() {
        static PAGES: Pages = Pages::new();
        let mut bench = Bench::new(&PAGES, 512);
        let capacity = bench.depot.class.capacity() as usize;
        let mut held = [(); 3].map(|()| bench.take(capacity));
        for (page, leave) in held.iter_mut().zip([capacity - 30, 20, capacity - 70]) {
            let back = page.split_off(leave);
            bench.give(back);
        }
        let page_of = |slot: u32| slot >> SLOT_BITS;
        let taken = bench.take(30 + 70);
        assert!(
            taken[..30]
                .iter()
                .all(|&s| page_of(s) == page_of(held[0][0]))
        );
        assert!(
            taken[30..]
                .iter()
                .all(|&s| page_of(s) == page_of(held[2][0]))
        );
        // What is left of the emptiest page comes back, and the page is the spare one.
        let emptiest = page_of(held[1][0]);
        bench.give(std::mem::take(&mut held[1]));
        let spare = bench.depot.spare.unwrap();
        assert_eq!(bench.depot.pages[spare as usize].number, emptiest);
        bench.give(taken.into_iter().chain(held.into_iter().flatten()));
        assert_eq!(PAGES.live(), 1);
    }

    #[test]
    fn pages_come_back_in_whatever_order_slots_do() {
        static PAGES: Pages = Pages::new();
        let mut bench = Bench::new(&PAGES, 128);
        let mut slots = bench.take(20_000);
        let peak = 20_000_usize.div_ceil(bench.depot.class.capacity() as usize);
        assert_eq!(PAGES.live(), peak);
        let mut seed = 1_u64;
        for last in (1..slots.len()).rev() {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
            slots.swap(last, (seed >> 33) as usize % (last + 1));
        }
        // Half out and in again a few times: never more pages than at the peak.
        for _ in 0..4 {
            let back = slots.split_off(10_000);
            bench.give(back);
            slots.extend(bench.take(10_000));
            assert!(PAGES.live() <= peak);
        }
        for batch in slots.chunks(128) {
            bench.give(batch.iter().copied());
        }
        assert_eq!(PAGES.live(), 1);
        assert_eq!(bench.depot.used, 0);
    }

    #[test]
    fn an_up_and_down_at_a_page_edge_makes_no_page() {
        static PAGES: Pages = Pages::new();
        let mut bench = Bench::new(&PAGES, 512);
        let _held = bench.take(bench.depot.class.capacity() as usize);
        let over = bench.take(1);
        let spare = over[0] >> SLOT_BITS;
        bench.give(over);
        for _ in 0..100 {
            let over = bench.take(100);
            assert!(over.iter().all(|s| s >> SLOT_BITS == spare));
            bench.give(over);
            assert_eq!((PAGES.live(), PAGES.pooled()), (2, 0));
        }
    }
}
