//! The policy by itself: tables of what happens and what it asks for.

mod bench;
mod histories;

use super::super::backoff::Backoff;
use super::super::rules::{ChildRules, Strategy};
use bench::{Bench, CHILD, MS, rules};

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
        assert!(bench.policy.deadline().is_some());
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
