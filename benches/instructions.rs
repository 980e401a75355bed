//! Instructions that five hot paths take, compared with committed numbers: a slow change shows in
//! its own commit, whatever the machine is doing. `cargo bench --bench instructions`, with
//! `-- --bless` to rewrite `benches/instructions.tsv`.
//!
//! The program runs itself under callgrind, twice for each path: the same preparation, then few
//! repetitions or many, then the end of the process. The difference is the repetitions alone, so
//! neither start nor preparation nor shutdown is in the figure, and no symbol has to be known.
//! Everything happens on one thread (`workers(0)`), so that the same code runs in the same order.
//! What is left to chance is how often the worker looks at the clock, which depends on the time.
//! Processors differ in the `memcpy` that glibc chooses for them (2 % of a service's cycle): the
//! plainest is asked for.

use std::fmt::Write as _;
use std::future::{Future, pending, poll_fn};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use taskgrove::{Context, Manager, Runtime, Task, service_fn, spawn, yield_now};

/// How far a figure may be from the committed one. Runs of one build differ by less than 0.1 %; the
/// rest is for another version of the C library, whose `malloc` is in some of the figures.
const MARGIN: f64 = 0.02;
/// Words of several versions of glibc for the same; those it does not know it ignores.
const PLAIN_COPIES: &str =
    "glibc.cpu.hwcaps=-AVX2_Usable,-AVX2,-AVX512F,-AVX512VL,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM";
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.tsv");

