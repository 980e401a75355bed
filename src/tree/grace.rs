//! The grace period of a task: its own, or one that it inherits.

use crate::sync::atomic::Ordering;
use crate::task::state::Word;
use crate::task::{Live, kind};
use crate::timer_queue::nanos;
use std::time::Duration;

/// Flag in [`Cold::inherited`](crate::task::cold::Cold), whose rest is a tag.
const KNOWN: u64 = 1;

/// Encodes a grace period as a tag: nanoseconds, rounded up to an even number. The lowest bit is a free flag
/// for the owner of the tag.
pub(super) fn tag(grace: Duration) -> u64 {
    nanos(grace).div_ceil(2).min(u64::MAX >> 1) << 1
}

/// Whether the grace period of a task with this word runs, or begins when the mark of a cancellation comes.
pub(super) fn runs(task: Live<'_>, word: Word) -> bool {
    word.in_grace() || !word.is_closing() && effective(task) != 0
}

/// The task's own grace period, or that of the nearest task above it that has one, as a tag; 0: none.
/// Cold data on the way keeps what was found, so that a deep chain is not walked up again and again.
pub(super) fn effective(task: Live<'_>) -> u64 {
    if !task.is(kind::GRACE) {
        return 0;
    }
    let mut at = task;
    let found = loop {
        if let Some(cold) = at.cold() {
            let inherited = cold.inherited.load(Ordering::Relaxed);
            if let Some(grace) = cold.own_grace() {
                break tag(grace);
            } else if inherited != 0 {
                break inherited & !KNOWN;
            }
        }
        match at.parent() {
            Some(parent) => at = parent,
            None => break 0,
        }
    };
    for below in task.upward().take_while(|below| *below != at) {
        if let Some(cold) = below.cold() {
            cold.inherited.store(found | KNOWN, Ordering::Relaxed);
        }
    }
    found
}
