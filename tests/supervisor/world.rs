//! Children whose lives the tests decide, and a log of what they do, with virtual times in milliseconds.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use taskgrove::supervisor::{ChildSpec, Supervisor, SupervisorHandle};
use taskgrove::{Context, Handle, Manager, Service, ServiceError, finally, sim, time};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// What a child is told to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Do {
    Return,
    Fail,
    Panic,
    Ready,
}

#[derive(Default)]
struct Kid {
    /// Incarnations made so far.
    made: usize,
    /// The service value of the last incarnation exists.
    alive: bool,
    orders: Vec<Do>,
    waker: Option<Waker>,
    /// How many of the next incarnations cannot be made.
    unmakable: usize,
    /// How many of the next incarnations fail before they are ready.
    unready: usize,
    ready_after: Option<Duration>,
    cleanup: Duration,
}

#[derive(Default)]
struct State {
    kids: HashMap<String, Kid>,
    log: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
    began: Instant,
}

/// Runs a body with a world for several seeds.
#[track_caller]
pub(crate) fn check<F: Future<Output = ()>>(body: impl Fn(World) -> F) {
    sim::check(0..40, async || body(World::new()).await);
}

/// Lets everything run that can without time passing.
pub(crate) async fn settle() {
    time::sleep(Duration::from_nanos(1)).await;
}

pub(crate) fn start(supervisor: Supervisor) -> (Manager, SupervisorHandle) {
    let handle = supervisor.handle();
    let manager = Handle::current().start(supervisor);
    (manager.expect("a root service"), handle)
}

impl World {
    pub(crate) fn new() -> World {
        World {
            state: Arc::default(),
            began: time::now(),
        }
    }

    fn with<T>(&self, name: &str, f: impl FnOnce(&mut Kid) -> T) -> T {
        let mut state = self.state.lock().unwrap();
        f(state.kids.entry(name.to_owned()).or_default())
    }

    /// The time since the world began, in whole milliseconds.
    pub(crate) fn now(&self) -> u128 {
        (time::now() - self.began).as_millis()
    }

    pub(crate) fn log(&self, what: &str, name: &str) {
        let line = format!("{} {what}{name}", self.now());
        self.state.lock().unwrap().log.push(line);
    }

    /// Takes what was logged since the last time, in one line.
    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut self.state.lock().unwrap().log).join(", ")
    }

    /// The number of incarnations of a child so far.
    pub(crate) fn made(&self, name: &str) -> usize {
        self.with(name, |kid| kid.made)
    }

    pub(crate) fn is_alive(&self, name: &str) -> bool {
        self.with(name, |kid| kid.alive)
    }

    /// Gives the child an order, and waits until it and the supervisor have done what they can at once.
    pub(crate) async fn tell(&self, name: &str, order: Do) {
        self.order(name, order);
        settle().await;
    }

    pub(crate) fn order(&self, name: &str, order: Do) {
        let waker = self.with(name, |kid| {
            kid.orders.push(order);
            kid.waker.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn unmakable(&self, name: &str, times: usize) {
        self.with(name, |kid| kid.unmakable = times);
    }

    pub(crate) fn unready(&self, name: &str, times: usize) {
        self.with(name, |kid| kid.unready = times);
    }

    pub(crate) fn ready_after(&self, name: &str, time: Option<Duration>) {
        self.with(name, |kid| kid.ready_after = time);
    }

    /// How long each incarnation cleans up when it is stopped.
    pub(crate) fn cleanup(&self, name: &str, time: Duration) {
        self.with(name, |kid| kid.cleanup = time);
    }

    pub(crate) fn spec(&self, name: &'static str) -> ChildSpec {
        let world = self.clone();
        ChildSpec::new(name, move || world.make(name))
    }

    pub(crate) fn make(&self, name: &str) -> Child {
        let unmakable = self.with(name, |kid| {
            assert!(!kid.alive, "two incarnations of {name} overlap");
            let unmakable = kid.unmakable > 0;
            kid.unmakable = kid.unmakable.saturating_sub(1);
            unmakable
        });
        if unmakable {
            self.log("!", name);
            panic!("{name} cannot be made");
        }
        self.with(name, |kid| {
            kid.made += 1;
            kid.alive = true;
            kid.orders.clear();
        });
        self.log("+", name);
        Child {
            world: self.clone(),
            name: name.to_owned(),
        }
    }

    async fn next_order(&self, name: &str) -> Do {
        poll_fn(|cx| {
            self.with(name, |kid| {
                if kid.orders.is_empty() {
                    kid.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(kid.orders.remove(0))
            })
        })
        .await
    }
}

/// A child. It is gone when its value is dropped.
pub(crate) struct Child {
    world: World,
    name: String,
}

impl Drop for Child {
    fn drop(&mut self) {
        self.world.with(&self.name, |kid| kid.alive = false);
        self.world.log("-", &self.name);
    }
}

impl Service for Child {
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        let (world, name) = (&self.world, &*self.name);
        let (cleanup, ready_after, unready) = world.with(name, |kid| {
            let unready = kid.unready > 0;
            kid.unready = kid.unready.saturating_sub(1);
            (kid.cleanup, kid.ready_after, unready)
        });
        let body = async {
            if unready {
                return Err(format!("{name} is not ready").into());
            }
            if let Some(time) = ready_after {
                time::sleep(time).await;
                ctx.set_ready();
            }
            loop {
                match world.next_order(name).await {
                    Do::Return => return Ok(()),
                    Do::Fail => return Err(format!("{name} failed").into()),
                    Do::Panic => panic!("{name} panicked"),
                    Do::Ready => ctx.set_ready(),
                }
            }
        };
        if cleanup.is_zero() {
            return body.await;
        }
        finally(body, async {
            world.log("~", name);
            time::sleep(cleanup).await;
        })
        .await
    }
}

/// The error of a supervisor that has finished.
#[track_caller]
pub(crate) fn error(manager: &Manager) -> ServiceError {
    manager
        .result()
        .expect("it has finished")
        .expect_err("it has failed")
}

#[track_caller]
pub(crate) fn assert_ended_well(manager: &Manager) {
    assert!(manager.is_finished(), "{manager:?}");
    assert!(manager.result().unwrap().is_ok(), "{}", error(manager));
}

/// Each child with its state, in one line.
pub(crate) fn states(handle: &SupervisorHandle) -> String {
    let all = handle.children();
    let all = all
        .iter()
        .map(|child| format!("{} {:?}", child.name, child.state));
    all.collect::<Vec<_>>().join(", ")
}
