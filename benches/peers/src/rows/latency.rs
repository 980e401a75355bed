//! The rows of what waits beside busy workers.

use super::{GROVE, ROOTS};
use crate::harness::{Row, Target};
use crate::latency;
use crate::raw::{AsyncExecutor, GroveRoots, Raw, Tokio};

/// Spawns, wakes and timers beside tasks that never leave a worker idle.
pub fn rows() -> Vec<Row> {
    let row = |name, about| Row::new(name, "us", about).rounds(5);
    vec![
        row(
            "spawn_beside",
            "1,000 spawns a second from another thread beside 20 tasks of 100 us; 90th percentile",
        )
        .ours(ROOTS, Target::AtMost(400.0), latency::spawn_beside::<GroveRoots>)
        .case(Tokio::NAME, latency::spawn_beside::<Tokio>)
        .case(AsyncExecutor::NAME, latency::spawn_beside::<AsyncExecutor>),
        row(
            "wake_beside",
            "a wake by another thread beside four tasks of 1 ms; 90th percentile",
        )
        .ours(ROOTS, Target::AtMost(3_000.0), latency::wake_beside::<GroveRoots>)
        .case(Tokio::NAME, latency::wake_beside::<Tokio>)
        .case(AsyncExecutor::NAME, latency::wake_beside::<AsyncExecutor>),
        row(
            "timer_beside_block_on",
            "a sleep beside four tasks of 5 ms while another thread is in `block_on`; how late, 90th percentile",
        )
        .ours(GROVE, Target::AtMost(12_000.0), latency::grove_timer_in_block_on)
        .case(Tokio::NAME, latency::tokio_timer_in_block_on),
        row("timer_beside", "the same while no thread is")
            .ours(GROVE, Target::AtMost(12_000.0), latency::grove_timer)
            .case(Tokio::NAME, latency::tokio_timer),
    ]
}
