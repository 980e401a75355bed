//! [`Stuck`]: decides when the workers of a runtime that shuts down count as stuck.

use std::time::Duration;

/// The time between two looks at the workers' progress.
pub(super) const LOOK: Duration = Duration::from_millis(10);
/// How many looks in a row have to find no progress.
const LOOKS: u32 = 10;

/// Counts looks, and does not measure time: while the process is stopped or the machine sleeps there is
/// no progress, although no worker is stuck. However long that lasts, it is one look.
pub(super) struct Stuck {
    seen: u64,
    in_vain: u32,
}

impl Stuck {
    pub(super) fn new(progress: u64) -> Self {
        Stuck {
            seen: progress,
            in_vain: 0,
        }
    }

    /// Notes the progress and returns whether there was none for [`LOOKS`] looks. The caller calls this
    /// once for each [`LOOK`].
    pub(super) fn look(&mut self, progress: u64) -> bool {
        if std::mem::replace(&mut self.seen, progress) == progress {
            self.in_vain += 1;
        } else {
            self.in_vain = 0;
        }
        self.in_vain >= LOOKS
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn progress_starts_the_count_anew() {
        let mut stuck = Stuck::new(7);
        for progress in [8, 9, 10] {
            for _ in 0..LOOKS {
                assert!(!stuck.look(progress));
            }
        }
        assert!(stuck.look(10));
    }

    #[test]
    fn a_late_look_counts_as_one() {
        let mut stuck = Stuck::new(7);
        assert!(!stuck.look(7));
        assert!(!stuck.look(7));
    }
}
