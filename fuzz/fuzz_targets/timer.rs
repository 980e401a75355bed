//! The timers, in three queues, against a list.
#![no_main]
#![allow(dead_code, unused_imports, unused_macros)]

// The product keeps these to itself.
#[path = "../../src"]
mod src {
    pub(crate) mod sync;
    pub(crate) mod timer_queue;
}

/// What the timer queue uses of the rooms below: instead of slots of the arena it has boxes here.
mod arena {
    pub(crate) fn release_spare<T>(memory: &mut [std::mem::MaybeUninit<T>]) {
        memory.fill_with(std::mem::MaybeUninit::zeroed);
    }

    pub(crate) mod slot_box {
        use std::ops::{Deref, DerefMut};

        pub(crate) struct SlotBox<T>(Box<T>);

        impl<T> SlotBox<T> {
            pub(crate) fn new(value: T) -> Self {
                SlotBox(Box::new(value))
            }
        }

        impl<T> Deref for SlotBox<T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.0
            }
        }

        impl<T> DerefMut for SlotBox<T> {
            fn deref_mut(&mut self) -> &mut T {
                &mut self.0
            }
        }
    }
}
mod panics {
    pub(crate) fn quietly(f: impl FnOnce()) {
        f();
    }
}

use libfuzzer_sys::fuzz_target;
use src::sync;
use src::timer_queue::{Fire, NEVER, TimerKey, Timers};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

const QUEUES: usize = 3;

/// A waker that knows its number, and how often it was woken.
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

enum What {
    Job(usize),
    Waker(Arc<Counted>),
}

struct Entry {
    queue: usize,
    deadline: u64,
    key: TimerKey,
    what: What,
}

#[derive(Default)]
struct Model {
    /// In the order of insertion.
    live: Vec<Entry>,
    over: Vec<TimerKey>,
}

impl Model {
    fn first(&self) -> Option<u64> {
        let deadlines = self.live.iter().map(|entry| entry.deadline);
        deadlines.min().filter(|first| *first != NEVER)
    }

    /// What is to fire next: of the first queue with anything due, the oldest of the earliest.
    fn take_due(&mut self, now: u64) -> Option<Entry> {
        let due = self.live.iter().enumerate();
        let due = due.filter(|(_, e)| e.deadline <= now.min(NEVER - 1));
        let (at, _) = due.min_by_key(|(at, e)| (e.queue, e.deadline, *at))?;
        let entry = self.live.remove(at);
        self.over.push(entry.key);
        Some(entry)
    }
}

fn is_same(fired: Fire<usize>, entry: &Entry) {
    match (fired, &entry.what) {
        (Fire::Job(real), What::Job(number)) => assert_eq!(real, *number),
        (Fire::Waker(real), What::Waker(counted)) => {
            let before = counted.0.load(Ordering::Relaxed);
            real.wake();
            assert_eq!(counted.0.load(Ordering::Relaxed), before + 1);
        }
        (fired, _) => panic!("{fired:?} should be the other kind"),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let timers: Timers<usize> = Timers::new(QUEUES);
    let mut model = Model::default();
    let mut now = 0u64;
    let mut number = 0;
    for &[op, a] in bytes.as_chunks::<2>().0 {
        let a = u64::from(a);
        match op % 8 {
            0..3 => {
                let deadline = match a {
                    255 => NEVER,
                    254 => NEVER - 1,
                    // Some behind, many the same.
                    a => (now + a / 4).saturating_sub(8),
                };
                number += 1;
                let (fire, what) = if op & 8 == 0 {
                    (Fire::Job(number), What::Job(number))
                } else {
                    let counted = Arc::new(Counted(AtomicUsize::new(0)));
                    let waker = Waker::from(counted.clone());
                    (Fire::Waker(waker), What::Waker(counted))
                };
                let before = model.first().unwrap_or(NEVER);
                let queue = usize::from(op >> 4) % QUEUES;
                let inserted = timers.insert_at(queue, deadline, fire);
                let (key, earliest) = inserted.expect("they are open");
                assert_eq!(earliest, deadline < before);
                model.live.push(Entry {
                    queue,
                    deadline,
                    key,
                    what,
                });
            }
            3 if op & 8 != 0 && !model.live.is_empty() => {
                let before = model.first().unwrap_or(NEVER);
                let mut entry = model.live.remove(a as usize % model.live.len());
                let deadline = (now + u64::from(op >> 4)).saturating_sub(8);
                let moved = timers.move_to(entry.key, deadline);
                let (key, earliest) = moved.expect("it is pending");
                assert_eq!(earliest, deadline < before);
                model.over.push(entry.key);
                (entry.key, entry.deadline) = (key, deadline);
                model.live.push(entry);
            }
            3 if !model.live.is_empty() => {
                let entry = model.live.remove(a as usize % model.live.len());
                assert!(timers.remove(entry.key));
                model.over.push(entry.key);
            }
            4 if !model.over.is_empty() => {
                let key = model.over[a as usize % model.over.len()];
                assert!(!timers.remove(key));
                assert!(!timers.set_waker(key, Waker::noop()));
                assert!(timers.move_to(key, now).is_none());
            }
            5 if !model.live.is_empty() => {
                let at = a as usize % model.live.len();
                let entry = &mut model.live[at];
                let counted = Arc::new(Counted(AtomicUsize::new(0)));
                let is_waker = matches!(entry.what, What::Waker(_));
                assert_eq!(
                    timers.set_waker(entry.key, &counted.clone().into()),
                    is_waker
                );
                if is_waker {
                    entry.what = What::Waker(counted);
                }
            }
            6 => {
                let max = 1 + a as usize % 5;
                let mut fired = Vec::new();
                let count = timers.fire_due(now, max, &mut fired);
                assert_eq!(count, fired.len());
                for fire in fired {
                    is_same(fire, &model.take_due(now).expect("it was due"));
                }
                if count < max {
                    assert!(model.take_due(now).is_none());
                }
            }
            7 => now += a / 2,
            _ => {}
        }
        assert_eq!(timers.next_deadline(), model.first());
        assert_eq!(timers.len(), model.live.len());
    }
    let all = timers.close();
    model.live.sort_by_key(|e| (e.queue, e.deadline));
    assert_eq!(all.len(), model.live.len());
    for (fire, entry) in all.into_iter().zip(&model.live) {
        is_same(fire, entry);
    }
    assert!(timers.insert(1, Fire::Job(0)).is_none());
});
