//! Output that may be closed.

use std::fmt::Display;
use std::io::{self, Write};

/// Prints a line, if somebody reads the output. `println!` panics otherwise, as when the program is piped into
/// `head`, and a panic in a connection would end the gateway.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
