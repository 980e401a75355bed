//! The poller, and who takes its place.

use super::*;
use crate::schedule::idle::sleepers::Sleeper;

/// A queue in which a thread waits by calling `wait`.
struct Queue<F>(F);

impl<F: FnMut(Option<Instant>) -> bool> EventQueue for Queue<F> {
    fn wait(&mut self, _: &Parker, until: Option<Instant>, _: bool) -> bool {
        (self.0)(until)
    }
}

fn with_queue(workers: usize) -> Idle {
    let idle = Idle::new(workers);
    idle.has_queue();
    idle
}

/// Of each of these threads, whether `is` is true; `false` for one that is not in the list.
fn each(idle: &Idle, asleep: &[Asleep], is: impl Fn(&Sleeper) -> bool) -> Vec<bool> {
    let sleepers = idle.sleepers.lock();
    let of = |thread: &Asleep| {
        let at = sleepers.position_of(&thread.parker);
        at.is_some_and(|at| is(&sleepers[at]))
    };
    asleep.iter().map(of).collect()
}

fn polling(idle: &Idle, asleep: &[Asleep]) -> Vec<bool> {
    each(idle, asleep, |sleeper| sleeper.polls.get())
}

fn watching(idle: &Idle, asleep: &[Asleep]) -> Vec<bool> {
    each(idle, asleep, |sleeper| sleeper.is_watcher)
}

/// Lets a worker come, wait in the queue with this outcome, and leave. Returns what `park` did, and whether
/// it waited in the queue.
fn visit(idle: &Idle, got_events: bool) -> (bool, bool) {
    let (mut waited, looks) = (false, Cell::new(0));
    idle.search();
    let mut queue = Queue(|_| {
        waited = true;
        got_events
    });
    let park = idle.park(
        &Arc::new(Parker::new()),
        true,
        &no_timer(),
        &mut queue,
        || {
            looks.set(looks.get() + 1);
            looks.get() > 1
        },
    );
    idle.found(|| false);
    (park, waited)
}

/// Takes a sleeper off the list, as a thread that wakes it does.
fn wake(idle: &Idle, thread: &Asleep) {
    let mut sleepers = idle.sleepers.lock();
    let at = sleepers.position_of(&thread.parker).expect("it sleeps");
    let left = idle.remove(&mut sleepers, at);
    idle.replace(sleepers, left.covers());
    idle.found(|| false);
}

#[test]
fn the_first_worker_polls_and_only_where_there_is_a_queue() {
    let idle = Idle::new(3);
    while_asleep(&idle, &no_timer(), &[Worker, Worker], |asleep| {
        assert_eq!(polling(&idle, asleep), [false, false]);
    });
    let idle = with_queue(3);
    while_asleep(&idle, &no_timer(), &[BlockOn, Worker, Worker], |asleep| {
        assert_eq!(polling(&idle, asleep), [false, true, false]);
    });
}

#[test]
fn a_worker_that_sleeps_is_appointed_when_the_queue_is_made() {
    let idle = Idle::new(3);
    while_asleep(&idle, &no_timer(), &[BlockOn, Worker, Worker], |asleep| {
        idle.has_queue();
        let polls = polling(&idle, asleep);
        assert_eq!(polls.iter().filter(|polls| **polls).count(), 1);
        assert_eq!(woken(asleep), polls, "that one is unparked");
        assert!(!polls[0], "it runs no tasks");
        assert_eq!(idle.counters.peek(), Counts::sleeping(2), "it still sleeps");
    });
}

#[test]
fn the_poller_is_woken_last() {
    let idle = with_queue(4);
    while_asleep(&idle, &timer_at(9), &[Worker, Worker, Worker], |asleep| {
        wakes_the_last_first(&idle, asleep);
    });
}

#[test]
fn a_poller_that_leaves_is_replaced_unless_a_sleeper_watches() {
    // Three workers, and none is awake but the one that leaves.
    let idle = with_queue(0);
    while_asleep(&idle, &no_timer(), &[Worker, Worker, Worker], |asleep| {
        wake(&idle, &asleep[0]);
        let polls = polling(&idle, asleep);
        assert_eq!(polls.iter().filter(|polls| **polls).count(), 1);
        assert_eq!(
            woken(asleep),
            polls,
            "it looks again, and blocks in the queue"
        );
        idle.search();
    });
    let idle = with_queue(4);
    while_asleep(&idle, &no_timer(), &[Worker, Worker, Worker], |asleep| {
        assert_eq!(watching(&idle, asleep), [false, true, false]);
        wake(&idle, &asleep[0]);
        assert_eq!(woken(asleep), [false; 3], "the watcher looks soon");
        wake(&idle, &asleep[1]);
        assert_eq!(polling(&idle, asleep), [false, false, true]);
        assert_eq!(
            woken(asleep),
            [false, false, true],
            "there is no watcher any more"
        );
        (0..2).for_each(|_| idle.search());
    });
}

