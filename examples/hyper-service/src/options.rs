//! What can be set on the command line.

use std::net::SocketAddr;
use std::time::Duration;

const USAGE: &str =
    "usage: hyper-service [--listen ADDRESS:PORT] [--workers COUNT] [--warm-up MILLISECONDS]";

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) workers: usize,
    /// How long a worker takes to become ready.
    pub(crate) warm_up: Duration,
}

impl Options {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 4,
            warm_up: Duration::from_millis(300),
        };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            let wrong = || format!("{flag} {value}: not a value of that flag\n{USAGE}");
            match flag.as_str() {
                "--listen" => options.listen = value.parse().map_err(|_| wrong())?,
                "--workers" => options.workers = value.parse().map_err(|_| wrong())?,
                "--warm-up" => {
                    options.warm_up = Duration::from_millis(value.parse().map_err(|_| wrong())?);
                }
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(options)
    }
}
