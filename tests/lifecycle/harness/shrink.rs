//! Makes a failing sequence shorter, and its operations simpler, for as long as it fails.

use super::ops::BYTES;

/// Runs it may take.
const TRIES: usize = 4000;

pub(crate) fn shrink(bytes: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut best = bytes.to_vec();
    let mut tries = 0;
    let mut try_one = |candidate: &[u8]| {
        tries += 1;
        tries <= TRIES && fails(candidate)
    };
    loop {
        let before = best.clone();
        drop_operations(&mut best, &mut try_one);
        simplify(&mut best, &mut try_one);
        if best == before {
            return best;
        }
    }
}

/// Leaves out runs of operations: long ones first.
fn drop_operations(best: &mut Vec<u8>, fails: &mut impl FnMut(&[u8]) -> bool) {
    let mut length = (best.len() / BYTES).next_power_of_two();
    while length > 0 {
        let mut at = 1;
        while at < best.len() {
            let end = (at + length * BYTES).min(best.len());
            let mut candidate = best.clone();
            candidate.drain(at..end);
            if fails(&candidate) {
                *best = candidate;
            } else {
                at += length * BYTES;
            }
        }
        length /= 2;
    }
}

/// Smaller bytes: the first of a kind, no options, no batches.
fn simplify(best: &mut Vec<u8>, fails: &mut impl FnMut(&[u8]) -> bool) {
    for at in 0..best.len() {
        let byte = best[at];
        for smaller in [0, byte & 0x7f, byte & 7, byte & 15, byte.saturating_sub(1)] {
            if smaller >= best[at] {
                continue;
            }
            let mut candidate = best.clone();
            candidate[at] = smaller;
            if fails(&candidate) {
                *best = candidate;
            }
        }
    }
}
