//! Every transition on every word: phases, levels, flags, and none, one or two children.

use super::word::State;
use super::*;
use std::cell::RefCell;

const FLAGS: [u64; 7] = [
    PROTECTED,
    GRACE,
    ENDED,
    COVERS,
    JOIN_INTEREST,
    JOIN_WAKER,
    WAITERS,
];

const FLAG_PAIRS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

/// Words whose turn is noted, if it has come.
pub(super) fn words() -> impl Iterator<Item = Word> {
    // Grace begins with a cancellation, and a kill ends it.
    all()
        .map(Word::latched)
        .filter(|word| !word.in_grace() || word.level() == Level::Cancel as u64)
}

fn all() -> impl Iterator<Item = Word> {
    let with_flags = (0..1u64 << FLAGS.len()).map(|set| {
        let chosen = FLAGS
            .iter()
            .enumerate()
            .filter(move |(i, _)| set >> i & 1 == 1);
        chosen.fold(0, |word, (_, flag)| word | flag)
    });
    with_flags.flat_map(|flags| {
        PHASES.into_iter().flat_map(move |phase| {
            (0..3u64).flat_map(move |level| {
                (0..3u64).map(move |children| {
                    let word = flags + (level << LEVEL_SHIFT) + 3 * REF + children * CHILD;
                    Word(word).with_phase(phase)
                })
            })
        })
    })
}

/// What an action promises about the phase, and what no transition may touch.
fn check(before: Word, after: Word, action: Action, may_change: u64) {
    let phases = (before.phase(), after.phase());
    match action {
        Action::Nothing => {
            assert!(
                after.phase() != Phase::Claimed || phases.0 == Phase::Claimed,
                "{phases:?}"
            );
            assert!(after.phase() != Phase::Scheduled || phases.0 == Phase::Scheduled);
            assert!(!after.is_done() || before.is_done());
        }
        Action::Submit => assert_eq!(after.phase(), Phase::Scheduled, "{before:?}"),
        Action::Close => assert_eq!(after.phase(), Phase::Claimed, "{before:?}"),
        Action::Finish => assert!(after.is_done() && !before.is_done(), "{before:?}"),
    }
    let changed = (before.0 ^ after.0) & !may_change & !PHASE;
    assert_eq!(changed, 0, "{before:?} became {after:?}");
}

#[test]
fn a_wake_schedules_an_idle_task_and_reschedules_a_running_one() {
    for word in words() {
        let (next, action) = word.wake();
        check(word, next, action, 0);
        let expected = match word.phase() {
            Phase::Idle => (Phase::Scheduled, Action::Submit),
            Phase::Running => (Phase::RunningWoken, Action::Nothing),
            other => (other, Action::Nothing),
        };
        assert_eq!((next.phase(), action), expected);
        // One entry in the queues, whatever the number of wakes.
        assert_eq!(next.wake(), (next, Action::Nothing));
    }
}

#[test]
fn what_is_due_is_closed_instead_of_polled() {
    for word in words().filter(|word| word.phase() == Phase::Scheduled) {
        let (next, start) = word.start();
        let due = word.is_due();
        match start {
            Start::Close => assert!(due && next.phase() == Phase::Claimed),
            Start::Skip => assert!(!due && word.is_killed() && next.phase() == Phase::Idle),
            Start::Poll | Start::PollAtTurn => {
                assert!(!due && !word.is_killed() && next.phase() == Phase::Running);
                assert_eq!(start == Start::PollAtTurn, word.is_turn());
            }
        }
        assert_eq!((word.0 ^ next.0) & !PHASE, 0);
    }
}

#[test]
fn a_task_is_due_at_its_turn_unless_protected_and_when_killed_in_any_case() {
    for word in words() {
        let leaf = word.children() == 0;
        assert_eq!(
            word.is_turn(),
            leaf && word.is_closing() && !word.in_grace()
        );
        let shielded = word.is_protected() || word.has_ended();
        let due = leaf && (word.is_killed() || word.is_turn() && !shielded);
        assert_eq!(word.is_due(), due && !word.covers(), "{word:?}");
    }
}

#[test]
fn a_suspended_task_is_closed_polled_again_or_idle() {
    let running = |word: &Word| matches!(word.phase(), Phase::Running | Phase::RunningWoken);
    for word in words().filter(running) {
        for (protected, woken) in FLAG_PAIRS {
            let (next, action) = word.suspend(protected, woken);
            check(word, next, action, PROTECTED);
            assert_eq!(next.is_protected(), protected);
            let expected = match word.phase() {
                _ if next.is_due() => Action::Close,
                Phase::RunningWoken => Action::Submit,
                _ if woken => Action::Submit,
                _ => Action::Nothing,
            };
            assert_eq!(action, expected, "{word:?}");
            if action == Action::Nothing {
                assert_eq!(next.phase(), Phase::Idle);
            }
        }
    }
}

