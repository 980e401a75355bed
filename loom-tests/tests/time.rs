//! Timers, on a clock that the model moves.
#![cfg(taskgrove_loom)]

use loom::thread;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use taskgrove::model::{Deadlines, World};
use taskgrove::time;
use taskgrove_loom_tests::*;

const NAP: Duration = Duration::from_nanos(10);

/// A sleep is dropped while it fires. Its waker is woken at most once, and dropped.
#[test]
fn a_sleep_that_is_dropped_wakes_nobody_later() {
    explore(&["dropped first", "fired first"], |seen| {
        let world = World::new();
        let mut sleep = world.as_worker(|| time::sleep(NAP));
        let counter = Counter::new();
        assert!(poll_once(&mut sleep, &Waker::from(counter.clone())).is_pending());
        let dropper = thread::spawn(move || drop(sleep));
        world.advance_to(10);
        dropper.join().unwrap();
        match counter.wakes() {
            0 => seen.saw("dropped first"),
            1 => seen.saw("fired first"),
            _ => unreachable!(),
        }
        assert_eq!(Arc::strong_count(&counter), 1, "the waker is dropped");
        world.end();
    });
}

/// A sleep is polled with another waker while it fires. It is ready, or that waker is woken.
#[test]
fn the_last_waker_of_a_sleep_is_woken() {
    explore(&["ready", "woken"], |seen| {
        let world = World::new();
        let mut sleep = world.as_worker(|| time::sleep(NAP));
        let (first, second) = (Counter::new(), Counter::new());
        assert!(poll_once(&mut sleep, &Waker::from(first.clone())).is_pending());
        let poller = thread::spawn({
            let waker = Waker::from(second.clone());
            move || (poll_once(&mut sleep, &waker).is_ready(), sleep)
        });
        world.advance_to(10);
        let (over, sleep) = poller.join().unwrap();
        if over {
            seen.saw("ready");
        } else {
            assert_eq!((first.wakes(), second.wakes()), (0, 1));
            seen.saw("woken");
        }
        drop(sleep);
        world.end();
    });
}

/// A sleep is put off, and polled with another waker, while it fires. It does not resolve before the new
/// deadline, and whoever polls it when it is woken is woken then.
#[test]
fn a_sleep_that_is_put_off_while_it_fires_wakes_at_the_new_deadline() {
    explore(&["fired first", "woken to set it again"], |seen| {
        let world = World::new();
        let mut sleep = world.as_worker(|| time::sleep(NAP));
        let late = sleep.deadline() + NAP;
        let (first, second) = (Counter::new(), Counter::new());
        assert!(poll_once(&mut sleep, &Waker::from(first.clone())).is_pending());
        let poller = thread::spawn({
            let waker = Waker::from(second.clone());
            move || {
                Pin::new(&mut sleep).reset(late);
                assert!(poll_once(&mut sleep, &waker).is_pending());
                sleep
            }
        });
        world.advance_to(10);
        let mut sleep = poller.join().unwrap();
        let early = second.wakes();
        assert_eq!(first.wakes() + early, 1);
        if early == 1 {
            let waker = Waker::from(second.clone());
            assert!(poll_once(&mut sleep, &waker).is_pending());
            seen.saw("woken to set it again");
        } else {
            seen.saw("fired first");
        }
        world.advance_to(20);
        assert_eq!(second.wakes(), early + 1);
        assert!(poll_once(&mut sleep, Waker::noop()).is_ready());
        drop(sleep);
        assert_eq!(world.timers(), 0);
        world.end();
    });
}

/// A task that sleeps is cancelled while its timer fires. It has one outcome.
#[test]
fn a_sleeping_task_may_be_cancelled_while_its_timer_fires() {
    explore(&["cancelled", "slept"], |seen| {
        let world = World::new();
        let mut task = world.handle().spawn(async { time::sleep(NAP).await });
        world.run();
        let cancel = task.cancel_handle();
        let other = thread::spawn({
            let world = world.clone();
            move || {
                cancel.cancel();
                drop(cancel);
                world.run();
            }
        });
        world.advance_to(10);
        world.run();
        other.join().unwrap();
        world.run();
        assert_eq!(world.timers(), 0);
        match ready(&mut task) {
            Ok(()) => seen.saw("slept"),
            Err(_) => seen.saw("cancelled"),
        }
        drop(task);
        world.end();
    });
}

/// A runtime ends while a thread outside its tasks begins to sleep.
#[test]
fn a_sleep_resolves_at_the_end_of_the_runtime() {
    explore(&["ready", "woken"], |seen| {
        let world = World::new();
        let mut sleep = world.as_worker(|| time::sleep(NAP));
        let counter = Counter::new();
        let poller = thread::spawn({
            let waker = Waker::from(counter.clone());
            move || (poll_once(&mut sleep, &waker).is_ready(), sleep)
        });
        world.kill_all();
        world.close();
        world.run();
        let (over, sleep) = poller.join().unwrap();
        if over {
            seen.saw("ready");
        } else {
            assert_eq!(counter.wakes(), 1);
            seen.saw("woken");
        }
        drop(sleep);
        world.end();
    });
}

/// A timer is removed, and a thread parks, while another thread inserts into another queue. As the protocol of
/// parking has it, the parked thread has the new deadline or an earlier one.
#[test]
fn a_new_deadline_is_covered_while_an_earlier_one_is_removed() {
    explore(&["planned", "told", "sleeps until the earlier"], |seen| {
        let timers = loom::sync::Arc::new(Deadlines::new());
        let (earlier, is_next) = timers.insert(0, 5);
        assert!(is_next);
        // Until when the thread sleeps, once it is parked.
        let sleeper = loom::sync::Arc::new(loom::sync::Mutex::new(None));
        let inserter = thread::spawn({
            let (timers, sleeper) = (timers.clone(), sleeper.clone());
            move || {
                let (_, is_next) = timers.insert(1, 10);
                let mut told = false;
                if is_next
                    && let Some(until) = &mut *sleeper.lock().unwrap()
                    && *until > 10
                {
                    *until = 10;
                    told = true;
                }
                told
            }
        });
        let remover = thread::spawn({
            let timers = timers.clone();
            move || assert!(timers.remove(&earlier))
        });
        {
            let mut sleeper = sleeper.lock().unwrap();
            *sleeper = Some(timers.next().unwrap_or(u64::MAX));
        }
        let told = inserter.join().unwrap();
        remover.join().unwrap();
        let until = sleeper.lock().unwrap().expect("it has parked");
        match (until, told) {
            (5, _) => seen.saw("sleeps until the earlier"),
            (10, true) => seen.saw("told"),
            (10, false) => seen.saw("planned"),
            _ => panic!("it sleeps until {until}"),
        }
        // The sleeper that wakes refreshes the word.
        assert_eq!(timers.next(), Some(10));
    });
}
