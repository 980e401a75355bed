//! Slots move in batches, and no magazine keeps one behind.

use super::*;
use crate::arena::{Arena, MAX_SLOT, SlotIndex};

/// The number of slots that are live or lie in magazines.
fn out(arena: &Arena, class: Class) -> usize {
    arena.depots.lock(class).audit(true)
}

#[test]
fn slots_move_in_batches() {
    static ARENA: Arena = Arena::new();
    let class = Class::of(128).unwrap();
    let slots: Vec<SlotIndex> = (0..CAPACITY + 1).map(|_| ARENA.alloc(128).index).collect();
    assert_eq!(out(&ARENA, class), 3 * BATCH, "three refills");
    // SAFETY: rule 2: each was allocated above and is freed once.
    let free = |slot: &SlotIndex| unsafe { ARENA.free(*slot) };
    slots[..129].iter().for_each(free);
    assert_eq!(out(&ARENA, class), 3 * BATCH, "all fit in the magazine");
    slots[129..].iter().for_each(free);
    assert_eq!(out(&ARENA, class), 2 * BATCH, "one batch went back");
    ARENA.flush_thread();
    assert_eq!(out(&ARENA, class), 0);
}

#[test]
fn the_slot_freed_last_is_used_next() {
    static ARENA: Arena = Arena::new();
    let (a, b) = (ARENA.alloc(64), ARENA.alloc(64));
    // SAFETY: rule 2: both were allocated above.
    unsafe {
        ARENA.free(a.index);
        ARENA.free(b.index);
    }
    assert_eq!(ARENA.alloc(64).index, b.index);
    assert_eq!(ARENA.alloc(64).index, a.index);
}

#[test]
fn a_thread_that_ends_leaves_nothing_behind() {
    static ARENA: Arena = Arena::new();
    std::thread::spawn(|| {
        for bytes in (8..=MAX_SLOT).step_by(8) {
            let slot = ARENA.alloc(bytes);
            // SAFETY: rule 2: allocated above.
            unsafe { ARENA.free(slot.index) };
        }
    })
    .join()
    .unwrap();
    for class in Class::all() {
        assert_eq!(out(&ARENA, class), 0, "{class:?}");
    }
}

#[test]
fn slots_are_freed_and_taken_after_the_magazines_are_gone() {
    static ARENA: Arena = Arena::new();
    struct Late(Cell<Option<SlotIndex>>);
    impl Drop for Late {
        fn drop(&mut self) {
            let gone = MAGAZINES.try_with(|_| ()).is_err();
            assert!(gone, "this destructor was registered first and runs last");
            let slot = ARENA.alloc(64);
            // SAFETY: rule 2: one was allocated above, the other in the thread's body.
            unsafe {
                ARENA.free(slot.index);
                ARENA.free(self.0.take().unwrap());
            }
        }
    }
    thread_local!(static LATE: Late = const { Late(Cell::new(None)) });
    std::thread::spawn(|| LATE.with(|late| late.0.set(Some(ARENA.alloc(64).index))))
        .join()
        .unwrap();
    assert_eq!(out(&ARENA, Class::of(64).unwrap()), 0);
}

#[test]
fn a_thread_may_use_several_arenas() {
    static A: Arena = Arena::new();
    static B: Arena = Arena::new();
    let class = Class::of(96).unwrap();
    for _ in 0..10 {
        let (a, b) = (A.alloc(96), B.alloc(96));
        assert_eq!((out(&A, class), out(&B, class)), (1, BATCH));
        // SAFETY: rule 2: allocated above, each in the arena it goes back to.
        unsafe {
            A.free(a.index);
            B.free(b.index);
        }
        A.flush_thread(); // not the arena in use: does nothing
        assert_eq!((out(&A, class), out(&B, class)), (0, 1));
        B.flush_thread();
        assert_eq!(out(&B, class), 0);
    }
}
