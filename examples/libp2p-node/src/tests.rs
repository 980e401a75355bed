//! What a node has to bear: peers that vanish, that want nothing but its places, or that talk nonsense.

use crate::demo::{state, until};
use crate::health::{Board, Health, Heard, REMEMBERED, Seen};
use crate::network::{ProtocolsEvent, swarm, topic};
use crate::node::{Config, spec};
use crate::options;
use crate::transport::multiaddr;
use futures::channel::oneshot;
use futures::io::copy;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{PeerId, futures::StreamExt};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use taskgrove::net::{TcpListener, TcpStream};
use taskgrove::supervisor::{ChildState, Strategy, Supervisor, SupervisorHandle};
use taskgrove::{Context, Runtime, service_fn};

/// Runs a test beside a supervisor of nodes.
fn with_network(test: impl AsyncFnOnce(&SupervisorHandle) -> taskgrove::Result) {
    let runtime = Runtime::builder().workers(2).build().expect("a runtime");
    let supervisor = Supervisor::new(Strategy::OneForOne);
    let children = supervisor.handle();
    let network = runtime.start(supervisor).expect("started");
    let tested = runtime.block_on(async {
        let tested = test(&children).await;
        network.stop().await.expect("it was started");
        tested
    });
    tested.expect("the test");
    assert!(matches!(network.result(), Some(Ok(()))));
}

fn config(name: &str, dial: Option<SocketAddr>) -> Config {
    Config {
        name: name.to_owned(),
        key: Keypair::generate_ed25519(),
        listen: multiaddr(([127, 0, 0, 1], 0).into()),
        dial: dial.map(multiaddr).into_iter().collect(),
        every: Duration::from_millis(100),
        patience: Duration::from_secs(10),
        connections: 4,
        board: Board::default(),
        loud: false,
    }
}

/// Returns where a node listens.
fn address(board: &Board) -> SocketAddr {
    let address = board.seen().addresses[0].clone();
    let parts: Vec<_> = address.iter().collect();
    match parts[..] {
        [Protocol::Ip4(ip), Protocol::Tcp(port)] => (ip, port).into(),
        _ => unreachable!("it listens on 127.0.0.1"),
    }
}

/// Relays a connection until `silence`. From then on nothing travels, and nothing is closed.
async fn relay(listener: TcpListener, to: SocketAddr, silence: oneshot::Receiver<()>) {
    let (one, _) = listener.accept().await.expect("a connection");
    let other = TcpStream::connect(to).await.expect("the node listens");
    let copies = [(&one, &other), (&other, &one)].map(|(from, to)| {
        let (from, mut to) = (from.clone(), to.clone());
        taskgrove::spawn(async move { copy(from, &mut to).await })
    });
    let _ = silence.await;
    copies.iter().for_each(|copy| copy.cancel());
    std::future::pending().await
}

#[test]
fn a_peer_that_vanishes_is_lost() {
    with_network(async |children| {
        let patient = |name, dial| Config {
            patience: Duration::from_millis(300),
            ..config(name, dial)
        };
        let bob = patient("bob", None);
        let seen_by_bob = bob.board.clone();
        children.start_child(spec(bob)).await?;

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let ann = patient("ann", Some(listener.local_addr()?));
        let (silence, silent) = oneshot::channel();
        taskgrove::spawn(relay(listener, address(&seen_by_bob), silent));
        let boards = [ann.board.clone(), seen_by_bob];
        children.start_child(spec(ann)).await?;
        let ping = || boards.iter().all(|board| board.seen().pings >= 2);
        until("they ping each other", ping).await?;
        assert!(boards.iter().all(|board| board.seen().lost == 0));

        drop(silence);
        // The first one that notices may be back by another way before the other does, which then has lost nothing.
        let lost = || boards.iter().any(|board| board.seen().lost >= 1);
        until("one of them loses the other", lost).await?;
        // Only what was between them is gone.
        let before = boards.each_ref().map(|board| board.seen().pings);
        let met = || {
            let mut boards = boards.iter().zip(before);
            boards.all(|(board, before)| board.seen().pings > before)
        };
        until("they find another way", met).await
    });
}

#[test]
fn a_node_in_a_crowd_of_silent_clients_finds_its_peers_after_it() {
    with_network(async |children| {
        let ann = config("ann", None);
        let seen_by_ann = ann.board.clone();
        let limit = 4 * ann.connections as usize;
        let ann = children.start_child(spec(ann)).await?;
        // What she knows of him he has told her himself.
        let bob = config("bob", Some(address(&seen_by_ann)));
        let seen_by_bob = bob.board.clone();
        children.start_child(spec(bob)).await?;
        let met = || seen_by_ann.seen().connected == 1 && seen_by_ann.seen().pings >= 2;
        until("ann knows bob", met).await?;
        children.stop_child("bob").await?;
        let alone = || seen_by_ann.seen().lost == 1;
        until("ann has lost bob", alone).await?;

        // Each wants a handshake, and does not say a word.
        let to_ann = address(&seen_by_ann);
        let crowd: Vec<_> = (0..2 * limit)
            .map(|_| std::net::TcpStream::connect(to_ann).expect("it listens"))
            .collect();
        for client in &crowd {
            client.set_nonblocking(true)?;
        }
        let is_open = |mut client: &std::net::TcpStream| {
            let read = client.read(&mut [0; 1024]);
            matches!(read, Ok(1..))
                || read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        };
        let turned_away = || crowd.iter().filter(|client| is_open(client)).count() < limit;
        until("most of the crowd is turned away", turned_away).await?;

        // One that is at bob's port meanwhile, and hangs up.
        let other = std::net::TcpListener::bind(address(&seen_by_bob))?;
        other.set_nonblocking(true)?;
        until("ann dials bob", || other.accept().is_ok()).await?;
        drop((other, crowd));
        children.restart_child("bob").await?;
        until("ann has bob again", || seen_by_ann.seen().connected == 1).await?;
        assert!(ann.is_running(), "the crowd has cost her nothing");
        Ok(())
    });
}

