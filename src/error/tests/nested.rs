//! Failures of services and of what is below them.

use std::io;
use std::sync::{Arc, Barrier};
use std::thread;

use super::*;

fn io_error(text: &str) -> FailureKind {
    FailureKind::Error(io::Error::other(text).into())
}

fn paths<'a>(failures: impl IntoIterator<Item = &'a TaskFailure>) -> Vec<&'a str> {
    failures.into_iter().map(TaskFailure::path).collect()
}

/// An application whose database and listener have failed, the former by two connections.
fn app() -> ServiceError {
    let db = service(vec![
        failure("app/db/conn-1", io_error("reset\nby peer")),
        failure("app/db/conn-2", FailureKind::Panic("boom".to_owned())),
    ]);
    let proxy = service(vec![failure("app/proxy/pump", FailureKind::DaemonExit)]);
    let joined = JoinError::from(failure("app/listener/accept", io_error("closed")));
    service(vec![
        failure("app/db", FailureKind::Service(db)),
        failure("app/proxy", FailureKind::Error(proxy.into())),
        failure("app/listener", FailureKind::Error(joined.into())),
        failure(
            "app/cache",
            FailureKind::Service(LifecycleError::NoManager.into()),
        ),
    ])
}

#[test]
fn there_is_no_failing_without_a_failure() {
    assert!(Failures::new(Vec::new()).is_none());
    let failures = Failures::new(vec![failure("a", FailureKind::DaemonExit)]);
    let failures = failures.expect("there is one");
    assert_eq!(failures.len(), 1);
    assert_eq!(paths(&failures), ["a"]);
}

#[test]
fn a_failure_can_be_taken_apart() {
    let here = Location::caller();
    let (path, moment) = ("app/x".to_owned(), Moment::next());
    let failed = TaskFailure::new(id(3), path, here, moment, io_error("reset"));
    assert_eq!(failed.task(), id(3));
    assert_eq!(failed.path(), "app/x");
    assert_eq!(failed.location(), here);
    let clone = failed.clone();
    let FailureKind::Error(error) = clone.kind() else {
        panic!("it is an error");
    };
    assert!(error.is::<io::Error>());
    let source = failed.source().expect("the error is its source");
    assert!(source.is::<io::Error>());
    assert!(failure("x", FailureKind::DaemonExit).source().is_none());
}

#[test]
fn failures_and_root_causes_are_in_order() {
    let error = app();
    assert_eq!(
        paths(error.failures()),
        ["app/db", "app/proxy", "app/listener", "app/cache"]
    );
    assert_eq!(
        paths(error.root_causes()),
        [
            "app/db/conn-1",
            "app/db/conn-2",
            "app/proxy/pump",
            "app/listener",
            "app/cache"
        ]
    );
    let error = ServiceError::from(LifecycleError::NoManager);
    assert!(error.failures().is_empty());
    assert_eq!(error.root_causes().count(), 0);
}

#[test]
fn sources_lead_to_the_first_cause() {
    let error = app();
    let chain: Vec<_> = std::iter::successors(error.source(), |&e| e.source()).collect();
    assert_eq!(chain.len(), 4);
    assert!(chain[0].is::<TaskFailure>());
    assert!(chain[1].is::<ServiceError>());
    assert!(chain[2].is::<TaskFailure>());
    assert!(chain[3].is::<io::Error>());
}

#[test]
fn every_failure_is_displayed() {
    let file = file!();
    assert_eq!(
        without_positions(&app().to_string()),
        format!(
            "\
4 failures:
  `app/db` (spawned at {file}) failed, a child service:
    `app/db/conn-1` (spawned at {file}) failed: reset
        by peer
    `app/db/conn-2` (spawned at {file}) panicked: boom
  `app/proxy` (spawned at {file}) failed with the error of a service:
    `app/proxy/pump` (spawned at {file}) ended, though it is a daemon and its service was not \
            being cancelled
  `app/listener` (spawned at {file}) failed with the error of a task:
    `app/listener/accept` (spawned at {file}) failed: closed
  `app/cache` (spawned at {file}) failed, a child service: {}",
            LifecycleError::NoManager
        )
    );
}

#[test]
fn one_failure_is_displayed_without_a_heading() {
    let one = failure("app/x", io_error("reset"));
    let expected = format!("`app/x` (spawned at {}) failed: reset", one.location());
    assert_eq!(one.to_string(), expected);
    assert_eq!(service(vec![one]).to_string(), expected);
}

#[test]
fn debug_tells_all_of_it() {
    let text = without_positions(&format!("{:?}", app()));
    let file = file!();
    assert!(
        text.starts_with(&format!(
            "Failed([TaskFailure {{ task: TaskId(7), path: \"app/db\", location: {file}, \
             kind: Service([TaskFailure {{ task: TaskId(7), path: \"app/db/conn-1\""
        )),
        "{text}"
    );
    for part in [
        "reset",
        "Panic(\"boom\")",
        "DaemonExit",
        "closed",
        "NoManager",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let kind = format!("{:?}", FailureKind::Panic("boom".to_owned()));
    assert_eq!(kind, "Panic(\"boom\")");
}

const DEEP: usize = 100_000;

/// How an error comes up one level.
type Wrap = fn(TaskFailure) -> FailureKind;

/// The ways in which errors nest: as child services do, and as `?` makes them.
const WRAPS: [Wrap; 4] = [
    |inner| FailureKind::Service(service(vec![inner])),
    |inner| FailureKind::Error(service(vec![inner]).into()),
    |inner| FailureKind::Error(JoinError::from(inner).into()),
    |inner| FailureKind::Error(inner.into()),
];

/// A service with a cause that many levels down.
fn deep(wrap: Wrap) -> ServiceError {
    let mut failed = failure("cause", io_error("deep down"));
    for _ in 0..DEEP {
        failed = failure("link", wrap(failed));
    }
    service(vec![failed])
}

/// Runs `f` on a thread with little stack.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(f)
        .expect("a thread can be started")
        .join()
        .expect("nothing panics");
}

