//! The timers' rows.

use super::{GROVE, Kept, Named, keep, kept};
use crate::harness::{Row, Target};
use crate::raw::{Raw, Tokio};
use crate::timers;

/// A timeout, and a million sleeps.
pub fn rows() -> Vec<Row> {
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
