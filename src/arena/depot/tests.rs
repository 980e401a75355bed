//! A depot hands out each slot once, from the fullest page, and gives pages back.

use std::collections::HashSet;

use super::*;
use crate::arena::free_map::all_units;

/// The depot of one class. It does what `Depots` does, except that it tells the system nothing.
struct Bench {
    depots: &'static Depots,
    class: Class,
    trims: usize,
    released: u32,
}

impl Bench {
    fn new(depots: &'static Depots, bytes: usize) -> Bench {
        Bench {
            depots,
            class: Class::of(bytes).unwrap(),
            trims: 0,
            released: 0,
        }
    }

    fn depot(&self) -> Depot<'static> {
        self.depots.lock(self.class)
    }

    fn capacity(&self) -> usize {
        self.class.capacity() as usize
    }

    fn pages(&self) -> usize {
        let pages = self.depot().state.pages;
        assert!(self.depots.pages().live() >= pages);
        pages
    }

    /// Takes exactly `count` slots.
    fn take(&mut self, count: usize) -> Vec<u32> {
        let mut out = vec![0; count];
        let mut taken = 0;
        while taken < count {
            taken += self.depot().take(&mut out[taken..]).unwrap();
        }
        out
    }

    fn give(&mut self, slots: impl IntoIterator<Item = u32>) {
        let mut retired = Vec::new();
        let trim = self.depot().give(slots.into_iter(), &mut retired);
        self.depots.pages().retire(&retired);
        if trim {
            self.trim(|_| ());
        }
    }

    /// Trims the depot; calls `meanwhile` while pages are being trimmed.
    fn trim(&mut self, mut meanwhile: impl FnMut(&mut Depot<'_>)) {
        let mut cursor = 0;
        loop {
            let found = self.depot().begin_release(&mut cursor);
            if found.is_empty() {
                break self.trims += 1;
            }
            let units = found.iter().map(|idle| idle.units.count_ones());
            self.released += units.sum::<u32>();
            meanwhile(&mut self.depot());
            let mut retired = Vec::new();
            self.depot().end_release(found, &mut retired);
            self.depots.pages().retire(&retired);
        }
    }
}

#[test]
fn every_slot_of_a_page_is_given_out_once() {
    static DEPOTS: Depots = Depots::new();
    for bytes in (64..=512).step_by(8) {
        let mut bench = Bench::new(&DEPOTS, bytes);
        let capacity = bench.capacity();
        let slots = bench.take(capacity);
        assert_eq!(bench.pages(), 1, "{bytes}");
        let distinct: HashSet<u32> = slots.iter().copied().collect();
        assert_eq!(distinct.len(), slots.len());
        let last = slots.iter().map(|s| s & 1023).max().unwrap();
        assert_eq!(last as usize, capacity - 1);
        let more = bench.take(1);
        assert_eq!(bench.pages(), 2);
        bench.give(slots.into_iter().chain(more));
        assert_eq!(bench.pages(), 1, "one wholly free page is kept");
    }
}

#[test]
fn half_of_what_was_asked_for_is_worth_no_page() {
    static DEPOTS: Depots = Depots::new();
    let mut bench = Bench::new(&DEPOTS, 512);
    let mut held = bench.take(bench.capacity());
    for (free, got, exist) in [(50, 50, 1), (51, 51, 1), (49, 100, 2)] {
        bench.give(held.split_off(held.len() - free));
        let mut out = [0; 100];
        let taken = bench.depot().take(&mut out).unwrap();
        assert_eq!((taken, bench.pages()), (got, exist), "{free} were free");
        held.extend(&out[..taken.min(free)]);
    }
}

#[test]
fn slots_come_from_the_fullest_page() {
    static DEPOTS: Depots = Depots::new();
    let mut bench = Bench::new(&DEPOTS, 512);
    let capacity = bench.capacity();
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
    // The last slots of the emptiest page come back, and it becomes the spare.
    let emptiest = page_of(held[1][0]);
    bench.give(std::mem::take(&mut held[1]));
    assert_eq!(bench.depot().state.spare, emptiest);
    bench.give(taken.into_iter().chain(held.into_iter().flatten()));
    assert_eq!(bench.pages(), 1);
}

