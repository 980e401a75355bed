//! [`Bench`]: a driver of the policy whose children do what a test says.

use super::super::super::backoff::Backoff;
use super::super::super::rules::{AutoShutdown, ChildRules, Restart, Rules, Shutdown, Strategy};
use super::super::*;
use crate::error::FailureKind;
use crate::id::TaskId;
use std::num::NonZeroU64;
use std::panic::Location;
use std::time::Duration;

pub(super) const MS: Duration = Duration::from_millis(1);

pub(super) fn rules(strategy: Strategy) -> Rules {
    Rules {
        strategy,
        max_restarts: 2,
        within: Duration::from_secs(60),
        auto_shutdown: AutoShutdown::Never,
    }
}

pub(super) const CHILD: ChildRules = ChildRules {
    restart: Restart::Permanent,
    backoff: Backoff::none(),
    shutdown: Shutdown::Timeout(Duration::from_millis(100)),
    significant: false,
    wait_ready: None,
};

const TASK: TaskId = TaskId::from_raw(NonZeroU64::MIN);

fn identity(name: &str) -> Identity {
    Identity {
        task: TASK,
        path: format!("sup/{name}"),
        location: Location::caller(),
    }
}

/// A driver whose children do what the test says.
pub(super) struct Bench {
    pub(super) policy: Policy,
    pub(super) now: Instant,
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) alive: BTreeSet<Key>,
    pub(super) unmakable: BTreeSet<Key>,
    pub(super) said: Vec<String>,
    pub(super) answered: BTreeSet<Ticket>,
    pub(super) asked: Ticket,
    pub(super) ended: bool,
}

impl Bench {
    pub(super) fn new(rules: Rules) -> Bench {
        let now = Instant::now();
        Bench {
            policy: Policy::new(rules, now, || 0),
            now,
            keys: BTreeMap::new(),
            alive: BTreeSet::new(),
            unmakable: BTreeSet::new(),
            said: Vec::new(),
            answered: BTreeSet::new(),
            asked: 0,
            ended: false,
        }
    }

    pub(super) fn open(rules: Rules, children: &[(&str, ChildRules)]) -> Bench {
        let mut bench = Bench::new(rules);
        for (name, child) in children {
            let key = bench.policy.add_first(bench.child(name, *child));
            bench.keys.insert(name.to_string(), key);
        }
        bench.policy.open(bench.now);
        bench.carry_out();
        bench
    }

    pub(super) fn child(&self, name: &str, rules: ChildRules) -> Child {
        Child::new(Arc::from(name), rules, identity(name))
    }

    pub(super) fn name(&self, key: Key) -> String {
        let name = self.keys.iter().find(|(_, at)| **at == key);
        name.map_or("?".to_owned(), |(name, _)| name.clone())
    }

    pub(super) fn carry_out(&mut self) {
        self.carry_out_effects();
        while self.policy.held() > 0 {
            self.policy.resume(self.now);
            self.carry_out_effects();
        }
    }

    fn carry_out_effects(&mut self) {
        while let Some(effect) = self.policy.next_effect() {
            let late = matches!(effect, Effect::Answer(..));
            assert!(late || !self.ended, "{effect:?} after the end");
            match effect {
                Effect::Spawn(key) => {
                    let name = self.name(key);
                    if self.unmakable.contains(&key) {
                        self.said.push(format!("!{name}"));
                        let kind = FailureKind::Panic("unmakable".into());
                        self.policy.spawned(key, Err(kind), self.now);
                        continue;
                    }
                    assert!(self.alive.insert(key), "two incarnations of {name}");
                    self.said.push(format!("+{name}"));
                    self.policy.spawned(key, Ok(TASK), self.now);
                }
                Effect::Cancel(key) => {
                    assert!(self.alive.contains(&key));
                    self.said.push(format!("-{}", self.name(key)));
                }
                Effect::Kill(key) => {
                    assert!(self.alive.contains(&key));
                    self.said.push(format!("x{}", self.name(key)));
                }
                Effect::Forget(key) => {
                    assert!(!self.alive.contains(&key));
                    self.said.push(format!("forget {}", self.name(key)));
                }
                Effect::Answer(ticket, answer) => {
                    self.answered.insert(ticket);
                    self.said.push(match answer {
                        Answer::Gone => "gone".to_owned(),
                        Answer::Up(key) => format!("up {}", self.name(key)),
                        Answer::Refused(error) => format!("no: {error}"),
                    });
                }
                Effect::End => {
                    assert!(self.alive.is_empty(), "it leaves children behind");
                    self.ended = true;
                    self.said.push("end".to_owned());
                }
            }
        }
    }

    pub(super) fn take(&mut self) -> String {
        self.carry_out();
        std::mem::take(&mut self.said).join(" ")
    }

    pub(super) fn ended(&mut self, name: &str, failed: bool) -> String {
        let key = self.keys[name];
        assert!(self.alive.remove(&key), "{name} does not run");
        let kind = failed.then(|| FailureKind::Panic(name.to_owned()));
        self.policy.ended(key, kind, self.now);
        self.take()
    }

    pub(super) fn fail(&mut self, name: &str) -> String {
        self.ended(name, true)
    }

    pub(super) fn well(&mut self, name: &str) -> String {
        self.ended(name, false)
    }

    pub(super) fn ready(&mut self, name: &str) -> String {
        self.policy.ready(self.keys[name], self.now);
        self.take()
    }

    pub(super) fn after(&mut self, time: Duration) -> String {
        self.now += time;
        self.policy.tick(self.now);
        self.take()
    }

    pub(super) fn stop(&mut self) -> String {
        self.policy.stop(self.now);
        self.take()
    }

    pub(super) fn call(&mut self, call: &str, name: &str) -> String {
        self.asked += 1;
        let (ticket, now) = (self.asked, self.now);
        match call {
            "start" => {
                let child = self.child(name, CHILD);
                if let Some(key) = self.policy.start_child(child, ticket, now) {
                    self.keys.insert(name.to_owned(), key);
                }
            }
            "stop" => self.policy.stop_child(name, ticket, now),
            "restart" => self.policy.restart_child(name, ticket, now),
            "remove" => self.policy.remove_child(name, ticket, now),
            _ => unreachable!("{call}"),
        }
        self.take()
    }
}
