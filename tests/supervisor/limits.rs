//! Intensity, backoff, and the report of a supervisor that gives up.

use crate::world::{Do, MS, check, error, settle, start, states};
use std::time::Duration;
use taskgrove::supervisor::{Backoff, Strategy, Supervisor};
use taskgrove::{FailureKind, sim, time};

const S: Duration = Duration::from_secs(1);

/// `multiple_restarts`: restarts that are far enough apart never exceed the limit.
#[test]
fn restarts_are_counted_in_a_sliding_window() {
    check(async |world| {
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne).child(world.spec("a")));
        handle.wait_child("a").await.unwrap();
        // The default is one restart in 5 s; one that is exactly as old as that counts.
        for _ in 0..5 {
            world.tell("a", Do::Fail).await;
            time::sleep(S * 5).await;
        }
        assert_eq!(world.made("a"), 6);
        world.tell("a", Do::Fail).await;
        time::sleep(S * 5 - MS).await;
        assert!(manager.is_running());
        world.tell("a", Do::Fail).await;
        assert!(manager.is_finished());
        assert_eq!(error(&manager).failures()[0].path(), "Supervisor/a");
    });
}

/// The restarts of all children count together, and those that were asked for do not count.
#[test]
fn the_window_is_the_supervisors() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(2, S)
            .child(world.spec("a"))
            .child(world.spec("b"));
        let (manager, handle) = start(supervisor);
        handle.wait_child("b").await.unwrap();
        world.tell("a", Do::Fail).await;
        for _ in 0..5 {
            handle.restart_child("a").await.unwrap();
        }
        settle().await;
        world.tell("b", Do::Fail).await;
        assert!(manager.is_running());
        world.tell("a", Do::Fail).await;
        assert!(manager.is_finished());
        let infos = handle.children();
        assert_eq!((infos[0].restarts, infos[1].restarts), (1, 1));
    });
}

#[test]
fn a_supervisor_that_allows_no_restart_fails_with_the_first_failure() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForAll).intensity(0, S);
        let (manager, _handle) = start(supervisor.child(world.spec("a")).child(world.spec("b")));
        settle().await;
        world.tell("a", Do::Return).await;
        let error = error(&manager);
        assert!(matches!(
            error.failures()[0].kind(),
            FailureKind::DaemonExit
        ));
        assert!(error.failures()[0].earlier().is_empty());
        assert!(
            error.to_string().contains("more than 0 restarts within 1s"),
            "{error}"
        );
    });
}

#[test]
fn the_report_has_the_last_failures_with_their_times() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(4, S * 60)
            .child(world.spec("a").wait_ready(MS * 500))
            .child(world.spec("b"));
        world.ready_after("a", Some(Duration::ZERO));
        let (manager, handle) = start(supervisor);
        handle.wait_child("b").await.unwrap();
        settle().await;
        time::sleep(S).await;
        world.tell("a", Do::Fail).await;
        time::sleep(S).await;
        world.tell("a", Do::Panic).await;
        world.tell("b", Do::Fail).await;
        world.ready_after("a", None);
        time::sleep(S).await;
        world.tell("a", Do::Return).await;
        time::sleep(S).await;
        let error = error(&manager);
        let [failure] = error.failures() else {
            panic!("{error}")
        };
        assert_eq!(failure.path(), "Supervisor/a");
        let times: Vec<_> = failure
            .earlier()
            .iter()
            .map(|past| past.after.as_millis())
            .collect();
        assert_eq!(times, [1000, 2000, 3000]);
        let text = error.to_string();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let times = lines.iter().filter_map(|line| line.strip_prefix("after "));
        let parts: Vec<_> = times.filter_map(|line| line.split_once(": ")).collect();
        let (times, texts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        assert_eq!(times.len(), 4, "{text}");
        assert!(
            times[0].starts_with("1.0") && times[3].starts_with("3.5"),
            "{text}"
        );
        assert!(texts[0].ends_with("failed: a failed"), "{text}");
        assert!(texts[1].ends_with("panicked: a panicked"), "{text}");
        assert!(texts[2].contains("ended, though"), "{text}");
        assert!(texts[3].contains("not ready within 500ms"), "{text}");
    });
}

#[test]
fn the_text_of_nested_supervisors_that_give_up_stays_short() {
    fn nest(depth: usize) -> Supervisor {
        let name = format!("level-{depth}");
        let spec = match depth {
            0 => taskgrove::supervisor::ChildSpec::new(name, || {
                taskgrove::service_fn("leaf", async |_| Err("no".into()))
            }),
            _ => taskgrove::supervisor::ChildSpec::new(name, move || nest(depth - 1)),
        };
        Supervisor::new(Strategy::OneForOne)
            .intensity(1, S)
            .child(spec)
    }
    check(async |_| {
        let (manager, _handle) = start(nest(6));
        manager.wait_finished().await;
        let error = error(&manager);
        let causes: Vec<_> = error.root_causes().map(|cause| cause.to_string()).collect();
        assert_eq!(causes.len(), 1);
        assert!(causes[0].contains("failed: no"), "{causes:?}");
        let lines = error.to_string().lines().count();
        assert!(lines < 50, "{lines} lines:\n{error}");
        println!("{error:?}");
    });
}

#[test]
fn the_backoff_grows_and_begins_anew_after_health() {
    check(async |world| {
        let backoff = Backoff::exponential(MS * 10, MS * 50);
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(100, S)
            .child(world.spec("a").backoff(backoff));
        let (manager, handle) = start(supervisor);
        let mut delays = Vec::new();
        let mut fail = async || {
            handle.wait_child("a").await.unwrap();
            settle().await;
            let before = world.now();
            world.tell("a", Do::Fail).await;
            assert!(states(&handle).starts_with("a BackingOff"));
            handle.wait_child("a").await.unwrap();
            delays.push(world.now() - before);
        };
        for _ in 0..5 {
            fail().await;
        }
        time::sleep(S - MS).await;
        fail().await;
        time::sleep(S).await;
        fail().await;
        fail().await;
        assert_eq!(delays, [10, 20, 40, 50, 50, 50, 10, 20]);
        manager.stop().await.unwrap();
    });
}

/// In a simulation the jitter follows from the seed, and differs from seed to seed.
#[test]
fn jitter_follows_from_the_seed() {
    let delay = |seed| {
        let sim = sim::Sim::new(seed);
        sim.block_on(async {
            let world = crate::world::World::new();
            let backoff = Backoff::constant(MS * 1000).jitter(0.5);
            let supervisor = Supervisor::new(Strategy::OneForOne);
            let (manager, handle) = start(supervisor.child(world.spec("a").backoff(backoff)));
            settle().await;
            world.tell("a", Do::Fail).await;
            handle.wait_child("a").await.unwrap();
            manager.stop().await.unwrap();
            world.now()
        })
    };
    let delays: Vec<_> = (0..20).map(delay).collect();
    assert!(
        delays.iter().all(|ms| (500..=1000).contains(ms)),
        "{delays:?}"
    );
    assert!(delays.iter().any(|ms| *ms != delays[0]), "{delays:?}");
    assert_eq!(delays, (0..20).map(delay).collect::<Vec<_>>());
}
