//! A child process in a role, of which a test reads what it prints, and to which it sends signals.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child as Process, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The argument before the name of a role.
pub(crate) const ROLE: &str = "--role";
/// How long a child may take to end before the test fails.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Child {
    process: Process,
    lines: BufReader<ChildStdout>,
}

pub(crate) struct Ended {
    /// `Err` has the signal that ended the process.
    pub(crate) code: Result<i32, i32>,
    /// The lines of stdout that were not read before.
    pub(crate) out: Vec<String>,
    pub(crate) err: String,
}

impl Child {
    pub(crate) fn start(role: &str) -> Child {
        Child::with(role, &[])
    }

    /// Starts a child with variables of the environment.
    pub(crate) fn with(role: &str, variables: &[(&str, &str)]) -> Child {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([ROLE, role])
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Child { process, lines }
    }

    /// Waits until the child prints this line.
    pub(crate) fn prints(&mut self, line: &str) {
        let mut read = String::new();
        self.lines.read_line(&mut read).unwrap();
        assert_eq!(read.trim_end(), line);
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let sent = kill.args([&format!("-{name}"), &self.id().to_string()]);
        assert!(sent.status().unwrap().success());
    }

    /// Reads stderr until it has this text.
    pub(crate) fn says(&mut self, text: &str) -> String {
        let mut said = String::new();
        let mut err = BufReader::new(self.process.stderr.take().unwrap());
        while !said.contains(text) {
            assert!(err.read_line(&mut said).unwrap() > 0, "only {said}");
        }
        self.process.stderr = Some(err.into_inner());
        said
    }

    /// Waits for the end; what it prints is not read before that.
    pub(crate) fn end_unread(&mut self) -> Result<i32, i32> {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > LIMIT {
                let _ = self.process.kill();
                panic!("the child does not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        status.code().ok_or(status.signal().unwrap_or(0))
    }

    pub(crate) fn end(mut self) -> Ended {
        let mut stderr = self.process.stderr.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut err = Vec::new();
            let _ = stderr.read_to_end(&mut err);
            String::from_utf8_lossy(&err).into_owned()
        });
        let code = self.end_unread();
        let out = self.lines.by_ref().lines().map_while(Result::ok).collect();
        let err = reader.join().unwrap();
        Ended { code, out, err }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // After a test that failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
