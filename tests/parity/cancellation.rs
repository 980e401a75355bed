//! Behaviours 19 and 20: what runs at a cancellation, and what cannot put it off. (For 18, see `order`.)

use crate::common::{Counter, Event, Log, OnDrop, suspend, suspend_times};
use crate::drive::scenario;
use crate::util::{forever, in_background};
use taskgrove::{
    Context, Manager, Service, background_service, defer, finally, service_fn, shielded, yield_now,
};

/// Starts the service, cancels it when the event has happened, and returns when it is finished, without an error.
async fn cancel_when(there: &Event, service: impl Service) -> Manager {
    let manager = background_service(service, async |manager: Manager| {
        there.wait().await;
        manager.cancel().unwrap();
        manager
    })
    .await
    .unwrap();
    assert!(manager.is_finished());
    assert!(manager.is_cancelled());
    assert!(!manager.did_error());
    manager
}

/// `test_trio_service_with_try_finally_cleanup`
#[test]
fn b19_destructors_run() {
    scenario(async || {
        let (there, dropped) = (Event::new(), Counter::new());
        let (set, in_run, in_task) = (there.clone(), dropped.dropped(), dropped.dropped());
        let count = dropped.clone();
        let service = service_fn("app", |ctx: Context| async move {
            let _in_run = in_run;
            ctx.run_task(async move {
                let _in_task = in_task;
                assert_eq!(count.get(), 0);
                set.set();
                forever().await
            })?;
            ctx.wait_finished().await;
            Ok(())
        });
        cancel_when(&there, service).await;
        assert_eq!(dropped.get(), 2);
    });
}

/// `test_trio_service_with_try_finally_cleanup_with_unshielded_await`: an await before the end of the cleanup is where it stops.
#[test]
fn b19_unshielded_asynchronous_cleanup_does_not_run() {
    scenario(async || {
        let (there, cleaned, go) = (Event::new(), Event::new(), Event::new());
        let dropped = Counter::new();
        let service = {
            let (there, cleaned, gone) = (there.clone(), cleaned.clone(), go.wait());
            let guard = dropped.dropped();
            service_fn("app", |ctx: Context| async move {
                let _guard = guard;
                there.set();
                ctx.cancelled().await;
                gone.await;
                cleaned.set();
                Ok(())
            })
        };
        cancel_when(&there, service).await;
        assert_eq!(dropped.get(), 1);
        go.set();
        assert!(!cleaned.is_set());
    });
}

#[test]
fn b19_waiting_for_the_own_end_never_returns() {
    scenario(async || {
        let (there, returned) = (Event::new(), Event::new());
        let service = {
            let (there, returned) = (there.clone(), returned.clone());
            service_fn("app", |ctx: Context| async move {
                there.set();
                ctx.wait_finished().await;
                returned.set();
                Ok(())
            })
        };
        cancel_when(&there, service).await;
        assert!(!returned.is_set());
    });
}

/// `test_trio_service_with_try_finally_cleanup_with_shielded_await`
#[test]
fn b19_finally_runs_to_its_end() {
    scenario(async || {
        let (there, order) = (Event::new(), Log::new());
        let service = {
            let (there, body, cleanup) = (there.clone(), order.clone(), order.clone());
            service_fn("app", |ctx: Context| {
                finally(
                    async move {
                        let _body = OnDrop::new(move || body.push("body dropped"));
                        there.set();
                        ctx.wait_finished().await;
                        Ok(())
                    },
                    async move {
                        cleanup.push("cleanup begins");
                        suspend_times(10).await;
                        yield_now().await;
                        cleanup.push("cleanup ends");
                    },
                )
            })
        };
        cancel_when(&there, service).await;
        assert_eq!(
            order.take(),
            ["body dropped", "cleanup begins", "cleanup ends"]
        );
    });
}

#[test]
fn b19_shielded_cleanup_runs_to_its_end() {
    scenario(async || {
        let (there, cleaned, go) = (Event::new(), Event::new(), Event::new());
        let service = {
            let (there, cleaned, gone) = (there.clone(), cleaned.clone(), go.wait());
            service_fn("app", |ctx: Context| async move {
                shielded(async {
                    there.set();
                    ctx.cancelled().await;
                    gone.await;
                    suspend_times(10).await;
                    cleaned.set();
                })
                .await;
                // Not shielded any more: here it ends.
                forever().await
            })
        };
        let manager = Manager::new(service).unwrap();
        let run = in_background(&manager);
        there.wait().await;
        manager.cancel().unwrap();
        assert!(manager.is_running(), "held by the shield");
        assert!(!cleaned.is_set());
        go.set();
        run.await.unwrap().unwrap();
        assert!(cleaned.is_set());
        assert!(!manager.did_error());
    });
}

#[test]
fn b19_deferred_cleanup_runs_to_its_end() {
    scenario(async || {
        let (there, order) = (Event::new(), Log::new());
        let service = {
            let (there, order) = (there.clone(), order.clone());
            service_fn("app", |ctx: Context| async move {
                let (first, second) = (order.clone(), order);
                let _last_dropped = defer(async move {
                    suspend_times(3).await;
                    second.push("made first");
                });
                let _first_dropped = defer(async move {
                    suspend_times(10).await;
                    first.push("made last");
                });
                there.set();
                ctx.wait_finished().await;
                Ok(())
            })
        };
        cancel_when(&there, service).await;
        assert_eq!(order.take(), ["made last", "made first"]);
    });
}

/// `test_trio_service_cancellation_with_running_daemon_task`
#[test]
fn b20_daemon_that_polls_the_state_is_stopped() {
    scenario(async || {
        let there = Event::new();
        let set = there.clone();
        let service = service_fn("app", |ctx: Context| async move {
            let inner = ctx.clone();
            ctx.run_daemon_task(async move {
                set.set();
                while inner.is_running() {
                    yield_now().await;
                }
                Ok(())
            })?;
            ctx.wait_finished().await;
            Ok(())
        });
        cancel_when(&there, service).await;
    });
}

/// `test_trio_service_with_async_generator`: a loop of awaits that are ready at the next poll each.
#[test]
fn b20_run_that_is_always_ready_is_stopped() {
    scenario(async || {
        let (there, dropped) = (Event::new(), Counter::new());
        let (set, guard) = (there.clone(), dropped.dropped());
        let service = service_fn("app", |_| async move {
            let _guard = guard;
            loop {
                suspend().await;
                set.set();
            }
        });
        cancel_when(&there, service).await;
        assert_eq!(dropped.get(), 1);
    });
}
