//! Of behaviours 5 and 18 what takes two polls at once: on the threaded runtime only.

use crate::common::{Event, Log, OnDrop, on_two_workers};
use crate::util::{forever, in_background, oops, oops_of};
use std::sync::{Arc, Barrier, mpsc};
use taskgrove::{Context, Manager, ServiceError, service_fn};

/// The errors of [`ServiceError::failures`], sorted.
fn sorted_oops(error: &ServiceError) -> Vec<&'static str> {
    let mut all: Vec<_> = error.failures().iter().filter_map(oops_of).collect();
    assert_eq!(all.len(), error.failures().len(), "{error}");
    all.sort_unstable();
    all
}

/// `test_multierror_in_run`: both fail in polls that overlap, so that neither is a consequence of the other.
#[test]
fn b05_errors_of_run_and_a_task_in_overlapping_polls() {
    on_two_workers(async || {
        let (task_there, run_there, go) = (Event::new(), Event::new(), Event::new());
        let both_fail = Arc::new(Barrier::new(2));
        let service = {
            let (task_there, run_there, go) = (task_there.clone(), run_there.clone(), go.clone());
            service_fn("both", move |ctx: Context| async move {
                let (there, gone, barrier) = (task_there.clone(), go.wait(), both_fail.clone());
                ctx.run_task(async move {
                    there.set();
                    gone.await;
                    barrier.wait();
                    oops("task")
                })?;
                task_there.wait().await;
                run_there.set();
                go.wait().await;
                both_fail.wait();
                oops("run")
            })
        };
        let manager = Manager::new(service).unwrap();
        let run = in_background(&manager);
        task_there.wait().await;
        run_there.wait().await;
        go.set();
        let error = run.await.unwrap().unwrap_err();
        assert_eq!(sorted_oops(&error), ["run", "task"]);
    });
}

/// A task that is in a poll when its service is cancelled holds up its parent, but not its sibling.
#[test]
fn b18_task_in_a_poll_is_waited_for() {
    on_two_workers(async || {
        let order = Log::new();
        let (in_poll, sibling_dropped) = (Event::new(), Event::new());
        let (go, gone) = mpsc::channel::<()>();
        let service = {
            let (order, in_poll, sibling_dropped) =
                (order.clone(), in_poll.clone(), sibling_dropped.clone());
            service_fn("app", move |ctx: Context| async move {
                let on_drop = move |who: &'static str| {
                    let order = order.clone();
                    OnDrop::new(move || order.push(who))
                };
                let _run = on_drop("run");
                let inner = ctx.clone();
                ctx.run_task(async move {
                    let _parent = on_drop("parent");
                    let there = Event::new();
                    let (set, sibling) = (there.clone(), on_drop("sibling"));
                    inner.run_task(async move {
                        let _dropped = OnDrop::new(move || sibling_dropped.set());
                        let _sibling = sibling;
                        set.set();
                        forever().await
                    })?;
                    there.wait().await;
                    let leaf = on_drop("leaf");
                    inner.run_task(async move {
                        let _leaf = leaf;
                        in_poll.set();
                        // Blocks its worker, and with it the poll, until the test has looked.
                        gone.recv()?;
                        forever().await
                    })?;
                    forever().await
                })?;
                ctx.wait_finished().await;
                Ok(())
            })
        };
        let manager = Manager::new(service).unwrap();
        let run = in_background(&manager);
        in_poll.wait().await;
        manager.cancel().unwrap();
        sibling_dropped.wait().await;
        assert_eq!(order.read(), ["sibling"]);
        assert!(!manager.is_finished());
        go.send(()).unwrap();
        run.await.unwrap().unwrap();
        assert_eq!(order.take(), ["sibling", "leaf", "parent", "run"]);
    });
}
