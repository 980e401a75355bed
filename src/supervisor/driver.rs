//! The driver of a supervisor: carries out what its [`Policy`] decides, as the code of the supervisor's task.
//!
//! All of it runs inside a shield. So the children, which are spawned in there, belong to the supervisor's
//! protection: a cancellation from above does not reach them. It reaches the driver through
//! [`Context::cancelled`], and the driver stops them in order. A kill drops the driver and the children with it.
//!
//! A step of the driver takes what has happened from the [`Inbox`](super::inbox::Inbox), tells the policy, and
//! carries out the effects before it tells the next. Then it publishes what has changed, and answers callers after
//! that, so that a caller that has its answer finds it in the view.

use super::board::Entry;
use super::handle::Core;
use super::inbox::{Call, Events, Tickets};
use super::info::SupervisorError;
use super::live::{Happened, Live};
use super::plan::Plan;
use super::policy::{Answer, Child, Effect, Identity, Key, Policy, Ticket};
use super::reply::{Asked, Outcome};
use super::spec::ChildSpec;
use crate::error::{ChildFailures, Result};
use crate::events;
use crate::handle::current_shared;
use crate::id::TaskId;
use crate::panics::quietly;
use crate::path::sanitise;
use crate::protect::shield::shielded;
use crate::service::Context;
use crate::task::current;
use crate::time::{self, Sleep};
use std::any::TypeId;
use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Instant;

/// The most events of one poll.
const EVENTS: usize = 256;

