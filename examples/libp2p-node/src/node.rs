//! [`Node`]: a peer of the network, as a service that a supervisor restarts.

use crate::health::{Board, Health, Heard, Seen};
use crate::network::{Protocols, ProtocolsEvent, max_tasks, swarm, topic};
use libp2p::futures::{StreamExt, stream};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm, gossipsub, identify, ping};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use taskgrove::supervisor::{Backoff, ChildSpec};
use taskgrove::time::interval;
use taskgrove::{Context, Service};

/// A node dials peers that it knows of until it has so many.
const WANTED: usize = 8;

/// What stays the same over the incarnations of a node.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) name: String,
    /// Its identity: the peer's id is made of it. An incarnation is the same peer as the one before it.
    pub(crate) key: Keypair,
    pub(crate) listen: Multiaddr,
    /// Whom it dials when it is connected to nobody.
    pub(crate) dial: Vec<Multiaddr>,
    /// The time between two of its messages, and two pings.
    pub(crate) every: Duration,
    /// How long a peer may take to answer a ping. A late one is asked again on a new stream, which libp2p gives 10 s to
    /// be opened, and is then taken for gone.
    pub(crate) patience: Duration,
    /// How many connections it has at most.
    pub(crate) connections: u32,
    pub(crate) board: Board,
    /// Whether it prints what happens.
    pub(crate) loud: bool,
}

/// Describes the node for a supervisor: it counts as up when it listens.
pub(crate) fn spec(config: Config) -> ChildSpec {
    let incarnations = AtomicU64::new(0);
    let max_tasks = max_tasks(config.connections);
    ChildSpec::new(config.name.clone(), move || Node {
        config: config.clone(),
        restarts: incarnations.fetch_add(1, Ordering::Relaxed),
    })
    .max_children(max_tasks)
    .wait_ready(Duration::from_secs(5))
    .backoff(Backoff::constant(Duration::from_secs(2)))
}

/// One incarnation of a node.
struct Node {
    config: Config,
    restarts: u64,
}

impl Service for Node {
    /// Owns the swarm and drives it. The connections are tasks below; see [`swarm`].
    async fn run(self: Arc<Self>, ctx: Context) -> taskgrove::Result {
        let mut swarm = swarm(&self.config, ctx.clone())?;
        self.listen(&mut swarm)?;
        *self.config.board.seen() = Seen::default();
        let mut ticks = interval(self.config.every);
        let mut ticks = stream::poll_fn(move |cx| ticks.poll_tick(cx).map(Some)).fuse();
        loop {
            futures::select! {
                event = swarm.select_next_some() => self.on_event(&mut swarm, event, &ctx)?,
                _ = ticks.select_next_some() => self.on_tick(&mut swarm, &ctx),
            }
        }
    }
}

impl Node {
    /// Listens at the port of the incarnation before, so that its peers find this one there, or else, if that port is
    /// another program's by now, where it was told to.
    fn listen(&self, swarm: &mut Swarm<Protocols>) -> taskgrove::Result {
        let listen = &self.config.listen;
        let before = self.config.board.seen().addresses.first().cloned();
        let port = before.and_then(|before| before.iter().nth(1).map(Protocol::acquire));
        let before = port.and_then(|port| listen.replace(1, |_| Some(port)));
        if before.is_none_or(|before| swarm.listen_on(before).is_err()) {
            swarm.listen_on(listen.clone())?;
        }
        Ok(())
    }

    fn on_event(
        &self,
        swarm: &mut Swarm<Protocols>,
        event: SwarmEvent<ProtocolsEvent>,
        ctx: &Context,
    ) -> taskgrove::Result {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                let peer = swarm.local_peer_id();
                self.say(format_args!("listens on {address}/p2p/{peer}"));
                self.config.board.seen().addresses.push(address);
                ctx.set_ready();
            }
            // A node that nobody can dial any more is of no use: its supervisor makes a new one.
            SwarmEvent::ListenerClosed { reason, .. } => reason?,
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                self.say(format_args!("is connected to {peer_id}"));
                self.config.board.seen().connected = swarm.connected_peers().count();
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                ..
            } => {
                self.say(format_args!("has lost {peer_id}"));
                let mut seen = self.config.board.seen();
                seen.connected = swarm.connected_peers().count();
                seen.lost += 1;
            }
            SwarmEvent::Behaviour(ProtocolsEvent::Ping(ping::Event { result: Ok(_), .. })) => {
                self.config.board.seen().pings += 1;
            }
            // Its machine is off, or the network between: nothing else would end the connection. libp2p leaves that
            // to the program.
            SwarmEvent::Behaviour(ProtocolsEvent::Ping(ping::Event {
                connection,
                result: Err(_),
                ..
            })) => {
                swarm.close_connection(connection);
            }
            SwarmEvent::Behaviour(ProtocolsEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) => {
                for address in info.listen_addrs {
                    let kad = &mut swarm.behaviour_mut().kad;
                    kad.add_address(&peer_id, address);
                }
            }
            SwarmEvent::Behaviour(ProtocolsEvent::Gossipsub(gossipsub::Event::Message {
                message,
                ..
            })) => self.on_message(message),
            _ => {}
        }
        Ok(())
    }

    fn on_message(&self, message: gossipsub::Message) {
        let text = std::str::from_utf8(&message.data).ok();
        let health = text.and_then(|text| text.parse::<Health>().ok());
        let (Some(health), Some(from)) = (health, message.source) else {
            return; // of somebody else's making
        };
        let mut seen = self.config.board.seen();
        let heard = seen.heard.get(&from);
        let messages = heard.map_or(0, |heard| heard.messages) + 1;
        let is_news = heard.is_none_or(|heard| heard.latest != health);
        let heard = Heard {
            messages,
            latest: health.clone(),
            at: Instant::now(),
        };
        seen.hear(from, heard);
        drop(seen);
        if is_news {
            self.say(format_args!("heard {health}"));
        }
    }

    /// Tells the others of this node, and looks for peers if there are few.
    fn on_tick(&self, swarm: &mut Swarm<Protocols>, ctx: &Context) {
        let health = Health {
            name: self.config.name.clone(),
            tasks: ctx.stats().tasks.pending_count(),
            restarts: self.restarts,
        };
        let gossip = &mut swarm.behaviour_mut().gossipsub;
        // Fails while there is nobody to tell it.
        let _ = gossip.publish(topic(), health.to_string());
        self.config.board.seen().mesh = gossip.mesh_peers(&topic().hash()).count();
        let connected = swarm.connected_peers().count();
        if connected == 0 {
            for address in self.config.dial.clone() {
                // The outcome of a dial is an event. It fails here if this address is being dialled.
                let _ = swarm.dial(address);
            }
        }
        if connected < WANTED {
            for peer in known(swarm) {
                if !swarm.is_connected(&peer) {
                    let _ = swarm.dial(peer);
                }
            }
        }
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.config.loud {
            // `println!` panics when nobody reads any more, as when the program is piped into `head`.
            let _ = writeln!(std::io::stdout(), "{} {what}", self.config.name);
        }
    }
}

/// Returns the peers in the routing table.
fn known(swarm: &mut Swarm<Protocols>) -> Vec<PeerId> {
    let buckets = swarm.behaviour_mut().kad.kbuckets();
    let peers = buckets.flat_map(|bucket| {
        let peers = bucket.iter().map(|entry| *entry.node.key.preimage());
        peers.collect::<Vec<_>>()
    });
    peers.collect()
}
