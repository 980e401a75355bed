//! Several queues, as a runtime has one for each worker.

use super::*;

/// Several queues against a sorted map: what is due comes out, the earliest deadline is exact when it is asked
/// for, and an insertion that does not report a new one finds a time that is not later.
#[test]
fn several_queues_have_one_earliest_deadline() {
    let timers = Timers::new(3);
    let mut model = BTreeMap::new();
    let (mut x, mut now) = (1_u64, 0);
    let mut random = |below: u64| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x % below
    };
    for step in 0..20_000 {
        let published = timers.next.load(Ordering::Relaxed);
        assert!(model.keys().next().is_none_or(|&(at, _)| published <= at));
        match random(8) {
            0..4 => {
                let deadline = now + random(1_000);
                let number = random(7) as usize;
                let (key, is_next) = timers
                    .insert_at(number, deadline, Fire::Job(step))
                    .expect("open");
                assert_eq!(is_next, deadline < published);
                model.insert((deadline, step), key);
            }
            4..7 => {
                let at = random(model.len().max(1) as u64) as usize;
                let entry = model.iter().nth(at).map(|(&place, &key)| (place, key));
                if let Some((place, key)) = entry {
                    let fire = timers.take(key);
                    assert!(matches!(fire, Some(Fire::Job(job)) if job == place.1));
                    model.remove(&place);
                }
            }
            _ if random(4) == 0 => {
                now += random(300);
                let mut got = due(&timers, now, usize::MAX);
                got.sort_unstable();
                let later = model.split_off(&(now + 1, 0));
                let mut all: Vec<u64> = model.keys().map(|&(_, job)| job).collect();
                all.sort_unstable();
                assert_eq!(got, all);
                model = later;
                assert!(!timers.may_be_due(now));
            }
            _ => {
                let earliest = model.keys().next().map(|&(at, _)| at);
                assert_eq!(timers.next_deadline(), earliest);
            }
        }
        assert_eq!(timers.len(), model.len());
    }
    assert_eq!(timers.close().len(), model.len());
    assert_eq!(timers.next_deadline(), None);
    assert!(timers.insert_at(2, 1, Fire::Job(1)).is_none());
}

/// What is taken up to a limit may leave nothing that is due; the earliest deadline is exact also then.
#[test]
fn the_earliest_deadline_is_exact_after_as_many_as_the_limit() {
    let timers = Timers::new(3);
    for (number, deadline) in [(0, 5), (1, 40), (2, 30)] {
        timers.insert_at(number, deadline, Fire::Job(deadline));
    }
    assert_eq!(due(&timers, 10, 1), [5]);
    assert_eq!(timers.next_deadline(), Some(30));
}

/// Threads insert and remove, each in its own queue, while one asks for the earliest deadline.
#[test]
fn the_earliest_deadline_is_never_too_late() {
    let timers = &Timers::new(3);
    let over = &std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers = [0_u64, 1].map(|number| {
            scope.spawn(move || {
                for round in 0..20_000 {
                    let deadline = 1_000_000 - round * 2 - number;
                    let (key, _) = timers
                        .insert_at(number as usize, deadline, Fire::Job(round))
                        .expect("open");
                    assert!(
                        timers.next.load(Ordering::Relaxed) <= deadline,
                        "while it is pending"
                    );
                    assert!(timers.take(key).is_some());
                }
            })
        });
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                timers.next_deadline();
            }
        });
        for worker in workers {
            worker.join().expect("no panic");
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!((timers.len(), timers.next_deadline()), (0, None));
}