/// Closes the core when the supervisor ends, however that happens.
struct Closing(Arc<Core>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Runs a supervisor.
pub(super) async fn run(plan: Plan, ctx: Context) -> Result {
    if !plan.core.begin() {
        // A service around it calls its `run` again. Its handles are about the first time.
        return Err(
            "a supervisor runs once: make a new one for each start of the service that runs it"
                .into(),
        );
    }
    let _closing = Closing(plan.core.clone());
    let failures = shielded(async {
        let mut driver = Driver::new(plan, &ctx)?;
        let mut cancelled = pin!(ctx.cancelled());
        let mut is_cancelled = false;
        poll_fn(|cx| {
            if !is_cancelled && cancelled.as_mut().poll(cx).is_ready() {
                is_cancelled = true;
                driver.tell(Policy::stop);
            }
            driver.poll(cx, &ctx)
        })
        .await;
        Ok(driver.policy.take_failures())
    });
    let failures: Result<Vec<_>> = failures.await;
    match failures? {
        failures if failures.is_empty() => Ok(()),
        failures => Err(ChildFailures(failures).into()),
    }
}

struct Driver {
    core: Arc<Core>,
    supervisors: &'static [TypeId],
    policy: Policy,
    live: HashMap<Key, Live>,
    tickets: Tickets,
    asked: HashMap<Ticket, Asked>,
    /// Answers to be given once the changes are published.
    answers: Vec<(Asked, Outcome)>,
    sleep: Option<(Instant, Sleep)>,
    /// The id and the path of the supervisor's task.
    place: (TaskId, String),
    said_ready: bool,
    /// Whether those who wait for a child have been told that none comes up any more.
    said_ending: bool,
    ended: bool,
}

impl Driver {
    /// Makes a driver, and starts the first children.
    fn new(plan: Plan, ctx: &Context) -> Result<Driver> {
        let task = current::with(|task| task.map(|task| (task.id(), task.path())));
        let place = task.or_else(|| Some((ctx.id()?, ctx.name().to_owned())));
        let place = place.ok_or("a supervisor runs as a service")?;
        plan.check()?;
        let Plan {
            rules,
            specs,
            core,
            supervisors,
        } = plan;
        let mut driver = Driver {
            policy: Policy::new(rules, time::now(), randomness()),
            core,
            supervisors,
            live: HashMap::new(),
            tickets: Tickets::default(),
            asked: HashMap::new(),
            answers: Vec::new(),
            sleep: None,
            place,
            said_ready: false,
            said_ending: false,
            ended: false,
        };
        for spec in specs {
            let child = driver.child(&spec);
            let key = driver.policy.add_first(child);
            driver.enter(key, spec);
        }
        driver.tell(Policy::open);
        driver.look_for_handles(false);
        Ok(driver)
    }

    fn child(&self, spec: &ChildSpec) -> Child {
        let (task, path) = &self.place;
        let identity = Identity {
            task: *task,
            path: format!("{path}/{}", sanitise(&spec.name)),
            location: spec.location,
        };
        Child::new(spec.name.clone(), spec.rules(self.supervisors), identity)
    }

    fn enter(&mut self, key: Key, spec: ChildSpec) {
        let (waker, woken) = self.core.inbox.waker(key);
        self.live.insert(key, Live::new(spec, waker, woken));
    }

    fn poll(&mut self, cx: &mut task::Context<'_>, ctx: &Context) -> Poll<()> {
        let mut left = EVENTS;
        loop {
            let events = self.core.inbox.take(cx.waker());
            let is_quiet = events.is_empty();
            left = left.saturating_sub(1 + events.woken.len() + events.calls.len());
            self.hear(events);
            let fired = self.poll_sleep(cx);
            // What has come since the start that failed goes before the next one.
            let held = self.policy.held();
            if held > 0 {
                left = left.saturating_sub(held);
                self.tell(Policy::resume);
            }
            self.publish();
            if !self.said_ready && self.policy.is_open() {
                self.said_ready = true;
                ctx.set_ready();
            }
            if self.ended {
                return Poll::Ready(());
            }
            if is_quiet && !fired && held == 0 {
                return Poll::Pending;
            }
            if left == 0 {
                // Lets other tasks run.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    fn hear(&mut self, events: Events) {
        for key in events.woken {
            self.look_at(key);
        }
        // Those that are there are heard of before their calls, and those that are gone after them.
        if events.handles_changed {
            self.look_for_handles(true);
        }
        for (call, asked) in events.calls {
            self.take_call(call, asked);
            self.carry_out();
        }
        if events.handles_changed {
            self.look_for_handles(false);
        }
    }

    /// Tells the policy whether there are handles, if that is the answer.
    fn look_for_handles(&mut self, answer: bool) {
        if self.core.has_handles() == answer {
            self.tell(|policy, now| policy.set_handles(answer, now));
        }
    }

    /// Looks what a child that has woken the supervisor does.
    fn look_at(&mut self, key: Key) {
        let happened = self.live.get_mut(&key).map(Live::poll);
        match happened {
            None | Some(Happened::Nothing) => return,
            Some(Happened::Ready) => self.tell(|policy, now| policy.ready(key, now)),
            Some(Happened::Ended(failed)) => {
                self.tell(|policy, now| policy.ended(key, failed, now));
            }
        }
        // It may have ended since it was ready.
        if let Some(live) = self.live.get_mut(&key) {
            live.wake();
        }
    }

    fn take_call(&mut self, call: Call, asked: Asked) {
        let (ticket, now) = (self.tickets.draw(), time::now());
        self.asked.insert(ticket, asked);
        let policy = &mut self.policy;
        let name = match call {
            Call::Start(spec) => {
                let child = self.child(&spec);
                match self.policy.start_child(child, ticket, now) {
                    // The effects are carried out after this, so the spec is there in time.
                    Some(key) => self.enter(key, spec),
                    // The factory is the user's.
                    None => quietly(|| drop(spec)),
                }
                return;
            }
            Call::Stop(name) => {
                policy.stop_child(&name.name, ticket, now);
                name
            }
            Call::Restart(name) => {
                policy.restart_child(&name.name, ticket, now);
                name
            }
            Call::Remove(name) => {
                policy.remove_child(&name.name, ticket, now);
                name
            }
        };
        if name.inside {
            policy.let_go(ticket, &name.name);
        }
    }

    /// Tells the policy what has happened, and carries out what it asks for.
    fn tell(&mut self, what: impl FnOnce(&mut Policy, Instant)) {
        what(&mut self.policy, time::now());
        self.carry_out();
    }

    /// Carries out what the policy asks for.
    fn carry_out(&mut self) {
        while let Some(effect) = self.policy.next_effect() {
            match effect {
                Effect::Spawn(key) => self.spawn(key),
                Effect::Cancel(key) => self.with_live(key, Live::cancel),
                Effect::Kill(key) => self.with_live(key, Live::kill),
                Effect::Forget(key) => {
                    let live = self.live.remove(&key);
                    quietly(|| drop(live));
                }
                Effect::Answer(ticket, answer) => self.answer(ticket, answer),
                Effect::End => self.ended = true,
            }
        }
    }

    fn with_live(&mut self, key: Key, f: impl FnOnce(&mut Live)) {
        if let Some(live) = self.live.get_mut(&key) {
            f(live);
        }
    }

    fn spawn(&mut self, key: Key) {
        let Some(live) = self.live.get_mut(&key) else {
            return;
        };
        let (now, path) = (time::now(), &self.place.1);
        match live.spawn() {
            Ok(Some(task)) => {
                live.wake();
                let restarts = self.policy.child(key).map_or(0, |child| child.restarts);
                if restarts > 0 {
                    events::restarted(path, &live.spec.name, restarts);
                }
                self.policy.spawned(key, Ok(task), now);
            }
            Ok(None) => self.policy.refused(key, now),
            Err(kind) => self.policy.spawned(key, Err(kind), now),
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        // A caller that was let go is answered already.
        let Some(asked) = self.asked.remove(&ticket) else {
            return;
        };
        let outcome = match answer {
            Answer::Gone => Ok(None),
            Answer::Up(key) => match self.live.get(&key).and_then(|live| live.manager.clone()) {
                Some(manager) => Ok(Some(manager)),
                None => Err(SupervisorError::NotRunning),
            },
            Answer::Refused(error) => Err(error),
        };
        self.answers.push((asked, outcome));
    }

    /// Polls the sleep until the policy's next deadline. Returns whether it was due.
    fn poll_sleep(&mut self, cx: &mut task::Context<'_>) -> bool {
        let Some(deadline) = self.policy.deadline() else {
            self.sleep = None;
            return false;
        };
        if self.sleep.as_ref().is_none_or(|(at, _)| *at != deadline) {
            self.sleep = Some((deadline, time::sleep_until(deadline)));
        }
        let Some((_, sleep)) = &mut self.sleep else {
            return false;
        };
        if Pin::new(sleep).poll(cx).is_pending() {
            return false;
        }
        self.sleep = None;
        // The sleep ends at once, too, when the runtime has shut down: then its time has not come.
        self.tell(Policy::tick);
        true
    }

    /// Publishes what has changed, then answers callers.
    fn publish(&mut self) {
        let changed = self.policy.take_changed();
        let is_ending = self.policy.is_ending();
        let ends_now = is_ending && !self.said_ending;
        self.said_ending = is_ending;
        // The first time also without children: those who wait for one learn that there is none.
        if !changed.is_empty() || !self.said_ready || ends_now {
            let entries = changed.into_iter().map(|key| (key, self.entry(key)));
            self.core.board.write(entries, is_ending);
        }
        for (asked, outcome) in self.answers.drain(..) {
            asked.answer(outcome);
        }
    }

    fn entry(&self, key: Key) -> Option<Entry> {
        let child = self.policy.child(key)?;
        let live = self.live.get(&key);
        Some(Entry::of(
            child,
            live.and_then(|live| live.manager.as_ref()),
        ))
    }
}

/// The specs and the errors are the user's. One whose drop panics does not keep the others from being dropped, and two
/// do not end the process.
impl Drop for Driver {
    fn drop(&mut self) {
        for (_, live) in self.live.drain() {
            quietly(|| drop(live));
        }
        self.policy.forget_all();
    }
}

/// Returns the generator of the jitter: from the seed in a simulation, else from one of the process.
fn randomness() -> impl FnMut() -> u64 + Send + 'static {
    let shared = current_shared();
    let state = RandomState::new();
    let mut count = 0_u64;
    move || {
        shared.schedule().random().unwrap_or_else(|| {
            count += 1;
            state.hash_one(count)
        })
    }
}