#[test]
fn a_task_without_future_and_children_is_done() {
    let has_future = |word: &Word| {
        matches!(
            word.phase(),
            Phase::Running | Phase::RunningWoken | Phase::Claimed
        )
    };
    for word in words().filter(has_future) {
        let (next, action) = word.end(false, false);
        check(word, next, action, PROTECTED | ENDED | JOIN_WAKER);
        assert!(!next.is_protected() && !next.has_ended(), "nothing is left");
        if word.children() == 0 && !word.covers() {
            assert_eq!(action, Action::Finish);
            assert!(next.is_done() && !next.has_join_waker());
        } else {
            assert_eq!((next.phase(), action), (Phase::Closed, Action::Nothing));
        }
        for woken in [false, true] {
            let (next, action) = word.end(true, woken);
            check(word, next, action, PROTECTED | ENDED);
            assert!(next.has_ended() && !next.is_done(), "cleanups are left");
            assert!(!next.is_protected());
            let expected = match word.phase() {
                Phase::Running if next.is_due() => (Phase::Claimed, Action::Close),
                // Its cleanups were polled by the same poll.
                Phase::Running if !woken => (Phase::Idle, Action::Nothing),
                _ => (Phase::Scheduled, Action::Submit),
            };
            assert_eq!((next.phase(), action), expected, "{word:?}");
        }
    }
}

#[test]
fn the_last_release_decides_what_follows() {
    for word in words().filter(|word| word.children() > 0) {
        let (next, action) = word.release(1);
        check(word, next, action, CHILD_FIELD | JOIN_WAKER | TURN | RIPE);
        assert_eq!(next.children(), word.children() - 1);
        let expected = match word.phase() {
            _ if next.children() > 0 => Action::Nothing,
            Phase::Closed if word.covers() => Action::Nothing,
            Phase::Closed => Action::Finish,
            Phase::Idle if next.is_due() => Action::Close,
            Phase::Idle if next.is_turn() && (word.is_protected() || word.covers()) => {
                Action::Submit
            }
            _ => Action::Nothing,
        };
        assert_eq!(action, expected, "{word:?}");
        // A pin that is taken afterwards changes nothing.
        if matches!(action, Action::Nothing | Action::Submit)
            && let Some(pinned) = next.pin()
        {
            assert_eq!(pinned.release(1), (next, Action::Nothing), "{word:?}");
        }
        if action == Action::Finish {
            assert!(next.is_done() && !next.has_join_waker());
        }
        // A turn that comes during a poll is not lost: one more poll sees it.
        if word.phase() == Phase::Running && next.children() == 0 && next.is_turn() {
            assert_eq!(next.phase(), Phase::RunningWoken);
        }
    }
}

#[test]
fn what_is_done_takes_no_children_and_no_holds() {
    for word in words() {
        assert_eq!(word.pin().is_none(), word.is_done());
        assert_eq!(word.adopt().is_none(), word.is_done() || word.is_closing());
        for pinned in [word.pin(), word.adopt()].into_iter().flatten() {
            assert_eq!(pinned.0, word.0 + CHILD);
        }
    }
    let full = Word(MAX_CHILDREN * CHILD);
    assert!(full.adopt().is_none() && full.pin().is_some());
}

