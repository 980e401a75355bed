//! Behaviours 14 and 15: when nothing can be scheduled, and how much.

use crate::common::{Counter, Event, Queue};
use crate::drive::scenario;
use crate::util::{Idle, forever, in_background, only_failure, oops};
use std::sync::Arc;
use taskgrove::{
    Context, FailureKind, Handle, JoinError, LifecycleError, Manager, SpawnError, Task, TaskId,
    service_fn,
};

#[track_caller]
fn assert_refused(result: Result<Task<()>, SpawnError>, expected: &str) {
    match (&result, expected) {
        (Err(SpawnError::Lifecycle(LifecycleError::NoManager)), "no manager") => {}
        (Err(SpawnError::Lifecycle(LifecycleError::NotRunning { .. })), "not running") => {}
        _ => panic!("{expected} expected, not {result:?}"),
    }
}

/// `test_trio_service_disallows_task_scheduling_when_not_running`
#[test]
fn b14_scheduling_when_not_running_is_an_error() {
    scenario(async || {
        let ran = Counter::new();
        let task = || {
            let ran = ran.clone();
            async move {
                ran.add();
                Ok(())
            }
        };
        let service = Idle::new();
        assert_refused(service.schedule(task()), "no manager");
        let manager = Manager::new(service.clone()).unwrap();
        assert_refused(service.schedule(task()), "not running");

        let run = in_background(&manager);
        manager.wait_started().await;
        service.schedule(task()).unwrap().await.unwrap();
        manager.stop().await.unwrap();
        run.await.unwrap().unwrap();
        assert_refused(service.schedule(task()), "not running");
        assert_eq!(ran.get(), 1);
        assert_eq!(manager.stats().tasks.total_count, 1);
    });
}

/// `test_trio_service_disallows_task_scheduling_after_cancel`
#[test]
fn b14_what_is_scheduled_after_cancel_is_quietly_not_run() {
    scenario(async || {
        let born_done = Queue::new();
        let send = born_done.clone();
        let (ran, count) = (Counter::new(), Counter::new());
        let (in_task, in_child) = (ran.clone(), ran.clone());
        let dropped = count.dropped();
        let service = service_fn("app", |ctx: Context| async move {
            ctx.cancel()?;
            let task = ctx.run_task(async move {
                let _dropped = dropped;
                in_task.add();
                oops("it ran")
            })?;
            assert!(task.is_done());
            let child = ctx.run_child_service(service_fn("child", |_| async move {
                in_child.add();
                oops("it ran")
            }))?;
            send.send((task, child));
            forever().await
        });
        let manager = Handle::current().start(service).unwrap();
        let (task, child) = born_done.recv().await;
        assert!(matches!(task.await, Err(JoinError::Cancelled)));
        child.wait_started().await;
        child.wait_finished().await;
        assert!(child.wait_ready().await.is_err());
        assert!(!child.is_started());
        assert!(child.is_cancelled());
        assert!(child.is_finished());
        assert!(matches!(child.result(), Some(Ok(()))));

        manager.wait_finished().await;
        assert!(matches!(manager.result(), Some(Ok(()))));
        assert_eq!(manager.stats().tasks.total_count, 0, "not counted");
        assert_eq!(ran.get(), 0);
        assert_eq!(count.get(), 1, "the future was dropped");
    });
}

/// The `TooManyChildren` that scheduling one more under the calling task gives.
fn one_too_many(ctx: &Context) -> taskgrove::TooManyChildren {
    match ctx.run_task(forever()) {
        Err(SpawnError::TooManyChildren(e)) => e,
        other => panic!("TooManyChildren expected, not {other:?}"),
    }
}

#[test]
fn b15_more_children_than_the_limit_are_refused() {
    scenario(async || {
        let (errors, go) = (Queue::new(), Event::new());
        let (send, gone) = (errors.clone(), go.wait());
        let service = service_fn("pool", |ctx: Context| async move {
            ctx.task(forever()).name("conn").spawn()?;
            ctx.task(forever()).name("conn").spawn()?;
            let ping = async {
                gone.await;
                Ok(())
            };
            let ping = ctx.task(ping).name("ping").spawn()?;
            send.send(one_too_many(&ctx));
            // What has ended makes room.
            ping.await?;
            ctx.task(forever()).name("conn").spawn()?;
            send.send(one_too_many(&ctx));
            forever().await
        });
        let manager = Manager::builder(service).max_children(3).build().unwrap();
        let run = in_background(&manager);
        let error = errors.recv().await;
        assert_eq!(error.limit, 3);
        assert_eq!(error.parent, "in_background/pool");
        assert_eq!(
            error.most_common,
            [("conn".to_owned(), 2), ("ping".to_owned(), 1)]
        );
        let text = error.to_string();
        for part in ["pool", "3", "conn"] {
            assert!(text.contains(part), "{text:?} does not say {part}");
        }
        go.set();
        let error = errors.recv().await;
        assert_eq!(error.most_common, [("conn".to_owned(), 3)]);
        assert_eq!(
            manager.stats().tasks.total_count,
            4,
            "what is refused does not count"
        );
        manager.stop().await.unwrap();
        run.await.unwrap().unwrap();
    });
}

#[test]
fn b15_the_limit_is_for_each_parent() {
    scenario(async || {
        let errors = Queue::new();
        let (send, own_errors) = (errors.clone(), Queue::new());
        let own = own_errors.clone();
        let service = service_fn("pool", |ctx: Context| async move {
            ctx.run_task(forever())?;
            let inner = ctx.clone();
            let branch = async move {
                let mine = TaskId::current();
                for _ in 0..2 {
                    assert_eq!(inner.run_task(forever())?.parent(), mine);
                }
                send.send(one_too_many(&inner));
                forever().await
            };
            ctx.task(branch).name("branch").spawn()?;
            own.send(one_too_many(&ctx));
            forever().await
        });
        let manager = Manager::builder(service).max_children(2).build().unwrap();
        let run = in_background(&manager);
        // Both have tried before anything is cancelled.
        assert_eq!(own_errors.recv().await.parent, "in_background/pool");
        let error = errors.recv().await;
        assert_eq!(error.limit, 2);
        assert!(error.parent.contains("branch"), "{error}");
        manager.stop().await.unwrap();
        run.await.unwrap().unwrap();
    });
}

#[test]
fn b15_the_default_limit_is_a_thousand_and_exceeding_it_can_fail_the_service() {
    scenario(async || {
        let live = Counter::new();
        let count = live.clone();
        let service = service_fn("pool", |ctx: Context| async move {
            let count = Arc::new(count);
            for _ in 0..1_000 {
                let guard = count.live();
                ctx.run_task(async move {
                    let _guard = guard;
                    forever().await
                })?;
            }
            ctx.run_task(forever())?;
            panic!("a thousand and one")
        });
        let error = Manager::run_service(service).await.unwrap_err();
        let failure = only_failure(&error);
        let FailureKind::Error(source) = failure.kind() else {
            panic!("an error expected, not {failure}");
        };
        match source.downcast_ref::<SpawnError>() {
            Some(SpawnError::TooManyChildren(e)) => assert_eq!(e.limit, 1_000),
            other => panic!("TooManyChildren expected, not {other:?}"),
        }
        assert_eq!(live.get(), 0, "the failure ended all of them");
    });
}
