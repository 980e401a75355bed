use std::error::Error;
use std::num::NonZeroU64;
use std::panic::Location;

use super::*;
use crate::id::TaskId;

mod nested;
mod plain;

fn id(raw: u64) -> TaskId {
    TaskId::from_raw(NonZeroU64::new(raw).expect("ids are not zero"))
}

/// The failure of a task with this path; its location is the caller's.
#[track_caller]
fn failure(path: &str, kind: FailureKind) -> TaskFailure {
    let moment = Moment::next();
    TaskFailure::new(id(7), path.to_owned(), Location::caller(), moment, kind)
}

/// A service that failed by these failures.
fn service(failures: Vec<TaskFailure>) -> ServiceError {
    Failures::new(failures).expect("there is a failure").into()
}

/// The text with the line and column of each location taken out.
fn without_positions(text: &str) -> String {
    let mut rest = text;
    let mut clean = String::new();
    while let Some((before, after)) = rest.split_once(".rs:") {
        clean.push_str(before);
        clean.push_str(".rs");
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
    }
    clean + rest
}
