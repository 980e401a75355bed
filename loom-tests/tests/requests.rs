//! Requests for cancellation, and what ends after them and before their walks come.
#![cfg(taskgrove_loom)]

use loom::sync::{Arc as LoomArc, Notify};
use loom::thread;
use std::future::pending;
use std::sync::{Arc, Mutex};
use taskgrove::model::World;
use taskgrove::{CancelHandle, Context, Manager, Result, service_fn, shielded};
use taskgrove_loom_tests::*;

/// Starts a service that calls `first` and then waits for its cancellation.
fn service<R: Send + 'static>(
    world: &World,
    first: impl FnOnce(Context) -> R + Send + 'static,
) -> (Manager, R) {
    let place = Arc::new(Mutex::new(None));
    let inner = place.clone();
    let manager = world
        .handle()
        .start(service_fn("service", async move |ctx: Context| {
            *inner.lock().unwrap() = Some(first(ctx));
            drop(inner);
            pending().await
        }));
    world.run();
    let first = place.lock().unwrap().take();
    (
        manager.expect("the runtime is open"),
        first.expect("it ran"),
    )
}

/// A task that fails behind this gate.
fn fails(gate: &Gate, log: &Log) -> impl Future<Output = Result> + Send + 'static {
    let (pass, log) = (gate.pass(), log.clone());
    async move {
        pass.await;
        log.note("returned");
        Err("broken".into())
    }
}

/// Asks for the cancellation of a service, and then lets end what is behind the gate, while another thread does the
/// walk.
fn request_and_end(world: &World, manager: &Manager, gate: &Gate) {
    let walker = thread::spawn({
        let world = world.clone();
        move || world.run()
    });
    manager.cancel().expect("it was started");
    gate.open();
    world.poll_tasks();
    walker.join().unwrap();
    world.run();
}

/// Cancellation of a service is asked for, and then a task of it fails, while another thread does the walk. The error
/// is no failure.
#[test]
fn an_error_after_a_request_is_no_failure() {
    explore_within(2, &["it returned", "it was dropped"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Gate::new());
        let task = fails(&gate, &log);
        let (manager, _) = service(&world, |ctx| drop(ctx.run_task(task).expect("it runs")));
        request_and_end(&world, &manager, &gate);
        let result = manager.result().expect("it has finished");
        assert!(result.is_ok(), "a consequence of the cancellation");
        seen.saw(match log.count("returned") {
            0 => "it was dropped",
            _ => "it returned",
        });
        drop((manager, gate));
        world.end();
    });
}

/// A task fails while cancellation of its service is asked for. The error is a failure if it came first.
#[test]
fn an_error_before_a_request_is_a_failure() {
    explore_within(1, &["a failure", "no failure"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Gate::new());
        let task = fails(&gate, &log);
        let (manager, _) = service(&world, |ctx| drop(ctx.run_task(task).expect("it runs")));
        gate.open();
        let other = thread::spawn({
            let world = world.clone();
            move || world.poll_tasks()
        });
        thread::yield_now();
        log.note("asking");
        manager.cancel().expect("it was started");
        // The walk marks the task, maybe during its poll.
        world.run_one();
        other.join().unwrap();
        world.run();
        let failed = manager.did_error();
        if log.count("returned") == 1 && log.at("returned") < log.at("asking") {
            assert!(failed, "nothing was asked for");
        }
        seen.saw(if failed { "a failure" } else { "no failure" });
        drop((manager, gate));
        world.end();
    });
}

/// A child service ends after the cancellation of its parent was asked for, while another thread does the walk. It
/// reads cancelled.
#[test]
fn a_child_service_that_ends_after_a_request_reads_cancelled() {
    explore_within(2, &["it returned", "it was dropped"], |seen| {
        let world = World::new();
        let (log, gate) = (Log::default(), Gate::new());
        let (pass, ends) = (gate.pass(), log.clone());
        let child = service_fn("child", async move |_: Context| {
            pass.await;
            ends.note("returned");
            Ok(())
        });
        let (manager, child) =
            service(&world, |ctx| ctx.run_child_service(child).expect("it runs"));
        request_and_end(&world, &manager, &gate);
        assert!(child.is_finished() && child.is_cancelled());
        seen.saw(match log.count("returned") {
            0 => "it was dropped",
            _ => "it returned",
        });
        drop((manager, child, gate));
        world.end();
    });
}

/// A daemon inside protection ends after the cancellation of the parent of its service was asked for, while another
/// thread does the walk. That is no failure of the service.
fn a_covered_daemon_ends(is_service: bool) {
    explore_within(2, &["it returned"], move |seen| {
        let world = World::new();
        let gate = Gate::new();
        let pass = gate.pass();
        let shields = service_fn("shields", async move |ctx: Context| {
            let end = async move {
                pass.await;
                Ok(())
            };
            shielded(async {
                if is_service {
                    let daemon = service_fn("daemon", async move |_: Context| end.await);
                    drop(ctx.run_daemon_child_service(daemon)?);
                } else {
                    drop(ctx.run_daemon_task(end)?);
                }
                drop(ctx);
                pending().await
            })
            .await
        });
        let (manager, _) = service(&world, |ctx| {
            drop(ctx.run_child_service(shields).expect("it runs"));
        });
        request_and_end(&world, &manager, &gate);
        assert!(!manager.did_error(), "a consequence of the cancellation");
        seen.saw("it returned");
        manager.kill().expect("it was started");
        drop((manager, gate));
        world.run();
        world.end();
    });
}

#[test]
fn a_covered_daemon_that_ends_after_a_request_is_no_failure() {
    a_covered_daemon_ends(false);
}

