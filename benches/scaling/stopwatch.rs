//! Time that passed, less the time in which other programs had the core.

use std::time::Instant;

pub(crate) struct Stopwatch {
    /// For one that counts only while the thread has a core: what it had had by then.
    ran: Option<u64>,
    /// How long the thread had waited by then, in nanoseconds; with one worker all is on one thread.
    waited: Option<u64>,
    began: Instant,
}

impl Stopwatch {
    pub(crate) fn start(workers: usize) -> Stopwatch {
        Stopwatch {
            ran: None,
            waited: (workers == 1).then(waited).flatten(),
            began: Instant::now(),
        }
    }

    /// Counts the time in which the calling thread has a core, and not that in which it sleeps.
    pub(crate) fn of_cpu() -> Stopwatch {
        Stopwatch {
            ran: ran(),
            waited: None,
            began: Instant::now(),
        }
    }

    pub(crate) fn nanos(self) -> f64 {
        if let Some(ran) = self.ran.and_then(|then| Some(ran()? - then)) {
            return ran as f64;
        }
        let elapsed = self.began.elapsed().as_nanos() as u64;
        let waited = self.waited.and_then(|then| Some(waited()? - then));
        elapsed.saturating_sub(waited.unwrap_or(0)) as f64
    }
}

/// How long the calling thread has waited for a core so far, in nanoseconds, if the system says.
fn waited() -> Option<u64> {
    schedstat(1)
}

/// How long it has had one so far.
fn ran() -> Option<u64> {
    // What runs is accounted for when it gives the core up.
    std::thread::yield_now();
    schedstat(0)
}

fn schedstat(column: usize) -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().nth(column)?.parse().ok()
}
