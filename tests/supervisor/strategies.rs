//! The three strategies: which children are restarted, and in which order.

use crate::world::{Do, MS, World, check, error, settle, start, states};
use std::time::Duration;
use taskgrove::Manager;
use taskgrove::supervisor::{Backoff, Restart, Strategy, Supervisor, SupervisorHandle};

const HOUR: Duration = Duration::from_secs(3600);

async fn three(world: &World, strategy: Strategy) -> (Manager, SupervisorHandle) {
    let supervisor = Supervisor::new(strategy)
        .intensity(2, HOUR)
        .child(world.spec("a"))
        .child(world.spec("b"))
        .child(world.spec("c"));
    let (manager, handle) = start(supervisor);
    handle.wait_child("c").await.unwrap();
    assert_eq!(world.take(), "0 +a, 0 +b, 0 +c");
    (manager, handle)
}

/// `one_for_one`: only the child that ended is restarted; the third end is one too many.
#[test]
fn one_for_one_restarts_the_child() {
    check(async |world| {
        let (manager, _handle) = three(&world, Strategy::OneForOne).await;
        world.tell("b", Do::Fail).await;
        assert_eq!(world.take(), "0 -b, 0 +b");
        world.tell("a", Do::Fail).await;
        assert_eq!(world.take(), "0 -a, 0 +a");
        world.tell("c", Do::Fail).await;
        assert_eq!(world.take(), "0 -c, 0 -b, 0 -a");
        assert_eq!(error(&manager).failures()[0].path(), "Supervisor/c");
    });
}

/// `one_for_all`: the others are stopped in reverse order, then all are started in order.
#[test]
fn one_for_all_restarts_all() {
    check(async |world| {
        let (manager, _handle) = three(&world, Strategy::OneForAll).await;
        world.tell("b", Do::Fail).await;
        assert_eq!(world.take(), "0 -b, 0 -c, 0 -a, 0 +a, 0 +b, 0 +c");
        world.tell("c", Do::Return).await;
        assert_eq!(world.take(), "0 -c, 0 -b, 0 -a, 0 +a, 0 +b, 0 +c");
        world.tell("a", Do::Fail).await;
        assert_eq!(world.take(), "0 -a, 0 -c, 0 -b");
        assert_eq!(error(&manager).failures()[0].path(), "Supervisor/a");
    });
}

/// `rest_for_one`: those after the child are stopped in reverse order, then it and they are started in order.
#[test]
fn rest_for_one_restarts_the_rest() {
    check(async |world| {
        let (manager, _handle) = three(&world, Strategy::RestForOne).await;
        world.tell("b", Do::Fail).await;
        assert_eq!(world.take(), "0 -b, 0 -c, 0 +b, 0 +c");
        world.tell("a", Do::Fail).await;
        assert_eq!(world.take(), "0 -a, 0 -c, 0 -b, 0 +a, 0 +b, 0 +c");
        world.tell("c", Do::Fail).await;
        assert_eq!(world.take(), "0 -c, 0 -b, 0 -a");
        assert_eq!(error(&manager).failures()[0].path(), "Supervisor/c");
    });
}

/// `one_for_one_escalation`, `one_for_all_escalation`, `rest_for_one_escalation`: a child that cannot be started again
/// uses up the restarts.
#[test]
fn a_restart_that_fails_counts_as_another_restart() {
    let ends = [
        (Strategy::OneForOne, "0 -a, 0 !a, 0 !a, 0 -c, 0 -b"),
        (Strategy::OneForAll, "0 -a, 0 -c, 0 -b, 0 !a, 0 !a"),
        (Strategy::RestForOne, "0 -a, 0 -c, 0 -b, 0 !a, 0 !a"),
    ];
    for (strategy, log) in ends {
        check(async |world| {
            let (manager, _handle) = three(&world, strategy).await;
            world.unmakable("a", 9);
            world.tell("a", Do::Fail).await;
            assert_eq!(world.take(), log);
            let error = error(&manager);
            assert!(error.to_string().contains("a cannot be made"), "{error}");
        });
    }
}