#[test]
fn a_covered_daemon_service_that_ends_after_a_request_is_no_failure() {
    a_covered_daemon_ends(true);
}

/// Services below each other end one after another, while two threads ask for the cancellation of the one above. What
/// the thread has found out before counts no more when the request has returned.
#[test]
fn a_daemon_that_ends_after_a_request_far_above_is_no_failure() {
    explore_within(2, &["asked", "asked again"], |seen| {
        let world = World::new();
        let (first, second) = (Gate::new(), Gate::new());
        let (leaf, pass) = (first.pass(), second.pass());
        let leaf = service_fn("leaf", async move |_: Context| {
            leaf.await;
            Ok(())
        });
        let daemon = service_fn("daemon", async move |ctx: Context| {
            drop(ctx.run_child_service(leaf)?);
            drop(ctx);
            pass.await;
            Ok(())
        });
        let middle = service_fn("middle", async move |ctx: Context| {
            drop(ctx.run_daemon_child_service(daemon)?);
            drop(ctx);
            pending().await
        });
        let (manager, _) = service(&world, |ctx| {
            drop(ctx.run_child_service(middle).expect("it runs"));
        });
        first.open();
        let log = Log::default();
        let other = thread::spawn({
            let (manager, log) = (manager.clone(), log.clone());
            move || {
                manager.cancel().expect("it was started");
                log.note("asked");
            }
        });
        thread::yield_now();
        world.poll_tasks();
        thread::yield_now();
        let again = log.count("asked") == 1;
        manager.cancel().expect("it was started");
        second.open();
        world.poll_tasks();
        other.join().unwrap();
        world.run();
        let result = manager.result().expect("it has finished");
        assert!(result.is_ok(), "a consequence of the cancellation");
        seen.saw(if again { "asked again" } else { "asked" });
        drop((manager, first, second));
        world.end();
    });
}

/// A task with a shield, in which it has spawned; and a task above it.
struct Shielding {
    manager: Manager,
    above: CancelHandle,
    /// The end of the shield, which is noted as "ending" and "ended".
    end: Gate,
}

/// Makes it. `inside` spawns inside the shield.
fn shielding(world: &World, log: &Log, inside: impl FnOnce(Context) + Send + 'static) -> Shielding {
    let (end, log) = (Gate::new(), log.clone());
    let pass = end.pass();
    let (manager, above) = service(world, move |ctx| {
        let context = ctx.clone();
        let task = ctx.run_task(async move {
            let inner = context.clone();
            drop(context.run_task(async move {
                shielded(async {
                    inside(inner);
                    pass.await;
                    log.note("ending");
                })
                .await;
                log.note("ended");
                pending().await
            })?);
            drop(context);
            pending().await
        });
        task.expect("it runs").cancel_handle()
    });
    Shielding {
        manager,
        above,
        end,
    }
}

/// A daemon inside protection ends after that has ended and the cancellation of a task above was asked for. It is no
/// failure, whatever the thread has found out before.
#[test]
fn a_daemon_that_ends_after_its_protection_and_a_request_is_no_failure() {
    explore_within(
        2,
        &["the end came first", "the request came first"],
        |seen| {
            let world = World::new();
            let (log, first, left) = (Log::default(), Gate::new(), Gate::new());
            let (leaf, pass) = (first.pass(), left.pass());
            let Shielding {
                manager,
                above,
                end,
            } = shielding(&world, &log, move |ctx| {
                let context = ctx.clone();
                let leaf = service_fn("leaf", async move |_: Context| {
                    leaf.await;
                    Ok(())
                });
                let daemon = async move {
                    drop(context.run_child_service(leaf)?);
                    drop(context);
                    pass.await;
                    Ok(())
                };
                drop(ctx.run_daemon_task(daemon).expect("it runs"));
            });
            end.open();
            let other = thread::spawn({
                let world = world.clone();
                move || world.poll_tasks()
            });
            thread::yield_now();
            log.note("asking");
            above.cancel();
            first.open();
            world.poll_tasks();
            other.join().unwrap();
            left.open();
            world.poll_tasks();
            assert!(!manager.did_error(), "a consequence of the cancellation");
            seen.saw(if log.at("ended") < log.at("asking") {
                "the end came first"
            } else {
                "the request came first"
            });
            manager.cancel().expect("it was started");
            world.run();
            drop((manager, above, end, first, left));
            world.end();
        },
    );
}

/// A task inside protection is polled after the cancellation of a task above was asked for. The protection ends
/// during that poll, which returns an error: that is a failure.
#[test]
fn an_error_of_a_poll_that_began_inside_protection_is_a_failure() {
    explore_within(2, &["a failure"], |seen| {
        let world = World::new();
        let (log, left) = (Log::default(), Gate::new());
        let pass = left.pass();
        let begun = LoomArc::new(Notify::new());
        let over = LoomArc::new(Notify::new());
        let (tell, wait) = (begun.clone(), over.clone());
        let Shielding {
            manager,
            above,
            end,
        } = shielding(&world, &log, move |ctx| {
            let task = async move {
                pass.await;
                tell.notify();
                wait.wait();
                Err("broken".into())
            };
            drop(ctx.run_task(task).expect("it runs"));
        });
        let other = thread::spawn({
            let (world, end) = (world.clone(), end.clone());
            move || {
                begun.wait();
                end.open();
                world.poll_tasks();
                over.notify();
            }
        });
        above.cancel();
        left.open();
        world.poll_tasks();
        other.join().unwrap();
        assert!(manager.did_error(), "the poll began inside protection");
        seen.saw("a failure");
        world.run();
        drop((manager, above, end, left));
        world.end();
    });
}
