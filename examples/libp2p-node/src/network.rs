//! The swarm of a node: its protocols, its transport, and the executor that makes connections tasks of the tree.

use crate::transport::Tcp;
use libp2p::core::upgrade::Version;
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity};
use libp2p::identity::Keypair;
use libp2p::kad::{self, store::MemoryStore};
use libp2p::swarm::{Config, Executor, NetworkBehaviour};
use libp2p::{Swarm, Transport, identify, noise, ping, yamux};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use taskgrove::{BoxError, Context};

/// How long the handshakes of a connection may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What the nodes speak with each other.
#[derive(NetworkBehaviour)]
pub(crate) struct Protocols {
    /// Measures each connection, and notices one that is dead.
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

/// Makes the swarm of the service that `ctx` belongs to. `every` is the time between two pings of a connection.
pub(crate) fn swarm(
    key: &Keypair,
    every: Duration,
    ctx: Context,
) -> Result<Swarm<Protocols>, BoxError> {
    let peer = key.public().to_peer_id();
    let transport = Tcp::default()
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(key)?)
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE)
        .boxed();

    let pings = ping::Config::new().with_interval(every);
    let identify = identify::Config::new("/taskgrove/1".to_owned(), key.public());
    let gossip = gossipsub::ConfigBuilder::default()
        .heartbeat_initial_delay(every)
        .heartbeat_interval(every)
        .build()?;
    let mut protocols = Protocols {
        ping: ping::Behaviour::new(pings),
        identify: identify::Behaviour::new(identify),
        gossipsub: gossipsub::Behaviour::new(MessageAuthenticity::Signed(key.clone()), gossip)?,
        kad: kad::Behaviour::new(peer, MemoryStore::new(peer)),
    };
    protocols.gossipsub.subscribe(&topic())?;
    // A node answers the queries of others, although nobody has told it that it can be reached from outside.
    protocols.kad.set_mode(Some(kad::Mode::Server));

    let connections = AtomicU64::new(0);
    let config = Config::with_executor(Tree { ctx, connections })
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
        // A service has a limit of tasks, 1,000 by default. Beyond it the future is dropped, and libp2p takes the
        // connection for one that has failed.
        let _ = task.spawn();
    }
}
