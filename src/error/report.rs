//! `Display` and `Debug` of failures, which may nest without bound.
//!
//! Neither recurses over the nesting. `Display` walks it with a stack of its own. `Debug` has to
//! recurse to be pretty, so it stops after a few levels. Below the levels that they print in full,
//! both print only the failures that pass on no other one. An error type of the user's may print one
//! of these inside its own text: from the ninth text inside another on, both print `..`. An error whose text panics is
//! printed by `Display` as far as it came, and the rest goes on.

use super::any::BoxError;
use super::failure::{FailureKind, Failures, History, ServiceError, TaskFailure};
use super::walk::{Leaves, Walk};
use crate::panics::discard;
use std::cell::Cell;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

/// The number of levels that `Display` prints in full.
const DISPLAY_LEVELS: usize = 16;
/// The number of levels that `Debug` prints in full.
const DEBUG_LEVELS: usize = 8;
/// The number of texts that may be written one inside the other.
const MOST_TEXTS: usize = 8;

std::thread_local! {
    /// The number of texts that are being written on this thread, each inside the one before.
    static TEXTS: Cell<usize> = const { Cell::new(0) };
}

/// A text that is being written; counts as one until it is dropped.
struct Text(());

impl Text {
    /// Begins a text. Returns `None` if too many are being written on this thread, one inside the
    /// other.
    fn begin() -> Option<Text> {
        let deep = TEXTS.get();
        if deep == MOST_TEXTS {
            return None;
        }
        TEXTS.set(deep + 1);
        Some(Text(()))
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        TEXTS.set(TEXTS.get() - 1);
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceError::Lifecycle(error) => error.fmt(f),
            ServiceError::Failed(failures) => write_failures(failures, f),
        }
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_failures(slice::from_ref(self), f)
    }
}

/// Writes a line for each failure, with a heading if there is more than one.
fn write_failures(failures: &[TaskFailure], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(_text) = Text::begin() else {
        return f.write_str("..");
    };
    let several = failures.len() > 1;
    if several {
        write!(f, "{} failures:", failures.len())?;
    }
    let mut first = !several;
    for (level, failure, below) in Walk::new(failures, TaskFailure::passed_on) {
        if level > DISPLAY_LEVELS && !below.is_empty() {
            continue;
        }
        let indent = 2 * (level.min(DISPLAY_LEVELS + 1) + usize::from(several));
        if !std::mem::take(&mut first) {
            write!(f, "\n{:indent$}", "")?;
        }
        if level > DISPLAY_LEVELS {
            write!(f, "[{level} levels down] ")?;
        }
        write!(
            f,
            "`{}` (spawned at {}) ",
            failure.path(),
            failure.location()
        )?;
        let to = &mut Indented { f, indent };
        write_kind(failure.kind(), below, to)?;
        if let Some(history) = failure.history() {
            write_history(history, failure, to)?;
        }
    }
    Ok(())
}

/// Writes a line for each of the last failures of a child for which a supervisor gave up: one cause of each,
/// so that the text of nested supervisors does not grow with the power of their number.
fn write_history(history: &History, last: &TaskFailure, to: &mut Indented<'_, '_>) -> fmt::Result {
    let earlier = history.earlier.iter();
    let earlier = earlier.map(|past| (past.after, &past.failure));
    write!(
        to,
        "\nThe supervisor gave up: {}. The last failures, newest last:",
        history.limit
    )?;
    for (after, failure) in earlier.chain([(history.after, last)]) {
        let (cause, others) = failure.first_cause();
        write!(to, "\nafter {after:?}: `{}` ", cause.path())?;
        write_kind(cause.kind(), &[], to)?;
        if others > 0 {
            write!(to, " (and {others} more)")?;
        }
    }
    Ok(())
}

/// Writes what a failed task did, as the predicate of a sentence.
fn write_kind(kind: &FailureKind, below: &[TaskFailure], to: &mut Indented<'_, '_>) -> fmt::Result {
    match kind {
        FailureKind::Panic(message) => write!(to, "panicked: {message}"),
        FailureKind::DaemonExit => {
            to.write_str("ended, though it is a daemon and its service was not being cancelled")
        }
        FailureKind::Service(_) if !below.is_empty() => to.write_str("failed, a child service:"),
        FailureKind::Service(error) => write!(to, "failed, a child service: {error}"),
        FailureKind::Error(error) if !below.is_empty() => {
            to.write_str(if error.is::<ServiceError>() {
                "failed with the error of a service:"
            } else {
                "failed with the error of a task:"
            })
        }
        FailureKind::Error(error) => write_error(error, to),
    }
}