#[test]
fn a_worker_with_events_is_searching_and_off_the_list() {
    let idle = with_queue(2);
    idle.search();
    let parker = Arc::new(Parker::new());
    let mut queue = Queue(|_| {
        assert_eq!(idle.counters.peek(), Counts::sleeping(1));
        true
    });
    assert!(idle.park(&parker, true, &no_timer(), &mut queue, || false));
    assert!(idle.sleepers.lock().is_empty());
    assert!(
        idle.counters.peek().any_searches(),
        "pushes wake no other worker"
    );
    idle.found(|| false);
}

#[test]
fn a_poller_that_was_woken_while_it_got_events_returns_them() {
    let idle = with_queue(2);
    idle.search();
    let parker = Arc::new(Parker::new());
    let mut queue = Queue(|_| {
        idle.notify();
        true
    });
    assert!(idle.park(&parker, true, &no_timer(), &mut queue, || false));
    idle.found(|| false);
    assert_eq!(idle.counters.peek(), Counts::ALL_ACTIVE);
}

#[test]
fn the_watcher_polls_if_nobody_does() {
    let idle = with_queue(3);
    // The poller is away in a long poll when the watcher looks.
    let [poller, watcher] = [(); 2].map(|()| Arc::new(Parker::new()));
    idle.search();
    idle.search();
    idle.park(&poller, true, &no_timer(), &mut NoQueue, || {
        let (looks, waits) = (Cell::new(0), Cell::new(0));
        let mut queue = Queue(|until: Option<Instant>| {
            assert!(until.is_some(), "it watches, too, since a worker is awake");
            waits.set(waits.get() + 1);
            true
        });
        let got_events = idle.park(&watcher, true, &no_timer(), &mut queue, || {
            looks.set(looks.get() + 1);
            if looks.get() == 1 {
                let mut sleepers = idle.sleepers.lock();
                let at = sleepers.position_of(&poller).expect("it sleeps");
                assert!(sleepers[at].polls.get());
                let left = idle.remove(&mut sleepers, at);
                assert!(left.polls.get());
                idle.replace(sleepers, None);
            }
            false
        });
        assert!(got_events && waits.get() == 1 && looks.get() == 2);
        true
    });
    idle.found(|| false);
    idle.found(|| false);
    assert_eq!(idle.counters.peek(), Counts::ALL_ACTIVE);
}

#[test]
fn a_sleeper_watches_on_while_the_poller_comes_and_goes() {
    let idle = with_queue(2);
    let watcher = Arc::new(Parker::new());
    assert_eq!(visit(&idle, true), (true, true));
    let looks = Cell::new(0);
    let poller = Arc::new(Parker::new());
    idle.search();
    idle.park(&poller, true, &no_timer(), &mut NoQueue, || {
        let is_posted = || idle.watcher.is_posted();
        idle.search();
        idle.park(&watcher, true, &no_timer(), &mut NoQueue, || {
            looks.set(looks.get() + 1);
            match looks.get() {
                1 => assert!(is_posted(), "the poller was away a moment ago"),
                2 => {
                    assert!(is_posted(), "and before the first look");
                    idle.sleepers.lock().poller_left.set(true);
                }
                3 => assert!(is_posted(), "and since"),
                _ => {
                    assert!(!is_posted(), "all slept since the last look");
                    return true;
                }
            }
            if looks.get() == 3 {
                // It does not watch any more after this look: it would sleep for good.
                watcher.unpark();
            }
            false
        });
        idle.found(|| false);
        true
    });
    idle.found(|| false);
    assert_eq!(looks.get(), 4);
}

#[test]
fn a_sleeper_that_does_not_poll_takes_the_watch_over() {
    let idle = with_queue(3);
    while_asleep(&idle, &no_timer(), &[Worker, Worker, Worker], |asleep| {
        assert_eq!(polling(&idle, asleep), [true, false, false]);
        assert_eq!(watching(&idle, asleep), [false, true, false]);
    });
    while_asleep(&idle, &no_timer(), &[Worker], |asleep| {
        assert_eq!(polling(&idle, asleep), [true]);
        assert_eq!(watching(&idle, asleep), [true], "it is the only one");
    });
}

#[test]
fn a_worker_that_is_alone_waits_in_the_queue_without_a_limit() {
    let idle = with_queue(1);
    let parker = Arc::new(Parker::new());
    idle.search();
    let mut queue = Queue(|until: Option<Instant>| {
        assert_eq!(until, None);
        true
    });
    assert!(idle.park(&parker, true, &no_timer(), &mut queue, || false));
    idle.found(|| false);
}