#[test]
fn a_level_only_rises_and_the_marked_are_claimed_or_held() {
    for word in words() {
        for level in [Level::Cancel, Level::Kill] {
            for grace in [false, true] {
                let (next, mark) = word.mark(level, grace, true);
                assert!(next.level() >= word.level());
                match mark {
                    Mark::Refused => {
                        assert_eq!(next, word);
                        assert!(word.is_done() || word.level() >= level as u64);
                    }
                    Mark::Claimed => {
                        assert_eq!(word.phase(), Phase::Idle);
                        assert!(next.is_due() && next.phase() == Phase::Claimed);
                        assert_eq!(word.children(), 0);
                    }
                    Mark::Pinned => {
                        assert_eq!(next.children(), word.children() + 1);
                        assert_eq!(next.phase(), word.phase());
                        assert!(word.is_turn() || !next.is_turn(), "pinned");
                    }
                }
                if mark != Mark::Refused {
                    assert_eq!(next.level(), level as u64);
                    let graceful = level == Level::Cancel && (grace || word.in_grace());
                    assert_eq!(next.in_grace(), graceful, "a kill knows no grace");
                    // The target of a request: its turn may come at once.
                    let (target, mark) = word.mark(level, grace, false);
                    assert_eq!(mark, Mark::Pinned);
                    let leaf = word.children() == 0 && !graceful;
                    let let_go = target.release(1).0;
                    assert_eq!(let_go.is_turn(), word.is_turn() || leaf);
                    // It is seen by the poll that it is in, and by one more.
                    if target.phase() != word.phase() {
                        assert_eq!(word.phase(), Phase::Running);
                        assert_eq!(target.phase(), Phase::RunningWoken);
                        assert!(target.is_turn());
                    }
                    // What has to be polled for it is polled once the pin is gone.
                    if leaf && word.is_protected() && !let_go.is_due() && !word.is_turn() {
                        let idle = !matches!(let_go.phase(), Phase::Idle | Phase::Running);
                        assert!(idle, "{word:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_cancelled_leaf_is_seen_by_whoever_has_it() {
    for word in words() {
        for at_once in [false, true] {
            let open = !word.is_closing() && word.is_alone() && !word.in_grace();
            let quiet = !at_once && !word.has_waiters();
            let shielded = word.is_protected() || word.has_ended();
            let alone = match word.phase() {
                Phase::Scheduled => !shielded,
                Phase::Idle => !shielded || quiet && word.is_protected(),
                Phase::Running | Phase::RunningWoken => quiet,
                Phase::Claimed | Phase::Closed | Phase::Done => false,
            };
            let Some((next, action)) = word.cancel_leaf(at_once) else {
                assert!(!(open && alone), "{word:?} needs no walk");
                continue;
            };
            assert!(open && alone, "{word:?} needs a walk");
            check(word, next, action, LEVEL | TURN | RIPE);
            assert!(!word.is_closing() && word.children() == 0 && !word.is_done());
            assert!(next.is_turn());
            match next.phase() {
                Phase::Scheduled if next.is_due() => assert_eq!(next.start().1, Start::Close),
                Phase::Scheduled => assert!(word.is_protected() && !at_once && !word.has_waiters()),
                phase => {
                    assert_eq!(phase, Phase::RunningWoken);
                    assert!(!at_once && !word.has_waiters());
                    // Unprotected and with its future, it is dropped after this poll.
                    let ended = word.has_ended();
                    assert_eq!(next.suspend(false, false).1 == Action::Close, !ended);
                }
            }
        }
    }
}

#[test]
fn a_handle_leaves_its_reference_or_its_waker() {
    for word in words() {
        match word.detach() {
            None => assert!(word.is_done()),
            Some(next) if word.has_join_waker() => {
                assert_eq!(next.refs(), word.refs());
                assert!(!next.has_join_waker() && !next.has_join_interest());
            }
            Some(next) => {
                assert_eq!(next.refs(), word.refs() - 1);
                assert!(!next.has_join_interest());
            }
        }
    }
}

#[test]
fn a_leaf_in_a_queue_is_cancelled_by_one_step() {
    let state = State::scheduled(true);
    assert_eq!(state.cancel_leaf(false), Some(Action::Nothing));
    assert_eq!(state.start().1, Start::Close);
    assert_eq!(state.cancel_leaf(false), None, "it is closing");
}

#[test]
fn of_two_who_meet_at_the_end_each_learns_of_the_other() {
    let state = State::scheduled(true);
    let word = state.set_waiters();
    assert!(word.has_waiters() && word.phase() == Phase::Scheduled && word.refs() == 2);
    assert_eq!(state.start().1, Start::Poll);
    assert!(state.set_join_waker() && state.unset_join_waker());
    assert!(state.set_join_waker());
    let (before, action) = state.end(false, false, |_| {});
    assert!(before.has_waiters() && before.has_join_waker() && action == Action::Finish);
    assert!(state.set_waiters().is_done());
    let late = (state.set_join_waker(), state.unset_join_waker());
    assert_eq!(late, (false, false), "the slot is the finisher's");
}

#[test]
fn a_task_that_is_pinned_at_its_end_is_not_counted_until_the_release() {
    let attempts = RefCell::new(Vec::new());
    let state = State::scheduled(true);
    assert_eq!(state.start().1, Start::Poll);
    let (_, action) = state.end(false, false, |finishes| {
        if attempts.borrow().is_empty() {
            // Another thread pins the task between the count and the step.
            assert!(state.pin());
        }
        attempts.borrow_mut().push(finishes);
    });
    assert_eq!(action, Action::Nothing);
    assert_eq!(state.load().phase(), Phase::Closed);
    let (before, action) = state.release(1, |finishes| {
        attempts.borrow_mut().push(finishes);
        assert!(!state.load().is_done(), "the count comes first");
    });
    assert_eq!((before.phase(), action), (Phase::Closed, Action::Finish));
    assert_eq!(*attempts.borrow(), [true, false, true]);
}

#[test]
fn a_word_shows_its_phase_and_its_counts() {
    let shown = format!("{:?}", Word((2 * REF + 5 * CHILD) | TURN | PROTECTED));
    for part in [
        "Idle",
        "protected: true",
        "grace: false",
        "refs: 2",
        "children: 5",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
}

const CHILD_FIELD: u64 = u64::MAX << CHILD_SHIFT;
