//! Supervision's rows.

use super::{GROVE, ROOTS, STATIC, raw_row};
use crate::harness::{Row, Target};
use crate::nodes::{Form, Park};
use crate::raw::{AsyncExecutor, FuturesPool, GroveRoots, Raw, Smolscale, Static, Tokio};
use crate::raw_work as raw;
use crate::supervisors::{
    self as sup, Boxes, Graceful, Grove, Kameo, Ractor, Set, Supervisor, Tasks, Tracker, WIDE,
};

/// Runs a workload on everything that supervises.
macro_rules! supervised_row {
    ($row:expr, $work:ident $args:tt, $target:expr) => {
        $row.ours(GROVE, $target, move || sup::$work::<Grove> $args)
            .case(Set::NAME, move || sup::$work::<Set> $args)
            .case(Tracker::NAME, move || sup::$work::<Tracker> $args)
            .case(Tasks::NAME, move || sup::$work::<Tasks> $args)
            .slow(Ractor::NAME, move || sup::$work::<Ractor> $args)
            .slow(Kameo::NAME, move || sup::$work::<Kameo> $args)
            .slow(Graceful::NAME, move || sup::$work::<Graceful> $args)
            .on_two_threads()
    };
}

/// Cancelling all that is below a parent.
fn cancel(name: &'static str, about: &str, form: Form, most: f64) -> Row {
    let row = Row::new(name, "ns", about);
    let row = supervised_row!(row, cancel(form), Target::Best(most));
    if form.is_wide() {
        row.case(Boxes::NAME, move || Boxes::cancel(form.park))
    } else {
        row
    }
}

/// All forms, each parked on nothing and on a waker. Actors are parked on their mailboxes in either.
fn cancels() -> Vec<Row> {
    use Park::{Pending, Waker};
    let wide = "10,000 parked children of a service, as a whole; per child";
    let deep = "a chain of 1,000 under a service; per node";
    let tree = "fan-out 10, depth 4, under a service; per node";
    let waker = "the same, each parked on a registered waker";
    vec![
        cancel("cancel_wide", wide, Form::wide(WIDE, Pending), 0.2),
        cancel("cancel_wide_waker", waker, Form::wide(WIDE, Waker), 0.2),
        cancel("cancel_deep", deep, Form::deep(Pending), 0.4),
        cancel("cancel_deep_waker", waker, Form::deep(Waker), 0.4),
        cancel("cancel_tree", tree, Form::tree(Pending), 0.4),
        cancel("cancel_tree_waker", waker, Form::tree(Waker), 0.4),
    ]
}

fn supervised_spawn(name: &'static str, target: Target) -> Row {
    let row = Row::new(
        name,
        "ns",
        "10,000 children that end at once, and the wait for all; per child",
    );
    supervised_row!(row, spawn(), target).case(Boxes::NAME, Boxes::spawn)
}

/// Cancelling, spawning, starting and stopping, counting.
pub fn rows() -> Vec<Row> {
    let mut rows = cancels();
    rows.push(supervised_spawn("supervised_spawn", Target::Best(0.45)));
    rows.push(
        Row::new(
            "supervised_over_roots",
            "ns",
            "the same against taskgrove's own spawn_join_local of roots",
        )
        .ours(GROVE, Target::Of(1.2, ROOTS), sup::spawn::<Grove>)
        .case(ROOTS, raw::spawn_join_local::<GroveRoots>),
    );
    let cycle = Row::new(
        "service_cycle",
        "ns",
        "start an empty child service, stop it, wait for it; per cycle",
    );
    rows.push(supervised_row!(cycle, cycle(), Target::Best(0.7)));
    rows.push(
        Row::new(
            "stats",
            "ns",
            "how many of a service's 10,000 children are live; per call",
        )
        .rounds(31)
        .ours(GROVE, Target::AtMost(5.0), sup::stats::<Grove>)
        .case(Set::NAME, sup::stats::<Set>)
        .case(Tracker::NAME, sup::stats::<Tracker>)
        .slow(Ractor::NAME, sup::stats::<Ractor>),
    );
    rows
}

/// Each that supervises, and the executor it runs on.
pub const OVERHEADS: [(&str, &str); 7] = [
    (GROVE, ROOTS),
    (Set::NAME, Tokio::NAME),
    (Tracker::NAME, Tokio::NAME),
    (Tasks::NAME, AsyncExecutor::NAME),
    (Ractor::NAME, Tokio::NAME),
    (Kameo::NAME, Tokio::NAME),
    (Graceful::NAME, Tokio::NAME),
];

/// Plain spawn against supervised spawn, for each.
pub fn overhead() -> Vec<Row> {
    let plain = Row::new(
        "plain",
        "ns",
        "10,000 plain tasks from inside a task, all awaited; per task",
    );
    vec![
        raw_row!(plain, spawn_join_local(), Target::None),
        supervised_spawn("supervised", Target::None),
    ]
}
