//! Supervisors made at random, over many seeds: no two incarnations overlap, no child is lost, a stop always ends.
//!
//! `TASKGROVE_SEEDS` sets how many seeds `the_rules_hold_for_many_seeds` runs; `TASKGROVE_SEED` replays one. The ignored
//! test runs 100,000.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use taskgrove::supervisor::{
    AutoShutdown, Backoff, ChildInfo, ChildSpec, ChildState, Restart, Shutdown, Strategy,
    Supervisor, SupervisorError, SupervisorHandle,
};
use taskgrove::{Context, Handle, Manager, defer, finally, service_fn, shielded, sim, spawn, time};

const MS: Duration = Duration::from_millis(1);

/// Draws a number below `n`, which the seed determines.
fn below(n: u64) -> u64 {
    sim::random() % n
}

fn one_of<T: Copy>(all: &[T]) -> T {
    all[below(all.len() as u64) as usize]
}

/// What is known of the children, by supervisor and name.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    alive: HashMap<(u64, &'static str), usize>,
    permanent: HashSet<(u64, &'static str)>,
}

/// An incarnation that exists: until the drop of the last thing that it or what is below it has.
struct Alive {
    watch: Watch,
    key: (u64, &'static str),
}

impl Watch {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, key: (u64, &'static str)) -> Arc<Alive> {
        let alive = {
            let mut known = self.known();
            let alive = known.alive.entry(key).or_default();
            *alive += 1;
            *alive
        };
        assert_eq!(alive, 1, "two incarnations of {key:?} overlap");
        let watch = self.clone();
        Arc::new(Alive { watch, key })
    }

    fn alive(&self) -> Vec<(u64, &'static str)> {
        let known = self.known();
        let alive = known.alive.iter().filter(|(_, n)| **n > 0);
        let mut alive: Vec<_> = alive.map(|(key, _)| *key).collect();
        alive.sort();
        alive
    }