/// Writes the text of an error of the user's. A panic of that text ends here: those who print failures, take snapshots
/// or ask for the cause of a cancellation have no part in it.
fn write_error(error: &BoxError, to: &mut Indented<'_, '_>) -> fmt::Result {
    let write = AssertUnwindSafe(|| write!(to, "failed: {error}"));
    catch_unwind(write).unwrap_or_else(|payload| {
        discard(payload);
        to.write_str(" (its text panicked)")
    })
}

/// Indents every line after the first by four more than the first.
struct Indented<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    indent: usize,
}

impl fmt::Write for Indented<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                write!(self.f, "\n{:1$}", "", self.indent + 4)?;
            }
            self.f.write_str(line)?;
        }
        Ok(())
    }
}

/// `Debug` of failures, which prints `levels` levels in full.
struct DebugFailures<'a> {
    failures: &'a [TaskFailure],
    levels: usize,
}

impl fmt::Debug for DebugFailures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        if self.levels == 0 {
            // Leaves pass on no failure, so that printing them does not go deeper.
            let leaves = Leaves::new(self.failures, TaskFailure::passed_on);
            list.entry(&format_args!("..")).entries(leaves).finish()
        } else {
            let levels = self.levels - 1;
            list.entries(
                self.failures
                    .iter()
                    .map(|failure| DebugFailure { failure, levels }),
            )
            .finish()
        }
    }
}

/// `Debug` of a failure, which prints `levels` levels below it in full.
struct DebugFailure<'a> {
    failure: &'a TaskFailure,
    levels: usize,
}

impl fmt::Debug for DebugFailure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = DebugFailures {
            failures: self.failure.passed_on(),
            levels: self.levels,
        };
        f.debug_struct("TaskFailure")
            .field("task", &self.failure.task())
            .field("path", &self.failure.path())
            .field("location", &format_args!("{}", self.failure.location()))
            .field(
                "kind",
                &DebugKind {
                    kind: self.failure.kind(),
                    below,
                },
            )
            .finish()
    }
}

/// `Debug` of the cause of a failure and of the failures that it passes on.
struct DebugKind<'a> {
    kind: &'a FailureKind,
    below: DebugFailures<'a>,
}

impl fmt::Debug for DebugKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, error): (&str, &dyn fmt::Debug) = match self.kind {
            FailureKind::DaemonExit => return f.write_str("DaemonExit"),
            FailureKind::Panic(message) => ("Panic", message),
            FailureKind::Error(error) => ("Error", error),
            FailureKind::Service(error) => ("Service", error),
        };
        let mut tuple = f.debug_tuple(name);
        if self.below.failures.is_empty() {
            tuple.field(error).finish()
        } else {
            tuple.field(&self.below).finish()
        }
    }
}

impl fmt::Debug for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceError::Lifecycle(error) => f.debug_tuple("Lifecycle").field(error).finish(),
            ServiceError::Failed(failures) => f.debug_tuple("Failed").field(failures).finish(),
        }
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(_text) = Text::begin() else {
            return f.write_str("..");
        };
        DebugFailures {
            failures: self,
            levels: DEBUG_LEVELS,
        }
        .fmt(f)
    }
}

impl fmt::Debug for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(_text) = Text::begin() else {
            return f.write_str("..");
        };
        DebugFailure {
            failure: self,
            levels: DEBUG_LEVELS,
        }
        .fmt(f)
    }
}

impl fmt::Debug for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error: &dyn fmt::Debug = match self {
            FailureKind::DaemonExit => return f.write_str("DaemonExit"),
            FailureKind::Panic(message) => message,
            FailureKind::Error(error) => error,
            FailureKind::Service(error) => error,
        };
        let name = match self {
            FailureKind::Error(_) => "Error",
            FailureKind::Service(_) => "Service",
            _ => "Panic",
        };
        f.debug_tuple(name).field(error).finish()
    }
}