/// An error of the user's own around one of ours.
#[derive(Debug, thiserror::Error)]
#[error("wrapped: {0}")]
struct Users(#[source] TaskFailure);

/// Errors of the user's own, each around one of ours.
fn deep_with_users() -> ServiceError {
    deep(|inner| FailureKind::Error(Users(inner).into()))
}

#[test]
fn deep_errors_with_the_users_own_in_between_are_dropped_without_recursion() {
    on_a_small_stack(|| drop(deep_with_users()));
}

#[test]
fn deep_errors_with_the_users_own_in_between_are_shown_within_bounds() {
    on_a_small_stack(|| {
        let error = deep_with_users();
        for shown in [
            error.to_string(),
            format!("{error:?}"),
            format!("{error:#?}"),
        ] {
            assert!(shown.len() < 10_000, "{} bytes", shown.len());
            assert!(shown.contains(".."), "{shown}");
        }
        assert_eq!(paths(error.root_causes()), ["link"]);
        let sources = std::iter::successors(error.source(), |&e| e.source());
        assert_eq!(sources.count(), 2 * DEEP + 2);
    });
}

/// A panic in the drop of one of them comes out after all the others are dropped.
#[test]
fn a_panic_in_the_drop_of_a_users_error_keeps_nothing() {
    #[derive(Debug, thiserror::Error)]
    #[error("bad")]
    struct Bad(TaskFailure, Arc<()>);
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("intended");
        }
    }
    let alive = Arc::new(());
    let mut failed = failure("cause", FailureKind::DaemonExit);
    for _ in 0..10 {
        failed = failure(
            "link",
            FailureKind::Error(Bad(failed, alive.clone()).into()),
        );
    }
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(failed)));
    assert!(dropped.is_err());
    assert_eq!(Arc::strong_count(&alive), 1);
    drop(deep_with_users());
}

#[test]
fn failures_and_root_causes_are_in_the_order_of_the_leaves() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|path| failure(path, FailureKind::DaemonExit));
    // The parents hear of the leaves as late as can be.
    let first = failure("first", FailureKind::Service(service(vec![d, b])));
    let second = failure("second", FailureKind::Error(service(vec![a]).into()));
    let error = service(vec![first, c, second]);
    assert_eq!(paths(error.failures()), ["second", "first", "c"]);
    assert_eq!(paths(error.root_causes()), ["a", "b", "c", "d"]);
}

#[test]
fn deep_errors_are_dropped_without_recursion() {
    on_a_small_stack(|| {
        for wrap in WRAPS {
            drop(deep(wrap));
        }
    });
}

#[test]
fn deep_errors_are_dropped_down_to_what_is_shared() {
    on_a_small_stack(|| {
        for wrap in WRAPS {
            let mut middle = failure("cause", FailureKind::DaemonExit);
            for _ in 0..DEEP / 2 {
                middle = failure("lower", wrap(middle));
            }
            let mut top = middle.clone();
            for _ in 0..DEEP / 2 {
                top = failure("upper", wrap(top));
            }
            drop(top);
            assert_eq!(middle.path(), "lower");
            assert_eq!(middle.passed_on().len(), 1);
            drop(middle);
        }
    });
}

#[test]
fn deep_errors_are_shown_within_bounds() {
    on_a_small_stack(|| {
        for wrap in WRAPS {
            let error = deep(wrap);
            let shown = error.to_string();
            assert!(shown.lines().count() <= 20, "{shown}");
            assert!(shown.contains("[100000 levels down] `cause`"), "{shown}");
            for shown in [
                format!("{error:?}"),
                format!("{error:#?}"),
                format!("{:?}", error.failures()[0].kind()),
            ] {
                assert!(shown.contains("deep down"), "{shown}");
                assert!(shown.len() < 10_000, "{} bytes", shown.len());
            }
        }
    });
}

#[test]
fn deep_errors_are_walked_without_recursion() {
    on_a_small_stack(|| {
        for wrap in &WRAPS[..2] {
            let error = deep(*wrap);
            assert_eq!(paths(error.root_causes()), ["cause"]);
            let sources = std::iter::successors(error.source(), |&e| e.source());
            assert_eq!(sources.count(), 2 * DEEP + 2);
        }
    });
}

#[test]
fn clones_dropped_at_once_free_everything_once() {
    #[derive(Debug, thiserror::Error)]
    #[error("counted")]
    struct Counted(#[allow(dead_code, reason = "only its count is looked at")] Arc<()>);

    const LEVELS: usize = 2_000;
    for wrap in WRAPS {
        let alive = Arc::new(());
        let mut failed = failure("cause", FailureKind::Error(Counted(alive.clone()).into()));
        // Each level is kept by a clone of its own, and half of them by each thread.
        let mut clones = [Vec::new(), Vec::new()];
        for level in 0..LEVELS {
            clones[level % 2].push(failed.clone());
            failed = failure("link", wrap(failed));
        }
        clones[0].push(failed.clone());
        clones[1].push(failed);
        let barrier = Arc::new(Barrier::new(clones.len()));
        let threads = clones.map(|mut clones| {
            let barrier = barrier.clone();
            thread::spawn(move || {
                barrier.wait();
                while let Some(clone) = clones.pop() {
                    drop(clone);
                }
            })
        });
        for thread in threads {
            thread.join().expect("dropping does not panic");
        }
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
