//! Wakes, polls and cancellations of one task.
#![cfg(taskgrove_loom)]

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use std::future::{pending, poll_fn};
use std::task::Poll;
use taskgrove::model::World;
use taskgrove_loom_tests::*;

/// Two threads wake a task while a third polls it. A later poll sees what each of them wrote before
/// its wake, there is at most one more poll for each wake, and never two at once.
#[test]
fn every_wake_is_followed_by_a_poll_that_sees_it() {
    explore(&["one poll", "two polls"], |seen| {
        let world = World::new();
        let (log, place) = (Log::default(), Place::default());
        let flags = [(); 2].map(|()| loom::sync::Arc::new(AtomicBool::new(false)));
        let mut task = {
            let (place, flags) = (place.clone(), flags.clone());
            let done = poll_fn(move |cx| {
                place.put(cx.waker());
                let set = flags.iter().filter(|flag| flag.load(Ordering::Relaxed));
                if set.count() == 2 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            });
            world.handle().spawn(noted(&log, "poll", "drop", done))
        };
        world.run();
        let waker = place.waker();
        drop(place.take());
        let threads = flags.map(|flag| {
            let waker = waker.clone();
            thread::spawn(move || {
                flag.store(true, Ordering::Relaxed);
                waker.wake();
            })
        });
        drop(waker);
        world.run();
        for thread in threads {
            thread.join().unwrap();
        }
        world.run();
        ready(&mut task).expect("a value");
        drop((task, place.take()));
        log.at("drop");
        match log.count("poll") - 1 {
            1 => seen.saw("one poll"),
            2 => seen.saw("two polls"),
            _ => panic!("{log:?}"),
        }
        world.end();
    });
}

/// A thread wakes a task whose runtime ends meanwhile.
#[test]
fn a_waker_may_outlive_its_runtime() {
    explore(
        &["it ran", "it was killed", "it was killed on its way"],
        |seen| {
            let world = World::new();
            let (log, gate) = (Log::default(), Gate::new());
            let task = world.handle().spawn(noted(&log, "poll", "drop", {
                let gate = gate.clone();
                poll_fn(move |cx| gate.poll(cx))
            }));
            world.run();
            let outside = thread::spawn({
                let gate = gate.clone();
                move || gate.open()
            });
            world.run();
            world.kill_all();
            world.close();
            world.run();
            let ended = world.has_ended();
            if ended {
                // All there is of the runtime now is what the waker holds.
                drop((task, gate, world));
                outside.join().unwrap();
            } else {
                // It was scheduled when it was killed, and not yet pushed.
                outside.join().unwrap();
                world.run();
                drop((task, gate));
                world.end();
            }
            log.at("drop");
            assert_eq!(World::slots(), 0, "slots are left");
            seen.saw(match log.count("poll") {
                2 => "it ran",
                _ if ended => "it was killed",
                _ => "it was killed on its way",
            });
        },
    );
}

/// A task ends while it is woken through a waker that may be the last reference to it.
#[test]
fn a_waker_may_outlive_its_task() {
    explore(&["before its end", "after it"], |seen| {
        let world = World::new();
        let (log, place) = (Log::default(), Place::default());
        let task = world.handle().spawn(noted(&log, "poll", "drop", {
            let (log, place) = (log.clone(), place.clone());
            poll_fn(move |cx| match log.count("poll") {
                1 => {
                    place.put(cx.waker());
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            })
        }));
        world.run();
        let waker = place.take().expect("it was polled");
        drop(task);
        let other = thread::spawn({
            let (log, waker) = (log.clone(), waker.clone());
            move || {
                log.note("wakes");
                waker.wake();
            }
        });
        waker.wake();
        world.run();
        other.join().unwrap();
        world.run();
        assert_eq!(log.count("poll"), 2, "{log:?}");
        let late = log.at("drop") < log.at("wakes");
        seen.saw(if late { "after it" } else { "before its end" });
        drop(place);
        world.end();
    });
}

/// A task is cancelled while it completes. Its future is dropped once.
#[test]
fn a_task_that_completes_while_it_is_cancelled_has_one_outcome() {
    explore(&["cancelled", "value"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Gate::new());
        let mut task = world.handle().spawn(noted(&log, "poll", "drop", {
            let gate = gate.clone();
            poll_fn(move |cx| gate.poll(cx).map(|()| 7))
        }));
        world.run();
        let cancel = task.cancel_handle();
        let canceller = thread::spawn(move || cancel.cancel());
        gate.open();
        world.run();
        canceller.join().unwrap();
        world.run();
        log.at("drop");
        match ready(&mut task) {
            Ok(7) => seen.saw("value"),
            Err(e) if e.is_cancelled() => seen.saw("cancelled"),
            other => panic!("{other:?}"),
        }
        drop((task, gate));
        world.end();
    });
}

/// A task that never ends by itself is cancelled before, during or after its first poll. At most one
/// poll happens.
#[test]
fn a_task_that_is_cancelled_before_its_first_poll_is_not_polled() {
    explore(&["never polled", "polled once"], |seen| {
        let world = World::new();
        let log = Log::default();
        let mut task = world
            .handle()
            .spawn(noted(&log, "poll", "drop", pending::<()>()));
        let cancel = task.cancel_handle();
        let canceller = thread::spawn(move || {
            cancel.cancel();
            cancel.cancel();
        });
        world.run();
        canceller.join().unwrap();
        world.run();
        log.at("drop");
        assert!(ready(&mut task).unwrap_err().is_cancelled());
        match log.count("poll") {
            0 => seen.saw("never polled"),
            1 => seen.saw("polled once"),
            _ => panic!("{log:?}"),
        }
        drop(task);
        world.end();
    });
}

/// A task that wakes itself in its polls is cancelled during one of them, or between two. It is dropped
/// once, at the end of that poll, and not polled again.
#[test]
fn a_cancel_during_a_poll_takes_effect_at_its_end() {
    let expected = [
        "before the first poll",
        "between two polls",
        "in a poll",
        "after the last poll",
    ];
    explore(&expected, |seen| {
        let world = World::new();
        let log = Log::default();
        let somewhere = loom::sync::Arc::new(AtomicBool::new(false));
        let mut task = world.handle().spawn(noted(&log, "poll", "drop", {
            let (log, somewhere) = (log.clone(), somewhere.clone());
            poll_fn(move |cx| {
                if log.count("end") < 2 {
                    cx.waker().wake_by_ref();
                }
                // Where the other thread, which writes it, may come in between.
                somewhere.load(Ordering::Relaxed);
                log.note("end");
                Poll::<()>::Pending
            })
        }));
        let cancel = task.cancel_handle();
        let canceller = thread::spawn({
            let log = log.clone();
            move || {
                cancel.cancel();
                somewhere.store(true, Ordering::Relaxed);
                log.note("asked");
            }
        });
        assert!(world.run_one(), "it is polled, or dropped");
        world.run();
        canceller.join().unwrap();
        world.run();
        assert!(ready(&mut task).unwrap_err().is_cancelled());
        let polls = log.before("poll", "asked");
        let all = log.count("poll");
        // One more may have begun, and not have come to its note.
        assert!(all <= polls + 1, "polled after that");
        assert_eq!(log.count("end"), all);
        assert_eq!(log.before("end", "drop"), all, "dropped in a poll");
        seen.saw(match polls {
            0 => "before the first poll",
            _ if log.before("end", "asked") < polls => "in a poll",
            3 => "after the last poll",
            _ => "between two polls",
        });
        drop(task);
        world.end();
    });
}
