//! [`check`]: runs a body for many seeds.

use super::simulator::Sim;
use crate::error::Panic;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The environment variable that replays one seed.
const VARIABLE: &str = "TASKGROVE_SEED";

/// Runs `body` once for each seed, each time in a new [`Sim`], until a run fails.
///
/// If the environment variable `TASKGROVE_SEED` is set, `check` runs that seed alone, whether the
/// range contains it or not: this replays a failure. A body that makes choices at random draws them
/// with [`random`](super::random()).
///
/// # Panics
///
/// - If a run panics, also because of a deadlock or a livelock.
/// - If a task panics and the body is not told. The body is told when it awaits the task's handle, and
///   by the error of the service that the panic fails ([`Manager::run`](crate::Manager::run),
///   [`result`](crate::Manager::result) and the like); whether such a panic is a failure is then up
///   to the body.
/// - If `TASKGROVE_SEED` is not a number.
///
/// The message names the seed, the step and the virtual time, the panic's own message, each task that
/// panicked and where it was spawned, and a command that replays the run.
///
/// # Examples
///
/// ```
/// use taskgrove::{sim, spawn};
/// sim::check(0..50, async || {
///     let task = spawn(std::future::pending::<()>());
///     task.cancel();
///     assert!(task.await.unwrap_err().is_cancelled());
/// });
/// ```
///
/// The panic names the seed that failed:
///
/// ```
/// let failed = std::panic::catch_unwind(|| {
///     taskgrove::sim::check(3..9, async || panic!("always"));
/// });
/// let message = *failed.unwrap_err().downcast::<String>().unwrap();
/// assert!(message.contains("seed 3") && message.contains("always"));
/// assert!(message.contains("TASKGROVE_SEED=3"));
/// ```
#[track_caller]
pub fn check<F: AsyncFn()>(seeds: Range<u64>, body: F) {
    let replayed = std::env::var(VARIABLE).ok().map(|text| {
        let seed: Result<u64, _> = text.trim().parse();
        seed.unwrap_or_else(|_| panic!("{VARIABLE} is not the number of a seed: {text:?}"))
    });
    let seeds = match replayed {
        Some(seed) => seed..=seed,
        None if seeds.is_empty() => return,
        None => seeds.start..=seeds.end - 1,
    };
    // A loop, since `#[track_caller]` does not reach into a closure.
    for seed in seeds {
        run(seed, &body);
    }
}

#[track_caller]
fn run<F: AsyncFn()>(seed: u64, body: &F) {
    let sim = Sim::new(seed);
    let ended = catch_unwind(AssertUnwindSafe(|| sim.block_on(body())));
    let (steps, elapsed, engine) = (sim.steps(), sim.elapsed(), sim.engine.clone());
    // The drop may make tasks panic, too.
    drop(sim);
    let unhandled = engine.unhandled.describe();
    let what = match (ended, unhandled) {
        (Ok(()), None) => return,
        (Ok(()), Some(tasks)) => format!("tasks panicked, and nobody was told:{tasks}"),
        (Err(payload), None) => Panic::new(payload).message().to_owned(),
        (Err(payload), Some(tasks)) => {
            let failed = Panic::new(payload);
            format!(
                "{}\ntasks panicked before that, or after:{tasks}",
                failed.message()
            )
        }
    };
    panic!(
        "the simulation failed with seed {seed}, at step {steps}, after {elapsed:?} of virtual time: {what}\nreplay it with: {}",
        command::<F>(seed),
    );
}

/// Returns a command that replays one seed: of a test, that test alone; of any other program, the
/// command that started this process.
fn command<F>(seed: u64) -> String {
    let thread = std::thread::current();
    match thread.name() {
        Some(name) if is_test(name, std::any::type_name::<F>()) => {
            format!("{VARIABLE}={seed} cargo test -- --exact {name} --nocapture")
        }
        _ => {
            let arguments: Vec<_> = std::env::args_os()
                .map(|argument| quoted(&argument.to_string_lossy()))
                .collect();
            format!("{VARIABLE}={seed} {}", arguments.join(" "))
        }
    }
}

/// Returns whether a thread has the name that the test harness gives a test's thread: the path of the
/// test without its crate. If the body is a closure in the test, its type's name contains that path.
fn is_test(thread: &str, body: &str) -> bool {
    let around = body
        .split_once("::{{closure}}")
        .map_or("", |(path, _)| path);
    let function = around.split_once("::").map_or("", |(_, path)| path);
    let is_name =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    // If a helper of the test makes the body, the two differ; then any name that is a path is taken for
    // a test's.
    !function.is_empty() && thread == function
        || thread.contains("::") && thread.split("::").all(is_name)
}

/// Quotes an argument for a shell, if it has to be.
fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_named_by_a_path_is_a_tests() {
        let body = "suite::basics::works::{{closure}}::{{closure}}";
        assert!(is_test("basics::works", body));
        assert!(is_test("basics::calls_a_helper", body));
        assert!(is_test("works", "suite::works::{{closure}}"));
        for name in ["works", "main", "worker-1", "a::b c", "::"] {
            assert!(!is_test(name, body), "{name}");
        }
        assert!(!is_test("main", "suite::body"));
        assert!(!is_test("", "body"));
    }

    #[test]
    fn arguments_are_quoted_where_a_shell_needs_quotes() {
        let all = ["--exact", "a::b", "", "two words", "it's"].map(quoted);
        assert_eq!(all, ["--exact", "a::b", "''", "'two words'", r"'it'\''s'"]);
    }
}
