//! Time that passed, less the time in which other programs had the core.

use std::time::Instant;

pub(crate) struct Stopwatch {
    /// How long the thread had waited by then, in nanoseconds; with one worker all is on one thread.
    waited: Option<u64>,
    began: Instant,
}

impl Stopwatch {
    pub(crate) fn start(workers: usize) -> Stopwatch {
        Stopwatch {
            waited: (workers == 1).then(waited).flatten(),
            began: Instant::now(),
        }
    }

    pub(crate) fn nanos(self) -> f64 {
        let elapsed = self.began.elapsed().as_nanos() as u64;
        let waited = self.waited.and_then(|then| Some(waited()? - then));
        elapsed.saturating_sub(waited.unwrap_or(0)) as f64
    }
}

/// How long the calling thread has waited for a core so far, in nanoseconds, if the system says.
fn waited() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().nth(1)?.parse().ok()
}
