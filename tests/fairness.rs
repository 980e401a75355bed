//! Greedy tasks starve nobody: a ping-pong pair, self-waking tasks and spawn loops let a third task, the timers and `block_on`'s
//! own future run within a bounded number of their polls.

mod common;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use common::{Event, suspend, watchdog};
use taskgrove::time::sleep_until;
use taskgrove::{Handle, Runtime, yield_now};

/// Polls of the greedy tasks before the third one becomes ready.
const WARM: u64 = 500;
/// Polls that the third may have to wait when one thread runs everything: a few rounds of the queue, and a turn of the injector.
const EXACT: u64 = 1024;
/// Polls that may pass where time or a second thread has a part, so that the counts depend on the machine's scheduler, too.
const LOOSE: u64 = 5_000_000;
/// The greedy tasks give up after so many polls: whoever has not run by then is starved.
const LIMIT: u64 = 2 * LOOSE;
const REPEATS: usize = 10;
const BURST: usize = 64;

#[derive(Clone, Copy, Debug)]
enum Greedy {
    SelfWaking,
    Yielding,
    PingPong,
    SpawnChain,
    SpawnBurst,
}

const GREEDY: [Greedy; 5] = [
    Greedy::SelfWaking,
    Greedy::Yielding,
    Greedy::PingPong,
    Greedy::SpawnChain,
    Greedy::SpawnBurst,
];

/// How the third task becomes ready, during a poll of a greedy one.
#[derive(Clone, Copy, Debug)]
enum Ready {
    SpawnedByIt,
    SpawnedByThread,
    WokenByIt,
    WokenByThread,
}

type Hook = Box<dyn FnOnce() + Send>;
type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the greedy tasks of one round share with the one that waits.
#[derive(Default)]
struct Round {
    polls: AtomicU64,
    over: AtomicBool,
    hook: Mutex<Option<Hook>>,
    deadline: OnceLock<Instant>,
    ready_at: OnceLock<u64>,
    ran_at: OnceLock<u64>,
    ran: Event,
    parked: Event,
    woken: AtomicBool,
    wakers: Mutex<[Option<Waker>; 3]>,
}

/// The place of the third task's waker; the first two are the pair's.
const THIRD: usize = 2;

impl Round {
    /// Counts a poll of a greedy task; false when it is to end.
    fn count(&self) -> bool {
        let polls = self.polls.fetch_add(1, SeqCst) + 1;
        let passed = |deadline: &Instant| Instant::now() >= *deadline;
        if self.ready_at.get().is_none() && self.deadline.get().is_some_and(passed) {
            let _ = self.ready_at.set(polls);
        }
        if polls == WARM {
            let hook = self.hook.lock().unwrap().take();
            if let Some(hook) = hook {
                hook();
                let _ = self.ready_at.set(self.polls.load(SeqCst));
            }
        }
        polls < LIMIT && !self.over.load(SeqCst)
    }

    /// Called by whoever waited.
    fn run_now(&self) {
        let _ = self.ran_at.set(self.polls.load(SeqCst));
        self.over.store(true, SeqCst);
        self.ran.set();
    }

