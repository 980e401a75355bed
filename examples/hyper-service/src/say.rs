//! Output that may be closed.
//!
//! `println!` and `eprintln!` panic when nobody reads any more, as when the program is piped into `head`. What is
//! printed here is worth less than the requests that a panic would lose.

use std::fmt::Display;
use std::io::{self, Write};

/// Prints a line to the output, if somebody reads it.
pub(crate) fn out(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints a line to the errors, if somebody reads them.
pub(crate) fn err(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
