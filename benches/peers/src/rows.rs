//! Every workload, who runs it, and what taskgrove is to reach.

use crate::cancel::{self as end, Form};
use crate::harness::{Row, Target};
use crate::memory::weighed;
use crate::raw::{AsyncExecutor, FuturesPool, GroveChildren, GroveRoots, Raw, Static, Tokio};
use crate::raw_work as raw;
use crate::supervise as sup;
use crate::timers;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

const ROOTS: &str = GroveRoots::NAME;
const CHILDREN: &str = GroveChildren::NAME;
pub const GROVE: &str = "taskgrove";
const SET: &str = "tokio JoinSet";
const TRACKER: &str = "token + TaskTracker";
const TASKS: &str = "async-executor Vec<Task>";
const STATIC: &str = Static::NAME;

/// Runs a workload on every plain executor, roots and children of taskgrove's with their targets.
macro_rules! raw_row {
    ($row:expr, $work:ident $args:tt, $roots:expr, $children:expr) => {
        raw_row!($row, $work $args, $roots)
            .ours(CHILDREN, $children, || raw::$work::<GroveChildren> $args)
    };
    ($row:expr, $work:ident $args:tt, $roots:expr) => {
        $row.ours(ROOTS, $roots, || raw::$work::<GroveRoots> $args)
            .case(Tokio::NAME, || raw::$work::<Tokio> $args)
            .case(AsyncExecutor::NAME, || raw::$work::<AsyncExecutor> $args)
            .case(STATIC, || raw::$work::<Static> $args)
            .case(FuturesPool::NAME, || raw::$work::<FuturesPool> $args)
    };
}

/// A plain executor's rows.
pub fn plain() -> Vec<Row> {
    let of = |most| Target::Of(most, STATIC);
    let pool = Target::Of(0.6, FuturesPool::NAME);
    vec![
        raw_row!(
            Row::new(
                "spawn_join_local",
                "ns",
                "10,000 empty tasks from inside a task, all awaited; per task"
            ),
            spawn_join_local(),
            of(0.7),
            of(0.75)
        ),
        raw_row!(
            Row::new(
                "spawn_join_external",
                "ns",
                "the same from another thread; per task"
            ),
            spawn_join_external(),
            of(0.8)
        ),
        raw_row!(
            Row::new(
                "chained_spawn",
                "ns",
                "10,000 tasks, each spawns the next; per task"
            ),
            chained_spawn(),
            of(0.8),
            Target::None
        ),
        raw_row!(
            Row::new("yield_many", "ns", "1,000 tasks x 100 yields; per yield"),
            yield_many(),
            pool
        ),
        raw_row!(
            Row::new(
                "ping_pong",
                "ns",
                "1,000 pairs, one round trip over oneshots; per pair"
            ),
            ping_pong(),
            of(0.7),
            Target::None
        ),
        raw_row!(
            Row::new(
                "fan_out_cpu_1k",
                "%",
                "1,000 tasks of 5 us of work; efficiency on two cores"
            )
            .more_is_better(),
            fan_out_cpu(1_000),
            Target::AtLeast(0.95)
        ),
        raw_row!(
            Row::new(
                "fan_out_cpu_10k",
                "%",
                "10,000 tasks of 5 us of work; efficiency on two cores"
            )
            .more_is_better()
            .rounds(11),
            fan_out_cpu(10_000),
            Target::AtLeast(0.95)
        ),
        raw_row!(
            Row::new(
                "cancel_by_handle",
                "ns",
                "10,000 parked tasks, each by its handle; per task"
            ),
            cancel_by_handle(),
            of(0.6),
            Target::None
        ),
    ]
}

/// Who, and a workload with more than one figure.
type Named<T> = (&'static str, fn() -> T);

type Kept = Rc<RefCell<VecDeque<f64>>>;

/// A case's second figure, which a later row shows.
fn keep(kept: &Kept, value: f64) {
    kept.borrow_mut().push_back(value);
}

fn kept(kept: &Kept) -> impl FnMut() -> f64 + 'static {
    let kept = kept.clone();
    move || {
        kept.borrow_mut()
            .pop_front()
            .expect("the row before fills it")
    }
}

