//! Waits for room in trees made at random, in which services, tasks, protections and graces end in any order. None is
//! ready that was not woken: what a wait looks at changes with no event that it does not hear of. And all of it stops.

use crate::common::Rng;
use crate::util::*;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;
use taskgrove::sim::Sim;
use taskgrove::{
    CancelHandle, Context, Handle, Manager, Result, Service, defer, finally, service_fn, shielded,
    spawn, time,
};

const SECOND: Duration = Duration::from_secs(1);

/// Whether a wait was woken since its last poll, and the waker of the code that polls it.
#[derive(Default)]
struct Woken {
    woken: AtomicBool,
    polled_by: Mutex<Option<Waker>>,
}

impl Woken {
    /// Has it polled once more, without having been woken.
    fn probe(&self) {
        let waker = self.polled_by.lock().unwrap().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.probe();
    }
}

/// A wait that notes it if it is ready and was not woken.
struct Probed {
    wait: Pin<Box<dyn Future<Output = ()> + Send>>,
    name: String,
    woken: Arc<Woken>,
    missed: Log<String>,
}

impl Future for Probed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        *this.woken.polled_by.lock().unwrap() = Some(cx.waker().clone());
        let woken = this.woken.woken.swap(false, Ordering::SeqCst);
        let waker = Waker::from(this.woken.clone());
        let polled = this
            .wait
            .as_mut()
            .poll(&mut TaskContext::from_waker(&waker));
        if polled.is_ready() && !woken {
            this.missed.push(std::mem::take(&mut this.name));
        }
        polled
    }
}

impl Drop for Probed {
    fn drop(&mut self) {
        let waker = self.woken.polled_by.lock().unwrap().take();
        drop(waker);
    }
}

/// What the steps act on. The first two services are roots.
#[derive(Clone)]
struct World {
    services: Arc<Mutex<Vec<Context>>>,
    tasks: Arc<Mutex<Vec<CancelHandle>>>,
    /// They end what was scheduled when there was room, and protections.
    events: Arc<Mutex<Vec<Event>>>,
    waits: Arc<Mutex<Vec<Arc<Woken>>>>,
    missed: Log<String>,
}

impl World {
    fn event(&self) -> Event {
        let event = Event::new();
        self.events.lock().unwrap().push(event.clone());
        event
    }

    fn wait(&self, ctx: &Context, opts_out: bool, name: String) -> Probed {
        let (ctx, event) = (ctx.clone(), self.event());
        let wait = Box::pin(async move {
            let task = ctx.task(async move {
                event.wait().await;
                Ok(())
            });
            let task = if opts_out {
                task.grace(Duration::ZERO)
            } else {
                task
            };
            let _ = task.spawn_when_room().await;
        });
        let woken = Arc::new(Woken::default());
        // The first poll is as one after a wake-up.
        woken.woken.store(true, Ordering::SeqCst);
        self.waits.lock().unwrap().push(woken.clone());
        let missed = self.missed.clone();
        Probed {
            wait,
            name,
            woken,
            missed,
        }
    }

    /// A service that waits for ever, and enters itself into the world.
    fn idle(&self, name: &'static str) -> impl Service + use<> {
        let services = self.services.clone();
        service_fn(name, move |ctx: Context| {
            services.lock().unwrap().push(ctx);
            pending()
        })
    }

