//! What an init system is told.

use crate::child::Child;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

/// The init system's end of the socket, which is removed in the end.
struct Init {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Init {
    fn new(name: &str) -> Init {
        let file = format!("taskgrove-{}-{name}.sock", std::process::id());
        let path = std::env::temp_dir().join(file);
        let socket = UnixDatagram::bind(&path).unwrap();
        // A bound on a test that fails, not a wait.
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Init { socket, path }
    }

    fn start(&self, role: &str, more: &[(&str, &str)]) -> Child {
        let mut variables = vec![("NOTIFY_SOCKET", self.path.to_str().unwrap())];
        variables.extend(more);
        Child::with(role, &variables)
    }

    /// Fills the queue of the socket, so that sending to it would wait. Returns the number of messages.
    fn fill(&self) -> usize {
        let other = UnixDatagram::unbound().unwrap();
        other.set_nonblocking(true).unwrap();
        let sent = || other.send_to(b"X", &self.path).is_ok();
        std::iter::from_fn(|| sent().then_some(())).count()
    }

    fn next(&self) -> String {
        receive(&self.socket)
    }

    /// What was sent and not received; the child has ended.
    fn rest(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut all = Vec::new();
        let mut buffer = [0; 64];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        all
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

pub(crate) fn ready_when_it_says_so() {
    let init = Init::new("says");
    let mut child = init.start("says", &[]);
    assert_eq!(init.next(), "READY=1");
    child.prints("ready");
    child.prints("up");
    child.signal("TERM");
    assert_eq!(init.next(), "STOPPING=1");
    assert_eq!(child.end().code, Ok(0));
    assert!(init.rest().is_empty(), "each once, and no watchdog");
}

pub(crate) fn ready_when_it_never_says() {
    let init = Init::new("never");
    let mut child = init.start("never says", &[]);
    child.prints("up");
    assert_eq!(init.next(), "READY=1");
    child.signal("TERM");
    assert_eq!(init.next(), "STOPPING=1");
    assert_eq!(child.end().code, Ok(0));
}

pub(crate) fn ready_when_it_ends_well() {
    let init = Init::new("ends");
    assert_eq!(init.start("clean", &[]).end().code, Ok(0));
    assert_eq!(init.rest(), ["READY=1", "STOPPING=1"]);
}

/// The tasks that tell it are not what a drain is for.
pub(crate) fn without_a_drain() {
    let init = Init::new("no-drain");
    let ended = init.start("no drain", &[("WATCHDOG_USEC", "40000")]).end();
    assert_eq!((ended.code, &*ended.err), (Ok(0), ""));
}

pub(crate) fn not_ready_when_it_fails() {
    let init = Init::new("fails");
    assert_eq!(init.start("fails later", &[]).end().code, Ok(1));
    assert_eq!(init.rest(), ["STOPPING=1"]);
}

/// What a busy init system has no room for is sent once it has: it would end a service that is not ready in time.
pub(crate) fn a_queue_that_is_full() {
    let init = Init::new("full");
    let filled = init.fill();
    let mut child = init.start("says, and is heard", &[]);
    child.prints("up");
    for _ in 0..filled {
        assert_eq!(init.next(), "X");
    }
    assert_eq!(init.next(), "READY=1");
    child.signal("TERM");
    assert_eq!(init.next(), "STOPPING=1");
    assert_eq!(child.end().code, Ok(0));
}

/// One that never reads holds up nothing but the end, and that for a limited time.
pub(crate) fn a_queue_that_stays_full() {
    let init = Init::new("stays-full");
    init.fill();
    let mut child = init.start("says", &[]);
    child.prints("ready");
    child.prints("up");
    child.signal("TERM");
    let ended = child.end();
    assert_eq!((ended.code, ended.out.len()), (Ok(0), 1));
}

pub(crate) fn abstract_names() {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;
        let name = format!("taskgrove-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let variable = format!("@{name}");
        let mut child = Child::with("never says", &[("NOTIFY_SOCKET", &variable)]);
        child.prints("up");
        assert_eq!(receive(&socket), "READY=1");
        child.signal("TERM");
        assert_eq!(receive(&socket), "STOPPING=1");
        assert_eq!(child.end().code, Ok(0));
    }
}

/// It is fed as long as the runtime runs, and no more when its only worker is stuck.
pub(crate) fn the_watchdog_is_fed_by_the_runtime() {
    let watchdog = ("WATCHDOG_USEC", "40000");
    let init = Init::new("watchdog");
    let mut child = init.start("never says", &[watchdog]);
    child.prints("up");
    let mut fed = 0;
    while fed < 5 {
        fed += usize::from(init.next() == "WATCHDOG=1");
    }
    child.signal("TERM");
    while init.next() != "STOPPING=1" {}
    assert_eq!(child.end().code, Ok(0));

    let init = Init::new("stuck");
    let mut child = init.start("stuck worker", &[watchdog]);
    child.prints("up");
    child.signal("TERM");
    // The drain and the time after the kill are many of its periods.
    assert_eq!(child.end().code, Ok(128 + 15));
    let told = init.rest();
    let fed = told
        .iter()
        .filter(|message| *message == "WATCHDOG=1")
        .count();
    assert!(
        fed <= 1 && told.contains(&"STOPPING=1".to_owned()),
        "{told:?}"
    );
}

pub(crate) fn the_watchdog_of_another_process() {
    let init = Init::new("other");
    let other = std::process::id().to_string();
    let variables = [("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", &*other)];
    let mut child = init.start("never says", &variables);
    child.prints("up");
    assert_eq!(init.next(), "READY=1");
    child.signal("TERM");
    assert_eq!(init.next(), "STOPPING=1");
    assert_eq!(child.end().code, Ok(0));
    assert!(init.rest().is_empty());
}

pub(crate) fn a_socket_that_is_not_there() {
    for (name, complaint) in [
        ("/nowhere/at/all", ""),
        ("vsock:2:1", "NOTIFY_SOCKET vsock:2:1"),
    ] {
        let mut child = Child::with("waits", &[("NOTIFY_SOCKET", name)]);
        child.prints("up");
        child.signal("TERM");
        let ended = child.end();
        assert_eq!(ended.code, Ok(0));
        assert!(ended.err.contains(complaint), "{}", ended.err);
    }
}