/// The latency of a wake on an idle runtime.
pub fn wakes() -> Vec<Row> {
    let mut p50 = Row::new(
        "wake_p50",
        "us",
        "wake of a parked task on an idle runtime, median",
    )
    .rounds(11);
    let mut p99 = Row::new("wake_p99", "us", "the same, 99th percentile").rounds(11);
    let all: [Named<(f64, f64)>; 5] = [
        (ROOTS, raw::wake_latency::<GroveRoots>),
        (Tokio::NAME, raw::wake_latency::<Tokio>),
        (AsyncExecutor::NAME, raw::wake_latency::<AsyncExecutor>),
        (STATIC, raw::wake_latency::<Static>),
        (FuturesPool::NAME, raw::wake_latency::<FuturesPool>),
    ];
    for (who, run) in all {
        let tail = Kept::default();
        let (half, full) = if who == ROOTS {
            (Target::Best(0.6), Target::Best(1.0))
        } else {
            (Target::None, Target::None)
        };
        p99 = p99.ours(who, full, kept(&tail));
        p50 = p50.ours(who, half, move || {
            let (p50, p99) = run();
            keep(&tail, p99);
            p50
        });
    }
    vec![p50, p99]
}

fn cancel(name: &'static str, about: &'static str, form: Form, most: f64) -> Row {
    Row::new(name, "ns", about)
        .ours(GROVE, Target::Best(most), move || end::grove_cancel(form))
        .case(SET, move || end::set_cancel(form))
        .case(TRACKER, move || end::tracker_cancel(form))
        .case(TASKS, move || end::tasks_cancel(form))
}

/// Supervision.
pub fn supervised() -> Vec<Row> {
    vec![
        cancel(
            "cancel_wide",
            "10,000 parked children of a service; per child",
            Form::Wide,
            0.2,
        )
        .case("floor: boxes", end::boxes_cancel),
        cancel(
            "cancel_wide_waker",
            "the same, each parked on a registered waker",
            Form::Registered,
            0.2,
        ),
        cancel("cancel_deep", "a chain of 1,000; per node", Form::Deep, 0.4),
        cancel(
            "cancel_tree",
            "fan-out 10, depth 4; per node",
            Form::Tree,
            0.4,
        ),
        Row::new(
            "supervised_spawn",
            "ns",
            "10,000 children that end at once, and the wait for all; per child",
        )
        .ours(GROVE, Target::Best(0.45), sup::grove_spawn)
        .case(SET, sup::set_spawn)
        .case(TRACKER, sup::tracker_spawn)
        .case(TASKS, sup::tasks_spawn),
        Row::new(
            "service_cycle",
            "ns",
            "start an empty child service, stop it, wait for it; per cycle",
        )
        .ours(GROVE, Target::Best(0.7), sup::grove_cycle)
        .case(SET, sup::set_cycle)
        .case(TRACKER, sup::tracker_cycle)
        .case(TASKS, sup::tasks_cycle),
        Row::new(
            "stats",
            "ns",
            "counts of a service with 10,000 live children; per call",
        )
        .ours(GROVE, Target::Absolute(5.0), sup::grove_stats)
        .case(SET, sup::set_stats)
        .case(TRACKER, sup::tracker_stats),
    ]
}

