//! Permanent, transient and temporary children: which end restarts them.

use crate::world::{Do, MS, assert_ended_well, check, settle, start, states};
use taskgrove::supervisor::{Restart, Strategy, Supervisor};
use taskgrove::time;

/// `permanent_normal`, `permanent_shutdown`, `permanent_abnormal`: a permanent child is restarted whatever its end.
#[test]
fn a_permanent_child_is_restarted_after_each_end() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne).intensity(9, 3600 * 1000 * MS);
        let (manager, handle) = start(supervisor);
        handle.start_child(world.spec("a")).await.unwrap();
        for (n, end) in [Do::Return, Do::Fail, Do::Panic].into_iter().enumerate() {
            world.tell("a", end).await;
            assert_eq!(world.made("a"), n + 2, "{end:?}");
        }
        // One that someone else cancels has ended, too.
        handle.child("a").unwrap().cancel().unwrap();
        settle().await;
        assert_eq!((world.made("a"), &*states(&handle)), (5, "a Running"));
        assert_eq!(handle.children()[0].restarts, 4);
        manager.stop().await.unwrap();
        assert_ended_well(&manager);
    });
}

/// `transient_normal`, `transient_shutdown`, `transient_abnormal`: a transient child is restarted if it failed. Its
/// spec stays when it ends well.
#[test]
fn a_transient_child_is_restarted_after_a_failure() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne).intensity(9, 3600 * 1000 * MS);
        let (manager, handle) = start(supervisor);
        let spec = world.spec("a").restart(Restart::Transient);
        handle.start_child(spec).await.unwrap();
        world.tell("a", Do::Fail).await;
        world.tell("a", Do::Panic).await;
        assert_eq!(world.made("a"), 3);
        world.tell("a", Do::Return).await;
        assert_eq!((world.made("a"), &*states(&handle)), (3, "a Stopped"));
        handle.restart_child("a").await.unwrap();
        assert_eq!((world.made("a"), &*states(&handle)), (4, "a Running"));
        handle.child("a").unwrap().cancel().unwrap();
        settle().await;
        assert_eq!((world.made("a"), &*states(&handle)), (4, "a Stopped"));
        // A kill by someone else is no end of its own.
        handle.restart_child("a").await.unwrap().kill().unwrap();
        settle().await;
        assert_eq!((world.made("a"), &*states(&handle)), (6, "a Running"));
        let error = handle.children()[0].last_failure.clone().unwrap();
        assert!(error.to_string().contains("it was killed"), "{error}");
        manager.stop().await.unwrap();
    });
}

/// `exit(Pid, kill)` is an abnormal end in OTP, also of a process that was asked to shut down before.
#[test]
fn a_transient_child_that_is_cancelled_and_then_killed_is_restarted() {
    check(async |world| {
        world.cleanup("a", MS * 100);
        let spec = world.spec("a").restart(Restart::Transient);
        let supervisor = Supervisor::new(Strategy::OneForOne).intensity(9, MS);
        let (manager, handle) = start(supervisor.child(spec).child(world.spec("b")));
        settle().await;
        let child = handle.child("a").unwrap();
        child.cancel().unwrap();
        time::sleep(MS * 10).await;
        assert_eq!(states(&handle), "a Stopping, b Running");
        child.kill().unwrap();
        settle().await;
        assert_eq!(
            (world.now(), &*states(&handle)),
            (10, "a Running, b Running")
        );
        // The same, where the kill was needed only in one of the two.
        let stopped = handle.child("a").unwrap().stop_or_kill(MS * 50).await;
        assert!(stopped.is_err());
        settle().await;
        assert_eq!(
            (world.now(), &*states(&handle)),
            (60, "a Running, b Running")
        );
        let stopped = handle.child("a").unwrap().stop_or_kill(MS * 200).await;
        assert!(stopped.is_ok());
        settle().await;
        assert_eq!(
            (world.now(), &*states(&handle)),
            (160, "a Stopped, b Running")
        );
        // The supervisor's own kill is no failure.
        handle.restart_child("a").await.unwrap();
        settle().await;
        handle.child("a").unwrap().cancel().unwrap();
        time::sleep(MS * 10).await;
        let stopping = time::timeout(MS, handle.stop_child("a"));
        stopping.await.unwrap_err();
        manager.stop().await.unwrap();
        assert_ended_well(&manager);
        assert_eq!(handle.children()[0].restarts, 2);
    });
}

/// `temporary_normal`, `temporary_shutdown`, `temporary_abnormal`,
/// `do_not_save_child_specs_for_temporary_children`: a temporary child is never restarted, and its spec is gone with
/// it.
#[test]
fn a_temporary_child_is_never_restarted() {
    check(async |world| {
        let (manager, handle) = start(Supervisor::new(Strategy::OneForOne));
        for end in [Do::Return, Do::Fail, Do::Panic] {
            let spec = world.spec("a").restart(Restart::Temporary);
            handle.start_child(spec).await.unwrap();
            world.tell("a", end).await;
            assert_eq!(states(&handle), "");
        }
        assert_eq!(world.made("a"), 3);
        assert!(manager.is_running());
        manager.stop().await.unwrap();
        assert_ended_well(&manager);
    });
}

/// `temporary_bystander`: a temporary child that a group restart stops is not started again.
#[test]
fn a_temporary_child_is_not_restarted_with_its_group() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        check(async |world| {
            let (manager, handle) = start(Supervisor::new(strategy));
            handle.start_child(world.spec("a")).await.unwrap();
            let spec = world.spec("b").restart(Restart::Temporary);
            handle.start_child(spec).await.unwrap();
            world.tell("a", Do::Return).await;
            assert_eq!(states(&handle), "a Running");
            assert_eq!((world.made("a"), world.made("b")), (2, 1));
            manager.stop().await.unwrap();
        });
    }
}

#[test]
fn a_supervisor_ends_when_no_child_is_left_that_could_run_again() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(world.spec("a").restart(Restart::Transient))
            .child(world.spec("b").restart(Restart::Temporary));
        let (manager, handle) = start(supervisor);
        handle.wait_child("b").await.unwrap();
        world.tell("a", Do::Return).await;
        assert!(manager.is_running());
        world.tell("b", Do::Fail).await;
        assert_ended_well(&manager);
    });
}

/// A supervisor of children that come through its handle stays as long as one can come.
#[test]
fn a_supervisor_without_children_ends_with_its_last_handle() {
    check(async |world| {
        let supervisor = Supervisor::new(Strategy::OneForOne);
        let (manager, handle) = start(supervisor);
        settle().await;
        let spec = world.spec("a").restart(Restart::Temporary);
        handle.start_child(spec).await.unwrap();
        world.tell("a", Do::Return).await;
        assert!(manager.is_running());
        let spec = world.spec("b").restart(Restart::Temporary);
        handle.start_child(spec).await.unwrap();
        drop(handle.clone());
        drop(handle);
        settle().await;
        assert!(manager.is_running());
        world.tell("b", Do::Return).await;
        assert_ended_well(&manager);
        let alone = taskgrove::Manager::run_service(Supervisor::new(Strategy::OneForAll));
        alone.await.unwrap();
    });
}
