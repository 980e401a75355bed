//! The run queue, on a ring of four.
//!
//! loom runs the loads of a thread in program order, and never shows a load a later store. So these
//! models check the logic and what `tail` publishes. That a thief's reads of places come before the
//! owner's next stores to them (release and acquire on `head`) rests on the proof in the docs of
//! `src/schedule/queue.rs`.
#![cfg(taskgrove_loom)]

use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;
use taskgrove::model::{Place, Ring};
use taskgrove_loom_tests::*;

fn filled(numbers: std::ops::RangeInclusive<usize>) -> Arc<Ring> {
    let queue = Ring::new();
    for n in numbers {
        queue.push(n).expect("there is room");
    }
    Arc::new(queue)
}

fn drain(queue: &Ring) -> Vec<usize> {
    std::iter::from_fn(|| queue.pop()).collect()
}

/// Steals once, into a queue of the thief's own. Returns the batch, oldest item first.
fn steal(victim: &Ring) -> Vec<usize> {
    let mine = Ring::new();
    let Some((first, count)) = victim.steal_into(&mine) else {
        assert!(mine.is_empty());
        return Vec::new();
    };
    let mut batch = vec![first];
    batch.extend(drain(&mine));
    assert_eq!(batch.len(), count);
    assert!(batch.is_sorted(), "a batch is in the order of the pushes");
    batch
}

fn assert_each_once(mut got: Vec<usize>, numbers: std::ops::RangeInclusive<usize>) {
    got.sort_unstable();
    assert!(got.iter().copied().eq(numbers), "{got:?}");
}

/// The owner pushes once around the ring while a thief takes a batch from it.
#[test]
fn a_push_overwrites_nothing_that_is_being_stolen() {
    explore(&["an overflow", "no overflow", "robbed"], |seen| {
        let queue = filled(1..=4);
        let victim = queue.clone();
        let thief = thread::spawn(move || steal(&victim));
        let (mut got, mut overflow) = (Vec::new(), false);
        for n in 5..=8 {
            if queue.push(n).is_err() {
                overflow = true;
                got.extend(queue.take_half());
                got.push(n);
            }
            got.extend(queue.pop());
        }
        let stolen = thief.join().unwrap();
        seen.saw(if overflow {
            "an overflow"
        } else {
            "no overflow"
        });
        if !stolen.is_empty() {
            seen.saw("robbed");
        }
        got.extend(stolen);
        got.extend(drain(&queue));
        assert_each_once(got, 1..=8);
    });
}

/// Two thieves steal while the owner pops and pushes.
#[test]
fn each_item_comes_out_once() {
    explore(&["one got nothing", "both got some"], |seen| {
        let queue = filled(1..=2);
        let thieves = [queue.clone(), queue.clone()];
        let thieves = thieves.map(|victim| thread::spawn(move || steal(&victim)));
        let mut got: Vec<_> = queue.pop().into_iter().collect();
        if queue.push(3).is_err() {
            got.push(3);
        }
        let stolen = thieves.map(|thief| thief.join().unwrap());
        let both = stolen.iter().all(|batch| !batch.is_empty());
        seen.saw(if both {
            "both got some"
        } else {
            "one got nothing"
        });
        got.extend(stolen.into_iter().flatten());
        got.extend(drain(&queue));
        assert_each_once(got, 1..=3);
    });
}

/// A second thief steals from a thief that is stealing.
#[test]
fn a_stolen_batch_shows_only_when_it_is_complete() {
    explore(&["robbed", "not robbed"], |seen| {
        let first = filled(1..=3);
        let second = Arc::new(Ring::new());
        let (from, to) = (first.clone(), second.clone());
        let middle = thread::spawn(move || {
            let stolen = from.steal_into(&to).map(|(first, _)| first);
            let mut got: Vec<_> = stolen.into_iter().collect();
            got.extend(to.pop());
            got
        });
        let last = thread::spawn({
            let second = second.clone();
            move || steal(&second)
        });
        let mut got: Vec<_> = first.pop().into_iter().collect();
        got.extend(middle.join().unwrap());
        let robbed = last.join().unwrap();
        seen.saw(if robbed.is_empty() {
            "not robbed"
        } else {
            "robbed"
        });
        got.extend(robbed);
        got.extend(drain(&first));
        got.extend(drain(&second));
        assert_each_once(got, 1..=3);
    });
}

/// A thief sees what the owner wrote before it pushed the item, and so does a thief of that thief.
#[test]
fn a_push_publishes_to_each_later_thief() {
    explore(&["to a thief", "to the thief's thief"], |seen| {
        let first = Arc::new(Ring::new());
        let second = Arc::new(Ring::new());
        let written = Exclusive::new();
        let (from, to, cell, saw) = (first.clone(), second.clone(), written.clone(), seen.clone());
        let middle = thread::spawn(move || {
            if from.steal_into(&to).is_some() {
                cell.look();
                saw.saw("to a thief");
            }
        });
        let (cell, saw) = (written.clone(), seen.clone());
        let last = thread::spawn(move || {
            if !steal(&second).is_empty() {
                cell.look();
                saw.saw("to the thief's thief");
            }
        });
        written.touch();
        for n in 1..=3 {
            first.push(n).expect("there is room");
        }
        middle.join().unwrap();
        last.join().unwrap();
    });
}

/// Two thieves take from the place while the owner takes and puts again. What the owner has written before it
/// put an item is seen by the thread that takes it.
#[test]
fn an_item_in_the_place_comes_out_once() {
    explore(
        &[
            "the first stolen",
            "the second stolen",
            "none stolen",
            "both stolen",
        ],
        |seen| {
            let place = Arc::new(Place::new());
            let written = Arc::new([0, 1, 2].map(|_| AtomicUsize::new(0)));
            let put = |n: usize| {
                written[n].store(n, Relaxed);
                place.put(n)
            };
            assert!(put(1));
            let thieves = [(); 2].map(|()| {
                let (place, written) = (place.clone(), written.clone());
                thread::spawn(move || {
                    let item = place.take();
                    item.inspect(|&n| assert_eq!(written[n].load(Relaxed), n, "published"))
                })
            });
            let mut got: Vec<_> = place.take_own().into_iter().collect();
            assert!(put(2), "the owner has taken, or a thief has");
            let stolen: Vec<_> = thieves
                .into_iter()
                .filter_map(|thief| thief.join().unwrap())
                .collect();
            seen.saw(match stolen[..] {
                [] => "none stolen",
                [1] => "the first stolen",
                [2] => "the second stolen",
                _ => "both stolen",
            });
            got.extend(stolen);
            got.extend(place.take_own());
            assert_each_once(got, 1..=2);
        },
    );
}
