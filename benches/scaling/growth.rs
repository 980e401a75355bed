//! What once grew with the square: nested services, distinct graces, refusals. On one thread.

use crate::stopwatch::Stopwatch;
use std::fmt::Write as _;
use std::future::{pending, poll_fn};
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;
use taskgrove::{Context, Manager, Runtime, Service, service_fn, yield_now};

const DEPTHS: [usize; 4] = [100, 1_000, 4_000, 16_000];
const LENGTHS: [usize; 4] = [1, 16, 1_000, 16_000];
const CHILDREN: [usize; 4] = [100, 1_000, 10_000, 100_000];
/// Levels, tasks or children that are looked at in a round, at least.
const IN_ROUND: usize = 16_000;

#[derive(Clone, Copy)]
enum End {
    Well,
    Fails,
    Stopped,
}

/// The innermost service, which waits; and whether it may end.
type Innermost = Arc<Mutex<(Option<Waker>, bool)>>;

struct Nested {
    below: usize,
    fails: bool,
    innermost: Innermost,
}

impl Service for Nested {
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        if self.below > 0 {
            ctx.run_child_service(Nested {
                below: self.below - 1,
                fails: self.fails,
                innermost: self.innermost.clone(),
            })?;
            return Ok(());
        }
        poll_fn(|cx| {
            let mut innermost = self.innermost.lock().expect("innermost");
            innermost.0 = Some(cx.waker().clone());
            if innermost.1 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        if self.fails {
            Err("failed".into())
        } else {
            Ok(())
        }
    }
}

fn here() -> Runtime {
    Runtime::builder().workers(0).build().expect("no threads")
}

/// Nanoseconds a level for the end of a chain of services.
fn nested(depth: usize, end: End) -> f64 {
    let mut nanos = 0.0;
    let times = IN_ROUND.div_ceil(depth);
    for _ in 0..times {
        let runtime = here();
        let innermost = Innermost::default();
        let outermost = Nested {
            below: depth - 1,
            fails: matches!(end, End::Fails),
            innermost: innermost.clone(),
        };
        let manager = runtime.start(outermost).expect("it starts");
        runtime.block_on(async {
            while innermost.lock().expect("innermost").0.is_none() {
                yield_now().await;
            }
        });
        let watch = Stopwatch::start(1);
        if matches!(end, End::Stopped) {
            manager.cancel().expect("it runs");
        } else {
            let mut innermost = innermost.lock().expect("innermost");
            innermost.1 = true;
            innermost.0.take().expect("it waits").wake();
        }
        runtime.block_on(manager.wait_finished());
        nanos += watch.nanos();
    }
    nanos / (times * depth) as f64
}

/// A running service with so many tasks, that have so many lengths of grace, if any; full.
fn full(runtime: &Runtime, children: usize, lengths: Option<usize>) -> (Manager, Context) {
    let given = Arc::new(Mutex::new(None));
    let give = given.clone();
    let service = service_fn("full", async move |ctx: Context| {
        for child in 0..children {
            let mut task = ctx.task(pending::<taskgrove::Result>());
            if let Some(lengths) = lengths {
                let micros = (child % lengths) as u64;
                task = task.grace(Duration::from_millis(20) + Duration::from_micros(micros));
            }
            drop(task.spawn()?);
        }
        *give.lock().expect("given") = Some(ctx);
        pending().await
    });
    let manager = Manager::builder(service).max_children(children).build();
    let manager = manager.expect("a manager");
    let running = manager.clone();
    drop(runtime.spawn(async move { running.run().await.is_ok() }));
    let ctx = runtime.block_on(async {
        loop {
            yield_now().await;
            if let Some(ctx) = given.lock().expect("given").take() {
                return ctx;
            }
        }
    });
    (manager, ctx)
}

/// Nanoseconds of CPU a task for the end of tasks with so many lengths of grace.
fn graces(lengths: usize) -> f64 {
    let runtime = here();
    let (manager, ctx) = full(&runtime, IN_ROUND, Some(lengths));
    drop(ctx);
    let watch = Stopwatch::of_cpu();
    runtime.block_on(manager.stop()).expect("it runs");
    watch.nanos() / IN_ROUND as f64
}

/// Nanoseconds a refusal beside so many children.
fn refusals(children: usize) -> f64 {
    let runtime = here();
    let (_manager, ctx) = full(&runtime, children, None);
    let times = (10 * IN_ROUND).div_ceil(children);
    let watch = Stopwatch::start(1);
    for _ in 0..times {
        black_box(ctx.run_task(pending())).expect_err("it is full");
    }
    watch.nanos() / times as f64
}

fn median(rounds: usize, of: impl Fn() -> f64) -> f64 {
    let mut values: Vec<f64> = (0..rounds).map(|_| of()).collect();
    values.sort_by(f64::total_cmp);
    values[rounds / 2]
}

fn rows(out: &mut String, unit: &str, sizes: [usize; 4], what: &[(&str, &dyn Fn(usize) -> f64)]) {
    let _ = write!(out, "\n| {unit} |");
    for size in sizes {
        let _ = write!(out, " {size} |");
    }
    *out += " last / first |\n|---|---|---|---|---|---|\n";
    for (name, of) in what {
        let nanos = sizes.map(of);
        let _ = write!(out, "| {name} |");
        for nanos in nanos {
            let _ = write!(out, " {nanos:.0} |");
        }
        let _ = writeln!(out, " {:.2} |", nanos[3] / nanos[0]);
    }
}

/// Everything in numbers, as markdown.
pub(crate) fn table(rounds: usize) -> String {
    let mut out = String::from("\nOn one thread, nanoseconds:\n");
    let end = |end| move |depth| median(rounds, || nested(depth, end));
    let (well, fails, stopped) = (end(End::Well), end(End::Fails), end(End::Stopped));
    let services: [(&str, &dyn Fn(usize) -> f64); 3] = [
        ("ends by itself", &well),
        ("fails with the one inside it", &fails),
        ("is stopped", &stopped),
    ];
    rows(&mut out, "a service, nested so deep,", DEPTHS, &services);
    let grace = |lengths| median(rounds, || graces(lengths));
    rows(
        &mut out,
        "a stop, lengths of grace:",
        LENGTHS,
        &[("a task of 16000", &grace)],
    );
    let refusal = |children| median(rounds, || refusals(children));
    rows(
        &mut out,
        "beside so many children",
        CHILDREN,
        &[("a refused spawn", &refusal)],
    );
    out
}
