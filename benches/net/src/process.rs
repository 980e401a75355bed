//! A server in a process of its own, and what the system counts of it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Ends its process when dropped: the server leaves when its standard input is closed.
pub struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
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

/// What watches over a server.
pub enum Under<'a> {
    Nothing,
    /// Counts system calls into a file.
    Strace(&'a Path),
    /// Counts instructions into a file.
    Callgrind(&'a Path),
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
        // With the right to do so, the limit itself is raised.
        let raised = libc::rlimit {
            rlim_cur: 250_000.max(limit.rlim_max),
            rlim_max: 250_000.max(limit.rlim_max),
        };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raised) != 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
    }
    limit.rlim_cur
}

/// Whether a tool is there.
pub fn has(tool: &str) -> bool {
    let run = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

impl Server {
    pub fn start(runtime: &str, kind: &str) -> Server {
        Server::start_under(runtime, kind, Under::Nothing)
    }

    pub fn start_under(runtime: &str, kind: &str, under: Under<'_>) -> Server {
        let this = std::env::current_exe().expect("the path of this program");
        let mut command = match under {
            Under::Nothing => Command::new(this),
            Under::Strace(out) => {
                let mut command = Command::new("strace");
                command.args(["-f", "-q", "-c", "-o"]).arg(out).arg(this);
                command
            }
            Under::Callgrind(out) => {
                let mut command = Command::new("valgrind");
                let file = format!("--callgrind-out-file={}", out.display());
                command.args(["-q", "--tool=callgrind", &file]).arg(this);
                command
            }
        };
        let mut child = command
            .args(["serve", runtime, kind])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdin = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("the server says where it listens");
        let address = line.trim().parse().expect("an address");
        Server {
            child,
            stdin,
            address,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn used(&self) -> Used {
        used(&self.child.id().to_string())
    }
}

/// What a process has used; its number, or `self`.
pub fn used(process: &str) -> Used {
    let root = format!("/proc/{process}");
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

impl Drop for Server {
    fn drop(&mut self) {
        // It leaves by itself, so that what watches over it can write what it has counted.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