#[test]
fn a_client_that_talks_nonsense_is_dropped() {
    with_network(async |children| {
        let ann = config("ann", None);
        let board = ann.board.clone();
        let ann = children.start_child(spec(ann)).await?;
        let mut noise = b"\x13/multistream/1.0.0\n\x07/noise\n".to_vec();
        noise.extend([0xff; 70_000]);
        for nonsense in [&[0xff; 64][..], &[b'G'; 200][..], &noise] {
            let mut client = std::net::TcpStream::connect(address(&board))?;
            client.set_read_timeout(Some(Duration::from_secs(5)))?;
            // She may have gone before it was sent.
            let _ = client.write_all(nonsense);
            let ended = client.read_to_end(&mut Vec::new());
            let waits = ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            assert!(!waits, "still open after {:?}", &nonsense[..10]);
        }
        assert!(ann.is_running());
        Ok(())
    });
}

#[test]
fn a_peer_that_gossips_nonsense_is_not_heard() {
    with_network(async |children| {
        let ann = config("ann", None);
        let board = ann.board.clone();
        let ann = children.start_child(spec(ann)).await?;
        let rogue = config("rogue", Some(address(&board)));
        let id = rogue.key.public().to_peer_id();
        let gossip = service_fn("rogue", |ctx: Context| async move {
            let mut swarm = swarm(&rogue, ctx)?;
            swarm.dial(rogue.dial[0].clone())?;
            for number in 0_u64.. {
                let text = match number % 4 {
                    0 => b"\xff\xfe".to_vec(),
                    1 => b"name=\x1b[2J tasks=1 restarts=0".to_vec(),
                    2 => b"name=rogue tasks=99999999999999999999 restarts=0".to_vec(),
                    _ => b"name=rogue tasks=1 restarts=0".to_vec(),
                };
                let _ = swarm.behaviour_mut().gossipsub.publish(topic(), text);
                while !matches!(
                    swarm.select_next_some().await,
                    SwarmEvent::Behaviour(ProtocolsEvent::Ping(_))
                ) {}
            }
            Ok(())
        });
        let rogue = taskgrove::Handle::current().start(gossip)?;
        let heard = || {
            board
                .seen()
                .heard
                .get(&id)
                .is_some_and(|heard| heard.messages >= 2)
        };
        until("ann hears what has sense", heard).await?;
        assert_eq!(
            board.seen().heard[&id].latest.to_string(),
            "name=rogue tasks=1 restarts=0"
        );
        assert!(ann.is_running() && rogue.is_running());
        rogue.stop().await?;
        Ok(())
    });
}

#[test]
fn a_node_whose_port_was_taken_meanwhile_takes_another_one() {
    with_network(async |children| {
        let ann = config("ann", None);
        let board = ann.board.clone();
        children.start_child(spec(ann)).await?.kill()?;
        let is_down = || matches!(state(children, "ann"), Some(ChildState::BackingOff { .. }));
        until("ann is down", is_down).await?;
        let taken = address(&board);
        let _other = std::net::TcpListener::bind(taken)?;
        children.wait_child("ann").await?;
        assert_ne!(address(&board), taken);
        Ok(())
    });
}

#[test]
fn of_too_many_peers_the_one_that_was_silent_longest_is_forgotten() {
    let mut seen = Seen::default();
    let began = Instant::now();
    let peers: Vec<_> = (0..=REMEMBERED).map(|_| PeerId::random()).collect();
    for (n, peer) in peers.iter().enumerate() {
        let latest = "name=a tasks=1 restarts=0"
            .parse::<Health>()
            .expect("it is one");
        let at = began + Duration::from_millis(n as u64);
        seen.hear(
            *peer,
            Heard {
                messages: 1,
                latest,
                at,
            },
        );
    }
    assert_eq!(seen.heard.len(), REMEMBERED);
    assert!(!seen.heard.contains_key(&peers[0]));
}

#[test]
fn an_address_that_no_transport_can_dial_is_refused() {
    let parse = |address: &str| options::parse(["--dial", address].map(String::from).into_iter());
    assert!(parse("/ip4/192.0.2.1/tcp/4001").is_ok());
    assert!(parse("/ip4/192.0.2.1/udp/4001/quic-v1").is_err());
}
