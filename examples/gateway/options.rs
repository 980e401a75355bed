//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub(crate) const USAGE: &str = "usage: gateway [--listen ADDR] [--idle MILLISECONDS]";

/// What the gateway is asked to do.
pub(crate) struct Options {
    /// Where to listen.
    pub(crate) addr: SocketAddr,
    /// Whether to bring clients along, and to end when they are done.
    pub(crate) demo: bool,
    /// For how long a drain stays silent before it names the connections that are still open.
    pub(crate) patience: Duration,
    /// When a connection that still has not ended is dropped, counted from the start of the drain.
    pub(crate) grace: Duration,
    /// How long a client may keep its connection waiting: for a request, for its rest, or for room for the answer.
    pub(crate) idle: Duration,
}

impl Options {
    /// Reads the arguments after the program's name. `None`: help was asked for.
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Option<Options>, String> {
        let mut listen = None;
        let mut idle = Duration::from_secs(30);
        while let Some(argument) = arguments.next() {
            let addr = match argument.as_str() {
                "-h" | "--help" => return Ok(None),
                "--idle" => {
                    let millis = arguments.next().and_then(|text| text.parse().ok());
                    let millis = millis.ok_or("--idle needs a number of milliseconds")?;
                    idle = Duration::from_millis(millis);
                    continue;
                }
                "--listen" => arguments
                    .next()
                    .ok_or("--listen needs an address, such as 127.0.0.1:4000")?,
                other => match other.strip_prefix("--listen=") {
                    Some(addr) => addr.to_owned(),
                    None => return Err(format!("unknown argument {other:?}")),
                },
            };
            let parsed = addr
                .parse()
                .map_err(|_| format!("{addr:?} is no address such as 127.0.0.1:4000"))?;
            if listen.replace(parsed).is_some() {
                return Err("--listen is given twice".to_owned());
            }
        }
        Ok(Some(match listen {
            Some(addr) => Options::listen(addr, idle),
            None => Options::demo(idle),
        }))
    }

    /// Real clients get seconds to finish what they are in the middle of.
    fn listen(addr: SocketAddr, idle: Duration) -> Options {
        Options {
            addr,
            demo: false,
            patience: Duration::from_secs(1),
            grace: Duration::from_secs(5),
            idle,
        }
    }

    /// Any free port, and a grace that is short, because the hung client is going to use all of it.
    fn demo(idle: Duration) -> Options {
        Options {
            addr: (Ipv4Addr::LOCALHOST, 0).into(),
            demo: true,
            patience: Duration::from_millis(300),
            grace: Duration::from_millis(800),
            idle,
        }
    }
}
