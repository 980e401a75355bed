//! What an init system is told: the protocol of systemd's `sd_notify`.

use super::print::print;
use crate::handle::Handle;
use crate::id::TaskId;
use crate::service::Manager;
use crate::snapshot::Snapshot;
use crate::time::{self, MissedTicks};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// How long the end of the process waits for an init system that does not read.
const LIMIT: Duration = Duration::from_secs(1);

/// Tells the init system about the state of the process. The messages of a state are sent once.
///
/// The init system may be busy, and its queue full, for instance while many services start. A message of a state is not
/// lost then, as the process would be ended for it: a thread sends it, and waits. A proof that the runtime runs is not
/// sent then, since another one follows.
pub(super) struct Notifier {
    /// Does not wait.
    socket: Option<Socket>,
    /// To the thread that sends the messages of a state.
    states: Option<mpsc::Sender<State>>,
    watchdog: Option<Duration>,
    /// Whether a message was sent. Each thread that sends swaps it; only who was first matters, so Relaxed suffices.
    is_ready: AtomicBool,
    is_stopping: AtomicBool,
}

impl Notifier {
    pub(super) fn from_environment() -> Notifier {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let sockets = socket.and_then(|name| {
            let open = || {
                Ok((
                    Socket::to(&name, false)?,
                    send_states(Socket::to(&name, true)?)?,
                ))
            };
            open()
                .map_err(|error: io::Error| {
                    let name = name.clone();
                    print(move || format!("cannot use NOTIFY_SOCKET {}: {error}", name.display()));
                })
                .ok()
        });
        let (socket, states) = sockets.unzip();
        let number = |name| std::env::var(name).ok()?.trim().parse::<u64>().ok();
        let of_this = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let period = number("WATCHDOG_USEC").filter(|&us| us > 0 && of_this && socket.is_some());
        Notifier {
            socket,
            states,
            watchdog: period.map(Duration::from_micros),
            is_ready: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
        }
    }

    fn runs(&self) {
        if let Some(socket) = &self.socket {
            // An init system that is gone, or does not read.
            let _ = socket.send("WATCHDOG=1");
        }
    }

    fn tell(&self, state: State) {
        if let Some(states) = &self.states {
            // The thread lasts as long as this does.
            let _ = states.send(state);
        }
    }

    fn ready(&self) {
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            self.tell(State::Message("READY=1"));
        }
    }

    pub(super) fn stopping(&self) {
        if !self.is_stopping.swap(true, Ordering::Relaxed) {
            self.tell(State::Message("STOPPING=1"));
        }
    }

    /// Waits until the messages are sent, at most for [`LIMIT`].
    pub(super) fn flush(&self) {
        let (sent, is_sent) = mpsc::channel();
        self.tell(State::Flush(sent));
        let _ = is_sent.recv_timeout(LIMIT);
    }

    /// The service has ended. One that has ended well without having said that it was ready was started.
    pub(super) fn ended(&self, well: bool) {
        if well && !self.is_stopping.load(Ordering::Relaxed) {
            self.ready();
        }
        self.stopping();
    }
}

/// What the thread that sends the messages of a state is told.
enum State {
    Message(&'static str),
    /// Everything before is sent when this is dropped.
    Flush(#[expect(dead_code, reason = "what counts is its drop")] mpsc::Sender<()>),
}

/// Starts the thread that sends the messages of a state. It ends with the notifier, or is left behind with the process.
fn send_states(socket: Socket) -> io::Result<mpsc::Sender<State>> {
    let (states, received) = mpsc::channel();
    let send = move || {
        for state in received {
            if let State::Message(message) = state {
                // An init system that is gone.
                let _ = socket.send(message);
            }
        }
    };
    let thread = std::thread::Builder::new().name("taskgrove-notify".to_owned());
    thread.spawn(send)?;
    Ok(states)
}

/// The tasks that [`spawn_tasks`] has spawned.
#[derive(Clone, Default)]
pub(super) struct OwnTasks(Vec<TaskId>);

impl OwnTasks {
    /// Whether a snapshot has a task that is not one of these, which end with the runtime and are nobody's concern.
    pub(super) fn are_not_all(&self, snapshot: &Snapshot) -> bool {
        let mut ids = snapshot.nodes().iter().map(|node| node.id);
        ids.any(|id| !self.0.contains(&id))
    }
}

/// Spawns the tasks that follow the service, and prove that the runtime runs.
pub(super) fn spawn_tasks(
    handle: &Handle,
    manager: &Manager,
    notifier: &Arc<Notifier>,
    ready_within: Duration,
) -> OwnTasks {
    let mut own = OwnTasks::default();
    if notifier.socket.is_none() {
        return own;
    }
    let (manager, told) = (manager.clone(), notifier.clone());
    let follow = async move {
        let ready = time::timeout(ready_within, manager.wait_ready());
        // `Err` outside: it is cancelled or over. Inside: the time is over, or it has ended.
        if let Ok(Ok(Ok(())) | Err(_)) = manager.external_api(ready).await {
            told.ready();
        }
        let _ = manager.external_api(std::future::pending::<()>()).await;
        // An end by itself is told by the thread that waits for it.
        if manager.is_cancelled() {
            told.stopping();
        }
    };
    own.0
        .push(handle.task(follow).name("sd_notify").spawn().id());
    if let Some(period) = notifier.watchdog {
        let told = notifier.clone();
        let prove = async move {
            let half = (period / 2).max(Duration::from_micros(1));
            let mut ticks = time::interval(half).missed_ticks(MissedTicks::Skip);
            loop {
                ticks.tick().await;
                told.runs();
            }
        };
        let prove = handle.task(prove).name("sd_watchdog").spawn();
        own.0.push(prove.id());
    }
    own
}

#[cfg(unix)]
use unix::Socket;

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    /// A socket of the init system's.
    pub(super) struct Socket {
        from: UnixDatagram,
        to: SocketAddr,
    }

    impl Socket {
        /// Opens the socket of this name: a path, or, after `@`, a name in Linux's abstract namespace.
        /// Sending `waits` while the queue of the other end is full, or is an error then.
        pub(super) fn to(name: &OsStr, waits: bool) -> io::Result<Socket> {
            let to = match name.as_bytes() {
                [b'@', rest @ ..] => abstract_address(rest)?,
                [b'/', ..] => SocketAddr::from_pathname(name)?,
                _ => {
                    let what = "neither an absolute path nor an abstract name";
                    return Err(io::Error::new(io::ErrorKind::Unsupported, what));
                }
            };
            let from = UnixDatagram::unbound()?;
            from.set_nonblocking(!waits)?;
            Ok(Socket { from, to })
        }

        pub(super) fn send(&self, message: &str) -> io::Result<()> {
            self.from
                .send_to_addr(message.as_bytes(), &self.to)
                .map(drop)
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
        #[cfg(target_os = "android")]
        use std::os::android::net::SocketAddrExt;
        #[cfg(target_os = "linux")]
        use std::os::linux::net::SocketAddrExt;
        SocketAddr::from_abstract_name(name)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Where there are no such sockets.
#[cfg(not(unix))]
enum Socket {}

#[cfg(not(unix))]
impl Socket {
    fn to(_: &std::ffi::OsStr, _: bool) -> std::io::Result<Socket> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn send(&self, _: &str) -> std::io::Result<()> {
        match *self {}
    }
}
