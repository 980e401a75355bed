//! Pages are found under their numbers, and blocks are used again.

use super::*;
use crate::arena::blocks::{SPARE, WARM};
use crate::arena::class::PAGE_BYTES;

fn class(bytes: usize) -> Class {
    Class::of(bytes).unwrap()
}

fn first_slot(number: u32) -> SlotIndex {
    SlotIndex::from_u32(number << SLOT_BITS).unwrap()
}

/// Adds a page to an arena without depots.
fn add(pages: &Pages, bytes: usize) -> u32 {
    // SAFETY: there are no depots, and the test is the only user of these pages.
    unsafe { pages.add(class(bytes)).unwrap() }
}

fn retire(pages: &Pages, numbers: &[u32]) {
    for &number in numbers {
        // SAFETY: as above; no slot of these pages was ever allocated.
        unsafe { pages.unlink(number) };
    }
    pages.retire(numbers);
}

#[test]
fn a_page_is_found_under_its_number_until_it_is_retired() {
    static PAGES: Pages = Pages::new();
    let a = add(&PAGES, 64);
    let b = add(&PAGES, 512);
    assert!(a != 0 && b != 0 && a != b);
    assert_eq!(PAGES.next_of(class(512), 0), Some(b));
    assert_eq!(PAGES.next_of(class(512), b + 1), None);
    assert_eq!(PAGES.next_of(class(128), 0), None);
    assert_eq!(PAGES.live(), 2);
    // SAFETY: rule 2: no one else knows these pages, so every slot in them belongs to this test.
    let ((pa, ca), (pb, cb)) =
        unsafe { (PAGES.locate(first_slot(a)), PAGES.locate(first_slot(b))) };
    assert_eq!((ca.size(), cb.size()), (64, 512));
    assert!(pa.addr().get().abs_diff(pb.addr().get()) >= PAGE_BYTES);
    assert!(pa.addr().get().is_multiple_of(ALIGN) && pb.addr().get().is_multiple_of(ALIGN));

    retire(&PAGES, &[a]);
    assert_eq!((PAGES.live(), PAGES.warm()), (1, 1));
    assert_eq!(PAGES.next_of(class(64), 0), None);
    let again = add(&PAGES, 256);
    assert_eq!(again, a, "the number is free for the next page");
    // SAFETY: as above.
    let (address, reused) = unsafe { PAGES.locate(first_slot(again)) };
    assert_eq!(address, pa, "a warm block serves any class");
    assert_eq!((reused.size(), PAGES.warm()), (256, 0));
    retire(&PAGES, &[again, b]);
    assert_eq!(PAGES.live(), 0);
}

#[test]
fn the_table_has_an_address_for_each_index_and_no_more() {
    let indices = (ROOT_LEN as u64 * CHUNK_LEN as u64) << SLOT_BITS;
    assert_eq!(indices, 1 << 32);
}

#[test]
fn few_blocks_stay_warm_and_those_are_the_lowest() {
    static PAGES: Pages = Pages::new();
    let add_many = |count: usize| -> Vec<u32> { (0..count).map(|_| add(&PAGES, 128)).collect() };
    // SAFETY: rule 2: no one else knows these pages.
    let address = |&number: &u32| unsafe { PAGES.locate(first_slot(number)) }.0;
    let numbers = add_many(WARM + SPARE + 1);
    let mut addresses: Vec<_> = numbers.iter().map(address).collect();
    retire(&PAGES, &numbers[1..]);
    assert_eq!((PAGES.live(), PAGES.warm()), (1, WARM + SPARE));
    retire(&PAGES, &numbers[..1]);
    assert_eq!((PAGES.live(), PAGES.warm()), (0, WARM));

    addresses.sort_unstable();
    let kept = add_many(WARM);
    let mut again: Vec<_> = kept.iter().map(address).collect();
    again.sort_unstable();
    assert_eq!(again, addresses[..WARM]);
    retire(&PAGES, &kept);
}

#[test]
fn numbers_reach_beyond_one_chunk() {
    // The first chunk has room for the numbers below CHUNK_LEN. The pages' memory is never touched.
    static PAGES: Pages = Pages::new();
    let numbers: Vec<u32> = (0..CHUNK_LEN + 5).map(|_| add(&PAGES, 64)).collect();
    assert!(*numbers.last().unwrap() as usize > CHUNK_LEN);
    let found = std::iter::successors(PAGES.next_of(class(64), 0), |last| {
        PAGES.next_of(class(64), last + 1)
    });
    assert!(found.eq(numbers.iter().copied()), "each, in order");
    // SAFETY: no depot uses the maps.
    let free = |&number: &u32| unsafe { &*PAGES.free_map(number) }.free();
    assert!(
        numbers
            .iter()
            .map(free)
            .all(|free| free == class(64).capacity())
    );
    retire(&PAGES, &numbers);
}
