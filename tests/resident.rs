//! After a peak the system has its memory back. Each test is a process of its own, which looks at what
//! of it is resident.
#![cfg(target_os = "linux")]

mod common;

use std::future::pending;
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::watchdog;
use taskgrove::time::sleep;
use taskgrove::{Runtime, Task};

const MB: usize = 1_000_000;
const PROCESS: &str = "TASKGROVE_RESIDENT";

/// Runs a test in a process where nothing else is.
fn alone(name: &str, body: impl FnOnce() + Send + 'static) {
    if std::env::var_os(PROCESS).is_some() {
        return watchdog(body);
    }
    let program = std::env::current_exe().expect("this program");
    let child = Command::new(program)
        .args(["--exact", name, "--nocapture"])
        .env(PROCESS, "1")
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{name}: {said}");
}

/// The bytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kib: usize = kib.expect("a number").trim().parse().expect("a number");
    kib * 1024
}

/// A runtime that has run something, and what is resident then.
fn start() -> (Runtime, usize) {
    let runtime = Runtime::builder().workers(2).build().expect("a runtime");
    runtime
        .block_on(runtime.spawn(async { sleep(Duration::from_nanos(1)).await }))
        .expect("it ends");
    let start = resident();
    (runtime, start)
}

async fn rest() {
    sleep(Duration::from_secs(3600)).await;
}

/// Fails unless at most `most` bytes above `start` are resident. A worker that is still at the end of
/// what was the last task gets the time of so many looks.
fn assert_little(start: usize, most: usize) {
    let comes_down = (0..10_000).any(|_| {
        std::thread::yield_now();
        resident() <= start + most
    });
    let above = resident().saturating_sub(start);
    assert!(comes_down, "{} MB above the start", above / MB);
}

/// Parks, for one task in a hundred to be left.
async fn park(parked: &AtomicUsize) {
    let room = [7_u64; 6];
    parked.fetch_add(1, SeqCst);
    pending::<()>().await;
    black_box(&room);
}

#[test]
#[ignore = "long: the stage `long`"]
fn a_million_tasks_that_end_leave_little() {
    alone("a_million_tasks_that_end_leave_little", || {
        let (runtime, start) = start();
        let parent = runtime.spawn(async move {
            for _ in 0..1_000_000 {
                drop(taskgrove::spawn(rest()));
            }
            pending::<()>().await;
        });
        while runtime.metrics().timers < 1_000_000 {
            std::thread::yield_now();
        }
        assert!(resident() > start + 100 * MB, "a peak is a peak");
        parent.cancel();
        runtime.block_on(parent.wait_done());
        assert_little(start, 32 * MB);
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn a_million_sleeps_that_fire_leave_little() {
    alone("a_million_sleeps_that_fire_leave_little", || {
        let (runtime, start) = start();
        let tasks: Vec<Task<()>> = (0..1_000_000)
            .map(|_| runtime.spawn(async { sleep(Duration::from_millis(500)).await }))
            .collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.expect("it ends");
            }
        });
        assert_little(start, 32 * MB);
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn a_runtime_that_is_dropped_leaves_little() {
    alone("a_runtime_that_is_dropped_leaves_little", || {
        let (runtime, start) = start();
        for _ in 0..1_000_000 {
            drop(runtime.spawn(rest()));
        }
        drop(runtime);
        assert_little(start, 32 * MB);
    });
}

#[test]
#[ignore = "long: the stage `long`"]
fn one_task_in_a_hundred_keeps_only_the_system_page_it_is_in() {
    static PARKED: AtomicUsize = AtomicUsize::new(0);
    let name = "one_task_in_a_hundred_keeps_only_the_system_page_it_is_in";
    alone(name, || {
        let (runtime, start) = start();
        let mut tasks: Vec<Task<()>> = (0..500_000).map(|_| runtime.spawn(park(&PARKED))).collect();
        while PARKED.load(SeqCst) < 500_000 {
            std::thread::yield_now();
        }
        let peak = resident();
        assert!(peak > start + 60 * MB, "a peak is a peak");
        let mut n = 0;
        tasks.retain(|task| {
            n += 1;
            if n % 100 != 0 {
                task.cancel();
            }
            n % 100 == 0
        });
        tasks.shrink_to_fit();
        while runtime.metrics().live_tasks > tasks.len() {
            std::thread::yield_now();
        }
        assert_little(start, 40 * MB);
        assert_eq!(runtime.metrics().live_tasks, 5_000);
    });
}
