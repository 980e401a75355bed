//! Significant children and automatic shutdown.

use crate::world::{Do, World, assert_ended_well, check, settle, start, states};
use taskgrove::supervisor::{AutoShutdown, Restart, Strategy, Supervisor};

fn new(world: &World, strategy: Strategy, auto: AutoShutdown, restart: Restart) -> Supervisor {
    let spec = |name| world.spec(name).restart(restart).significant();
    Supervisor::new(strategy)
        .auto_shutdown(auto)
        .intensity(9, std::time::Duration::from_secs(60))
        .child(spec("a"))
        .child(spec("b"))
        .child(world.spec("c"))
}

/// `significant_temporary`: each end of a temporary child counts.
#[test]
fn the_end_of_a_significant_temporary_child_stops_the_supervisor() {
    check(async |world| {
        for end in [Do::Return, Do::Fail] {
            let any = new(
                &world,
                Strategy::OneForOne,
                AutoShutdown::AnySignificant,
                Restart::Temporary,
            );
            let (manager, _handle) = start(any);
            settle().await;
            world.tell("c", Do::Fail).await;
            assert!(manager.is_running());
            world.take();
            world.tell("a", end).await;
            assert_eq!(world.take(), "0 -a, 0 -c, 0 -b");
            assert_ended_well(&manager);

            let all = new(
                &world,
                Strategy::OneForOne,
                AutoShutdown::AllSignificant,
                Restart::Temporary,
            );
            let (manager, _handle) = start(all);
            settle().await;
            world.tell("a", end).await;
            assert!(manager.is_running());
            world.tell("b", end).await;
            assert_ended_well(&manager);
        }
    });
}

/// `significant_transient`: only an end without a failure counts.
#[test]
fn a_significant_transient_child_that_fails_is_restarted() {
    check(async |world| {
        let any = new(
            &world,
            Strategy::OneForOne,
            AutoShutdown::AnySignificant,
            Restart::Transient,
        );
        let (manager, handle) = start(any);
        settle().await;
        world.tell("a", Do::Fail).await;
        assert_eq!(states(&handle), "a Running, b Running, c Running");
        world.tell("a", Do::Return).await;
        assert_ended_well(&manager);

        let all = new(
            &world,
            Strategy::OneForOne,
            AutoShutdown::AllSignificant,
            Restart::Transient,
        );
        let (manager, handle) = start(all);
        settle().await;
        world.tell("b", Do::Return).await;
        world.tell("a", Do::Fail).await;
        assert_eq!(states(&handle), "a Running, b Stopped, c Running");
        world.tell("a", Do::Return).await;
        assert_ended_well(&manager);
    });
}

/// A child that the supervisor or a caller stops has not ended by itself; of those that run, the last counts.
#[test]
fn a_significant_child_that_is_stopped_does_not_count() {
    check(async |world| {
        let auto = AutoShutdown::AllSignificant;
        let (manager, handle) = start(new(&world, Strategy::OneForOne, auto, Restart::Transient));
        settle().await;
        handle.stop_child("a").await.unwrap();
        assert!(manager.is_running());
        world.tell("b", Do::Return).await;
        assert_ended_well(&manager);

        let auto = AutoShutdown::AnySignificant;
        let (manager, handle) = start(new(&world, Strategy::OneForOne, auto, Restart::Transient));
        settle().await;
        handle.stop_child("a").await.unwrap();
        handle.restart_child("b").await.unwrap();
        handle.remove_child("b").await.unwrap();
        assert_eq!(states(&handle), "a Stopped, c Running");
        manager.stop().await.unwrap();
    });
}

/// `significant_bystander`: a significant child that is stopped for a sibling's restart does not stop the supervisor.
#[test]
fn a_significant_child_that_goes_with_its_group_does_not_count() {
    for restart in [Restart::Temporary, Restart::Transient] {
        check(async |world| {
            let auto = AutoShutdown::AnySignificant;
            let (manager, handle) = start(new(&world, Strategy::OneForAll, auto, restart));
            settle().await;
            world.tell("c", Do::Fail).await;
            assert!(manager.is_running());
            let left = match restart {
                Restart::Temporary => "c Running",
                _ => "a Running, b Running, c Running",
            };
            assert_eq!(states(&handle), left);
            manager.stop().await.unwrap();
        });
    }
}

/// `significant_escalation`: the end of a nested supervisor by automatic shutdown is an end without a failure.
#[test]
fn an_automatic_shutdown_goes_up_through_significant_supervisors() {
    check(async |world| {
        let inner = world.clone();
        let nested = taskgrove::supervisor::ChildSpec::new("nested", move || {
            new(
                &inner,
                Strategy::OneForOne,
                AutoShutdown::AnySignificant,
                Restart::Transient,
            )
        });
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .auto_shutdown(AutoShutdown::AnySignificant)
            .child(world.spec("z"))
            .child(nested.restart(Restart::Transient).significant());
        let (manager, _handle) = start(supervisor);
        settle().await;
        world.take();
        world.tell("a", Do::Return).await;
        assert_eq!(world.take(), "0 -a, 0 -c, 0 -b, 0 -z");
        assert_ended_well(&manager);
    });
}