    fn wake(&self, place: usize) {
        if place == THIRD {
            self.woken.store(true, SeqCst);
        }
        let waker = self.wakers.lock().unwrap()[place].take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn wait(&self, place: usize, waker: &Waker) {
        self.wakers.lock().unwrap()[place] = Some(waker.clone());
    }

    /// How many polls the greedy tasks had while the third one was ready.
    fn waited(&self) -> u64 {
        let ran = *self.ran_at.get().expect("it has run");
        // With a second thread it may have run before the moment was noted.
        let ready = *self.ready_at.get().unwrap_or(&ran);
        ran.saturating_sub(ready)
    }

    #[track_caller]
    fn assert_within(&self, bound: u64, what: &str) {
        let waited = self.waited();
        assert!(
            self.polls.load(SeqCst) < LIMIT && waited <= bound,
            "{what}: it had to wait for {waited} polls of the greedy tasks"
        );
    }
}

async fn third(round: Arc<Round>) {
    round.run_now();
}

async fn parked_third(round: Arc<Round>) {
    poll_fn(|cx| {
        round.wait(THIRD, cx.waker());
        round.parked.set();
        if round.woken.load(SeqCst) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    round.run_now();
}

/// Wakes its partner in every poll.
async fn player(round: Arc<Round>, me: usize) {
    poll_fn(|cx| {
        round.wait(me, cx.waker());
        let goes_on = round.count();
        round.wake(1 - me);
        if goes_on {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

/// A task that spawns the next one, and ends.
fn chain(round: Arc<Round>) -> Boxed {
    Box::pin(async move {
        if round.count() {
            drop(Handle::current().spawn(chain(round)));
        }
    })
}

/// Spawns many short tasks in every poll.
async fn burst(round: Arc<Round>) {
    let rt = Handle::current();
    while round.count() {
        for _ in 0..BURST {
            let round = round.clone();
            drop(rt.spawn(async move {
                round.count();
            }));
        }
        suspend().await;
    }
}

fn start_greedy(rt: &Handle, greedy: Greedy, round: &Arc<Round>) {
    let round = round.clone();
    match greedy {
        Greedy::SelfWaking => drop(rt.spawn(async move {
            while round.count() {
                suspend().await;
            }
        })),
        Greedy::Yielding => drop(rt.spawn(async move {
            while round.count() {
                yield_now().await;
            }
        })),
        Greedy::PingPong => {
            drop(rt.spawn(player(round.clone(), 0)));
            drop(rt.spawn(player(round, 1)));
        }
        Greedy::SpawnChain => drop(rt.spawn(chain(round))),
        Greedy::SpawnBurst => drop(rt.spawn(burst(round))),
    }
}

/// Has a thread do it, and waits for the thread: for the runtime, the call comes from outside.
fn from_outside(f: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(f);
    });
}

fn third_task_runs(workers: usize, greedy: Greedy, ready: Ready) {
    let rt = Runtime::builder()
        .workers(workers)
        .build()
        .expect("a runtime");
    let handle = rt.handle().clone();
    for _ in 0..REPEATS {
        let round = Arc::new(Round::default());
        let (state, handle) = (round.clone(), handle.clone());
        let hook: Hook = match ready {
            Ready::SpawnedByIt => Box::new(move || drop(handle.spawn(third(state)))),
            Ready::SpawnedByThread => {
                Box::new(move || from_outside(move || drop(handle.spawn(third(state)))))
            }
            Ready::WokenByIt => Box::new(move || state.wake(THIRD)),
            Ready::WokenByThread => Box::new(move || from_outside(move || state.wake(THIRD))),
        };
        *round.hook.lock().unwrap() = Some(hook);
        if let Ready::WokenByIt | Ready::WokenByThread = ready {
            drop(rt.spawn(parked_third(round.clone())));
            rt.block_on(round.parked.wait());
        }
        start_greedy(rt.handle(), greedy, &round);
        rt.block_on(round.ran.wait());
        let bound = if workers < 2 { EXACT } else { LOOSE };
        round.assert_within(bound, &format!("{workers} workers, {greedy:?}, {ready:?}"));
    }
}

fn third_task_runs_beside_all(workers: usize) {
    for greedy in GREEDY {
        for ready in [
            Ready::SpawnedByIt,
            Ready::SpawnedByThread,
            Ready::WokenByIt,
            Ready::WokenByThread,
        ] {
            watchdog(move || third_task_runs(workers, greedy, ready));
        }
    }
}

#[test]
fn a_third_task_runs_on_one_worker() {
    third_task_runs_beside_all(1);
}

#[test]
fn a_third_task_runs_on_two_workers() {
    third_task_runs_beside_all(2);
}

#[test]
fn a_third_task_runs_in_block_on() {
    third_task_runs_beside_all(0);
}

/// A timer fires beside the greedy tasks, one that a task waits for, or one that `block_on`'s future does.
#[test]
fn timers_fire() {
    for workers in [0, 1, 2] {
        for greedy in GREEDY {
            for in_task in [true, false] {
                watchdog(move || timer_fires(workers, greedy, in_task));
            }
        }
    }
}

fn timer_fires(workers: usize, greedy: Greedy, in_task: bool) {
    let rt = Runtime::builder()
        .workers(workers)
        .build()
        .expect("a runtime");
    for _ in 0..3 {
        let round = Arc::new(Round::default());
        let deadline = Instant::now() + Duration::from_millis(2);
        round.deadline.set(deadline).expect("set once");
        start_greedy(rt.handle(), greedy, &round);
        let state = round.clone();
        let sleeper = async move {
            sleep_until(deadline).await;
            assert!(Instant::now() >= deadline, "a timer never fires early");
            state.run_now();
        };
        rt.block_on(async {
            if in_task {
                rt.spawn(sleeper).await.expect("the sleeper ends");
            } else {
                sleeper.await;
            }
        });
        round.assert_within(LOOSE, &format!("{workers} workers, {greedy:?}, a timer"));
    }
}

/// Without workers, `block_on` has its own future to poll as well: greedy tasks do not starve it, and it does not starve them.
#[test]
fn the_future_of_block_on_takes_turns_with_the_tasks() {
    watchdog(|| {
        let rt = Runtime::builder().workers(0).build().expect("a runtime");
        for greedy in GREEDY {
            let round = Arc::new(Round::default());
            let (state, wanted) = (round.clone(), Event::new());
            let woken = wanted.clone();
            *round.hook.lock().unwrap() = Some(Box::new(move || woken.set()));
            start_greedy(rt.handle(), greedy, &round);
            rt.block_on(async {
                wanted.wait().await;
                state.run_now();
            });
            round.assert_within(EXACT, &format!("{greedy:?}, block_on's own future"));
        }
        for _ in 0..REPEATS {
            let ran = Event::new();
            let task = ran.clone();
            let yields = rt.block_on(async {
                drop(rt.spawn(async move { task.set() }));
                let mut yields = 0;
                while !ran.is_set() && yields < LIMIT {
                    suspend().await;
                    yields += 1;
                }
                yields
            });
            assert!(yields <= EXACT, "a task had to wait for {yields} yields");
        }
    });
}

/// A loop that exists, such as that of a game, gives the tasks their turns by `block_on(yield_now())`: its future goes
/// behind the tasks that are ready.
#[test]
fn a_yield_in_block_on_gives_every_ready_task_a_turn() {
    const FRAMES: u64 = 8;
    watchdog(|| {
        for tasks in [1, 100, 1000] {
            let rt = Runtime::builder().workers(0).build().expect("a runtime");
            let polls: Arc<Vec<AtomicU64>> =
                Arc::new((0..tasks).map(|_| AtomicU64::new(0)).collect());
            for n in 0..tasks {
                let polls = polls.clone();
                drop(rt.spawn(async move {
                    loop {
                        polls[n].fetch_add(1, SeqCst);
                        yield_now().await;
                    }
                }));
            }
            for frame in 1..=FRAMES {
                rt.block_on(yield_now());
                let polls: u64 = polls.iter().map(|polls| polls.load(SeqCst)).sum();
                assert!(
                    polls >= frame * tasks as u64,
                    "{tasks} tasks, frame {frame}: {polls}"
                );
            }
            // Tasks from outside come into the worker's queue in shares: some have their first turn a frame later.
            let fewest = polls.iter().map(|polls| polls.load(SeqCst)).min();
            assert!(fewest >= Some(FRAMES / 2), "{tasks} tasks: {fewest:?}");
        }
    });
}

/// A task that is alone in a worker's queue, behind a poll that waits for it, is run by the worker
/// that sleeps; whether the poll spawned it or woke it.
#[test]
fn a_lone_task_behind_a_poll_runs_on_the_worker_that_sleeps() {
    watchdog(|| {
        let runtime = Runtime::builder().workers(2).build().expect("a runtime");
        for round in 0..200 {
            // Nobody is awake then: each parks at least once more.
            let parks = runtime.metrics().parks;
            runtime.block_on(runtime.spawn(async {})).expect("it ends");
            while runtime.metrics().parks == parks {
                std::thread::yield_now();
            }
            let ran = Arc::new(AtomicBool::new(false));
            let (set, gate) = (ran.clone(), Event::new());
            let lone = {
                let gate = gate.clone();
                move || async move {
                    gate.wait().await;
                    set.store(true, SeqCst);
                }
            };
            let task = if round % 2 == 0 {
                gate.set();
                None
            } else {
                Some(runtime.spawn(lone.clone()()))
            };
            let blocking = runtime.spawn(async move {
                if task.is_none() {
                    drop(taskgrove::spawn(lone()));
                }
                gate.set();
                while !ran.load(SeqCst) {
                    std::thread::yield_now();
                }
                task
            });
            if let Some(task) = runtime.block_on(blocking).expect("it ends") {
                runtime.block_on(task).expect("it ends");
            }
        }
    });
}
