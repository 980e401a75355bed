//! The local run queues of three workers, and the places before them, against three lists.
#![no_main]
#![allow(dead_code, unused_imports, unused_macros)]

// The product keeps these to itself.
#[path = "../../src"]
mod src {
    pub(crate) mod schedule {
        pub(crate) mod queue;
        pub(crate) mod run_next;
    }
    pub(crate) mod sync;
}

use libfuzzer_sys::fuzz_target;
use src::schedule::queue::{CAPACITY, Local};
use src::schedule::run_next::RunNext;
use src::sync;
use std::collections::VecDeque;
use std::ptr::NonNull;

const QUEUES: usize = 3;
/// The most that one steal takes.
const STEAL_MAX: usize = 32;

/// What a place has, and when its owner may put.
#[derive(Clone, Copy, Default)]
struct Place {
    item: Option<NonNull<u64>>,
    is_used: bool,
    open_from: u64,
}

/// An address that is never followed.
fn item(number: usize) -> NonNull<u64> {
    NonNull::without_provenance(number.try_into().expect("counting from 1"))
}

fuzz_target!(|bytes: &[u8]| {
    let queues: [Local<u64>; QUEUES] = std::array::from_fn(|_| Local::new());
    let mut lists: [VecDeque<NonNull<u64>>; QUEUES] = Default::default();
    let places: [RunNext<u64>; QUEUES] = std::array::from_fn(|_| RunNext::new());
    let mut nexts = [Place::default(); QUEUES];
    // How many were pushed into each queue, and how many have left it.
    let (mut tails, mut heads) = ([0u64; QUEUES], [0u64; QUEUES]);
    let mut number = 0;
    for &[op, a] in bytes.as_chunks::<2>().0 {
        let of = usize::from(op >> 4) % QUEUES;
        let amount = usize::from(a);
        let list = &mut lists[of];
        match op % 16 {
            0..3 => {
                // Up to a thousand at once, or the ring is never full.
                let count = if op % 16 == 0 { 1 } else { amount * 4 };
                for _ in 0..count {
                    number += 1;
                    let pushed = queues[of].push(item(number));
                    if list.len() < CAPACITY {
                        assert_eq!(pushed, Ok(()));
                        list.push_back(item(number));
                        tails[of] += 1;
                    } else {
                        assert_eq!(pushed, Err(item(number)));
                    }
                }
            }
            3 | 4 => {
                let count = if op % 16 == 3 { 1 } else { amount * 4 };
                for _ in 0..count {
                    heads[of] += u64::from(!list.is_empty());
                    assert_eq!(queues[of].pop(), list.pop_front());
                }
            }
            5 => {
                let mut out = vec![item(usize::MAX)];
                queues[of].take_half(&mut out);
                let taken = out.len() - 1;
                assert_eq!(taken, list.len().div_ceil(2));
                let expected: Vec<_> = list.drain(..taken).collect();
                assert_eq!(out[1..], expected);
                heads[of] += taken as u64;
            }
            6..9 => {
                // As a worker adds what may be polled before the others.
                let next = &mut nexts[of];
                let accepts = places[of].accepts(queues[of].head());
                assert_eq!(accepts, !next.is_used && heads[of] >= next.open_from);
                if accepts {
                    number += 1;
                    places[of].put(item(number));
                    next.item = Some(item(number));
                    next.is_used = true;
                }
            }
            9 | 10 => {
                // Open again at once, after some of the queue, or after all of it.
                let open_from = [0, heads[of] + amount as u64, tails[of]][amount % 3];
                let next = &mut nexts[of];
                assert_eq!(places[of].take_own(open_from), next.item.take());
                next.is_used = false;
                next.open_from = open_from;
            }
            11 => assert_eq!(places[of].take(), nexts[of].item.take()),
            _ => {
                let to = (of + 1 + amount % (QUEUES - 1)) % QUEUES;
                let limit = amount / 4;
                let room = CAPACITY - lists[to].len();
                let most = limit.min(STEAL_MAX).min(room + 1);
                let count = lists[of].len().div_ceil(2).min(most);
                let stolen = queues[of].steal_into(&queues[to], limit);
                let expected = lists[of].front().filter(|_| count > 0);
                assert_eq!(stolen, expected.map(|first| (*first, count)));
                let taken: Vec<_> = lists[of].drain(..count).collect();
                heads[of] += count as u64;
                tails[to] += count.saturating_sub(1) as u64;
                lists[to].extend(taken.into_iter().skip(1));
            }
        }
        for (queue, list) in queues.iter().zip(&lists) {
            assert_eq!(queue.len(), list.len());
            assert_eq!(queue.is_empty(), list.is_empty());
        }
        for (at, next) in nexts.iter().enumerate() {
            assert_eq!(places[at].is_used(), next.is_used);
            assert_eq!(places[at].is_empty(), next.item.is_none());
            let positions = (queues[at].head(), queues[at].tail());
            assert_eq!(positions, (heads[at], tails[at]));
        }
    }
    for (queue, list) in queues.iter().zip(&mut lists) {
        while let Some(expected) = list.pop_front() {
            assert_eq!(queue.pop(), Some(expected));
        }
        assert_eq!(queue.pop(), None);
    }
    for (place, next) in places.iter().zip(&nexts) {
        assert_eq!(place.take_own(0), next.item);
    }
});