#[test]
fn pages_come_back_in_whatever_order_slots_do() {
    static DEPOTS: Depots = Depots::new();
    let mut bench = Bench::new(&DEPOTS, 128);
    let mut slots = bench.take(20_000);
    let peak = 20_000_usize.div_ceil(bench.capacity());
    assert_eq!(bench.pages(), peak);
    let mut seed = 1_u64;
    for last in (1..slots.len()).rev() {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
        slots.swap(last, (seed >> 33) as usize % (last + 1));
    }
    // Half of the slots are freed and taken again a few times, which never takes more pages than
    // the peak.
    for _ in 0..4 {
        let back = slots.split_off(10_000);
        bench.give(back);
        slots.extend(bench.take(10_000));
        assert!(bench.pages() <= peak);
    }
    for batch in slots.chunks(128) {
        bench.give(batch.iter().copied());
    }
    assert_eq!(bench.pages(), 1);
    assert_eq!(bench.depot().state.used, 0);
}

#[test]
fn an_up_and_down_at_a_page_edge_makes_no_page() {
    static DEPOTS: Depots = Depots::new();
    let mut bench = Bench::new(&DEPOTS, 512);
    let _held = bench.take(bench.capacity());
    let over = bench.take(1);
    let spare = over[0] >> SLOT_BITS;
    bench.give(over);
    for _ in 0..100 {
        let over = bench.take(100);
        assert!(over.iter().all(|s| s >> SLOT_BITS == spare));
        bench.give(over);
        assert_eq!((bench.pages(), DEPOTS.pages().warm()), (2, 0));
    }
}

/// Takes many slots, and separates one in a hundred from the rest.
fn one_in_a_hundred(bench: &mut Bench) -> (Vec<u32>, Vec<u32>) {
    let slots = bench.take(100_000);
    let (mut few, mut rest) = (Vec::new(), Vec::new());
    for (n, slot) in slots.into_iter().enumerate() {
        if n % 100 == 0 { &mut few } else { &mut rest }.push(slot);
    }
    (few, rest)
}

#[test]
fn what_is_free_in_pages_that_are_in_use_is_given_up_once() {
    static DEPOTS: Depots = Depots::new();
    for bytes in [256, 512] {
        let mut bench = Bench::new(&DEPOTS, bytes);
        let (few, rest) = one_in_a_hundred(&mut bench);
        let pages = bench.pages();
        for batch in rest.chunks(128) {
            bench.give(batch.iter().copied());
        }
        assert_eq!(bench.pages(), pages, "each is pinned");
        let units = pages as u32 * all_units().count_ones();
        // A live slot keeps one unit or two, and some units are left for the next trim.
        let least = units - 2 * few.len() as u32;
        assert!(
            bench.released > least * 8 / 10,
            "{} of {units}",
            bench.released
        );
        assert!(bench.released < units);

        let before = bench.released;
        let again = bench.take(rest.len());
        bench.depot().audit(true);
        assert!(bench.pages() <= pages + 1);
        bench.give(few.into_iter().chain(again));
        assert_eq!(
            (bench.released, bench.pages()),
            (before, 1),
            "pages go as a whole"
        );
    }
}

#[test]
fn an_up_and_down_in_pages_that_are_in_use_gives_nothing_up() {
    static DEPOTS: Depots = Depots::new();
    let mut bench = Bench::new(&DEPOTS, 128);
    let (_few, rest) = one_in_a_hundred(&mut bench);
    bench.give(rest);
    let mut out = Vec::new();
    bench.give(std::mem::take(&mut out));
    let trims = bench.trims;
    assert!(trims > 0);
    for _ in 0..20 {
        out = bench.take(20_000);
        for batch in out.chunks(128) {
            bench.give(batch.iter().copied());
        }
    }
    assert_eq!(bench.trims, trims);
}

#[test]
fn a_page_that_runs_dry_while_it_is_aside_comes_back_once() {
    static DEPOTS: Depots = Depots::new();
    let mut bench = Bench::new(&DEPOTS, 128);
    let (few, rest) = one_in_a_hundred(&mut bench);
    let mut retired = Vec::new();
    assert!(bench.depot().give(rest.into_iter(), &mut retired));
    let mut few = Some(few);
    bench.trim(|depot| {
        if let Some(few) = few.take() {
            let trim = depot.give(few.into_iter(), &mut retired);
            assert!(!trim, "one at a time");
            depot.audit(true);
        }
    });
    DEPOTS.pages().retire(&retired);
    assert_eq!(bench.pages(), 1);
    bench.depot().audit(true);
}