/// Name, repetitions (few, many), operations in one repetition.
type Row = (&'static str, usize, usize, u64);

const PATHS: [Row; 5] = [
    ("spawn_finish", 2, 12, 1_000),
    ("wake", 4, 34, 1_000),
    ("yield", 10, 110, 100),
    ("cancel", 2, 10, 1_000),
    ("service_cycle", 200, 1_200, 1),
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    match args.next().as_deref() {
        None => compare(false),
        Some("--bless") => compare(true),
        Some("--path") => {
            let name = args.next().unwrap_or_default();
            let count = |arg: Option<String>| arg.and_then(|arg| arg.parse().ok());
            run(&name, count(args.next()).unwrap_or(1))
        }
        Some(other) => {
            eprintln!("`{other}` is not known; there is `--bless`");
            ExitCode::from(2)
        }
    }
}

/// Measures every path, and says what moved.
fn compare(bless: bool) -> ExitCode {
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    let mut file = String::from("# Instructions an operation, by `.ci/callgrind.sh`.\n");
    let (mut slower, mut faster) = (false, false);
    println!(
        "{:<14} {:>10} {:>10} {:>8}",
        "path", "committed", "now", "change"
    );
    for (name, few, many, operations) in PATHS {
        let counts = instructions(name, few).and_then(|few| Ok((few, instructions(name, many)?)));
        let (few_count, many_count) = match counts {
            Ok(counts) => counts,
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let operations = (many - few) as u64 * operations;
        let now = many_count.saturating_sub(few_count) as f64 / operations as f64;
        let _ = writeln!(file, "{name}\t{now:.1}");
        let before = committed
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(path, _)| *path == name)
            .and_then(|(_, count)| count.parse::<f64>().ok());
        let Some(before) = before else {
            println!("{name:<14} {:>10} {now:>10.1}", "-");
            slower |= !bless;
            continue;
        };
        let change = now / before - 1.0;
        let verdict = match change {
            _ if change > MARGIN => "  SLOWER",
            _ if change < -MARGIN => "  faster",
            _ => "",
        };
        slower |= change > MARGIN;
        faster |= change < -MARGIN;
        let percent = change * 100.0;
        println!("{name:<14} {before:>10.1} {now:>10.1} {percent:>+7.1}%{verdict}");
    }
    if bless {
        return match std::fs::write(COMMITTED, file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{COMMITTED}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let margin = MARGIN * 100.0;
    if faster {
        println!("faster than committed by more than {margin} %: commit new numbers (--bless)");
    }
    if slower {
        println!(
            "slower than committed by more than {margin} %, or not committed: find out why, or \
             commit new numbers (--bless) and say in the commit what they buy"
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What callgrind counts in a process that runs the path so many times.
fn instructions(name: &str, repetitions: usize) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--path", name, &repetitions.to_string()])
        .env("GLIBC_TUNABLES", PLAIN_COPIES)
        .output()
        .map_err(|error| format!("valgrind does not run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .filter_map(|line| line.split_once("Collected : "))
        .find_map(|(_, count)| count.trim().parse().ok());
    match collected {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("{}\n{said}", output.status)),
    }
}

/// The program that is measured.
fn run(name: &str, repetitions: usize) -> ExitCode {
    let runtime = Runtime::builder().workers(0).build().expect("a runtime");
    match name {
        "spawn_finish" => in_task(&runtime, spawn_finish(repetitions)),
        "wake" => in_task(&runtime, wake(repetitions)),
        "yield" => in_task(&runtime, yields(repetitions)),
        "cancel" => in_service(&runtime, async move |ctx| cancel(ctx, repetitions).await),
        "service_cycle" => in_service(&runtime, async move |ctx| {
            service_cycle(ctx, repetitions).await
        }),
        _ => return ExitCode::from(2),
    }
    ExitCode::FAILURE
}

/// The work has ended: so does the process, without a shutdown of what is left.
fn over() -> ! {
    std::process::exit(0)
}

fn in_task(runtime: &Runtime, work: impl Future<Output = ()> + Send + 'static) {
    let ended = runtime.block_on(async { spawn(work).await });
    ended.expect("the work ends");
    over();
}

fn in_service<F, W>(runtime: &Runtime, work: F)
where
    F: FnOnce(Context) -> W + Send + 'static,
    W: Future<Output = taskgrove::Result> + Send + 'static,
{
    let service = service_fn("app", async move |ctx: Context| {
        // In a task of its own: what it schedules is below that task.
        let own = ctx.clone();
        ctx.run_task(async {
            work(own).await?;
            over()
        })?;
        Ok(())
    });
    runtime.run(service).expect("the work ends");
}

/// Tasks that end at once are spawned, run and joined, a thousand at a time.
async fn spawn_finish(repetitions: usize) {
    for _ in 0..repetitions {
        let tasks: Vec<Task<usize>> = (0..1_000).map(|i| spawn(async move { i })).collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.ok(), Some(i));
        }
    }
}

/// A thousand parked tasks are woken, polled, and parked again.
async fn wake(repetitions: usize) {
    let wakers = Arc::new(Mutex::new(Vec::<Waker>::new()));
    let tasks: Vec<Task<()>> = (0..1_000)
        .map(|_| {
            let (wakers, mut polls) = (wakers.clone(), 0);
            spawn(poll_fn(move |cx| {
                if polls == 0 {
                    wakers.lock().expect("wakers").push(cx.waker().clone());
                }
                polls += 1;
                if polls > repetitions {
                    return Poll::Ready(());
                }
                Poll::Pending
            }))
        })
        .collect();
    yield_now().await;
    let wakers = std::mem::take(&mut *wakers.lock().expect("wakers"));
    assert_eq!(wakers.len(), tasks.len());
    for _ in 0..repetitions {
        wakers.iter().for_each(Waker::wake_by_ref);
        // The queue is first in, first out: this task comes after all of them.
        yield_now().await;
    }
    for task in tasks {
        assert!(task.await.is_ok());
    }
}

/// A hundred tasks that wake themselves and suspend, again and again.
async fn yields(repetitions: usize) {
    let tasks: Vec<Task<()>> = (0..100)
        .map(|_| {
            let mut left = repetitions;
            spawn(poll_fn(move |cx| {
                if left == 0 {
                    return Poll::Ready(());
                }
                left -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }))
        })
        .collect();
    for task in tasks {
        assert!(task.await.is_ok());
    }
}

/// Services with a thousand parked tasks each are stopped, one after another.
async fn cancel(ctx: Context, repetitions: usize) -> taskgrove::Result {
    let mut services: Vec<Manager> = Vec::new();
    // The same preparation for few as for many.
    for _ in 0..PATHS[3].2 {
        let service = service_fn("wide", async |ctx: Context| {
            for _ in 0..1_000 {
                ctx.run_task(pending())?;
            }
            pending().await
        });
        let service = ctx.run_child_service(service)?;
        // Its own poll, then those of its tasks.
        yield_now().await;
        yield_now().await;
        assert_eq!(service.stats().tasks.pending_count(), 1_000);
        services.push(service);
    }
    for service in &services[..repetitions] {
        service.stop().await?;
        assert_eq!(service.stats().tasks.finished_count, 1_000);
    }
    Ok(())
}

/// An empty child service is started, stopped, and waited for.
async fn service_cycle(ctx: Context, repetitions: usize) -> taskgrove::Result {
    for _ in 0..repetitions {
        let child = ctx.run_child_service(service_fn("child", |_| pending()))?;
        child.stop().await?;
        assert!(child.is_finished());
    }
    Ok(())
}
