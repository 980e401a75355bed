//! A server in a process of its own, and what the system counts of it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Ends its process when dropped: the server leaves when its standard input is closed.
pub struct Server {
    child: Child,
    _stdin: ChildStdin,
    pub address: SocketAddr,
}

/// What a process has used so far.
#[derive(Clone, Copy, Default)]
pub struct Used {
    /// Nanoseconds on a processor, of all threads.
    pub cpu_ns: u64,
    /// Context switches, voluntary and not.
    pub switches: u64,
    /// Resident bytes.
    pub resident: u64,
}

/// Lets this process open as many files as the system allows it, and says how many that is.
pub fn open_files() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls get a valid place.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    limit.rlim_cur
}

impl Server {
    pub fn start(runtime: &str, kind: &str) -> Server {
        let this = std::env::current_exe().expect("the path of this program");
        let mut child = Command::new(this)
            .args(["serve", runtime, kind])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdin = child.stdin.take().expect("piped");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("the server says where it listens");
        let address = line.trim().parse().expect("an address");
        Server {
            child,
            _stdin: stdin,
            address,
        }
    }

    pub fn used(&self) -> Used {
        let root = format!("/proc/{}", self.child.id());
        let mut used = Used::default();
        for thread in std::fs::read_dir(format!("{root}/task")).expect("/proc is there") {
            let Ok(thread) = thread else { continue };
            let read = |name| std::fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            let first = |text: &str| text.split_whitespace().next().and_then(|n| n.parse().ok());
            used.cpu_ns += first(&read("schedstat")).unwrap_or(0_u64);
            for line in read("status").lines() {
                if let Some((name, count)) = line.split_once(':')
                    && name.ends_with("voluntary_ctxt_switches")
                {
                    used.switches += first(count).unwrap_or(0);
                }
            }
        }
        let pages = std::fs::read_to_string(format!("{root}/statm")).unwrap_or_default();
        let resident = pages.split_whitespace().nth(1).and_then(|n| n.parse().ok());
        used.resident = resident.unwrap_or(0_u64) * 4096;
        used
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
