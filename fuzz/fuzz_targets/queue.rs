//! The local run queues of three workers against three lists.
#![no_main]
#![allow(dead_code, unused_imports, unused_macros)]

// The product keeps these to itself.
#[path = "../../src"]
mod src {
    pub(crate) mod schedule {
        pub(crate) mod queue;
    }
    pub(crate) mod sync;
}

use libfuzzer_sys::fuzz_target;
use src::schedule::queue::{CAPACITY, Local};
use src::sync;
use std::collections::VecDeque;
use std::ptr::NonNull;

const QUEUES: usize = 3;
/// The most that one steal takes.
const STEAL_MAX: usize = 32;

/// An address that is never followed.
fn item(number: usize) -> NonNull<u64> {
    NonNull::without_provenance(number.try_into().expect("counting from 1"))
}

fuzz_target!(|bytes: &[u8]| {
    let queues: [Local<u64>; QUEUES] = std::array::from_fn(|_| Local::new());
    let mut lists: [VecDeque<NonNull<u64>>; QUEUES] = Default::default();
    let mut number = 0;
    for &[op, a] in bytes.as_chunks::<2>().0 {
        let of = usize::from(op >> 4) % QUEUES;
        let amount = usize::from(a);
        let list = &mut lists[of];
        match op % 8 {
            0..3 => {
                // Up to a thousand at once, or the ring is never full.
                let count = if op % 8 == 0 { 1 } else { amount * 4 };
                for _ in 0..count {
                    number += 1;
                    let pushed = queues[of].push(item(number));
                    if list.len() < CAPACITY {
                        assert_eq!(pushed, Ok(()));
                        list.push_back(item(number));
                    } else {
                        assert_eq!(pushed, Err(item(number)));
                    }
                }
            }
            3 => assert_eq!(queues[of].pop(), list.pop_front()),
            4 => {
                for _ in 0..amount * 4 {
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
            }
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
                lists[to].extend(taken.into_iter().skip(1));
            }
        }
        for (queue, list) in queues.iter().zip(&lists) {
            assert_eq!(queue.len(), list.len());
            assert_eq!(queue.is_empty(), list.is_empty());
        }
    }
    for (queue, list) in queues.iter().zip(&mut lists) {
        while let Some(expected) = list.pop_front() {
            assert_eq!(queue.pop(), Some(expected));
        }
        assert_eq!(queue.pop(), None);
    }
});