/// `one_for_all_other_child_fails_restart`, `rest_for_one_other_child_fails_restart`: when another child fails while
/// the group is started, those that run already are stopped, and the group begins anew.
#[test]
fn a_child_that_fails_in_the_start_of_its_group_restarts_the_group() {
    let logs = [
        (
            Strategy::OneForAll,
            "0 -a, 0 -b, 0 +a, 0 +b, 0 -b, 0 -a, 0 +a, 0 +b",
        ),
        // `a` is before `b`, and goes on.
        (Strategy::RestForOne, "0 -a, 0 -b, 0 +a, 0 +b, 0 -b, 0 +b"),
    ];
    for (strategy, log) in logs {
        check(async |world| {
            let supervisor = Supervisor::new(strategy)
                .intensity(3, HOUR)
                .child(world.spec("a").wait_ready(MS * 100))
                .child(world.spec("b").wait_ready(MS * 100));
            world.ready_after("a", Some(Duration::ZERO));
            world.ready_after("b", Some(Duration::ZERO));
            let (manager, handle) = start(supervisor);
            handle.wait_child("b").await.unwrap();
            world.take();
            world.unready("b", 1);
            world.tell("a", Do::Fail).await;
            assert_eq!(world.take(), log);
            assert_eq!(states(&handle), "a Running, b Running");
            manager.stop().await.unwrap();
        });
    }
}

/// The restart of a group waits for the backoff of the child that failed; the others are stopped at once.
#[test]
fn a_group_waits_for_the_backoff() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForAll)
            .intensity(3, HOUR)
            .child(world.spec("a"))
            .child(world.spec("b").backoff(Backoff::constant(MS * 50)));
        world.cleanup("a", MS * 7);
        let (manager, handle) = start(supervisor);
        settle().await;
        world.tell("b", Do::Fail).await;
        handle.wait_child("b").await.unwrap();
        let log = "0 +a, 0 +b, 0 -b, 0 ~a, 7 -a, 50 +a, 50 +b";
        assert_eq!(world.take(), log);
        manager.stop().await.unwrap();
    });
}

/// A transient child that had ended well is a part of its group; one that a caller has stopped is not.
#[test]
fn a_group_begins_anew_with_children_that_had_ended() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForAll)
            .child(world.spec("job").restart(Restart::Transient))
            .child(world.spec("off"))
            .child(world.spec("a"));
        let (manager, handle) = start(supervisor);
        handle.wait_child("a").await.unwrap();
        handle.stop_child("off").await.unwrap();
        world.tell("job", Do::Return).await;
        assert_eq!(states(&handle), "job Stopped, off Stopped, a Running");
        world.tell("a", Do::Fail).await;
        assert_eq!(states(&handle), "job Running, off Stopped, a Running");
        manager.stop().await.unwrap();
    });
}

/// A second failure while the group is being stopped is not lost, and is not a second restart.
#[test]
fn a_child_that_ends_while_its_group_is_stopped_is_restarted_with_it() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForAll)
            .intensity(1, HOUR)
            .child(world.spec("a"))
            .child(world.spec("b"))
            .child(world.spec("c"));
        world.cleanup("c", MS * 10);
        let (manager, handle) = start(supervisor);
        settle().await;
        world.take();
        world.tell("a", Do::Fail).await;
        world.tell("b", Do::Fail).await;
        assert_eq!(world.take(), "0 -a, 0 ~c, 0 -b");
        handle.wait_child("c").await.unwrap();
        assert_eq!(world.take(), "10 -c, 10 +a, 10 +b, 10 +c");
        let infos = handle.children();
        assert_eq!([0, 1, 2].map(|at: usize| infos[at].restarts), [1, 0, 0]);
        assert!(infos[1].last_failure.is_some());
        manager.stop().await.unwrap();
    });
}
