//! What makes `check` fail, and the message of its panic.

use crate::common::{Counter, watchdog};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use taskgrove::time::sleep;
use taskgrove::{Context, Handle, Manager, defer, service_fn, sim, spawn, yield_now};

/// What a check of this body for seed 7 panics with.
#[track_caller]
fn failed<F: AsyncFn()>(body: F) -> String {
    let caught = catch_unwind(AssertUnwindSafe(|| sim::check(7..9, body)));
    *caught.unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn check_names_the_first_seed_that_fails() {
    watchdog(|| {
        let runs = Counter::new();
        let counted = runs.clone();
        let check = move || {
            sim::check(10..1000, async || {
                counted.add();
                let (tx, rx) = std::sync::mpsc::channel();
                let other = tx.clone();
                let a = spawn(async move { tx.send('a').unwrap() });
                let b = spawn(async move { other.send('b').unwrap() });
                a.await.unwrap();
                b.await.unwrap();
                assert_eq!(rx.recv(), Ok('a'), "b was first");
            })
        };
        let first = catch_unwind(AssertUnwindSafe(&check)).unwrap_err();
        let first = *first.downcast::<String>().unwrap();
        let ran = runs.get() as u64;
        let seed = 10 + ran - 1;
        assert!(first.contains(&format!("seed {seed},")), "{first}");
        assert!(first.contains("b was first"), "{first}");
        let command = format!("TASKGROVE_SEED={seed} cargo test -- --exact ");
        assert!(first.contains(&command), "{first}");
        assert!(first.contains("check_names_the_first_seed"), "{first}");
        // To the same step.
        let again = catch_unwind(AssertUnwindSafe(check)).unwrap_err();
        assert_eq!(*again.downcast::<String>().unwrap(), first);
    });
}

/// Fails with some seeds, if it is told to; run by the test below.
#[test]
fn fails_when_it_is_told_to() {
    if std::env::var_os("FAIL").is_some() {
        sim::check(0..1000, async || {
            let tasks: Vec<_> = (0..4).map(|_| spawn(yield_now())).collect();
            for task in tasks {
                task.await.unwrap();
            }
            let drawn = sim::random();
            assert!(!drawn.is_multiple_of(20), "drew {drawn}");
        });
    }
}

#[test]
fn the_command_that_is_printed_replays_the_failure_to_the_same_step() {
    watchdog(|| {
        let name = "check::fails_when_it_is_told_to";
        let run = |arguments: &[&str], seed: Option<&str>| {
            let mut program = std::process::Command::new(std::env::current_exe().unwrap());
            program
                .args(arguments)
                .env("FAIL", "yes")
                .env("RUST_BACKTRACE", "0");
            match seed {
                Some(seed) => program.env("TASKGROVE_SEED", seed),
                None => program.env_remove("TASKGROVE_SEED"),
            };
            let output = program.output().unwrap();
            assert!(!output.status.success());
            let text = String::from_utf8(output.stderr).unwrap();
            let begin = text
                .find("the simulation failed with seed ")
                .expect("it says so");
            let end = text[begin..]
                .find("--nocapture")
                .expect("it gives the command");
            text[begin..begin + end].to_owned()
        };
        let first = run(&["--exact", name, "--nocapture"], None);
        let (_, command) = first.split_once("replay it with: ").unwrap();
        let (seed, command) = command.split_once(' ').unwrap();
        let (cargo, arguments) = command.split_once(" -- ").unwrap();
        assert_eq!(
            (cargo, arguments.trim_end()),
            ("cargo test", &*format!("--exact {name}"))
        );
        let seed = seed.strip_prefix("TASKGROVE_SEED=").unwrap();
        assert_ne!(seed, "0", "the seed has to make a difference");
        let arguments: Vec<_> = arguments
            .split_whitespace()
            .chain(["--nocapture"])
            .collect();
        assert_eq!(run(&arguments, Some(seed)), first);
    });
}

#[test]
fn a_panic_that_nobody_is_told_of_fails_it() {
    watchdog(|| {
        let line = line!() + 2;
        let message = failed(async || {
            let lost = spawn(async { panic!("lost in a task") });
            lost.wait_done().await;
            let task = spawn(async { panic!("told") });
            assert!(task.await.unwrap_err().is_panic());
        });
        assert!(message.contains("seed 7,"), "{message}");
        let place = format!("#2, spawned at {}:{line}:", file!());
        assert!(message.contains(&place), "{message}");
        assert!(message.contains("panicked: lost in a task"), "{message}");
        assert!(!message.contains("told\n"), "{message}");
        assert!(message.contains("TASKGROVE_SEED=7 "), "{message}");
    });
}

#[test]
fn panics_in_drops_and_cleanups_fail_it() {
    watchdog(|| {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in a drop");
            }
        }
        let message = failed(async || {
            let bomb = Bomb;
            spawn(async move {
                let _bomb = bomb;
                pending::<()>().await
            });
        });
        assert!(
            message.contains("panicked: in a drop"),
            "at the end: {message}"
        );
        let message = failed(async || {
            let task = spawn(async { drop(defer(async { panic!("in a cleanup") })) });
            task.wait_done().await;
        });
        assert!(message.contains("panicked: in a cleanup"), "{message}");
    });
}

