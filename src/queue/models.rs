//! Loom models of the run queue, on its tiny ring of four.
//!
//! Loom runs the loads of a thread in their order and never shows one a later store. So these models
//! check the logic and what `tail` publishes; that a stealer's reads of slots come before the owner's
//! next stores to them (Release and Acquire on `head`) rests on the proof in the queue's docs.
//!
//! Without a bound the larger two take hours; `LOOM_MAX_PREEMPTIONS` sets another one.

use loom::thread;

use super::*;
use crate::sync::Arc;

type Queue = Arc<Local<u8>>;

/// An address that is only a number: the queue never follows it.
fn item(n: usize) -> NonNull<u8> {
    NonNull::new(std::ptr::without_provenance_mut(n)).expect("not zero")
}

fn number(item: NonNull<u8>) -> usize {
    item.addr().get()
}

fn filled(numbers: std::ops::RangeInclusive<usize>) -> Queue {
    let queue = Local::new();
    for n in numbers {
        queue.push(item(n)).expect("there is room");
    }
    Queue::new(queue)
}

fn drain(queue: &Local<u8>) -> Vec<usize> {
    std::iter::from_fn(|| queue.pop()).map(number).collect()
}

/// One steal into a queue of the thief's own: what came of it, oldest first.
fn steal(victim: &Local<u8>) -> Vec<usize> {
    let mine = Local::new();
    let Some((first, count)) = victim.steal_into(&mine, STEAL_MAX) else {
        assert!(mine.is_empty());
        return Vec::new();
    };
    let mut batch = vec![number(first)];
    batch.extend(drain(&mine));
    assert_eq!(batch.len(), count);
    assert!(batch.is_sorted(), "a batch is in the order of the pushes");
    batch
}

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(body);
}

fn assert_each_once(mut got: Vec<usize>, numbers: std::ops::RangeInclusive<usize>) {
    got.sort_unstable();
    assert!(got.iter().copied().eq(numbers), "{got:?}");
}

/// The owner goes around the ring while a thief takes a batch from it.
#[test]
fn the_owner_laps_a_thief() {
    model(|| {
        let queue = filled(1..=4);
        let victim = queue.clone();
        let thief = thread::spawn(move || steal(&victim));

        let mut got = Vec::new();
        for n in 5..=8 {
            if queue.push(item(n)).is_err() {
                let mut half = Vec::new();
                queue.take_half(&mut half);
                got.extend(half.into_iter().map(number));
                got.push(n);
            }
            got.extend(queue.pop().map(number));
        }
        got.extend(thief.join().expect("no panic"));
        got.extend(drain(&queue));
        assert_each_once(got, 1..=8);
    });
}

/// Two thieves, and the owner pops and pushes.
#[test]
fn two_thieves_and_the_owner() {
    model(|| {
        let queue = filled(1..=4);
        let thieves = [queue.clone(), queue.clone()];
        let thieves = thieves.map(|victim| thread::spawn(move || steal(&victim)));

        let mut got: Vec<_> = queue.pop().map(number).into_iter().collect();
        if queue.push(item(5)).is_err() {
            got.push(5);
        }
        for thief in thieves {
            got.extend(thief.join().expect("no panic"));
        }
        got.extend(drain(&queue));
        assert_each_once(got, 1..=5);
    });
}

/// A thief is robbed while it steals: nothing of its batch shows before it is its own.
#[test]
fn a_thief_is_robbed() {
    model(|| {
        let first = filled(1..=3);
        let second = Queue::new(Local::new());
        let (from, to) = (first.clone(), second.clone());
        let middle = thread::spawn(move || {
            let stolen = from.steal_into(&to, STEAL_MAX).map(|(item, _)| item);
            let mut got: Vec<_> = stolen.into_iter().map(number).collect();
            got.extend(to.pop().map(number));
            got
        });
        let last = thread::spawn({
            let second = second.clone();
            move || steal(&second)
        });

        let mut got: Vec<_> = first.pop().map(number).into_iter().collect();
        got.extend(middle.join().expect("no panic"));
        got.extend(last.join().expect("no panic"));
        got.extend(drain(&first));
        got.extend(drain(&second));
        assert_each_once(got, 1..=3);
    });
}

/// What an address stands for is visible to a thief, and to the thief's thief.
#[test]
fn a_push_publishes() {
    model(|| {
        let first = Queue::new(Local::new());
        let second = Queue::new(Local::new());
        // loom checks each access of the cell against the happens-before order.
        let written = Arc::new(loom::cell::UnsafeCell::new(0));

        let (from, to, cell) = (first.clone(), second.clone(), written.clone());
        let middle = thread::spawn(move || {
            if from.steal_into(&to, STEAL_MAX).is_some() {
                cell.with(|_| ());
            }
        });
        let cell = written.clone();
        let last = thread::spawn(move || {
            if !steal(&second).is_empty() {
                cell.with(|_| ());
            }
        });
        written.with_mut(|_| ());
        for n in 1..=3 {
            first.push(item(n)).expect("there is room");
        }
        middle.join().expect("no panic");
        last.join().expect("no panic");
    });
}
