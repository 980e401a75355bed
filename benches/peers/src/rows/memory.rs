//! The rows about memory.

use super::{CHILDREN, GROVE, Kept, ROOTS, STATIC, keep, kept};
use crate::filled;
use crate::harness::{Row, Target};
use crate::memory::weighed;
use crate::raw::{AsyncExecutor, FuturesPool, Raw, Tokio};
use crate::supervisors::{Boxes, Graceful, Grove, Kameo, Ractor, Set, Supervisor, Tasks, Tracker};

/// Bytes and allocations of each, exact, and so weighed once.
fn weights(bytes: Row, calls: &'static str, who: &[&'static str], most: f64) -> [Row; 2] {
    // A page for every so many tasks is no allocation of the task's own.
    const OWN: f64 = 0.05;
    let mut bytes = bytes.rounds(1);
    let mut calls = Row::new(calls, "calls", "the same: allocations each").rounds(1);
    for (i, &who) in who.iter().enumerate() {
        let number = Kept::default();
        let (size, none) = match i {
            0 => (Target::AtMost(most), Target::AtMost(OWN)),
            _ => (Target::None, Target::None),
        };
        calls = calls.ours(who, none, kept(&number));
        bytes = bytes.ours(who, size, move || {
            let (bytes, calls) = weighed(who);
            keep(&number, calls);
            bytes
        });
    }
    [bytes, calls]
}

/// Memory, each in a fresh process.
pub fn rows() -> Vec<Row> {
    let plain = [
        ROOTS,
        CHILDREN,
        Tokio::NAME,
        AsyncExecutor::NAME,
        STATIC,
        FuturesPool::NAME,
        filled::NAME,
    ];
    let supervised = [
        GROVE,
        Set::NAME,
        Tracker::NAME,
        Tasks::NAME,
        Ractor::NAME,
        Kameo::NAME,
        Graceful::NAME,
        Boxes::NAME,
    ];
    let parked = Row::new(
        "memory_parked",
        "B",
        "a parked task, everything counted, in a fresh process",
    );
    let least = Grove::least_size();
    let child = Row::new(
        "memory_supervised",
        "B",
        format!(
            "a parked child with a future of {least} bytes, everything counted, in a fresh process"
        ),
    );
    let size = Grove::loaded_size();
    let above = Row::new(
        "memory_above_future",
        "B",
        format!("a parked child with a future of {size} bytes: what it takes above those"),
    );
    let above = above
        .rounds(1)
        .ours(Grove::LOADED, Target::AtMost(112.0), move || {
            weighed(Grove::LOADED).0 - size as f64
        });
    let mut rows = Vec::from(weights(parked, "memory_parked_calls", &plain, 128.0));
    rows.extend(weights(
        child,
        "memory_supervised_calls",
        &supervised,
        112.0 + least as f64,
    ));
    rows.push(above);
    rows
}
