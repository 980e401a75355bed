//! What drives the scenarios here: a runtime with two workers.

use crate::common::on_two_workers;

/// Runs a scenario to its end.
#[track_caller]
pub(crate) fn scenario(body: impl AsyncFn() + Send + 'static) {
    on_two_workers(body);
}

/// Seeds of what a scenario makes at random: so many of them.
pub(crate) fn draws(count: u64) -> impl Iterator<Item = u64> {
    0..count
}
