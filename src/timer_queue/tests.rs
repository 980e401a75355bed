use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::task::Wake;
use std::thread;

mod queues;

use super::*;

fn jobs(fired: Vec<Fire<u64>>) -> Vec<u64> {
    let job = |fire| match fire {
        Fire::Job(job) => job,
        Fire::Waker(_) => panic!("only jobs were inserted"),
    };
    fired.into_iter().map(job).collect()
}

fn due(timers: &Timers<u64>, now: u64, max: usize) -> Vec<u64> {
    let mut out = Vec::new();
    let count = timers.fire_due(now, max, &mut out);
    assert_eq!(count, out.len());
    jobs(out)
}

fn insert(timers: &Timers<u64>, deadline: u64, job: u64) -> (TimerKey, bool) {
    timers.insert(deadline, Fire::Job(job)).expect("open")
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        let factor = 6364136223846793005;
        self.0 = self
            .0
            .wrapping_mul(factor)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

/// Counts its wakes and its drops, and the drops at which the queue's lock was held.
#[derive(Default)]
struct Probe {
    timers: Weak<Timers<u64>>,
    wakes: AtomicUsize,
    drops: Arc<AtomicUsize>,
    drops_under_lock: Arc<AtomicUsize>,
}

impl Wake for Probe {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
        if let Some(timers) = self.timers.upgrade()
            && timers.queues[0].try_lock().is_none()
        {
            self.drops_under_lock.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn what_is_due_comes_in_the_order_of_deadlines_and_then_of_insertion() {
    let timers = Timers::new(1);
    for (job, deadline) in [50, 10, 30, 10, 50, 20, 10].into_iter().enumerate() {
        insert(&timers, deadline, job as u64);
    }
    assert_eq!(due(&timers, 9, 99), []);
    assert_eq!(due(&timers, 30, 99), [1, 3, 6, 5, 2]);
    assert_eq!(due(&timers, 49, 99), []);
    assert_eq!(due(&timers, 50, 1), [0], "no more than asked for");
    assert_eq!(due(&timers, 50, 1), [4]);
    assert_eq!(timers.len(), 0);
}

#[test]
fn the_earliest_deadline_is_known_and_reported_when_it_changes() {
    let timers = Timers::new(1);
    assert_eq!(timers.next_deadline(), None);
    let (never, is_next) = insert(&timers, NEVER, 0);
    assert!(!is_next, "nobody has to wake up for never");
    let (late, is_next) = insert(&timers, 100, 1);
    assert!(is_next);
    let (early, is_next) = insert(&timers, 50, 2);
    assert!(is_next);
    assert!(!insert(&timers, 50, 3).1, "the same is not earlier");
    assert!(!insert(&timers, 70, 4).1);
    assert_eq!(timers.next_deadline(), Some(50));

    assert!(timers.remove(early));
    assert_eq!(timers.next_deadline(), Some(50));
    assert_eq!(due(&timers, 50, 99), [3]);
    assert_eq!(timers.next_deadline(), Some(70));
    assert_eq!(due(&timers, 99, 99), [4]);
    assert!(timers.remove(late));
    assert_eq!(timers.next_deadline(), None);

    assert_eq!(due(&timers, NEVER, 99), [], "never does not come");
    assert!(timers.remove(never));
}

#[test]
fn a_key_is_good_for_its_own_entry_only() {
    let timers = Timers::new(1);
    let (fired, _) = insert(&timers, 1, 1);
    assert_eq!(due(&timers, 1, 99), [1]);
    let (removed, _) = insert(&timers, 2, 2);
    assert!(timers.remove(removed));
    let (live, _) = insert(&timers, 3, 3);
    for gone in [fired, removed] {
        assert!(!timers.remove(gone));
        assert!(!timers.set_waker(gone, Waker::noop()));
    }
    assert!(!timers.set_waker(live, Waker::noop()), "a job is no waker");
    assert_eq!(due(&timers, 3, 99), [3]);
}

#[test]
fn it_does_what_a_sorted_map_does() {
    let timers = Timers::new(1);
    let mut model: BTreeMap<(u64, u64), TimerKey> = BTreeMap::new();
    let mut live: Vec<(u64, u64)> = Vec::new();
    let mut random = Random(7);
    let mut now = 0;
    let steps = if cfg!(miri) { 1_000 } else { 100_000 };
    for step in 0..steps {
        // The queue grows to thousands of entries, shrinks to nothing, and does so again.
        let grow = if step / (steps / 4) % 2 == 0 { 6 } else { 2 };
        if random.below(8) < grow {
            let deadline = now + random.below(1000);
            let earliest = model.first_key_value().map(|(&(deadline, _), _)| deadline);
            let (key, is_next) = insert(&timers, deadline, step);
            assert_eq!(is_next, earliest.is_none_or(|earliest| deadline < earliest));
            model.insert((deadline, step), key);
            live.push((deadline, step));
        } else if random.below(4) > 0 {
            // An entry that has fired is in neither of the two.
            if live.is_empty() {
                continue;
            }
            let place = live.swap_remove(random.below(live.len() as u64) as usize);
            if let Some(key) = model.remove(&place) {
                assert!(timers.remove(key));
                assert!(!timers.remove(key));
            }
        } else {
            now += random.below(20);
            let max = random.below(10) as usize;
            let first = model
                .keys()
                .copied()
                .filter(|&(deadline, _)| deadline <= now);
            let expected: Vec<_> = first.take(max).collect();
            for place in &expected {
                model.remove(place);
            }
            let expected: Vec<u64> = expected.into_iter().map(|(_, job)| job).collect();
            assert_eq!(due(&timers, now, max), expected);
        }
        assert_eq!(timers.len(), model.len());
        let earliest = model.first_key_value().map(|(&(deadline, _), _)| deadline);
        assert_eq!(timers.next_deadline(), earliest);
    }
    let rest: Vec<u64> = model.into_keys().map(|(_, job)| job).collect();
    assert_eq!(
        jobs(timers.close()),
        rest,
        "what is left comes out in order"
    );
}

#[test]
fn a_waker_is_replaced_only_by_another_tasks() {
    let timers: Timers<u64> = Timers::new(1);
    let (first, second) = (Arc::new(Probe::default()), Arc::new(Probe::default()));
    let waker = Waker::from(first.clone());
    let (key, _) = timers.insert(5, Fire::Waker(waker.clone())).expect("open");
    let references = Arc::strong_count(&first);
    assert!(timers.set_waker(key, &waker));
    assert_eq!(Arc::strong_count(&first), references, "left as it is");
    assert!(timers.set_waker(key, &Waker::from(second.clone())));
    assert_eq!(Arc::strong_count(&first), references - 1, "given back");

    let mut out = Vec::new();
    timers.fire_due(5, 99, &mut out);
    for fire in out {
        match fire {
            Fire::Waker(waker) => waker.wake(),
            Fire::Job(_) => panic!("only a waker was inserted"),
        }
    }
    assert_eq!(first.wakes.load(Ordering::Relaxed), 0);
    assert_eq!(second.wakes.load(Ordering::Relaxed), 1);
    assert!(!timers.set_waker(key, &waker), "it has fired");
}

#[test]
fn no_waker_is_dropped_under_the_lock() {
    let timers = Arc::new(Timers::new(1));
    let drops = Arc::new(AtomicUsize::new(0));
    let drops_under_lock = Arc::new(AtomicUsize::new(0));
    let probe = || {
        Waker::from(Arc::new(Probe {
            timers: Arc::downgrade(&timers),
            wakes: AtomicUsize::new(0),
            drops: drops.clone(),
            drops_under_lock: drops_under_lock.clone(),
        }))
    };
    let (removed, _) = timers.insert(1, Fire::Waker(probe())).expect("open");
    assert!(timers.set_waker(removed, &probe()));
    assert_eq!(drops.load(Ordering::Relaxed), 1, "replaced");
    assert!(timers.remove(removed));
    assert_eq!(drops.load(Ordering::Relaxed), 2, "removed");
    assert!(!timers.set_waker(removed, &probe()));
    assert_eq!(drops.load(Ordering::Relaxed), 3, "not taken");

    timers.insert(2, Fire::Waker(probe())).expect("open");
    drop(timers.close());
    assert!(timers.insert(3, Fire::Waker(probe())).is_none());
    assert_eq!(drops.load(Ordering::Relaxed), 5, "closed, and refused");
    assert_eq!(drops_under_lock.load(Ordering::Relaxed), 0);
}

#[test]
fn closing_takes_everything_out_and_refuses_more() {
    let timers = Timers::new(1);
    let keys = [30, 10, NEVER, 20].map(|deadline| insert(&timers, deadline, deadline).0);
    assert_eq!(jobs(timers.close()), [10, 20, 30, NEVER]);
    assert!(timers.insert(1, Fire::Job(1)).is_none());
    assert!(keys.into_iter().all(|key| !timers.remove(key)));
    assert_eq!((timers.len(), timers.next_deadline()), (0, None));
    assert_eq!(due(&timers, 99, 99), []);
    assert!(timers.close().is_empty());
}

#[test]
fn memory_is_given_back_after_a_peak() {
    let peak = if cfg!(miri) { 5_000 } else { 200_000 };
    let timers = Timers::new(1);
    let capacity = || timers.queues[0].lock().queue.capacity();
    let mut random = Random(3);
    let mut keys: Vec<_> = (0..peak)
        .map(|n| insert(&timers, 1_000 + random.below(1_000_000), n).0)
        .collect();
    assert!(capacity().0 as u64 >= peak && capacity().1 as u64 >= peak);

    // All but ten are removed, in random order; the ten are in groups far apart.
    let stay: Vec<_> = (0..10)
        .map(|n| keys.remove((peak / 11 * n) as usize))
        .collect();
    while !keys.is_empty() {
        let key = keys.swap_remove(random.below(keys.len() as u64) as usize);
        assert!(timers.remove(key));
    }
    let (order, entries) = capacity();
    assert!(order <= 1024, "the order has memory for {order}");
    assert!(entries <= 11 * 256, "the entries have memory for {entries}");

    // Timers that fire give their memory back as well.
    for n in 0..peak {
        insert(&timers, 5, n);
    }
    assert_eq!(due(&timers, 5, usize::MAX).len() as u64, peak);
    let (order, entries) = capacity();
    assert!(order <= 1024 && entries <= 11 * 256, "{order}, {entries}");
    assert!(stay.into_iter().all(|key| timers.remove(key)));
    assert!(capacity().1 <= 256);
}

#[test]
#[cfg_attr(miri, ignore = "runs are shorter there")]
fn a_run_gives_memory_back_when_a_quarter_of_it_is_live_and_not_before() {
    let timers = Timers::new(1);
    let capacity = || timers.queues[0].lock().queue.capacity().0;
    let mut keys: Vec<_> = (0..1_024).map(|n| insert(&timers, n, n).0).collect();
    let sealed = capacity();
    let mut remove_last = || assert!(timers.remove(keys.pop().expect("not empty")));
    // A quarter of the run stays live, less the slack of 32.
    (248..1_024).for_each(|_| remove_last());
    assert_eq!(capacity(), sealed);
    remove_last();
    assert_eq!(sealed - capacity(), 1_024 - 2 * 247, "twice what is live");
    (1..247).for_each(|_| remove_last());
    assert!(capacity() < 64, "one is left: {}", capacity());
    remove_last();
    assert!(capacity() < 16, "and no run: {}", capacity());

    // A small run keeps its memory.
    let few = Timers::new(1);
    let capacity = || few.queues[0].lock().queue.capacity().0;
    let keys: Vec<_> = (0..64).map(|n| insert(&few, n, n).0).collect();
    assert!(keys.into_iter().rev().all(|key| few.remove(key)));
    assert_eq!(capacity(), 64);
}

#[test]
fn what_comes_in_any_order_fires_in_order_across_runs() {
    let timers = Timers::new(1);
    let mut random = Random(11);
    let count = if cfg!(miri) { 200 } else { 20_000 };
    let mut all: Vec<_> = (0..count)
        .map(|job| {
            let deadline = random.below(count / 4);
            (deadline, job, insert(&timers, deadline, job).0)
        })
        .collect();
    // Every third removal takes the earliest timer, so that runs lose their heads.
    all.sort_unstable_by_key(|&(deadline, job, _)| (deadline, job));
    for n in (0..all.len() / 2).rev() {
        let (deadline, _, key) = all.remove(if n % 3 == 0 { 0 } else { n });
        assert!(timers.next_deadline().is_some_and(|at| at <= deadline));
        assert!(timers.remove(key));
        assert_eq!(timers.next_deadline(), Some(all[0].0));
    }
    let expected: Vec<u64> = all.into_iter().map(|(_, job, _)| job).collect();
    assert_eq!(due(&timers, count, usize::MAX), expected);
    assert_eq!((timers.len(), timers.next_deadline()), (0, None));
}

/// Each entry is fired or removed by its owner, and never both.
#[test]
fn from_many_threads_each_entry_ends_once() {
    const THREADS: u64 = 4;
    let each = if cfg!(miri) { 100 } else { 50_000 };
    let timers = &Timers::new(1);
    let insert_and_remove = |me: u64| {
        let mut random = Random(me);
        let (mut fired, mut removed, mut mine) = (Vec::new(), Vec::new(), Vec::new());
        for n in me * each..(me + 1) * each {
            mine.push((insert(timers, random.below(1 << 20), n).0, n));
            if random.below(2) == 0 {
                let (key, n) = mine.swap_remove(random.below(mine.len() as u64) as usize);
                if timers.remove(key) {
                    removed.push(n);
                }
            }
            if random.below(8) == 0 {
                fired.extend(due(timers, random.below(1 << 20), 4));
            }
        }
        fired.extend(removed);
        fired
    };
    let mut all: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|me| scope.spawn(move || insert_and_remove(me)))
            .collect();
        let ended = threads.into_iter().map(|t| t.join().expect("no panic"));
        ended.flatten().collect()
    });
    all.extend(due(timers, 1 << 20, usize::MAX));
    all.sort_unstable();
    assert!(all.into_iter().eq(0..THREADS * each));
    assert_eq!((timers.len(), timers.next_deadline()), (0, None));
}
