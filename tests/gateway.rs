//! The gateway example, run as a process: what it answers, how it drains, and its exit codes. Unix
//! only: most of it sends the signal of Ctrl-C to one process, which other systems cannot.

#![cfg(unix)]

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// No wait here takes longer: a gateway that says nothing for this long is killed, and the test
/// fails.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A gateway process; killed, if it still runs, when this is dropped.
struct Gateway {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    seen: Vec<String>,
}

/// What a gateway that has exited leaves behind.
struct Exit {
    code: Option<i32>,
    stdout: Vec<String>,
    stderr: Vec<String>,
}

/// `cargo test` builds the examples beside the tests: `<profile>/examples/gateway` and
/// `<profile>/deps/gateway-<hash>`.
fn program() -> PathBuf {
    let test = env::current_exe().expect("the test knows its own path");
    let profile = test.parent().and_then(|deps| deps.parent());
    let program = profile
        .expect("a test is in <profile>/deps")
        .join("examples")
        .join(format!("gateway{}", env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is missing: build it with `cargo build --features net --example gateway`, in the profile of the tests",
        program.display()
    );
    program
}

/// The lines of a pipe, read by a thread of their own, so that a wait for one can be bounded.
/// Disconnects at the end.
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

impl Gateway {
    fn start(arguments: &[&str]) -> Gateway {
        let mut child = Command::new(program())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example starts");
        Gateway {
            stdout: lines(child.stdout.take().expect("piped")),
            stderr: lines(child.stderr.take().expect("piped")),
            child,
            seen: Vec::new(),
        }
    }

    /// A gateway that serves, and its address.
    fn listen() -> (Gateway, String) {
        let mut gateway = Gateway::start(&["--listen", "127.0.0.1:0"]);
        let line = gateway.line("listening on ");
        let addr = line.trim_start_matches("listening on ").to_owned();
        (gateway, addr)
    }

    /// Reads up to the next line of stdout that begins like this.
    fn line(&mut self, start: &str) -> String {
        loop {
            match self.stdout.recv_timeout(WATCHDOG) {
                Ok(line) => self.seen.push(line),
                Err(error) => panic!(
                    "no line {start:?} ({error}) after {:#?}; stderr: {:#?}",
                    self.seen,
                    self.stderr.try_iter().collect::<Vec<_>>()
                ),
            }
            let line = self.seen.last().expect("just pushed");
            if line.starts_with(start) {
                return line.clone();
            }
        }
    }

    /// Reads everything up to the exit.
    fn exit(mut self) -> Exit {
        let mut stderr = Vec::new();
        for (pipe, lines) in [(&self.stdout, &mut self.seen), (&self.stderr, &mut stderr)] {
            loop {
                match pipe.recv_timeout(WATCHDOG) {
                    Ok(line) => lines.push(line),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => panic!("no exit after {lines:#?}"),
                }
            }
        }
        // Both pipes are closed: the process has exited, or is doing nothing else.
        let status = self.child.wait().expect("it is our child");
        Exit {
            code: status.code(),
            stdout: std::mem::take(&mut self.seen),
            stderr,
        }
    }

    /// Ctrl-C.
    fn interrupt(&self) {
        self.signal("INT");
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(kill.expect("there is a `kill`").success());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Both do nothing, or fail harmlessly, after `exit`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exit {
    fn has(&self, line: &str) -> bool {
        self.stdout.iter().any(|l| l == line)
    }
}

/// A client whose every read is bounded by the watchdog.
struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects, and takes the greeting, which names the connection.
    fn connect(addr: &str, name: &str) -> Client {
        let stream = TcpStream::connect(addr).expect("the gateway listens");
        stream.set_read_timeout(Some(WATCHDOG)).expect("not zero");
        let reader = BufReader::new(stream);
        let mut client = Client { reader };
        assert_eq!(client.receive(), format!("hello {name}\n"));
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        let mut stream = self.reader.get_ref();
        stream.write_all(bytes).expect("the gateway reads");
    }

    fn receive(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line in time");
        line
    }

    /// The gateway has taken its leave and closed.
    fn assert_dismissed(&mut self) {
        assert_eq!(self.receive(), "bye\n");
        assert_eq!(self.receive(), "", "nothing follows the goodbye");
    }
}

#[test]
fn the_demonstration_answers_every_request_and_names_the_hung_connection() {
    let exit = Gateway::start(&[]).exit();
    let stdout = &exit.stdout;
    assert_eq!(exit.code, Some(0), "{stdout:#?} {:#?}", exit.stderr);
    assert!(exit.stderr.is_empty(), "{:#?}", exit.stderr);

    let starting = |start: &str| -> Vec<&str> {
        let found = stdout.iter().filter_map(|line| line.strip_prefix(start));
        found.collect()
    };
    let [answered] = starting("answered ")[..] else {
        panic!("one line of totals in {stdout:#?}");
    };
    assert!(answered.starts_with("5000 requests"), "{answered}");
    assert!(answered.ends_with(" requests/s"), "{answered}");

    // The client says what the gateway called its connection; the report says the same, as a path,
    // and nothing else.
    let [hung] = starting("the client of ")[..] else {
        panic!("one hung client in {stdout:#?}");
    };
    let conn = hung.split(' ').next().expect("a name");
    let [left] = starting("still open: ")[..] else {
        panic!("one connection left in {stdout:#?}");
    };
    let path = left.split(' ').next().expect("a path");
    assert_eq!(path, format!("gateway/listener/{conn}"));

    // Twelve connections: ten that behave, one that fails, one that hangs; all have had their
    // goodbye.
    assert!(
        exit.has("connections: 12 accepted, 1 failed, 0 refused, 0 open"),
        "{stdout:#?}"
    );
    assert!(exit.has("tasks left: 0"), "{stdout:#?}");
    assert!(
        exit.has("tasks: 4 of the gateway, 12 of its listener, 0 pending"),
        "{stdout:#?}"
    );

    // Only the whole tree has the metrics in it, the report begins at the listener.
    let tree = |line: &String| line.contains("metrics");
    assert!(stdout.iter().any(tree), "a drawn tree in {stdout:#?}");
    let full = |line: &String| line.contains("] 5000 of 5000 requests");
    assert!(stdout.iter().any(full), "a full bar in {stdout:#?}");
}

#[test]
fn ctrl_c_dismisses_an_idle_client_and_exits_0() {
    let (mut gateway, addr) = Gateway::listen();
    let mut client = Client::connect(&addr, "conn-1");
    client.send(b"hello\n");
    assert!(client.receive().starts_with("ok 6 "));

    gateway.interrupt();
    client.assert_dismissed();
    gateway.line("drained");
    let exit = gateway.exit();
    assert_eq!(exit.code, Some(0), "{:#?} {:#?}", exit.stdout, exit.stderr);
    assert!(exit.has("connections: 1 accepted, 0 failed, 0 refused, 0 open"));
    assert!(exit.has("tasks left: 0"), "{:#?}", exit.stdout);
}

#[test]
fn a_supervisor_that_terminates_it_gets_a_drain() {
    let (mut gateway, _) = Gateway::listen();
    gateway.signal("TERM");
    gateway.line("draining");
    assert_eq!(gateway.exit().code, Some(0));
}

#[test]
fn a_drain_goes_on_when_nobody_reads_the_output() {
    let mut child = Command::new(program())
        .args(["--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("listening on ") {
        line.clear();
        assert!(stdout.read_line(&mut line).expect("text") > 0, "no address");
    }
    drop(stdout);
    let stderr = lines(child.stderr.take().expect("piped"));
    let gateway = Gateway {
        stdout: mpsc::channel().1,
        stderr,
        child,
        seen: Vec::new(),
    };
    let addr = line.trim_start_matches("listening on ").trim_end();
    // The error of this connection is printed, and the progress is when it is gone.
    let mut broken = Client::connect(addr, "conn-1");
    broken.send(b"half a requ");
    let stream = broken.reader.get_ref();
    stream.shutdown(Shutdown::Write).expect("still open");
    broken.assert_dismissed();
    gateway.interrupt();
    let exit = gateway.exit();
    assert_eq!(exit.code, Some(0), "{:#?}", exit.stderr);
}

#[test]
fn a_request_under_way_at_ctrl_c_is_still_answered() {
    let (mut gateway, addr) = Gateway::listen();
    let mut client = Client::connect(&addr, "conn-1");
    client.send(b"begun bef");
    gateway.interrupt();
    gateway.line("draining");
    client.send(b"ore, ended after\n");
    assert!(client.receive().starts_with("ok 26 "));
    client.assert_dismissed();
    let exit = gateway.exit();
    assert_eq!(exit.code, Some(0), "{:#?} {:#?}", exit.stdout, exit.stderr);
    assert!(exit.has("connections: 1 accepted, 0 failed, 0 refused, 0 open"));
}

#[test]
fn a_second_ctrl_c_gives_up_the_drain_and_exits_1() {
    let (mut gateway, addr) = Gateway::listen();
    let mut client = Client::connect(&addr, "conn-1");
    client.send(b"never ended");
    gateway.interrupt();
    gateway.line("draining");
    gateway.interrupt();
    let exit = gateway.exit();
    assert_eq!(exit.code, Some(1), "{:#?}", exit.stdout);
    let [line] = &exit.stderr[..] else {
        panic!("one line in {:#?}", exit.stderr);
    };
    assert!(line.contains("interrupted while draining"), "{line}");
}

#[test]
fn a_client_that_breaks_off_ends_alone() {
    let (mut gateway, addr) = Gateway::listen();
    let mut good = Client::connect(&addr, "conn-1");
    let mut bad = Client::connect(&addr, "conn-2");
    bad.send(b"half a requ");
    let stream = bad.reader.get_ref();
    stream.shutdown(Shutdown::Write).expect("still open");
    gateway.line("conn-2 failed: closed in the middle of a line");
    bad.assert_dismissed();

    good.send(b"still there?\n");
    assert!(good.receive().starts_with("ok 13 "));
    gateway.interrupt();
    let exit = gateway.exit();
    assert_eq!(exit.code, Some(0), "{:#?} {:#?}", exit.stdout, exit.stderr);
    assert!(exit.has("connections: 2 accepted, 1 failed, 0 refused, 0 open"));
}

#[test]
fn a_client_whose_line_is_too_long_is_dismissed_and_not_reset() {
    let (mut gateway, addr) = Gateway::listen();
    let mut client = Client::connect(&addr, "conn-1");
    client.send(&[b'a'; 100 * 1024]);
    // The rest of the line is unread when the gateway says goodbye.
    gateway.line("conn-1 failed: a line is longer than 64 KiB");
    client.assert_dismissed();
}

#[test]
fn clients_that_keep_it_waiting_lose_their_places() {
    let mut gateway = Gateway::start(&["--listen", "127.0.0.1:0", "--idle", "200"]);
    let line = gateway.line("listening on ");
    let addr = line.trim_start_matches("listening on ");
    for (name, sent) in [("conn-1", &b""[..]), ("conn-2", b"half a requ")] {
        let mut client = Client::connect(addr, name);
        client.send(sent);
        client.assert_dismissed();
    }
    gateway.interrupt();
    let exit = gateway.exit();
    assert_eq!(exit.code, Some(0), "{:#?}", exit.stderr);
    assert!(exit.has("connections: 2 accepted, 2 failed, 0 refused, 0 open"));
}

#[test]
fn a_bad_argument_is_one_line_and_exit_2() {
    let twice = ["--listen", "127.0.0.1:0", "--listen=127.0.0.1:0"];
    let cases: [(&[&str], &str); 6] = [
        (&["--frob"], "unknown argument \"--frob\""),
        (&["--listen"], "--listen needs an address"),
        (&["--listen", "nowhere"], "\"nowhere\" is no address"),
        (&["--listen=127.0.0.1"], "\"127.0.0.1\" is no address"),
        (&twice, "--listen is given twice"),
        (&["--idle", "long"], "--idle needs a number"),
    ];
    for (arguments, problem) in cases {
        let exit = Gateway::start(arguments).exit();
        assert_eq!(exit.code, Some(2), "{arguments:?}");
        assert!(exit.stdout.is_empty(), "{arguments:?}: {:#?}", exit.stdout);
        let [line] = &exit.stderr[..] else {
            panic!("{arguments:?}: one line in {:#?}", exit.stderr);
        };
        assert!(line.contains(problem), "{arguments:?}: {line}");
        assert!(line.contains("usage: gateway"), "{arguments:?}: {line}");
    }
}

#[test]
fn a_taken_port_is_one_line_and_exit_1() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = other.local_addr().expect("bound").to_string();
    let exit = Gateway::start(&["--listen", &addr]).exit();
    assert_eq!(exit.code, Some(1), "{:#?} {:#?}", exit.stdout, exit.stderr);
    assert!(exit.stdout.iter().all(|l| !l.starts_with("listening")));
    let [line] = &exit.stderr[..] else {
        panic!("one line in {:#?}", exit.stderr);
    };
    let problem = format!("gateway/listener: cannot listen on {addr}");
    assert!(line.contains(&problem), "{line}");
}

#[test]
fn help_is_the_usage_and_exit_0() {
    let exit = Gateway::start(&["--help"]).exit();
    assert_eq!(exit.code, Some(0));
    assert_eq!(
        exit.stdout,
        ["usage: gateway [--listen ADDR] [--idle MILLISECONDS]"]
    );
}
