//! Every workload, who runs it, and what taskgrove is to reach.

mod latency;
mod memory;
mod plain;
mod supervised;
mod timers;

pub use supervised::{OVERHEADS, overhead};

use crate::harness::{Row, Target};
use crate::memory::weighed;
use crate::nodes::{Form, Park};
use crate::raw::{GroveChildren, GroveRoots, Raw, Static, Tokio};
use crate::raw_work as raw;
use crate::supervisors::{self as sup, Grove, Set, Supervisor, WIDE};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

const ROOTS: &str = GroveRoots::NAME;
const CHILDREN: &str = GroveChildren::NAME;
const GROVE: &str = Grove::NAME;
const STATIC: &str = Static::NAME;

/// All of them.
pub fn everything() -> Vec<Row> {
    let mut rows = plain::rows();
    rows.extend(plain::wakes());
    rows.extend(supervised::rows());
    rows.extend(timers::rows());
    rows.extend(latency::rows());
    rows.extend(memory::rows());
    rows
}

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
            .case(Smolscale::NAME, || raw::$work::<Smolscale> $args)
            .on_two_threads()
    };
}

use raw_row;

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
    .ours(ROOTS, Target::AtMost(128.0), || weighed(ROOTS).0);
    let wide = Form::wide(WIDE, Park::Pending);
    let cancel = Row::new("cancel_wide", "ns", "10,000 parked children; per child")
        .ours(GROVE, Target::Of(1.0 / 3.0, Set::NAME), move || {
            sup::cancel::<Grove>(wide)
        })
        .case(Set::NAME, move || sup::cancel::<Set>(wide));
    vec![spawn, memory, cancel]
}