/// Timers.
pub fn timers() -> Vec<Row> {
    let timeout = Row::new(
        "timeout_ready",
        "ns",
        "a timeout around a future that is ready",
    )
    .ours(GROVE, Target::Best(1.0), timers::grove_timeout)
    .case(Tokio::NAME, timers::tokio_timeout);
    let row = |name, about| Row::new(name, "ns", about).rounds(3);
    let mut insert = row(
        "sleep_insert",
        "1,000,000 live sleeps: make and poll; per timer",
    );
    let mut fire = row("sleep_fire", "the same: CPU time to fire; per timer");
    let mut drop = row("sleep_drop", "the same: drop before it fires; per timer");
    let all: [Named<timers::Sleeps>; 2] = [
        (GROVE, timers::grove_sleeps),
        (Tokio::NAME, timers::tokio_sleeps),
    ];
    for (who, run) in all {
        let (fired, dropped) = (Kept::default(), Kept::default());
        let target = if who == GROVE {
            Target::Best(1.0)
        } else {
            Target::None
        };
        fire = fire.ours(who, target, kept(&fired));
        drop = drop.ours(who, target, kept(&dropped));
        insert = insert.ours(who, target, move || {
            let figures = run();
            keep(&fired, figures.fire);
            keep(&dropped, figures.drop);
            figures.insert
        });
    }
    vec![timeout, insert, fire, drop]
}

/// Memory; exact, so weighed once.
pub fn memory() -> Vec<Row> {
    let row = |name, unit, about| Row::new(name, unit, about).rounds(1);
    let mut bytes = row(
        "memory_parked",
        "B",
        "bytes a parked task, everything counted, in a fresh process",
    );
    let mut calls = row("memory_calls", "calls", "the same: allocations a task");
    let mut sup = row(
        "memory_supervised",
        "B",
        "bytes a parked child under supervision, in a fresh process",
    );
    for who in [
        ROOTS,
        CHILDREN,
        Tokio::NAME,
        AsyncExecutor::NAME,
        STATIC,
        FuturesPool::NAME,
    ] {
        let number = Kept::default();
        let (most, none) = if who == ROOTS {
            (Target::Absolute(128.0), Target::Absolute(0.05))
        } else {
            (Target::None, Target::None)
        };
        calls = calls.ours(who, none, kept(&number));
        bytes = bytes.ours(who, most, move || {
            let (bytes, calls) = weighed(who);
            keep(&number, calls);
            bytes
        });
    }
    for who in ["taskgrove supervised", SET, TRACKER] {
        let most = if who == SET || who == TRACKER {
            Target::None
        } else {
            // 112 bytes above the future, whose 16 the size class rounds up to.
            Target::Absolute(128.0)
        };
        sup = sup.ours(who, most, move || weighed(who).0);
    }
    vec![bytes, calls, sup]
}

/// Plain spawn against supervised spawn, for each.
pub fn overhead() -> Vec<Row> {
    vec![
        raw_row!(
            Row::new(
                "plain",
                "ns",
                "10,000 plain tasks from inside a task, all awaited; per task"
            ),
            spawn_join_local(),
            Target::None
        ),
        Row::new(
            "supervised",
            "ns",
            "10,000 supervised children, and the wait for all; per child",
        )
        .ours(GROVE, Target::None, sup::grove_spawn)
        .case(SET, sup::set_spawn)
        .case(TRACKER, sup::tracker_spawn)
        .case(TASKS, sup::tasks_spawn),
    ]
}

/// The three bars every build of taskgrove has to stay under.
pub fn bars() -> Vec<Row> {
    let spawn = Row::new(
        "spawn_join_local",
        "ns",
        "10,000 empty tasks from inside a task, all awaited; per task",
    )
    .ours(
        ROOTS,
        Target::Of(0.5, Tokio::NAME),
        raw::spawn_join_local::<GroveRoots>,
    )
    .ours(
        CHILDREN,
        Target::Of(0.5, Tokio::NAME),
        raw::spawn_join_local::<GroveChildren>,
    )
    .case(Tokio::NAME, raw::spawn_join_local::<Tokio>);
    let memory = Row::new(
        "memory_parked",
        "B",
        "bytes a parked root task, everything counted",
    )
    .rounds(1)
    .ours(ROOTS, Target::Absolute(128.0), || weighed(ROOTS).0);
    let cancel = Row::new("cancel_wide", "ns", "10,000 parked children; per child")
        .ours(GROVE, Target::Of(1.0 / 3.0, SET), || {
            end::grove_cancel(Form::Wide)
        })
        .case(SET, || end::set_cancel(Form::Wide));
    vec![spawn, memory, cancel]
}
