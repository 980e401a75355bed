//! `mini-redis-server [ADDRESS]`: serves until Ctrl-C or SIGTERM, then drains.

use mini_redis::server::server;
use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;

/// How many clients are served at a time.
const MAX_CLIENTS: usize = 250;

fn main() -> ExitCode {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:6379");
    match TcpListener::bind(address) {
        Ok(listener) => {
            let address = listener.local_addr().expect("it is bound");
            // Unlike `println!`, without a panic when nobody reads the output.
            let _ = writeln!(std::io::stdout(), "listening on {address}");
            taskgrove::process::run(server(listener, MAX_CLIENTS))
        }
        Err(error) => {
            eprintln!("mini-redis: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}
