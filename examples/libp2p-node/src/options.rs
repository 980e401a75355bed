//! The command line.

use crate::health::{Board, is_name};
use crate::node::Config;
use crate::transport::{host_and_port, multiaddr};
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: libp2p-node                    five nodes in this process; ends by itself
       libp2p-node [--name NAME] [--listen ADDRESS] [--dial ADDRESS]...
                                      one node, until SIGINT or SIGTERM

An ADDRESS is IP:PORT, HOST:PORT (to dial), or as libp2p writes it: /ip4/192.0.2.1/tcp/4001";

/// Reads the arguments. Without any, there is no node to run alone.
pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Config>, String> {
    let key = Keypair::generate_ed25519();
    let id = key.public().to_peer_id().to_base58();
    let mut config = Config {
        name: format!("node-{}", &id[id.len() - 6..]),
        key,
        listen: multiaddr(([0, 0, 0, 0], 0).into()),
        dial: Vec::new(),
        every: Duration::from_secs(1),
        patience: Duration::from_secs(5),
        connections: 250,
        board: Board::default(),
        loud: true,
    };
    let mut demo = true;
    while let Some(flag) = args.next() {
        demo = false;
        let mut value = || args.next().ok_or(format!("{flag} needs a value"));
        match &*flag {
            "--name" => config.name = value()?,
            "--listen" => config.listen = address(&value()?)?,
            "--dial" => config.dial.push(address(&value()?)?),
            _ => return Err(format!("there is no {flag}")),
        }
    }
    if !is_name(&config.name) {
        return Err(format!("`{}` is no name", config.name));
    }
    Ok((!demo).then_some(config))
}

fn address(text: &str) -> Result<Multiaddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(multiaddr(address));
    }
    if let Ok(address) = text.parse::<Multiaddr>() {
        let has_transport = host_and_port(&address).is_some();
        let none = || format!("there is no transport for {address}");
        return has_transport.then_some(address.clone()).ok_or_else(none);
    }
    let host_and_port = text.rsplit_once(':');
    match host_and_port.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) if is_host(host) => {
            Ok(Multiaddr::from(Protocol::Dns(host.into())).with(Protocol::Tcp(port)))
        }
        _ => Err(format!("`{text}` is no address")),
    }
}

fn is_host(host: &str) -> bool {
    let in_names = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    !host.is_empty() && host.chars().all(in_names)
}
