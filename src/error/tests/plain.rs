//! Errors that nest no other failures.

use std::any::Any;
use std::io;
use std::time::Duration;

use super::*;
use crate::snapshot::crowd::Census;
use crate::snapshot::{Draft, NodeKind, NodeState, Snapshot};

#[test]
fn all_can_cross_threads() {
    fn error<T: Error + Send + Sync + 'static>() {}
    error::<JoinError>();
    error::<ServiceError>();
    error::<SpawnError>();
    error::<LifecycleError>();
    error::<TooManyChildren>();
    error::<StopError>();
    error::<StopTimeout>();
    error::<TaskFailure>();
    error::<Elapsed>();
    fn data<T: Send + Sync + std::fmt::Debug + 'static>() {}
    data::<Panic>();
    data::<Failures>();
    data::<FailureKind>();
}

#[test]
fn are_small() {
    assert_eq!(size_of::<Panic>(), size_of::<usize>());
    assert_eq!(size_of::<TaskFailure>(), size_of::<usize>());
    assert_eq!(size_of::<Failures>(), size_of::<usize>());
    assert!(size_of::<JoinError>() <= 2 * size_of::<usize>());
}

#[test]
fn lifecycle_errors_name_the_service_and_say_what_to_do() {
    let service = || "db".to_owned();
    let cases = [
        (
            LifecycleError::AlreadyManaged { service: service() },
            "once",
        ),
        (LifecycleError::AlreadyStarted { service: service() }, "new"),
        (LifecycleError::NotStarted { service: service() }, "first"),
        (
            LifecycleError::NotRunning { service: service() },
            "wait_started",
        ),
    ];
    for (error, advice) in cases {
        let text = error.to_string();
        assert!(text.contains("`db`") && text.contains(advice), "{text}");
    }
    let text = LifecycleError::NoManager.to_string();
    assert!(text.contains("Manager::new"), "{text}");
}

#[test]
fn too_many_children_names_the_most_common() {
    let names = (0..12)
        .flat_map(|n| std::iter::repeat_n(format!("name-{n:02}"), 1 + n / 2))
        .chain(["conn\n".to_owned()].into_iter().cycle().take(40));
    let here = Location::caller();
    let children = Census::new(names.map(|name| (name.into(), here, 1)));
    let error = TooManyChildren::new("app/db".to_owned(), 82, children);
    let names: Vec<(&str, usize)> = error
        .most_common
        .iter()
        .map(|(name, count)| (&**name, *count))
        .collect();
    let expected = [
        ("conn\n", 40),
        ("name-10", 6),
        ("name-11", 6),
        ("name-08", 5),
        ("name-09", 5),
        ("name-06", 4),
        ("name-07", 4),
        ("name-04", 3),
        ("name-05", 3),
        ("name-02", 2),
    ];
    assert_eq!(names, expected);
    let text = error.to_string();
    assert!(
        text.contains("`app/db`") && text.contains("the limit is 82"),
        "{text}"
    );
    assert!(
        text.contains(&format!(
            "most common: conn_ (x40, spawned at {here}), name-10 (x6, spawned at {here}), "
        )),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn too_many_children_of_none() {
    let error = TooManyChildren::new("app".to_owned(), 0, Census::default());
    assert!(error.most_common.is_empty());
    assert!(!error.to_string().contains("common"), "{error}");
}

#[test]
fn question_marks_convert() {
    fn lifecycle<E: From<LifecycleError>>() -> Result<(), E> {
        Err(LifecycleError::NoManager)?
    }
    let text = LifecycleError::NoManager.to_string();
    assert_eq!(lifecycle::<SpawnError>().unwrap_err().to_string(), text);
    assert_eq!(lifecycle::<ServiceError>().unwrap_err().to_string(), text);
    assert_eq!(lifecycle::<StopError>().unwrap_err().to_string(), text);
    assert_eq!(lifecycle::<BoxError>().unwrap_err().to_string(), text);

    let full = TooManyChildren::new("app".to_owned(), 1, Census::default());
    assert_eq!(
        SpawnError::from(full.clone()),
        SpawnError::TooManyChildren(full)
    );
    let remaining = Snapshot::empty();
    assert!(matches!(
        StopTimeout {
            remaining,
            cause: None,
        }
        .into(),
        StopError::Timeout(_)
    ));
    let failed = JoinError::from(failure("app", FailureKind::DaemonExit));
    assert!(matches!(failed, JoinError::Failed(f) if f.path() == "app"));
}

#[test]
fn a_panic_has_its_message_and_its_payload() {
    let caught = |payload: Box<dyn Any + Send>| Panic::new(payload);
    assert_eq!(caught(Box::new("text")).message(), "text");
    assert_eq!(caught(Box::new("owned".to_owned())).message(), "owned");
    let other = caught(Box::new(17_u8));
    assert!(other.message().contains("Box<dyn Any>"));
    assert_eq!(other.into_payload().downcast_ref(), Some(&17_u8));

    let panic = caught(Box::new("text"));
    assert_eq!(panic.to_string(), "panicked: text");
    assert_eq!(format!("{panic:?}"), r#"Panic("text")"#);
}

#[test]
fn join_errors_tell_how_the_task_ended() {
    let panicked = JoinError::Panicked(Panic::new(Box::new("boom")));
    assert!(panicked.is_panic() && !panicked.is_cancelled());
    assert_eq!(panicked.to_string(), "the task panicked: boom");
    assert!(JoinError::Cancelled.is_cancelled() && !JoinError::Cancelled.is_panic());

    let failed: JoinError = failure("app/x", FailureKind::Error("no".into())).into();
    assert!(!failed.is_panic() && !failed.is_cancelled());
    assert!(failed.to_string().starts_with("`app/x` "), "{failed}");
    let source = failed.source().expect("it has a source");
    assert_eq!(source.to_string(), "no");
}

#[test]
fn elapsed_is_a_timeout_to_io() {
    let error = io::Error::from(Elapsed);
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), Elapsed.to_string());
}

/// What was left of a service with `count` tasks below it, of which the last is being polled.
fn timeout(count: usize) -> StopTimeout {
    let names: Vec<String> = (0..count).map(|at| format!("t{at}")).collect();
    let drafts = names.iter().enumerate().map(|(at, name)| Draft {
        id: id(at as u64 + 1),
        name,
        depth: usize::from(at > 0),
        kind: NodeKind::Task,
        state: match at {
            0 => NodeState::WaitingForChildren,
            _ if at + 1 == count => NodeState::Running,
            _ => NodeState::CleaningUp,
        },
        daemon: false,
        polls: 0,
        busy: None,
        age: Duration::ZERO,
        location: Location::caller(),
        awaiting: None,
        running_for: None,
        cause: None,
    });
    let remaining = Snapshot::new(Vec::new(), None, drafts);
    StopTimeout {
        remaining,
        cause: None,
    }
}

#[test]
fn a_stop_timeout_names_what_is_left_and_why() {
    assert_eq!(
        timeout(3).to_string(),
        "\
not stopped in time: 3 tasks are left
  t0/t1 #2: cleaning up
  t0/t2 #3: still running a poll
  t0 #1: waiting for children"
    );
    let text = timeout(0).to_string();
    assert!(text.contains("no task was left"), "{text}");
}

#[test]
fn a_stop_timeout_stays_readable() {
    let text = timeout(500).to_string();
    assert_eq!(text.lines().count(), 22);
    assert!(text.ends_with("\n  and 480 more"), "{text}");
    let text = timeout(20).to_string();
    assert_eq!(text.lines().count(), 21);
    assert!(!text.contains("more"), "{text}");
}
