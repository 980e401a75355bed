//! [`check`]: a body, and many seeds.

use super::Sim;
use crate::error::Panic;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The environment variable that replays one seed.
const VARIABLE: &str = "TASKGROVE_SEED";

/// Runs `body` once for each seed, each time in a new [`Sim`], until one fails.
///
/// With the environment variable `TASKGROVE_SEED` set, only that seed is run, whether it is in the
/// range or not: that replays a failure. What the body has to decide at random it can draw from
/// [`random`](super::random()).
///
/// # Panics
///
/// If a run panics (a deadlock and a livelock do), and if a task panicked and the body was not told:
/// the message names the seed and the step, what the panic said, the tasks that panicked with where
/// they were spawned, and a command that replays it. If `TASKGROVE_SEED` is no number.
///
/// The body is told of a task's panic by the task's handle, when it is awaited, and by the error of
/// the service that fails by it ([`Manager::run`](crate::Manager::run),
/// [`result`](crate::Manager::result) and their like); what such a panic means is then the body's to
/// say.
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
/// A failing seed is named:
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
    // A loop: the place of the caller does not reach into a closure.
    for seed in seeds {
        run(seed, &body);
    }
}

#[track_caller]
fn run<F: AsyncFn()>(seed: u64, body: &F) {
    let sim = Sim::new(seed);
    let ended = catch_unwind(AssertUnwindSafe(|| sim.block_on(body())));
    let (steps, elapsed, engine) = (sim.steps(), sim.elapsed(), sim.engine.clone());
    // What is dropped with it may panic, too.
    drop(sim);
    let unheard = engine.unheard.describe();
    let what = match (ended, unheard) {
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

/// A command that runs the same with one seed: if the calling thread is a test's, this test alone,
/// and otherwise what this process was started for.
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

/// Whether a thread is named after a test, as the test harness names a test's: by its path, which is
/// that of the function around the body if that is a closure, without the crate.
fn is_test(thread: &str, body: &str) -> bool {
    let around = body
        .split_once("::{{closure}}")
        .map_or("", |(path, _)| path);
    let function = around.split_once("::").map_or("", |(_, path)| path);
    let is_name =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    // A body that a test's helper makes is elsewhere; no thread but a test's is called by a path.
    !function.is_empty() && thread == function
        || thread.contains("::") && thread.split("::").all(is_name)
}

/// An argument as a shell takes it.
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
    fn a_thread_is_a_tests_if_it_is_named_by_its_path() {
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
    fn arguments_are_quoted_where_a_shell_needs_it() {
        let all = ["--exact", "a::b", "", "two words", "it's"].map(quoted);
        assert_eq!(all, ["--exact", "a::b", "''", "'two words'", r"'it'\''s'"]);
    }
}
