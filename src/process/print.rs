//! Printing to stderr, which nothing may hang for.

use crate::error::StopTimeout;
use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

/// How long is waited for stderr, which may be a pipe that nobody reads.
const LIMIT: Duration = Duration::from_secs(1);

/// Prints a text to stderr, with a line break. Returns when it is printed, or after [`LIMIT`].
pub(super) fn print(text: String) {
    let (done, printed) = mpsc::channel();
    let write = move || {
        // A reader that is gone is no reason to fail.
        let _ = writeln!(std::io::stderr(), "{text}");
        let _ = done.send(());
    };
    let thread = std::thread::Builder::new().name("taskgrove-print".to_owned());
    if thread.spawn(write).is_ok() {
        let _ = printed.recv_timeout(LIMIT);
    }
}

/// Describes what was left in the end.
pub(super) fn describe(left: &StopTimeout) -> String {
    format!("killed: {left}")
}
