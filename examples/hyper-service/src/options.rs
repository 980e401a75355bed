//! What can be set on the command line.

use std::net::SocketAddr;
use std::num::NonZero;
use std::time::Duration;

const USAGE: &str = "usage: hyper-service [--listen ADDRESS:PORT] [--workers COUNT] [--warm-up MILLISECONDS] \
                     [--linger MILLISECONDS] [--idle MILLISECONDS] [--connections COUNT]";

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) workers: usize,
    /// How long a worker takes to become ready.
    pub(crate) warm_up: Duration,
    /// How long a drain waits for the next request of a connection of HTTP/1.
    pub(crate) linger: Duration,
    /// How long a connection may have no request under way before it is closed.
    pub(crate) idle: Duration,
    /// How many connections are served at a time; the next ones wait in the system's queue.
    pub(crate) connections: usize,
}

impl Options {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 4,
            warm_up: Duration::from_millis(300),
            linger: Duration::from_secs(1),
            idle: Duration::from_secs(30),
            connections: 1_000,
        };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            let wrong = || format!("{flag} {value}: not a value of that flag\n{USAGE}");
            match flag.as_str() {
                "--listen" => options.listen = value.parse().map_err(|_| wrong())?,
                "--workers" => options.workers = value.parse().map_err(|_| wrong())?,
                "--warm-up" => options.warm_up = millis(&value).ok_or_else(wrong)?,
                "--idle" => options.idle = millis(&value).ok_or_else(wrong)?,
                "--connections" => {
                    options.connections =
                        value.parse::<NonZero<usize>>().map_err(|_| wrong())?.get()
                }
                "--linger" => options.linger = millis(&value).ok_or_else(wrong)?,
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(options)
    }
}

fn millis(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis)
}
