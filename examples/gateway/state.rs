//! What the parts of the gateway share: counters, the address, and the way to the listener.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use taskgrove::ManagerSlot;

use crate::say::say;

/// Shared by an `Arc`. The counters are statistics and order nothing, hence `Relaxed`.
#[derive(Default)]
pub(crate) struct State {
    /// How many requests the demonstration will send; `None` when anyone may connect.
    expected: Option<u64>,
    /// See [`Options`](crate::options::Options).
    pub(crate) idle: Duration,
    addr: OnceLock<SocketAddr>,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Filled when the listener gets its manager: `drain` stops the listener through it, before the
    /// rest.
    ///
    /// The slot holds the record of the service, never the service: keeping it here does not keep
    /// the socket open.
    pub(crate) listener: ManagerSlot,
}

impl State {
    pub(crate) fn new(expected: Option<u64>, idle: Duration) -> State {
        State {
            expected,
            idle,
            ..State::default()
        }
    }

    pub(crate) fn set_addr(&self, addr: SocketAddr) {
        self.addr.set(addr).expect("the listener binds once");
    }

    /// Where the gateway listens, once it is ready.
    pub(crate) fn addr(&self) -> SocketAddr {
        *self.addr.get().expect("asked for before it was ready")
    }

    /// One line: how far the demonstration is, or what has been served so far.
    pub(crate) fn progress(&self) -> String {
        let answered = self.answered.load(Relaxed);
        let open = self.open.load(Relaxed);
        let Some(expected) = self.expected else {
            return format!("{answered} requests answered, {open} connections open");
        };
        const WIDTH: usize = 30;
        let full = (answered as usize * WIDTH / expected as usize).min(WIDTH);
        let (done, rest) = ("#".repeat(full), ".".repeat(WIDTH - full));
        format!("[{done}{rest}] {answered} of {expected} requests, {open} connections open")
    }

    /// The final figures. `took`: from ready to the start of the drain.
    pub(crate) fn print_totals(&self, took: Duration) {
        let answered = self.answered.load(Relaxed);
        let seconds = took.as_secs_f64();
        say(format_args!(
            "answered {answered} requests ({:.1} MB) in {seconds:.2} s: {:.0} requests/s",
            self.bytes.load(Relaxed) as f64 / 1e6,
            answered as f64 / seconds
        ));
        say(format_args!(
            "connections: {} accepted, {} failed, {} refused, {} open",
            self.accepted.load(Relaxed),
            self.failed.load(Relaxed),
            self.refused.load(Relaxed),
            self.open.load(Relaxed)
        ));
    }
}