    fn is_permanent(&self, of: u64, child: &str) -> bool {
        self.known().permanent.contains(&(of, child))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if let Some(alive) = self.watch.known().alive.get_mut(&self.key) {
            *alive -= 1;
        }
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// What an incarnation does with its life, and after it.
async fn life(ctx: Context, alive: Arc<Alive>) -> taskgrove::Result {
    if below(4) == 0 {
        time::sleep(MS * below(20) as u32).await;
    }
    if below(8) > 0 {
        ctx.set_ready();
    }
    if below(3) == 0 {
        let alive = alive.clone();
        let task = async move {
            let _alive = alive;
            time::sleep(MS * below(30) as u32).await;
            Ok(())
        };
        if below(2) == 0 {
            ctx.run_task(shielded(task))?;
        } else {
            ctx.run_task(task)?;
        }
    }
    let left = alive.clone();
    let _deferred = (below(3) == 0).then(|| {
        let time = MS * below(20) as u32;
        defer(async move {
            time::sleep(time).await;
            drop(left);
        })
    });
    let body = async {
        match below(6) {
            0 => return Ok(()),
            1 => return Err("an error at once".into()),
            2 => time::sleep(MS * below(40) as u32).await,
            3 => time::sleep(MS * below(400) as u32).await,
            _ => pending().await,
        }
        match below(4) {
            0 => Ok(()),
            1 => panic!("an intended panic"),
            _ => Err("an error".into()),
        }
    };
    match below(4) {
        // Longer than some are given to stop.
        0 => finally(body, time::sleep(MS * below(60) as u32)).await,
        _ => body.await,
    }
}

fn spec(watch: &Watch, of: u64, name: &'static str, depth: u32) -> ChildSpec {
    let restart = one_of(&[Restart::Permanent, Restart::Transient, Restart::Temporary]);
    if restart == Restart::Permanent {
        watch.known().permanent.insert((of, name));
    }
    let watch = watch.clone();
    let nests = depth > 0 && below(5) == 0;
    let fails = below(6) == 0;
    let spec = if nests {
        ChildSpec::new(name, move || {
            // A nested supervisor has a number of its own each time, and is watched through its children.
            supervisor(&watch, 1 + sim::random() / 2, depth - 1)
        })
    } else {
        ChildSpec::new(name, move || {
            if fails && below(4) == 0 {
                panic!("an intended panic of a factory");
            }
            let alive = watch.begin((of, name));
            service_fn(name, async move |ctx| life(ctx, alive).await)
        })
    };
    let spec = spec.restart(restart);
    let spec = match below(4) {
        0 => spec.backoff(Backoff::constant(MS * below(30) as u32)),
        1 => spec.backoff(Backoff::exponential(MS, MS * 50).jitter(0.3)),
        _ => spec,
    };
    // A nested one may wait for ever for a child whose shutdown is to wait, but no cleanup here lasts that long.
    let spec = match below(5) {
        0 => spec.shutdown(Shutdown::Kill),
        1 => spec.shutdown(Shutdown::Wait),
        2 => spec.shutdown(Shutdown::Timeout(MS * below(40) as u32)),
        _ => spec,
    };
    match below(3) {
        0 => spec.wait_ready(MS * (1 + below(30) as u32)),
        _ => spec,
    }
}

fn supervisor(watch: &Watch, number: u64, depth: u32) -> Supervisor {
    let strategies = [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ];
    let mut supervisor = Supervisor::new(one_of(&strategies))
        .intensity(one_of(&[1, 5, 1000]), MS * one_of(&[10, 100, 1000]))
        .auto_shutdown(one_of(&[
            AutoShutdown::Never,
            AutoShutdown::AnySignificant,
            AutoShutdown::AllSignificant,
        ]));
    for name in &NAMES[..below(5) as usize] {
        supervisor = supervisor.child(spec(watch, number, name, depth));
    }
    supervisor
}

/// A caller that starts, stops, restarts and removes at random.
async fn caller(watch: Watch, handle: SupervisorHandle, number: u64) {
    for _ in 0..below(8) {
        time::sleep(MS * below(30) as u32).await;
        let name = one_of(&NAMES);
        // Some callers lose their patience.
        let patience = MS * one_of(&[0, 5, 1_000_000]);
        let call = async {
            match below(5) {
                0 => handle
                    .start_child(spec(&watch, number, name, 1))
                    .await
                    .map(|_| ()),
                1 => handle.stop_child(name).await,
                2 => handle.restart_child(name).await.map(|_| ()),
                3 => handle.remove_child(name).await,
                _ => time::timeout(MS * 50, handle.wait_child(name))
                    .await
                    .map_or(Ok(()), |found| found.map(|_| ())),
            }
        };
        // A child that is there for good is not lost: it is in the view.
        if let Ok(Err(SupervisorError::NotRunning)) = time::timeout(patience, call).await {
            return;
        }
    }
}

/// Looks whether the view fits what the children do, once nothing is under way.
fn look(watch: &Watch, handle: &SupervisorHandle, number: u64) {
    for child in handle.children() {
        let is_alive = watch.alive().contains(&(number, &*child.name));
        match child.state {
            ChildState::Stopped | ChildState::BackingOff { .. } => {
                assert!(!is_alive, "{child:?} is alive");
                assert!(child.manager.is_none(), "{child:?}");
            }
            ChildState::Running => {
                let manager = child
                    .manager
                    .as_ref()
                    .expect("a child that runs has a manager");
                assert!(manager.is_running(), "{child:?}");
            }
            _ => {}
        }
    }
}

/// One random program. The simulation itself finds a supervisor that waits for nothing: that is a deadlock.
async fn program() {
    let (watch, number) = (Watch::default(), 0);
    let top = supervisor(&watch, number, 2);
    let handle = top.handle();
    let above = below(4) == 0;
    let manager: Manager = if above {
        let app = service_fn("app", async move |ctx: Context| {
            ctx.run_child_service(top)?;
            Ok(())
        });
        Handle::current().start(app).unwrap()
    } else {
        Handle::current().start(top).unwrap()
    };
    let callers: Vec<_> = (0..below(4))
        .map(|_| spawn(caller(watch.clone(), handle.clone(), number)))
        .collect();
    for _ in 0..below(4) {
        time::sleep(MS * below(60) as u32 + Duration::from_nanos(1)).await;
        look(&watch, &handle, number);
    }
    if callers.is_empty() {
        time::sleep(MS * 200).await;
        let is_off = |child: &ChildInfo| {
            child.state == ChildState::Stopped && watch.is_permanent(number, &child.name)
        };
        if handle.children().iter().any(is_off) {
            // The supervisor is stopping, or else it has lost a child.
            time::sleep(Duration::from_secs(9)).await;
            assert!(
                manager.is_finished(),
                "a child is lost: {:?}",
                handle.children()
            );
        }
    }
    match below(6) {
        0 => {
            manager.kill().unwrap();
            manager.wait_finished().await;
        }
        1 => {
            let _ = manager.stop_or_kill(MS * below(100) as u32).await;
        }
        _ => {
            let stopped = time::timeout(Duration::from_secs(3600), manager.stop()).await;
            assert!(stopped.is_ok(), "the stop does not end");
        }
    }
    assert!(manager.is_finished());
    assert_eq!(watch.alive(), [], "children are left behind");
    assert!(matches!(
        handle.wait_child("a").await,
        Err(SupervisorError::NotRunning)
    ));
    for child in handle.children() {
        assert_eq!(
            (child.state, child.manager.is_none()),
            (ChildState::Stopped, true)
        );
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(Handle::current().snapshot().is_empty());
}

#[test]
fn the_rules_hold_for_many_seeds() {
    let seeds = std::env::var("TASKGROVE_SEEDS").ok();
    let seeds = seeds.map_or(1000, |text| text.parse().expect("a number"));
    run(0..seeds);
}

#[test]
#[ignore = "takes minutes"]
fn the_rules_hold_for_a_hundred_thousand_seeds() {
    run(0..100_000);
}

/// Runs the program for each seed. Unlike `sim::check`, it does not ask that the program hears of each panic: the
/// children of a supervisor that is killed have no one to hear it. Panics that are intended leave no text behind.
fn run(seeds: std::ops::Range<u64>) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if !text.starts_with("an intended panic") {
            before(info);
        }
    }));
    let one = std::env::var("TASKGROVE_SEED").ok();
    let one = one.map(|text| text.parse().expect("a number"));
    for seed in one.map_or(seeds, |seed| seed..seed + 1) {
        let sim = sim::Sim::new(seed);
        let ran = catch_unwind(AssertUnwindSafe(|| sim.block_on(program())));
        assert!(ran.is_ok(), "seed {seed} failed, see above");
    }
}
