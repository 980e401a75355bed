//! The policy by itself: tables of what happens and what it asks for, and random histories against the rules.

use super::super::backoff::Backoff;
use super::super::rules::{AutoShutdown, ChildRules, Restart, Rules, Shutdown, Strategy};
use super::*;
use crate::error::FailureKind;
use crate::id::TaskId;
use std::num::NonZeroU64;
use std::panic::Location;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn rules(strategy: Strategy) -> Rules {
    Rules {
        strategy,
        max_restarts: 2,
        within: Duration::from_secs(60),
        auto_shutdown: AutoShutdown::Never,
    }
}

const CHILD: ChildRules = ChildRules {
    restart: Restart::Permanent,
    backoff: Backoff::none(),
    shutdown: Shutdown::Timeout(Duration::from_millis(100)),
    significant: false,
    wait_ready: None,
};

fn identity(name: &str) -> Identity {
    Identity {
        task: TaskId::from_raw(NonZeroU64::MIN),
        path: format!("sup/{name}"),
        location: Location::caller(),
    }
}

/// A driver whose children do what the test says.
struct Bench {
    policy: Policy,
    now: Instant,
    keys: BTreeMap<String, Key>,
    alive: BTreeSet<Key>,
    unmakable: BTreeSet<Key>,
    said: Vec<String>,
    answered: BTreeSet<Ticket>,
    asked: Ticket,
    ended: bool,
}

