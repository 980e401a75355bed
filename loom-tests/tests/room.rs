//! Waits for room under a service that is at its limit.
#![cfg(taskgrove_loom)]

use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use taskgrove::model::World;
use taskgrove::{Context, Manager, SpawnError, Task, service_fn, shielded};
use taskgrove_loom_tests::*;

/// Starts a service that may have this many children, and waits for its cancellation.
fn service(world: &World, limit: usize) -> (Manager, Context) {
    let place = Arc::new(Mutex::new(None));
    let inner = place.clone();
    let service = service_fn("service", async move |ctx: Context| {
        *inner.lock().unwrap() = Some(ctx.clone());
        drop((inner, ctx));
        pending().await
    });
    let manager = Manager::builder(service).max_children(limit);
    let manager = manager.start(&world.handle()).expect("the runtime is open");
    world.run();
    let context = place.lock().unwrap().take();
    (manager, context.expect("it ran"))
}

type Wait = Pin<Box<dyn Future<Output = Result<Task<()>, SpawnError>> + Send>>;

/// A wait for room for a task that ends at once.
fn wait(context: &Context) -> Wait {
    let context = context.clone();
    Box::pin(async move { context.task(async { Ok(()) }).spawn_when_room().await })
}

/// Spawns a task that waits for room, and a log in which it notes each time that it has waited.
fn begin(world: &World, context: &Context) -> (Task<Result<Task<()>, SpawnError>>, Log) {
    let waited = Log::default();
    let (mut wait, log) = (wait(context), waited.clone());
    let waiting = world.handle().spawn(std::future::poll_fn(move |cx| {
        let polled = wait.as_mut().poll(cx);
        if polled.is_pending() {
            log.note("waited");
        }
        polled
    }));
    (waiting, waited)
}

/// Starts a child that ends when the gate is open.
fn child(world: &World, context: &Context, gate: &Gate) {
    let pass = gate.pass();
    let child = async move {
        pass.await;
        Ok(())
    };
    drop(context.run_task(child).expect("there is room"));
    world.run();
}

/// Notes that it was woken.
struct Noting(Log, &'static str);

impl Wake for Noting {
    fn wake(self: Arc<Self>) {
        self.0.note(self.1);
    }
}

/// The last child leaves while a wait begins. It gets the room.
#[test]
fn a_child_that_leaves_meets_a_wait_that_begins() {
    explore_within(2, &["it waited", "it found room"], |seen| {
        let world = World::new();
        let (manager, context) = service(&world, 1);
        drop(context.run_task(async { Ok(()) }).expect("there is room"));
        let (mut waiting, waited) = begin(&world, &context);
        drop(context);
        race(&world, || (), || ());
        assert!(ready(&mut waiting).unwrap().is_ok());
        assert_eq!(manager.stats().tasks.finished_count, 2);
        seen.saw(match waited.count("waited") {
            0 => "it found room",
            _ => "it waited",
        });
        drop((waiting, manager));
        world.end();
    });
}

/// The last child leaves while the first wait is dropped. The second one gets the room.
#[test]
fn a_child_that_leaves_meets_a_wait_that_is_dropped() {
    explore_within(2, &["it had the place", "it had none"], |seen| {
        let world = World::new();
        let (manager, context) = service(&world, 1);
        let (gate, log) = (Gate::new(), Log::default());
        child(&world, &context, &gate);
        let mut first = wait(&context);
        let noting = Waker::from(Arc::new(Noting(log.clone(), "woken")));
        assert!(poll_once(&mut first, &noting).is_pending());
        let mut second = world.handle().spawn(wait(&context));
        world.run();
        drop((context, noting));
        let there = {
            let gate = gate.clone();
            move || gate.open()
        };
        race(&world, there, || drop(first));
        assert!(ready(&mut second).unwrap().is_ok());
        assert_eq!(manager.stats().tasks.finished_count, 2);
        seen.saw(match log.count("woken") {
            0 => "it had none",
            _ => "it had the place",
        });
        drop((second, manager, gate));
        world.end();
    });
}

/// A child leaves while another one is spawned, past a wait. The room is that of the wait.
#[test]
fn a_child_that_leaves_meets_a_spawn() {
    explore_within(2, &["the spawn got none"], |seen| {
        let world = World::new();
        let (manager, context) = service(&world, 1);
        let gate = Gate::new();
        child(&world, &context, &gate);
        let mut first = wait(&context);
        assert!(poll_once(&mut first, Waker::noop()).is_pending());
        let there = {
            let gate = gate.clone();
            move || gate.open()
        };
        race(&world, there, || {
            let spawned = context.run_task(async { Ok(()) });
            assert!(spawned.is_err(), "it has overtaken the wait");
        });
        drop(ready(&mut first).expect("it is running"));
        seen.saw("the spawn got none");
        world.run();
        drop((first, context, manager, gate));
        world.end();
    });
}

/// A wait begins while the service is cancelled, whose child stays. It goes on, with a task that never runs.
#[test]
fn a_wait_that_begins_meets_a_cancel() {
    explore_within(2, &["it waited", "it did not"], |seen| {
        let world = World::new();
        let (manager, context) = service(&world, 1);
        let gate = Gate::new();
        let pass = gate.pass();
        let stays = async move {
            shielded(pass).await;
            Ok(())
        };
        drop(context.run_task(stays).expect("there is room"));
        world.run();
        let (mut waiting, waited) = begin(&world, &context);
        drop(context);
        let there = {
            let manager = manager.clone();
            move || manager.cancel().expect("it was started")
        };
        race(&world, there, || ());
        let mut born_done = ready(&mut waiting).unwrap().expect("it is running");
        assert!(ready(&mut born_done).unwrap_err().is_cancelled());
        seen.saw(match waited.count("waited") {
            0 => "it did not",
            _ => "it waited",
        });
        gate.open();
        world.run();
        assert!(manager.is_finished());
        drop((born_done, waiting, manager, gate));
        world.end();
    });
}

/// A child ends, and its worker keeps it to unlink it with its siblings, while a wait begins. The worker is then in a
/// poll of a sibling, which does not end before the wait has got the room.
#[test]
fn a_wait_finds_the_room_that_a_batch_keeps() {
    explore_within(2, &["it got room"], |seen| {
        let world = World::new();
        let (manager, context) = service(&world, 2);
        let signal = Signal::new();
        drop(context.run_task(async { Ok(()) }).expect("there is room"));
        let mut ends = signal.wait();
        let long = async move {
            block_on(&mut ends);
            Ok(())
        };
        drop(context.run_task(long).expect("there is room"));
        let other = loom::thread::spawn({
            let world = world.clone();
            move || world.run()
        });
        let task = block_on(wait(&context));
        signal.send();
        other.join().unwrap();
        world.run();
        assert!(task.expect("it is running").is_done());
        assert_eq!(manager.stats().tasks.finished_count, 3);
        seen.saw("it got room");
        drop((context, manager, signal));
        world.end();
    });
}
