//! Printing to stderr, which nothing may hang for.

use crate::error::StopTimeout;
use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

/// How long is waited for stderr, which may be a pipe that nobody reads, and for texts of the user's.
const LIMIT: Duration = Duration::from_secs(1);

/// Makes a text and prints it to stderr, with a line break. Returns when it is printed, or could not be made, or after
/// [`LIMIT`].
pub(super) fn print(make: impl FnOnce() -> String + Send + 'static) {
    aside(move || {
        let text = make();
        // A reader that is gone is no reason to fail.
        let _ = writeln!(std::io::stderr(), "{text}");
    });
}

/// Calls `f`, which may run code of the user's, on a thread of its own. Returns `None` if it panics, or takes longer
/// than [`LIMIT`].
pub(super) fn aside<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = mpsc::channel();
    let call = move || {
        let _ = done.send(f());
    };
    let thread = std::thread::Builder::new().name("taskgrove-print".to_owned());
    thread.spawn(call).ok()?;
    result.recv_timeout(LIMIT).ok()
}

/// Describes what was left in the end.
pub(super) fn describe(left: &StopTimeout) -> String {
    format!("killed: {left}")
}