    /// The same, but it runs another one in a shield, besides so many tasks.
    fn shielding(&self, inner: Settings, tasks: usize) -> impl Service + use<> {
        let (world, end) = (self.clone(), self.event());
        service_fn("shielding", move |ctx: Context| {
            let (world, end) = (world.clone(), end.clone());
            async move {
                world.services.lock().unwrap().push(ctx.clone());
                shielded(async {
                    let _ = inner.child(&ctx, world.idle("inner"));
                    (0..tasks).for_each(|_| fill(&ctx, Some(20)));
                    end.wait().await;
                })
                .await;
                pending().await
            }
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    max_children: usize,
    grace: Option<u32>,
}

impl Settings {
    fn draw(rng: &mut Rng) -> Settings {
        Settings {
            max_children: 1 + rng.below(3),
            grace: grace(rng),
        }
    }

    fn root(self, h: &Handle, service: impl Service) -> Manager {
        let builder = Manager::builder(service).max_children(self.max_children);
        match self.grace {
            None => builder.start(h).unwrap(),
            Some(grace) => builder.grace(SECOND * grace).start(h).unwrap(),
        }
    }

    fn child(self, ctx: &Context, service: impl Service) -> bool {
        let builder = ctx.child_service(service).max_children(self.max_children);
        match self.grace {
            None => builder.spawn().is_ok(),
            Some(grace) => builder.grace(SECOND * grace).spawn().is_ok(),
        }
    }
}

fn grace(rng: &mut Rng) -> Option<u32> {
    (rng.below(2) == 0).then(|| rng.below(6) as u32)
}

/// Takes a place.
fn fill(ctx: &Context, grace: Option<u32>) {
    let task = ctx.task(pending::<Result>());
    let _ = match grace {
        None => task.spawn(),
        Some(grace) => task.grace(SECOND * grace).spawn(),
    };
}

/// Waits for room under the services of both contexts' choice, in one of the places that code can be in.
async fn waiting(world: World, via: Context, place: usize, opts_out: bool, name: String) {
    let end = world.event();
    let wait = world.wait(&via, opts_out, name.clone());
    match place {
        0 => wait.await,
        1 => {
            shielded(async {
                wait.await;
                end.wait().await;
            })
            .await;
        }
        2 => finally(async {}, wait).await,
        3 => drop(defer(wait)),
        _ => {
            shielded(async {
                spawn(async move {
                    wait.await;
                    pending::<()>().await;
                });
                end.wait().await;
            })
            .await;
            world
                .wait(&via, opts_out, format!("{name}, after the shield"))
                .await;
        }
    }
    pending().await
}

/// Lets everything run that can without time passing.
async fn settle() {
    time::sleep(Duration::from_nanos(1)).await;
}

async fn step(rng: &mut Rng, world: &World, outside: &mut Vec<Probed>) -> String {
    let services = world.services.lock().unwrap().clone();
    let one = |rng: &mut Rng| services[rng.below(services.len())].clone();
    let ctx = one(rng);
    match rng.below(22) {
        at @ 0..4 => {
            let settings = Settings::draw(rng);
            if services.len() > 6 {
            } else if at % 2 == 0 {
                settings.child(&ctx, world.idle("child"));
            } else {
                let inner = Settings::draw(rng);
                let around = Settings {
                    max_children: settings.max_children + 1,
                    ..settings
                };
                around.child(&ctx, world.shielding(inner, rng.below(3)));
                return format!("{around:?} with {inner:?} in {}", ctx.name());
            }
            format!("{settings:?} in {}", ctx.name())
        }
        4..10 => {
            let (via, place, opts_out) = (one(rng), rng.below(5), rng.below(4) == 0);
            let (fills, graceful, own) = (rng.below(5), rng.below(5), grace(rng));
            let name = format!(
                "a wait in {} for {}, place {place}, opts out {opts_out}, {own:?}",
                ctx.name(),
                via.name()
            );
            let (inside, world2, name2) = (ctx.clone(), world.clone(), name.clone());
            let body = async move {
                (0..fills).for_each(|n| fill(&inside, (n < graceful).then_some(20)));
                waiting(world2, via, place, opts_out, name2).await;
                Ok(())
            };
            let task = ctx.task(body);
            let task = match own {
                None => task,
                Some(grace) => task.grace(SECOND * grace),
            };
            if let Ok(task) = task.spawn() {
                world.tasks.lock().unwrap().push(task.cancel_handle());
            }
            name
        }
        10 => {
            let mut wait = world.wait(&ctx, rng.below(4) == 0, "a wait outside".to_owned());
            if poll_fn(|cx| Poll::Ready(pin!(&mut wait).poll(cx)))
                .await
                .is_pending()
            {
                outside.push(wait);
            }
            format!("outside, for {}", ctx.name())
        }
        11 => {
            (0..rng.below(4)).for_each(|n| fill(&ctx, (n % 2 == 0).then_some(20)));
            format!("fill {}", ctx.name())
        }
        12 if rng.below(4) == 0 => format!("kill {}: {:?}", ctx.name(), ctx.kill()),
        12 | 13 => format!("cancel {}: {:?}", ctx.name(), ctx.cancel()),
        at @ (14 | 15) => {
            let tasks = world.tasks.lock().unwrap();
            if let Some(task) = tasks.get(rng.below(tasks.len().max(1))) {
                if at == 14 { task.cancel() } else { task.kill() }
            }
            format!("end a task {at}")
        }
        16..19 => {
            let events = world.events.lock().unwrap().clone();
            if let Some(event) = events.get(rng.below(events.len().max(1))) {
                event.set();
            }
            "an event".to_owned()
        }
        _ => {
            time::sleep(SECOND).await;
            "a second".to_owned()
        }
    }
}

async fn run(h: &Handle, seed: u64) {
    let mut rng = Rng::new(seed);
    let world = World {
        services: Arc::default(),
        tasks: Arc::default(),
        events: Arc::default(),
        waits: Arc::default(),
        missed: Log::new(),
    };
    let roots = ["a", "b"].map(|name| Settings::draw(&mut rng).root(h, world.idle(name)));
    settle().await;
    let (mut steps, mut outside) = (Vec::new(), Vec::new());
    for _ in 0..8 + rng.below(40) {
        steps.push(step(&mut rng, &world, &mut outside).await);
        settle().await;
        let waits = world.waits.lock().unwrap().clone();
        waits.iter().for_each(|wait| wait.probe());
        outside = still_pending(outside).await;
        settle().await;
        assert_eq!(world.missed.take(), [""; 0], "seed {seed}: {steps:#?}");
    }
    drop(outside);
    for root in &roots {
        root.cancel().unwrap();
    }
    let events = world.events.lock().unwrap().clone();
    events.iter().for_each(Event::set);
    time::sleep(60 * SECOND).await;
    for root in &roots {
        assert!(
            root.is_finished(),
            "seed {seed}: {}\n{steps:#?}",
            h.snapshot()
        );
    }
}

/// Polls the waits outside of tasks.
async fn still_pending(waits: Vec<Probed>) -> Vec<Probed> {
    let mut pending = Vec::new();
    for mut wait in waits {
        if poll_fn(|cx| Poll::Ready(pin!(&mut wait).poll(cx)))
            .await
            .is_pending()
        {
            pending.push(wait);
        }
    }
    pending
}

/// `ROOM_SEEDS` takes so many seeds. Among the first thousand are some that notice each kind of end of which a wait has
/// to hear: of a service, of a grace, and of a protection of a service's own task.
#[test]
fn no_wait_is_ready_that_was_not_woken() {
    crate::common::watchdog(|| {
        quiet();
        let seeds = std::env::var("ROOM_SEEDS").map_or(1_000, |seeds| seeds.parse().unwrap());
        for seed in (4_000..).take(seeds) {
            let sim = Sim::new(seed);
            sim.block_on(run(sim.handle(), seed));
        }
    });
}