impl Bench {
    fn new(rules: Rules) -> Bench {
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

    fn open(rules: Rules, children: &[(&str, ChildRules)]) -> Bench {
        let mut bench = Bench::new(rules);
        for (name, child) in children {
            let key = bench.policy.add_first(bench.child(name, *child));
            bench.keys.insert(name.to_string(), key);
        }
        bench.policy.open(bench.now);
        bench.carry_out();
        bench
    }

    fn child(&self, name: &str, rules: ChildRules) -> Child {
        Child::new(Arc::from(name), rules, identity(name))
    }

    fn name(&self, key: Key) -> String {
        let name = self.keys.iter().find(|(_, at)| **at == key);
        name.map_or("?".to_owned(), |(name, _)| name.clone())
    }

    fn carry_out(&mut self) {
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
                    self.policy.spawned(key, Ok(identity(&name)), self.now);
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

    fn take(&mut self) -> String {
        self.carry_out();
        std::mem::take(&mut self.said).join(" ")
    }

    fn ended(&mut self, name: &str, failed: bool) -> String {
        let key = self.keys[name];
        assert!(self.alive.remove(&key), "{name} does not run");
        let kind = failed.then(|| FailureKind::Panic(name.to_owned()));
        self.policy.ended(key, kind, self.now);
        self.take()
    }

    fn fail(&mut self, name: &str) -> String {
        self.ended(name, true)
    }

    fn well(&mut self, name: &str) -> String {
        self.ended(name, false)
    }

    fn ready(&mut self, name: &str) -> String {
        self.policy.ready(self.keys[name], self.now);
        self.take()
    }

    fn after(&mut self, time: Duration) -> String {
        self.now += time;
        self.policy.tick(self.now);
        self.take()
    }

    fn stop(&mut self) -> String {
        self.policy.stop(self.now);
        self.take()
    }

    fn call(&mut self, call: &str, name: &str) -> String {
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

fn three(strategy: Strategy) -> Bench {
    let mut bench = Bench::open(rules(strategy), &[("a", CHILD), ("b", CHILD), ("c", CHILD)]);
    assert_eq!(bench.take(), "+a +b +c");
    bench
}

#[test]
fn each_strategy_stops_in_reverse_order_and_starts_in_order() {
    let mut one = three(Strategy::OneForOne);
    assert_eq!(one.fail("b"), "+b");
    assert_eq!(one.stop(), "-c");
    assert_eq!(one.well("c"), "-b");
    assert_eq!(one.well("b"), "-a");
    assert_eq!(one.well("a"), "end");
    assert!(one.policy.take_failures().is_empty());

    let mut all = three(Strategy::OneForAll);
    assert_eq!(all.fail("b"), "-c");
    assert_eq!(all.well("c"), "-a");
    assert_eq!(all.well("a"), "+a +b +c");

    let mut rest = three(Strategy::RestForOne);
    assert_eq!(rest.fail("b"), "-c");
    assert_eq!(rest.well("c"), "+b +c");
    assert_eq!(rest.fail("a"), "-c");
    // One that ends before it is told is not told.
    assert_eq!(rest.fail("b"), "");
    assert_eq!(rest.well("c"), "+a +b +c");
}

#[test]
fn a_restart_too_many_stops_the_rest() {
    let mut bench = three(Strategy::OneForOne);
    assert_eq!(bench.fail("a"), "+a");
    assert_eq!(bench.fail("a"), "+a");
    assert_eq!(bench.fail("a"), "-c");
    // What fails while it is ending is not its failure.
    assert_eq!(bench.fail("b"), "");
    assert_eq!(bench.fail("c"), "end");
    let failures = bench.policy.take_failures();
    let paths: Vec<_> = failures.iter().map(|failure| failure.path()).collect();
    assert_eq!(paths, ["sup/a"]);
    assert_eq!(failures[0].earlier().len(), 2);
}

#[test]
fn a_child_that_does_not_stop_is_killed() {
    let mut bench = three(Strategy::OneForAll);
    assert_eq!(bench.fail("a"), "-c");
    assert_eq!(bench.after(MS * 99), "");
    assert_eq!(bench.after(MS), "xc");
    assert_eq!(bench.after(MS * 1000), "");
    assert_eq!(bench.well("c"), "-b");
    // A stop from above meets a restart under way: the time that was given goes on.
    assert_eq!(bench.after(MS * 60), "");
    assert_eq!(bench.stop(), "");
    assert_eq!(bench.after(MS * 40), "xb");
    assert_eq!(bench.well("b"), "end");
}

#[test]
fn a_start_that_times_out_is_stopped_and_counts_as_a_failure() {
    let slow = ChildRules {
        wait_ready: Some(MS * 10),
        ..CHILD
    };
    let mut bench = Bench::open(rules(Strategy::RestForOne), &[("a", slow), ("b", CHILD)]);
    assert_eq!(bench.take(), "+a");
    assert_eq!(bench.ready("a"), "+b");
    assert_eq!(bench.ready("a"), "");
    assert_eq!(bench.fail("a"), "-b");
    assert_eq!(bench.well("b"), "+a");
    assert_eq!(bench.after(MS * 10), "-a");
    // Too late.
    assert_eq!(bench.ready("a"), "");
    assert_eq!(bench.well("a"), "+a");
    assert_eq!(bench.after(MS * 10), "-a");
    assert_eq!(bench.well("a"), "end");
    let failures = bench.policy.take_failures();
    assert!(failures[0].to_string().contains("not ready within 10ms"));
    assert_eq!(failures[0].earlier().len(), 2);
}

#[test]
fn a_stop_ends_a_backoff() {
    let backing = ChildRules {
        backoff: Backoff::constant(MS * 50),
        ..CHILD
    };
    let children = [("a", CHILD), ("b", backing)];
    for strategy in [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ] {
        let mut bench = Bench::open(rules(strategy), &children);
        bench.take();
        let all = strategy == Strategy::OneForAll;
        assert_eq!(bench.fail("b"), if all { "-a" } else { "" });
        assert_eq!(bench.policy.deadline().is_some(), true);
        assert_eq!(bench.stop(), if all { "" } else { "-a" });
        assert_eq!(bench.well("a"), "end");
        assert_eq!(bench.after(MS * 100), "");
    }
}

#[test]
fn calls_change_what_is_planned() {
    let mut bench = three(Strategy::OneForAll);
    assert_eq!(
        bench.call("start", "a"),
        "no: the supervisor has a child `a` already: choose another name, or remove that child first"
    );
    assert_eq!(bench.fail("a"), "-c");
    // `c` is being stopped for the restart; now it is to stay so.
    assert_eq!(bench.call("stop", "c"), "");
    assert_eq!(bench.call("remove", "b"), "-b");
    assert_eq!(bench.call("start", "d"), "");
    assert_eq!(bench.well("c"), "gone");
    assert_eq!(bench.well("b"), "gone forget b +a +d up d");
    assert_eq!(bench.call("restart", "c"), "+c up c");
    assert_eq!(bench.call("restart", "c"), "-c");
    assert_eq!(
        bench.call("stop", "c"),
        "no: the child did not start: service `c` is not running: use it after its start (see `Manager::wait_started`) and before it is stopped or ends"
    );
    assert_eq!(bench.well("c"), "gone");
    assert_eq!(bench.call("remove", "c"), "gone forget c");
    assert_eq!(bench.stop(), "-d");
    let not = "no: the supervisor is not running: call its handle after its start and before it is stopped or ends";
    for call in ["start", "stop", "restart", "remove"] {
        assert_eq!(bench.call(call, "a"), not);
    }
    assert_eq!(bench.well("d"), "-a");
    assert_eq!(bench.well("a"), "end");
}

/// SplitMix64.
fn draw(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) % below as u64) as usize
}

/// Random rules, children and events. The bench checks that no incarnations overlap and that nothing is left at the
/// end; this checks that a stop ends, that each call is answered, and that no child that could run is forgotten.
fn history(seed: u64) {
    let mut state = seed;
    let mut pick = |n: usize| draw(&mut state, n);
    let strategy = [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ][pick(3)];
    let auto = [
        AutoShutdown::Never,
        AutoShutdown::AnySignificant,
        AutoShutdown::AllSignificant,
    ];
    let rules = Rules {
        strategy,
        max_restarts: [0, 2, 50][pick(3)],
        within: MS * 100,
        auto_shutdown: auto[pick(3)],
    };
    let names = ["a", "b", "c", "d", "e"];
    let mut children = Vec::new();
    for name in &names[..pick(6)] {
        let restart = [Restart::Permanent, Restart::Transient, Restart::Temporary][pick(3)];
        let shutdowns = [Shutdown::Wait, Shutdown::Timeout(MS * 20), Shutdown::Kill];
        let child = ChildRules {
            restart,
            backoff: [Backoff::none(), Backoff::exponential(MS, MS * 30)][pick(2)],
            shutdown: shutdowns[pick(3)],
            significant: pick(2) == 0,
            wait_ready: [None, Some(MS * 30)][pick(2)],
        };
        children.push((*name, child));
    }
    let mut bench = Bench::open(rules, &children);
    for key in 0..children.len() as Key {
        if pick(20) == 0 {
            bench.unmakable.insert(key);
        }
    }
    for _ in 0..60 {
        bench.carry_out();
        let alive: Vec<_> = bench.alive.iter().copied().collect();
        let some = alive
            .get(pick(alive.len().max(1)))
            .map(|key| bench.name(*key));
        match (pick(12), some) {
            (0..3, Some(name)) => drop(bench.fail(&name)),
            (3..5, Some(name)) => drop(bench.well(&name)),
            (5..7, Some(name)) => drop(bench.ready(&name)),
            (7, _) => {
                let call = ["start", "stop", "restart", "remove"][pick(4)];
                bench.call(call, names[pick(5)]);
            }
            _ => drop(bench.after(MS * pick(15) as u32)),
        }
        if !bench.ended && !bench.policy.is_ending() {
            // Children that wait for their start wait for something.
            let policy = &bench.policy;
            let held_up = [&policy.going, &policy.coming, &policy.backing_off];
            let goes_on = held_up.iter().any(|set| !set.is_empty());
            assert!(
                policy.waiting.is_empty() || goes_on,
                "seed {seed}: a child is forgotten"
            );
        }
    }
    bench.stop();
    // Children that are told to stop do so, or are killed and then do.
    for _ in 0..names.len() + 1 {
        if let Some(&key) = bench.policy.going.last() {
            let name = bench.name(key);
            assert!(bench.alive.contains(&key), "seed {seed}");
            bench.well(&name);
        }
    }
    assert!(bench.ended, "seed {seed}: the stop does not end");
    assert_eq!(
        bench.answered.len() as u64,
        bench.asked,
        "seed {seed}: calls without an answer"
    );
}

#[test]
fn random_histories_keep_the_rules() {
    (0..20_000).for_each(history);
}
