//! Signals and exit codes.

use crate::child::Child;

const INT: i32 = 2;
const TERM: i32 = 15;

pub(crate) fn a_clean_end() {
    let ended = Child::start("clean").end();
    assert_eq!((ended.code, &*ended.err), (Ok(0), ""));
}

pub(crate) fn a_failure() {
    let ended = Child::start("fails").end();
    assert_eq!(ended.code, Ok(1));
    // A service is placed where `run` was called.
    let undroppable = Child::start("undroppable").end();
    let place = "`app` (spawned at tests/process/roles.rs:";
    assert!(undroppable.err.contains(place), "{}", undroppable.err);
    assert!(
        ended.err.contains("app/db") && ended.err.contains("no disk"),
        "{}",
        ended.err
    );
}

pub(crate) fn a_builder_names_the_service() {
    let ended = Child::start("named").end();
    assert_eq!(ended.code, Ok(1));
    assert!(ended.err.contains("`shop/db`"), "{}", ended.err);
}

/// The text of an error is the user's: it may panic, or not come to its end.
pub(crate) fn a_failure_that_cannot_be_printed() {
    let ended = Child::start("unprintable").end();
    assert_eq!(ended.code, Ok(1), "{}", ended.err);
    for part in ["app/odd", "an error", "app/db", "no disk"] {
        assert!(ended.err.contains(part), "{part}: {}", ended.err);
    }
    assert_eq!(Child::start("endless text").end().code, Ok(1));
    assert_eq!(Child::start("undroppable").end().code, Ok(1));
}

/// The failure is the cause of the cancellation, which the report and the tree name.
pub(crate) fn a_cause_that_cannot_be_printed_holds_nothing_up() {
    for role in ["unprintable and stubborn", "endless text and stubborn"] {
        let mut child = Child::start(role);
        child.prints("up");
        child.prints("cleans up");
        child.signal("QUIT");
        child.signal("TERM");
        let ended = child.end();
        assert_eq!(ended.code, Ok(128 + TERM), "{role}: {}", ended.err);
        assert!(
            ended.err.contains("killed: ") || role.starts_with("endless"),
            "{}",
            ended.err
        );
    }
}

pub(crate) fn a_service_that_is_managed() {
    let ended = Child::start("managed").end();
    assert_eq!(ended.code, Ok(1));
    assert!(ended.err.contains("has a manager already"), "{}", ended.err);
}

pub(crate) fn a_signal_cancels() {
    for role in ["waits", "waits alone"] {
        for name in ["INT", "TERM"] {
            let mut child = Child::start(role);
            child.prints("up");
            child.signal(name);
            let ended = child.end();
            assert_eq!((ended.code, &*ended.err), (Ok(0), ""), "{role} {name}");
            let line = format!("cancelled by app: a signal to the process: \"SIG{name}\"");
            assert_eq!(ended.out, [line]);
        }
    }
}

pub(crate) fn what_outlives_the_drain_is_killed() {
    let mut child = Child::start("stubborn");
    child.prints("up");
    child.signal("TERM");
    let ended = child.end();
    assert_eq!(ended.code, Ok(128 + TERM));
    assert_eq!(ended.out, ["cleans up"]);
    let err = ended.err;
    assert!(
        err.contains("killed: ") && err.contains("app #") && err.contains("cleaning up"),
        "{err}"
    );
    assert!(
        err.contains("cancelled by app: a signal to the process: \"SIGTERM\""),
        "{err}"
    );
}

pub(crate) fn a_second_signal_kills() {
    let mut child = Child::start("stubborn for ever");
    child.prints("up");
    child.signal("TERM");
    child.prints("cleans up");
    child.signal("INT");
    let ended = child.end();
    assert_eq!(ended.code, Ok(128 + INT));
    assert!(ended.err.contains("cleaning up"), "{}", ended.err);
}

pub(crate) fn a_stuck_poll_holds_nothing_up() {
    for role in ["stuck", "stuck alone", "stuck worker"] {
        let mut child = Child::start(role);
        child.prints("up");
        child.signal("TERM");
        let ended = child.end();
        assert_eq!(ended.code, Ok(128 + TERM), "{role}");
        let err = ended.err;
        assert!(
            err.contains("app/stuck") && err.contains("still running a poll"),
            "{role}: {err}"
        );
    }
}

/// The second one kills, but the poll stays; nothing has to be waited for then.
pub(crate) fn a_third_signal_ends_at_once() {
    let mut child = Child::start("stuck for ever");
    child.prints("up");
    child.signal("TERM");
    child.prints("cancelled");
    child.signal("INT");
    child.says("app/stuck");
    child.signal("INT");
    assert_eq!(child.end().code, Ok(128 + INT));
}

pub(crate) fn a_blocked_stderr_holds_nothing_up() {
    let mut child = Child::start("floods");
    child.prints("up");
    child.signal("TERM");
    // Nobody reads what it prints.
    assert_eq!(child.end_unread(), Ok(128 + TERM));
}

pub(crate) fn a_picture_on_quit() {
    for role in ["waits", "waits alone"] {
        let mut child = Child::start(role);
        child.prints("up");
        for _ in 0..2 {
            child.signal("QUIT");
            let said = child.says("waiter");
            assert!(said.contains("app"), "{role}: {said}");
        }
        child.signal("TERM");
        assert_eq!(child.end().code, Ok(0), "{role}");
    }
}

/// Roots beside the service have the drain for their cleanups; others are dropped without a word.
pub(crate) fn what_is_left_beside_the_service() {
    let ended = Child::start("leaves").end();
    assert_eq!(ended.code, Ok(1));
    let err = ended.err;
    assert!(
        err.contains("killed: ") && err.contains("left #") && !err.contains("harmless"),
        "{err}"
    );
}

/// Once a signal has come, its drain is that of the other roots, too.
pub(crate) fn what_is_left_beside_the_service_at_a_signal() {
    let mut child = Child::start("leaves at a signal");
    child.prints("up");
    child.signal("TERM");
    let ended = child.end();
    assert_eq!(ended.code, Ok(128 + TERM), "{}", ended.err);
    assert!(ended.err.contains("left #"), "{}", ended.err);
}

/// They are killed as the service is, which drops what they have.
pub(crate) fn what_is_left_beside_the_service_is_killed() {
    let mut child = Child::start("leaves for ever");
    child.prints("cleans up");
    child.signal("TERM");
    child.signal("INT");
    let ended = child.end();
    // Both may be there before one is looked at.
    assert!(
        [Ok(128 + INT), Ok(128 + TERM)].contains(&ended.code),
        "{:?}",
        ended.code
    );
    assert!(ended.err.contains("left #"), "{}", ended.err);
    assert_eq!(ended.out, ["falls"]);
}

pub(crate) fn the_usual_effect_afterwards() {
    let mut child = Child::start("afterwards");
    child.prints("up");
    child.signal("TERM");
    assert_eq!(child.end().code, Err(TERM));
}

pub(crate) fn one_run_after_another() {
    let mut child = Child::start("twice");
    child.prints("up");
    child.signal("INT");
    assert_eq!(child.end().code, Ok(0));
}
