//! A plain executor's rows.

use super::{CHILDREN, Kept, Named, ROOTS, STATIC, keep, kept, raw_row};
use crate::filled;
use crate::harness::{Row, Target};
use crate::raw::{
    AsyncExecutor, FuturesPool, GroveChildren, GroveRoots, Raw, Smolscale, Static, Tokio,
};
use crate::raw_work as raw;

/// Spawning, waking, work and cancellation by handle.
pub fn rows() -> Vec<Row> {
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
            Target::Best(0.9),
            Target::Best(0.9)
        ),
        raw_row!(
            Row::new(
                "spawn_join_external",
                "ns",
                "the same from another thread; per task"
            ),
            spawn_join_external(),
            of(0.7)
        )
        .case(filled::NAME, filled::spawn_join_external),
        raw_row!(
            Row::new(
                "chained_spawn",
                "ns",
                "10,000 tasks, each spawns the next; per task"
            ),
            chained_spawn(),
            Target::Best(0.9),
            Target::Best(0.9)
        ),
        raw_row!(
            Row::new("yield_many", "ns", "1,000 tasks x 100 yields; per yield"),
            yield_many(),
            pool
        )
        .case(filled::NAME, filled::yield_many),
        raw_row!(
            Row::new(
                "ping_pong",
                "ns",
                "1,000 pairs, one round trip over oneshots; per pair"
            ),
            ping_pong(),
            Target::Best(0.9),
            Target::Best(0.9)
        )
        .case(filled::NAME, filled::ping_pong),
        raw_row!(
            Row::new(
                "fan_out_cpu_1k",
                "%",
                "1,000 tasks of 5 us of work; efficiency on two cores"
            )
            .more_is_better(),
            fan_out_cpu(1_000),
            Target::AtLeast(0.95)
        )
        .case(filled::NAME, || filled::fan_out_cpu(1_000)),
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
        )
        .case(filled::NAME, || filled::fan_out_cpu(10_000)),
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

/// The latency of a wake on an idle runtime.
pub fn wakes() -> Vec<Row> {
    let mut p50 = Row::new(
        "wake_p50",
        "us",
        "wake of a parked task on an idle runtime, median",
    )
    .rounds(11);
    let mut p99 = Row::new("wake_p99", "us", "the same, 99th percentile").rounds(11);
    let all: [Named<(f64, f64)>; 6] = [
        (ROOTS, raw::wake_latency::<GroveRoots>),
        (Tokio::NAME, raw::wake_latency::<Tokio>),
        (AsyncExecutor::NAME, raw::wake_latency::<AsyncExecutor>),
        (STATIC, raw::wake_latency::<Static>),
        (FuturesPool::NAME, raw::wake_latency::<FuturesPool>),
        (Smolscale::NAME, raw::wake_latency::<Smolscale>),
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
