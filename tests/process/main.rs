//! `taskgrove::process` with real processes and real signals (the feature `process`).
//!
//! This test has a harness of its own, since the program is also the child that it starts: with the name of a role, it
//! runs that.

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod notify;
#[cfg(unix)]
mod roles;
#[cfg(unix)]
mod signals;

use std::process::ExitCode;

/// A test: its name, and what it does.
type Test = (&'static str, fn());

macro_rules! tests {
    ($($module:ident::{$($name:ident),* $(,)?})*) => {
        &[$($((concat!(stringify!($module), "::", stringify!($name)), $module::$name as fn()),)*)*]
    };
}

#[cfg(unix)]
const TESTS: &[Test] = tests! {
    signals::{
        a_clean_end, a_failure, a_builder_names_the_service, a_failure_that_cannot_be_printed, a_cause_that_cannot_be_printed_holds_nothing_up, a_service_that_is_managed, a_signal_cancels, what_outlives_the_drain_is_killed,
        a_second_signal_kills, a_stuck_poll_holds_nothing_up, a_third_signal_ends_at_once, a_blocked_stderr_holds_nothing_up,
        a_picture_on_quit, what_is_left_beside_the_service, what_is_left_beside_the_service_at_a_signal, what_is_left_beside_the_service_is_killed, the_usual_effect_afterwards, one_run_after_another,
    }
    notify::{
        ready_when_it_says_so, ready_when_it_never_says, ready_when_it_ends_well, without_a_drain, not_ready_when_it_fails, a_queue_that_is_full, a_queue_that_stays_full, abstract_names,
        the_watchdog_is_fed_by_the_runtime, the_watchdog_of_another_process, a_socket_that_is_not_there,
    }
};
#[cfg(not(unix))]
const TESTS: &[Test] = &[];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(unix)]
    if let [first, role] = &arguments[..]
        && first == child::ROLE
    {
        return roles::run(role);
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let filters: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let is_chosen = |name: &str| {
        let matches = |filter: &&String| match has("--exact") {
            true => name == **filter,
            false => name.contains(&**filter),
        };
        !has("--ignored") && (filters.is_empty() || filters.iter().any(matches))
    };
    // Values of options, as `--format terse`, are no filters.
    let chosen: Vec<_> = match has("--list") {
        true if has("--ignored") => Vec::new(),
        true => TESTS.iter().collect(),
        false => TESTS.iter().filter(|(name, _)| is_chosen(name)).collect(),
    };
    if has("--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    // Side by side: they wait for each other's processes.
    let failed: Vec<_> = std::thread::scope(|s| {
        let run = |(name, test): &Test| {
            let thread = std::thread::Builder::new().name((*name).to_owned());
            (*name, thread.spawn_scoped(s, *test).expect("a thread"))
        };
        let running: Vec<_> = chosen.into_iter().map(run).collect();
        let ended = running
            .into_iter()
            .map(|(name, thread)| (name, thread.join()));
        ended
            .filter_map(|(name, ended)| {
                println!(
                    "test {name} ... {}",
                    if ended.is_ok() { "ok" } else { "FAILED" }
                );
                ended.is_err().then_some(name)
            })
            .collect()
    });
    let how = if failed.is_empty() { "ok" } else { "FAILED" };
    println!("test result: {how}. {} failed: {failed:?}", failed.len());
    ExitCode::from(u8::from(!failed.is_empty()))
}
