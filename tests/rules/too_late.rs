//! Services that nothing can start any more: `NotRunning`, and neither they nor the body beside them run.

use crate::util::*;
use std::future::{Future, pending};
use taskgrove::{
    Context, Handle, LifecycleError, Manager, Service, ServiceError, Task, background_service,
    defer, finally, service_fn, shielded,
};

type Outcome = Result<(), ServiceError>;

/// A service that says when it has run.
fn witness(ran: &Event) -> impl Service {
    let ran = ran.clone();
    service_fn("witness", async move |_: Context| {
        ran.set();
        Ok(())
    })
}

#[track_caller]
fn assert_not_running(outcome: Outcome) {
    let Err(ServiceError::Lifecycle(LifecycleError::NotRunning { service })) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(service, "witness");
}

/// Every way to run a service below the calling task, tried one after another.
async fn tried(ran: Event) -> Vec<Outcome> {
    let body = ran.clone();
    let beside = background_service(witness(&ran), async move |_| body.set());
    let own = Manager::new(witness(&ran)).unwrap();
    let built = Manager::builder(witness(&ran)).build().unwrap();
    vec![
        own.run().await,
        own.run().await,
        own.clone().run().await,
        built.run().await,
        Manager::run_service(witness(&ran)).await,
        beside.await,
    ]
}

/// Cancels a task that is inside `protect`, and gives what it was told there.
async fn cancelled_inside<F>(h: &Handle, protect: impl FnOnce(Event, Event) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (inside, go) = (Event::new(), Event::new());
    let task: Task<()> = h.spawn(protect(inside.clone(), go.clone()));
    inside.wait().await;
    task.cancel();
    go.set();
    task.wait_done().await;
}

/// In a shield, in a cleanup of `finally`, and in one of `defer` it is not too late, each of them once.
#[test]
fn in_protection_they_run() {
    everywhere(async |h| {
        let told = |outcomes: Vec<Outcome>| {
            assert_eq!(outcomes.len(), 6);
            for (nth, outcome) in outcomes.into_iter().enumerate() {
                let again = matches!(nth, 1 | 2);
                match outcome {
                    Ok(()) if !again => {}
                    Err(ServiceError::Lifecycle(LifecycleError::AlreadyStarted { .. }))
                        if again => {}
                    other => panic!("{nth}: {other:?}"),
                }
            }
        };
        let (ran, seen) = (Event::new(), Gift::new());
        let (out, give) = (ran.clone(), seen.clone());
        let shield = |set: Event, go: Event| {
            shielded(async move {
                set.set();
                go.wait().await;
                give.put(tried(out).await);
            })
        };
        cancelled_inside(&h, shield).await;
        told(seen.take().await);
        assert!(ran.is_set());
        let (ran, seen) = (Event::new(), Gift::new());
        let (out, give) = (ran.clone(), seen.clone());
        let cleanup = |set: Event, _: Event| {
            let body = async move {
                set.set();
                pending().await
            };
            finally(body, async move { give.put(tried(out).await) })
        };
        cancelled_inside(&h, cleanup).await;
        told(seen.take().await);
        assert!(ran.is_set());
        let (ran, seen) = (Event::new(), Gift::new());
        let (out, give) = (ran.clone(), seen.clone());
        let deferred = |set: Event, _: Event| async move {
            let _guard = defer(async move { give.put(tried(out).await) });
            set.set();
            pending().await
        };
        cancelled_inside(&h, deferred).await;
        told(seen.take().await);
        assert!(ran.is_set());
    });
}

/// Beside a shield it is.
#[test]
fn beside_protection() {
    everywhere(async |h| {
        let (ran, seen) = (Event::new(), Gift::new());
        let (out, give) = (ran.clone(), seen.clone());
        let beside = |set: Event, go: Event| async move {
            let end = Event::new();
            let until = end.wait();
            let work = async move {
                set.set();
                go.wait().await;
                give.put(tried(out).await);
                end.set();
            };
            both(shielded(until), work).await;
        };
        cancelled_inside(&h, beside).await;
        let outcomes = seen.take().await;
        assert_eq!(outcomes.len(), 6);
        outcomes.into_iter().for_each(assert_not_running);
        assert!(!ran.is_set());
    });
}

/// In the poll during which the task is cancelled.
#[test]
fn in_the_poll_that_is_cancelled() {
    everywhere(async |h| {
        let (ran, seen) = (Event::new(), Gift::new());
        let (out, give) = (ran.clone(), seen.clone());
        let handle = Gift::new();
        let taken = handle.clone();
        let task = h.spawn(async move {
            let own: taskgrove::CancelHandle = taken.take().await;
            // What is below it lets it go on, as what serves the cleanup of that.
            let begun = Event::new();
            let began = begun.clone();
            let body = async move {
                began.set();
                pending::<()>().await;
            };
            let _below = taskgrove::spawn(finally(body, pending::<()>()));
            begun.wait().await;
            own.cancel();
            give.put(tried(out).await);
        });
        handle.put(task.cancel_handle());
        seen.take().await.into_iter().for_each(assert_not_running);
        assert!(!ran.is_set());
    });
}

/// On a handle whose runtime has ended, and from the slot of nothing at all.
#[test]
fn after_the_runtime() {
    watchdog(|| {
        let rt = build(1);
        let (h, ran) = (rt.handle().clone(), Event::new());
        drop(rt);
        let Err(LifecycleError::NotRunning { .. }) = h.start(witness(&ran)) else {
            panic!("it was started")
        };
        assert!(!ran.is_set());
    });
}
