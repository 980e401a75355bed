//! The program as a process, and a client for it.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// No wait here takes longer. A process that says nothing for this long is killed, and the test fails.
pub const WATCHDOG: Duration = Duration::from_secs(60);

/// A server process; killed, if it still runs, when this is dropped.
pub struct Server {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// Its address, such as `127.0.0.1:40123`.
    pub address: String,
}

/// What a process that has exited leaves behind.
pub struct Exit {
    pub code: Option<i32>,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

/// The lines of a pipe, read by a thread of their own, so that a wait for one can be bounded.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Sends a request on a connection of its own, and returns the status and the body.
pub fn get(address: &str, target: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(WATCHDOG)).expect("not zero");
    let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

impl Server {
    /// Starts the program on a port that the system chooses, and waits until it listens.
    pub fn start(arguments: &[&str]) -> Server {
        let mut server = Server::spawn(arguments);
        server.stdout = lines(server.child.stdout.take().expect("piped"));
        server.stderr = lines(server.child.stderr.take().expect("piped"));
        let first = server.line();
        server.with_address(&first)
    }

    /// Does the same, and then reads nothing more: both pipes are closed.
    pub fn start_unheard(arguments: &[&str]) -> Server {
        let mut server = Server::spawn(arguments);
        drop(server.child.stderr.take());
        let mut first = String::new();
        let mut stdout = BufReader::new(server.child.stdout.take().expect("piped"));
        stdout.read_line(&mut first).expect("a line");
        server.with_address(first.trim_end())
    }

    fn spawn(arguments: &[&str]) -> Server {
        let child = Command::new(env!("CARGO_BIN_EXE_hyper-service"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        Server {
            child,
            stdout: mpsc::channel().1,
            stderr: mpsc::channel().1,
            address: String::new(),
        }
    }

    fn with_address(mut self, line: &str) -> Server {
        let address = line.strip_prefix("listening on http://");
        self.address = address.expect("the first line has the address").to_owned();
        self
    }

    /// The next line of its output.
    pub fn line(&self) -> String {
        self.stdout.recv_timeout(WATCHDOG).expect("a line in time")
    }

    /// Waits until `/readyz` says 200, and returns how many requests that took.
    pub fn wait_ready(&self) -> u64 {
        let began = Instant::now();
        for requests in 1.. {
            if self.get("/readyz").0 == 200 {
                return requests;
            }
            assert!(began.elapsed() < WATCHDOG, "it does not become ready");
            thread::sleep(Duration::from_millis(10));
        }
        unreachable!()
    }

    /// Sends a request on a connection of its own, and returns the status and the body.
    pub fn get(&self, target: &str) -> (u16, String) {
        get(&self.address, target)
    }

    /// The workers, as their supervisor describes them in `/tree.json`.
    pub fn workers(&self) -> Vec<Value> {
        let (_, picture) = self.get("/tree.json");
        let mut picture: Value = serde_json::from_str(&picture).expect("JSON");
        let Value::Array(children) = picture["children"].take() else {
            panic!("an array");
        };
        let is_worker = |child: &Value| {
            let path = child["path"].as_str();
            path.is_some_and(|path| path.starts_with("shop/workers/"))
        };
        children.into_iter().filter(is_worker).collect()
    }

    /// Waits until all workers are ready, and returns how many requests that took. Their supervisor starts them one
    /// after the other.
    pub fn wait_workers(&self) -> u64 {
        for requests in 1.. {
            let workers = self.workers();
            if workers.iter().all(|worker| worker["state"] == "running") {
                return requests;
            }
            thread::sleep(Duration::from_millis(10));
        }
        unreachable!()
    }

    /// Asks how many requests were read, with the one that asks.
    pub fn read(&self) -> u64 {
        let (_, metrics) = self.get("/metrics");
        let mut lines = metrics.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(series, _)| *series == "http_requests_total");
        found.expect("a sample").1.parse().expect("a count")
    }

    /// The next line of its errors.
    pub fn error_line(&self) -> String {
        self.stderr.recv_timeout(WATCHDOG).expect("a line in time")
    }

    /// Sends the process a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(kill.expect("there is a `kill`").success());
    }

    /// Reads everything up to the exit.
    pub fn exit(mut self) -> Exit {
        let all = |pipe: &Receiver<String>| {
            let mut all = Vec::new();
            loop {
                match pipe.recv_timeout(WATCHDOG) {
                    Ok(line) => all.push(line),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return all,
                    Err(mpsc::RecvTimeoutError::Timeout) => panic!("no exit after {all:#?}"),
                }
            }
        };
        let (stdout, stderr) = (all(&self.stdout), all(&self.stderr));
        let code = self.child.wait().expect("it is our child").code();
        Exit {
            code,
            stdout,
            stderr,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both do nothing, or fail harmlessly, after `exit`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exit {
    /// Asserts that the end was a clean one, and that the program answered all that it had read: this many.
    #[track_caller]
    pub fn assert_clean(&self, requests: u64) {
        let (stdout, stderr) = (&self.stdout, &self.stderr);
        assert_eq!(self.code, Some(0), "{stdout:#?} {stderr:#?}");
        let said = format!("{requests} requests were read, {requests} answered");
        assert_eq!(stdout.last(), Some(&said), "{stderr:#?}");
    }
}
