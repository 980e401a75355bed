//! The place before a worker's queue: what it speeds up, and what it leaves to the others.

use super::*;
use std::future::poll_fn;
use std::sync::Mutex as StdMutex;
use std::task::{Poll, Waker};

type Counter = std::sync::Arc<Std64>;

/// A task that spawns five others and awaits each waits for two rounds of the queue at most, not for ten: a round
/// is ten polls.
#[test]
fn a_chain_of_short_tasks_is_not_behind_the_whole_queue_at_each_step() {
    for (workers, tasks) in [(1, 10), (2, 20)] {
        let poll = 100 * US;
        let mut world = crowded(workers, tasks, poll);
        for _ in 0..10 {
            let (began, mark) = (world.now(), Mark::default());
            let (handle, last) = (world.handle(), mark.task(&world.shared));
            drop(world.handle().spawn(async move {
                for _ in 0..5 {
                    handle.spawn(async {}).await.expect("it ends");
                }
                last.await;
            }));
            world.run(began + 20 * MS, |_| ());
            let took = mark.at().saturating_sub(began);
            assert!(
                mark.at() > 0 && took <= 25 * poll,
                "{workers} workers, {tasks} tasks: {took} ns"
            );
        }
    }
}

/// Two tasks that wake each other for ever, each poll as long as those of others: they get at most about
/// half of the polls, and no other task waits longer than twice the queue.
#[test]
fn tasks_that_wake_each_other_get_about_half_of_the_polls() {
    for tasks in [1, 2, 10, 100] {
        let mut world = World::new(1);
        let wakers: std::sync::Arc<[StdMutex<Option<Waker>>; 2]> = Default::default();
        let chatty = Counter::default();
        for me in 0..2 {
            let (wakers, chatty) = (wakers.clone(), chatty.clone());
            drop(world.handle().spawn(poll_fn(move |cx| {
                take(50 * US);
                chatty.fetch_add(1, Ordering::Relaxed);
                *wakers[me].lock().expect("no panic") = Some(cx.waker().clone());
                let other = wakers[1 - me].lock().expect("no panic").take();
                if let Some(waker) = other {
                    waker.wake();
                }
                Poll::<()>::Pending
            })));
        }
        let plain: Vec<Counter> = (0..tasks).map(|_| Counter::default()).collect();
        for count in &plain {
            let count = count.clone();
            drop(world.handle().spawn(async move {
                loop {
                    take(50 * US);
                    count.fetch_add(1, Ordering::Relaxed);
                    crate::yield_now().await;
                }
            }));
        }
        world.run(2_000 * MS, |_| ());
        let counts = plain.iter().map(|count| count.load(Ordering::Relaxed));
        let (least, most) = (counts.clone().min(), counts.clone().max());
        let (sum, chatty) = (counts.sum::<u64>(), chatty.load(Ordering::Relaxed));
        // With few tasks in the queue, three polls in a row and one between two rounds.
        let bound = if tasks < 3 { 5 * sum } else { sum + sum / 2 };
        assert!(chatty <= bound, "{tasks}: {chatty} polls beside {sum}");
        assert!(
            chatty > 0 && most <= least.map(|least| least + 2),
            "{tasks}"
        );
    }
}

/// A task that awaits a thousand others, one after another, is woken by each. It is polled a few times in a
/// round of the queue, and not after each of them.
#[test]
fn a_task_that_joins_many_is_polled_a_few_times() {
    let mut world = World::new(1);
    let (polls, done) = (Counter::default(), Mark::default());
    let (counted, handle, last) = (polls.clone(), world.handle(), done.task(&world.shared));
    let mut join = Box::pin(async move {
        let tasks: Vec<_> = (0..1_000).map(|_| handle.spawn(async {})).collect();
        for task in tasks {
            task.await.expect("it ends");
        }
        last.await;
    });
    drop(world.handle().spawn(poll_fn(move |cx| {
        counted.fetch_add(1, Ordering::Relaxed);
        join.as_mut().poll(cx)
    })));
    world.run(100 * MS, |_| ());
    let polls = polls.load(Ordering::Relaxed);
    assert!(done.at() > 0 && polls <= 30, "{polls} polls");
}

/// A poll puts a task into the place, and then lasts: another worker takes the task.
#[test]
fn a_task_in_the_place_is_not_behind_a_long_poll() {
    for queued in [0, 1, 10] {
        let mut world = World::new(2);
        let (handle, mark) = (world.handle(), Mark::default());
        let task = mark.task(&world.shared);
        drop(world.handle().spawn(async move {
            drop(handle.spawn(task));
            for _ in 0..queued {
                drop(handle.spawn(async {}));
            }
            take(1_000 * MS);
        }));
        world.run(10 * MS, |_| ());
        assert!(mark.at() > 0, "beside {queued}, it still waits");
    }
}
