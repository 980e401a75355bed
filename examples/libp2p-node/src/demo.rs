//! Five nodes in one process, each a child of a supervisor. One of them is killed, and comes back.

use crate::health::{Board, Seen};
use crate::node::{Config, spec};
use crate::transport::multiaddr;
use libp2p::PeerId;
use libp2p::identity::Keypair;
use std::time::Duration;
use taskgrove::supervisor::{ChildState, Strategy, Supervisor, SupervisorHandle};
use taskgrove::time::{interval, timeout};
use taskgrove::{BoxError, Manager, Runtime};

const EVERY: Duration = Duration::from_millis(250);
/// How long a step may take.
const STEP: Duration = Duration::from_secs(15);

/// A node, seen from outside: what its board says. The nodes themselves know each other through the network only.
struct Peer {
    name: &'static str,
    id: PeerId,
    board: Board,
}

pub(crate) fn run() -> taskgrove::Result {
    let runtime = Runtime::builder().workers(2).build()?;
    let supervisor = Supervisor::new(Strategy::OneForOne);
    let children = supervisor.handle();
    let network = Manager::builder(supervisor).name("network");
    let network = network.start(&runtime)?;
    runtime.block_on(async {
        let scenario = scenario(&children).await;
        network.stop().await?;
        scenario
    })?;
    println!("stopped: {}", matches!(network.result(), Some(Ok(()))));
    Ok(())
}

async fn scenario(children: &SupervisorHandle) -> taskgrove::Result {
    let peers = start(children).await?;
    let (killed, others) = (&peers[2], [&peers[0], &peers[1], &peers[3], &peers[4]]);

    let all_met = || {
        peers.iter().all(|peer| {
            let seen = peer.board.seen();
            let rest = peers.iter().filter(|other| other.id != peer.id);
            seen.connected == 4 && seen.pings >= 2 && heard_all(&seen, rest, 2)
        })
    };
    until("all nodes ping, and hear each other", all_met).await?;
    print(&peers);
    println!("{}", children.child("cyd").ok_or("no cyd")?.snapshot());

    // The kill drops the connections first, and then the node. Nothing in it runs any more.
    let lost = others.map(|peer| peer.board.seen().lost);
    let heard = others.map(|peer| messages(peer, &others));
    println!("kills cyd");
    children.child("cyd").ok_or("no cyd")?.kill()?;
    let left = || (0..4).all(|n| others[n].board.seen().lost > lost[n]);
    until("the others have lost cyd", left).await?;
    let go_on = || (0..4).all(|n| messages(others[n], &others) >= heard[n] + 3);
    until("the others go on to hear each other", go_on).await?;
    let down = matches!(state(children, "cyd"), Some(ChildState::BackingOff { .. }));
    println!("meanwhile cyd is down: {down}");

    children.wait_child("cyd").await?;
    println!("cyd was restarted");
    let is_back = || {
        let seen = killed.board.seen();
        let hears = seen.pings >= 2 && seen.mesh >= 1 && heard_all(&seen, others, 2);
        drop(seen);
        hears
            && others.iter().all(|peer| {
                let seen = peer.board.seen();
                let heard = seen.heard.get(&killed.id);
                seen.connected == 4 && heard.is_some_and(|heard| heard.latest.restarts == 1)
            })
    };
    until("cyd is back in the mesh, and hears all others", is_back).await?;
    print(&peers);
    let restarts = children.children().into_iter().map(|child| child.restarts);
    check("only cyd was restarted", restarts.eq([0, 0, 1, 0, 0]))
}

/// Starts the nodes. Each dials the first one, and finds the rest through it.
async fn start(children: &SupervisorHandle) -> Result<Vec<Peer>, BoxError> {
    let mut peers: Vec<Peer> = Vec::new();
    for name in ["ann", "bob", "cyd", "dan", "eve"] {
        let key = Keypair::generate_ed25519();
        let id = key.public().to_peer_id();
        let board = Board::default();
        let first = peers
            .first()
            .map(|first| first.board.seen().addresses.clone());
        let node = spec(Config {
            name: name.to_owned(),
            key,
            listen: multiaddr(([127, 0, 0, 1], 0).into()),
            dial: first.unwrap_or_default(),
            every: EVERY,
            patience: STEP,
            connections: 32,
            board: board.clone(),
            loud: false,
        });
        children.start_child(node).await?;
        peers.push(Peer { name, id, board });
    }
    Ok(peers)
}

/// Tells whether so many messages of each of these peers were heard.
fn heard_all<'a>(seen: &Seen, of: impl IntoIterator<Item = &'a Peer>, messages: u64) -> bool {
    of.into_iter().all(|peer| {
        let heard = seen.heard.get(&peer.id);
        heard.is_some_and(|heard| heard.messages >= messages)
    })
}

/// Returns how many messages a node has heard of the one of these peers that it has heard least of.
fn messages(peer: &Peer, of: &[&Peer]) -> u64 {
    let seen = peer.board.seen();
    let of = of.iter().filter(|other| other.id != peer.id);
    let counts = of.map(|other| seen.heard.get(&other.id).map_or(0, |heard| heard.messages));
    counts.min().unwrap_or(0)
}

pub(crate) fn state(children: &SupervisorHandle, name: &str) -> Option<ChildState> {
    let mut all = children.children().into_iter();
    all.find(|child| child.name == name)
        .map(|child| child.state)
}

fn print(peers: &[Peer]) {
    for peer in peers {
        let seen = peer.board.seen();
        println!(
            "{}: {} peers, {} of them in its mesh, {} pings",
            peer.name, seen.connected, seen.mesh, seen.pings
        );
        for heard in seen.heard.values() {
            println!("    {} ({} messages)", heard.latest, heard.messages);
        }
    }
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) -> taskgrove::Result {
    let mut ticks = interval(Duration::from_millis(20));
    let wait = async {
        while !holds() {
            ticks.tick().await;
        }
    };
    check(what, timeout(STEP, wait).await.is_ok())
}

fn check(what: &str, holds: bool) -> taskgrove::Result {
    if !holds {
        return Err(format!("this does not hold: {what}").into());
    }
    println!("{what}");
    Ok(())
}
