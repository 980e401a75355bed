//! The swarm of a node: its protocols, its transport, and the executor that makes connections tasks of the tree.

use crate::node::Config;
use crate::transport::Tcp;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::upgrade::Version;
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity};
use libp2p::kad::{self, store::MemoryStore};
use libp2p::swarm::{self, Executor, NetworkBehaviour};
use libp2p::{Swarm, Transport, identify, noise, ping, yamux};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use taskgrove::{BoxError, Context};

/// How long the handshakes of a connection may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How many connections a node may have with one peer. Two that dial each other at once have two.
const WITH_ONE_PEER: u32 = 4;

/// What the nodes speak with each other.
#[derive(NetworkBehaviour)]
pub(crate) struct Protocols {
    /// Refuses connections beyond the limits.
    pub(crate) limits: connection_limits::Behaviour,
    /// Measures each connection, and reports one that is dead.
    pub(crate) ping: ping::Behaviour,
    /// Tells a peer where this node listens.
    pub(crate) identify: identify::Behaviour,
    /// Brings the messages about names and health to every node.
    pub(crate) gossipsub: gossipsub::Behaviour,
    /// Finds the nodes that this one has not dialled itself.
    pub(crate) kad: kad::Behaviour<MemoryStore>,
}

/// The topic of the messages about names and health.
pub(crate) fn topic() -> IdentTopic {
    IdentTopic::new("taskgrove/health")
}

/// How many tasks a node may have for its connections.
///
/// libp2p does not notice that the executor has dropped a future: it would count the connection for ever, and dial
/// the peer no more. So its own limits of connections come first: those that others make, those that the node makes,
/// and those that are made. The rest is for those that are being closed.
pub(crate) fn max_tasks(connections: u32) -> usize {
    4 * connections as usize
}

/// Makes the swarm of a node, which is the service that `ctx` belongs to.
pub(crate) fn swarm(config: &Config, ctx: Context) -> Result<Swarm<Protocols>, BoxError> {
    let Config { key, every, .. } = config;
    let peer = key.public().to_peer_id();
    let transport = Tcp::default()
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(key)?)
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE)
        .boxed();

    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(config.connections))
        .with_max_pending_outgoing(Some(config.connections))
        .with_max_established(Some(config.connections))
        .with_max_established_per_peer(Some(WITH_ONE_PEER));
    let pings = ping::Config::new()
        .with_interval(*every)
        .with_timeout(config.patience);
    let identify = identify::Config::new("/taskgrove/1".to_owned(), key.public());
    let gossip = gossipsub::ConfigBuilder::default()
        .heartbeat_initial_delay(*every)
        .heartbeat_interval(*every)
        .build()?;
    let mut protocols = Protocols {
        limits: connection_limits::Behaviour::new(limits),
        ping: ping::Behaviour::new(pings),
        identify: identify::Behaviour::new(identify),
        gossipsub: gossipsub::Behaviour::new(MessageAuthenticity::Signed(key.clone()), gossip)?,
        kad: kad::Behaviour::new(peer, MemoryStore::new(peer)),
    };
    protocols.gossipsub.subscribe(&topic())?;
    // A node answers the queries of others, although nobody has told it that it can be reached from outside.
    protocols.kad.set_mode(Some(kad::Mode::Server));

    let connections = AtomicU64::new(0);
    let config = swarm::Config::with_executor(Tree { ctx, connections })
        .with_idle_connection_timeout(Duration::from_secs(60));
    Ok(Swarm::new(transport, protocols, peer, config))
}

/// Makes what libp2p spawns a task of the node's service: a dial, a handshake, and each connection.
struct Tree {
    ctx: Context,
    connections: AtomicU64,
}

impl Executor for Tree {
    fn exec(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let task = async {
            future.await;
            Ok(())
        };
        let task = self.ctx.task(task).name(format!("connection-{number}"));
        // A node that lost a connection without noticing would be of no use; one that fails is restarted.
        task.spawn().expect("`max_tasks` leaves room");
    }
}
