//! A slot is handed out once, found by its index, and freed on any thread.

use std::collections::HashSet;
use std::sync::mpsc;

use super::class::Class;
#[cfg(taskgrove_malloc)]
use super::single::Single as Arena;
use super::slot::Slot;
use super::*;
use std::ptr::NonNull;

/// The size in bytes of the slot that a request for `bytes` gets.
fn class_size(bytes: usize) -> Option<usize> {
    Class::of(bytes).map(Class::size)
}

/// A live slot that is filled with its own index.
struct Filled(SlotIndex, usize);

impl Filled {
    fn new(arena: &'static Arena, bytes: usize) -> Filled {
        let Slot { ptr, index } = arena.alloc(bytes);
        assert!(ptr.addr().get().is_multiple_of(8));
        // SAFETY: rule 1: this owns the slot, which is aligned to 8 and has at least `bytes`.
        unsafe { Self::words(ptr, bytes).fill(index.get()) };
        Filled(index, bytes)
    }

    /// Checks that the slot is as it was filled, and frees it on this thread.
    fn free(self, arena: &'static Arena) {
        // SAFETY: rules 1 and 2: this owns the slot, which is live until the call of `free`.
        unsafe {
            let words = Self::words(arena.address(self.0), self.1);
            assert!(words.iter().all(|&word| word == self.0.get()));
            words.fill(u32::MAX);
            arena.free(self.0);
        }
    }

    /// # Safety
    ///
    /// The slot is live, belongs to the caller and has at least `bytes`.
    unsafe fn words<'a>(ptr: NonNull<u8>, bytes: usize) -> &'a mut [u32] {
        // SAFETY: the caller owns the slot; it is aligned to 8.
        unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr().cast(), bytes / 4) }
    }
}

#[test]
fn classes_go_up_in_eights_and_then_sixteens() {
    let sizes = [0, 1, 64, 65, 72, 255, 256, 257, 272, 497, 512];
    let given = sizes.map(|bytes| class_size(bytes).unwrap());
    assert_eq!(given, [64, 64, 64, 72, 72, 256, 256, 272, 272, 512, 512]);
    assert_eq!(class_size(MAX_SLOT + 1), None);
    assert_eq!(size_of::<Option<SlotIndex>>(), 4);
    assert_eq!(SlotIndex::from_u32(0), None);
}

#[test]
#[should_panic(expected = "no slot is that large")]
fn a_slot_that_is_too_large_is_refused() {
    ARENA.alloc(MAX_SLOT + 1);
}

#[test]
fn live_slots_do_not_overlap_and_are_found_by_index() {
    static ARENA: Arena = Arena::new();
    let threads: Vec<_> = (0..4)
        .map(|seed| {
            std::thread::spawn(move || {
                (0..5_000)
                    .map(|n| Filled::new(&ARENA, (n * 37 + seed * 101) % MAX_SLOT + 1))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let slots: Vec<Filled> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    let indices: HashSet<u32> = slots.iter().map(|slot| slot.0.get()).collect();
    assert_eq!(indices.len(), slots.len());
    let mut ranges: Vec<_> = slots
        .iter()
        .map(|slot| {
            // SAFETY: rule 2: every slot is live.
            let start = unsafe { ARENA.address(slot.0) }.addr().get();
            (start, start + class_size(slot.1).unwrap())
        })
        .collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    // The threads that allocated them have ended, so this thread frees only slots of others.
    slots.into_iter().for_each(|slot| slot.free(&ARENA));
}

#[test]
fn memory_returns_after_a_peak() {
    static ARENA: Arena = Arena::new();
    let (send, receive) = mpsc::channel::<Vec<Filled>>();
    let consumer = std::thread::spawn(move || {
        for slot in receive.into_iter().flatten() {
            slot.free(&ARENA);
        }
    });
    let slots: Vec<Filled> = (0..100_000).map(|_| Filled::new(&ARENA, 128)).collect();
    let peak = ARENA.live_pages();
    assert!(peak >= 100_000 / 512);
    // Every second slot is freed on the other thread, the rest on this one.
    let (even, odd): (Vec<_>, Vec<_>) = slots.into_iter().partition(|s| s.0.get() % 2 == 0);
    send.send(even).unwrap();
    odd.into_iter().for_each(|slot| slot.free(&ARENA));
    drop(send);
    consumer.join().unwrap();
    ARENA.flush_thread();
    assert!(ARENA.live_pages() <= 1, "{} pages", ARENA.live_pages());
    #[cfg(not(taskgrove_malloc))]
    assert!(ARENA.depots.pages().warm() <= blocks::WARM + blocks::SPARE);
}

#[test]
fn threads_that_pass_slots_around_lose_none() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 20_000;
    static ARENA: Arena = Arena::new();
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..THREADS).map(|_| mpsc::channel::<Filled>()).unzip();
    let threads: Vec<_> = receivers
        .into_iter()
        .enumerate()
        .map(|(me, own)| {
            let senders = senders.clone();
            std::thread::spawn(move || {
                let mut seed = me as u64 + 1;
                let mut held = Vec::new();
                for _ in 0..ROUNDS {
                    seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                    let random = (seed >> 33) as usize;
                    let slot = Filled::new(&ARENA, random % 200 + 1);
                    match random % 3 {
                        0 => senders[random / 3 % THREADS].send(slot).unwrap(),
                        1 => held.push(slot),
                        _ => slot.free(&ARENA),
                    }
                    own.try_iter().for_each(|slot| slot.free(&ARENA));
                    if held.len() > 500 {
                        held.drain(..).for_each(|slot| slot.free(&ARENA));
                    }
                }
                drop(senders);
                held.into_iter().chain(own).for_each(|s| s.free(&ARENA));
            })
        })
        .collect();
    drop(senders);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    #[cfg(not(taskgrove_malloc))]
    for class in Class::all() {
        assert_eq!(ARENA.depots.lock(class).audit(true), 0);
    }
    #[cfg(taskgrove_malloc)]
    assert_eq!(ARENA.live_pages(), 0);
}