#[test]
fn a_services_panic_is_told_by_its_result() {
    watchdog(|| {
        let app = || {
            service_fn("app", async |ctx: Context| {
                let inner = service_fn("inner", async |ctx: Context| {
                    ctx.task::<_, ()>(async { panic!("deep down") })
                        .name("leaf")
                        .spawn()?;
                    pending().await
                });
                ctx.run_child_service(inner)?;
                pending().await
            })
        };
        sim::check(0..20, async || {
            let error = Manager::run_service(app()).await.unwrap_err();
            assert_eq!(error.root_causes().count(), 1);
        });
        sim::check(0..20, async || {
            let manager = Handle::current().start(app()).unwrap();
            manager.wait_finished().await;
            assert!(manager.result().unwrap().is_err());
        });
        let message = failed(async || {
            let manager = Handle::current().start(app()).unwrap();
            sleep(Duration::from_secs(1)).await;
            manager.stop().await.unwrap();
        });
        assert!(message.contains("app/inner/leaf #"), "{message}");
        assert!(message.contains("panicked: deep down"), "{message}");
    });
}

#[test]
fn a_body_that_fails_names_the_tasks_that_had_panicked() {
    watchdog(|| {
        let message = failed(async || {
            let (tx, rx) = std::sync::mpsc::channel::<()>();
            let task = spawn(async move {
                let _tx = tx;
                panic!("the cause")
            });
            task.wait_done().await;
            rx.try_recv().expect("a value");
        });
        assert!(message.contains("a value: Disconnected"), "{message}");
        assert!(message.contains("panicked: the cause"), "{message}");
    });
}

#[test]
fn its_panic_is_placed_where_it_was_called() {
    watchdog(|| {
        let place = Arc::new(Mutex::new(String::new()));
        let noted = place.clone();
        let before = std::panic::take_hook();
        let name = std::thread::current().id();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().id() == name {
                *noted.lock().unwrap() = info.location().unwrap().to_string();
            } else {
                before(info);
            }
        }));
        let line = line!() + 1;
        let caught = catch_unwind(|| sim::check(0..3, async || panic!("always")));
        assert!(caught.is_err());
        let place = place.lock().unwrap().clone();
        assert!(
            place.starts_with(&format!("{}:{line}:", file!())),
            "{place}"
        );
    });
}

#[test]
fn on_a_thread_of_another_name_the_command_is_this_process_s() {
    watchdog(|| {
        let exe = std::env::args().next().unwrap();
        for name in [None, Some("worker-1"), Some("worker")] {
            let mut builder = std::thread::Builder::new();
            if let Some(name) = name {
                builder = builder.name(name.to_owned());
            }
            let thread = builder.spawn(|| failed(async || panic!("always"))).unwrap();
            let message = thread.join().unwrap();
            let (_, command) = message.split_once("replay it with: ").unwrap();
            let begin = format!("TASKGROVE_SEED=7 {exe}");
            assert!(command.starts_with(&begin), "{name:?}: {command}");
        }
    });
}
