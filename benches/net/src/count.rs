//! What a request costs in counts: system calls (strace, perf) and instructions in user mode
//! (callgrind). A tool that is missing, or not allowed to watch, gives no figure.

use crate::load::{Load, Request, Until};
use crate::process::{Server, Under, has};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A file of this process in the system's directory for such.
fn scratch(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("taskgrove-net-{}-{name}", std::process::id()))
}

/// Runs one server under a tool and gives what the tool wrote at its end.
fn once(
    runtime: &str,
    connections: usize,
    each: u64,
    under: &dyn Fn(&std::path::Path) -> Under<'_>,
) -> String {
    let out = scratch("count");
    let server = Server::start_under(runtime, "http", under(&out));
    let mut load = Load::connect(server.address, connections, Request::Small);
    if each > 0 {
        load.run(Until::Each(each));
    }
    drop(load);
    drop(server);
    let text = std::fs::read_to_string(&out).unwrap_or_default();
    let _ = std::fs::remove_file(&out);
    text
}

/// For each system call how often it was called, from the table of `strace -c`.
fn calls(table: &str) -> BTreeMap<String, i64> {
    let row = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (name, count) = (*columns.last()?, columns.get(3)?.parse().ok()?);
        (name != "total" && columns.len() >= 5).then(|| (name.to_owned(), count))
    };
    table.lines().filter_map(row).collect()
}

/// System calls a request and which they are, from two runs of different lengths: what is done but once
/// falls out. `None` without strace.
pub fn system_calls(
    runtime: &str,
    connections: usize,
    requests: u64,
) -> Option<(f64, Vec<(String, f64)>)> {
    if !has("strace") {
        return None;
    }
    let each = (requests / connections as u64).max(1);
    let run = |each| calls(&once(runtime, connections, each, &|out| Under::Strace(out)));
    let (short, long) = (run(each / 10), run(each + each / 10));
    if long.is_empty() {
        return None; // strace may not trace here
    }
    let requests = (each * connections as u64) as f64;
    let mut a_request: Vec<(String, f64)> = long
        .into_iter()
        .map(|(name, count)| {
            let before = short.get(&name).copied().unwrap_or(0);
            (name, (count - before) as f64 / requests)
        })
        .collect();
    a_request.sort_by(|a, b| b.1.total_cmp(&a.1));
    Some((a_request.iter().map(|call| call.1).sum(), a_request))
}

/// Instructions in user mode a request, likewise. `None` without valgrind.
pub fn instructions(runtime: &str, connections: usize, requests: u64) -> Option<f64> {
    if !has("valgrind") {
        return None;
    }
    let each = (requests / connections as u64).max(1);
    let run = |each| {
        let text = once(runtime, connections, each, &|out| Under::Callgrind(out));
        let total = text.lines().find_map(|line| {
            let total = line.strip_prefix("summary: ");
            total.or_else(|| line.strip_prefix("totals: "))
        });
        total.and_then(|total| total.trim().parse::<f64>().ok())
    };
    let (short, long) = (run(each / 10)?, run(each + each / 10)?);
    Some((long - short) / (each * connections as u64) as f64)
}

/// The system calls that a server makes while `work` runs, at full speed: perf's count. `None` where
/// perf is missing or not allowed to.
pub fn calls_during(server: &Server, work: impl FnOnce()) -> Option<f64> {
    let mut perf = Command::new("perf")
        .args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p"])
        .arg(server.pid().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    // There is no sign that it has begun to count.
    std::thread::sleep(Duration::from_millis(150));
    work();
    // SAFETY: a signal to our own child, which has not been waited for.
    unsafe { libc::kill(perf.id() as i32, libc::SIGINT) };
    let mut text = String::new();
    std::io::Read::read_to_string(&mut perf.stderr.take()?, &mut text).ok()?;
    let _ = perf.wait();
    let line = text.lines().find(|line| line.contains("raw_syscalls"))?;
    match line.split(',').next()? {
        // No thread of the server ran.
        "<not counted>" => Some(0.0),
        count => count.parse().ok(),
    }
}
