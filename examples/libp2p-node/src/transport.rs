//! [`Tcp`]: libp2p's `Transport` over the sockets of `taskgrove::net`.
//!
//! This is all that libp2p needs from a runtime for its I/O: a stream of events for each listener, and a future for
//! each dial. `TcpStream` has the traits of `futures-io`, so noise and yamux go on top of it as it is.

use libp2p::core::transport::{DialOpts, ListenerId, TransportEvent};
use libp2p::futures::future::{self, BoxFuture, Ready};
use libp2p::futures::stream::{self, AbortHandle, BoxStream, SelectAll};
use libp2p::futures::{Stream, StreamExt};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, Transport, TransportError};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use taskgrove::net::{TcpListener, TcpStream};
use taskgrove::time::sleep;

/// How long a listener pauses after an error, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

type Event = TransportEvent<Ready<io::Result<TcpStream>>, io::Error>;

/// TCP. It belongs to the runtime of the task that listens and polls.
#[derive(Default)]
pub(crate) struct Tcp {
    listeners: SelectAll<BoxStream<'static, Event>>,
    closers: HashMap<ListenerId, AbortHandle>,
}

impl Transport for Tcp {
    type Output = TcpStream;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<TcpStream>>;
    type Dial = BoxFuture<'static, io::Result<TcpStream>>;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        let ip_and_port = host_and_port(&address)
            .and_then(|(host, port)| Some((host.parse::<IpAddr>().ok()?, port)));
        let Some(wanted) = ip_and_port else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let (listener, addresses) = listen(wanted.into()).map_err(TransportError::Other)?;
        let addresses = stream::iter(addresses).map(move |listen_addr| Event::NewAddress {
            listener_id: id,
            listen_addr,
        });
        let (incoming, closer) = stream::abortable(incoming(id, listener));
        let closed = stream::once(future::ready(Event::ListenerClosed {
            listener_id: id,
            reason: Ok(()),
        }));
        let events = addresses.chain(incoming).chain(closed);
        self.listeners.push(events.boxed());
        self.closers.insert(id, closer);
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let closer = self.closers.remove(&id);
        closer.map(|closer| closer.abort()).is_some()
    }

    /// Dials from a new port. `DialOpts` could ask for the port of the listener, which hole punching needs.
    fn dial(
        &mut self,
        address: Multiaddr,
        _: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        let Some(target) = host_and_port(&address) else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        Ok(Box::pin(async move {
            let stream = TcpStream::connect(target).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Event> {
        match self.listeners.poll_next_unpin(cx) {
            Poll::Ready(Some(event)) => Poll::Ready(event),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Returns the events of a listener: a connection each, or an error, after which it pauses.
fn incoming(id: ListenerId, listener: TcpListener) -> impl Stream<Item = Event> + Send {
    stream::unfold((listener, false), move |(listener, failed)| async move {
        if failed {
            sleep(PAUSE).await;
        }
        let accepted = accept(&listener).await;
        let failed = accepted.is_err();
        let event = match accepted {
            Ok((stream, local, peer)) => Event::Incoming {
                listener_id: id,
                upgrade: future::ready(Ok(stream)),
                local_addr: multiaddr(local),
                send_back_addr: multiaddr(peer),
            },
            Err(error) => Event::ListenerError {
                listener_id: id,
                error,
            },
        };
        Some((event, (listener, failed)))
    })
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr, SocketAddr)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    Ok((stream, local, peer))
}

/// Makes a listener, and returns it with the addresses at which others can reach it.
fn listen(address: SocketAddr) -> io::Result<(TcpListener, Vec<Multiaddr>)> {
    let listener = TcpListener::from_std(std::net::TcpListener::bind(address)?)?;
    let local = listener.local_addr()?;
    if !local.ip().is_unspecified() {
        return Ok((listener, vec![multiaddr(local)]));
    }
    // Each interface has addresses. They are asked for once; a change of the network is not noticed.
    let mut found = if_addrs::get_if_addrs()?;
    found.retain(|found| found.ip().is_ipv4() == local.is_ipv4() && !found.is_link_local());
    if !found.iter().all(|found| found.is_loopback()) {
        found.retain(|found| !found.is_loopback());
    }
    let at = |ip| multiaddr(SocketAddr::new(ip, local.port()));
    Ok((listener, found.iter().map(|found| at(found.ip())).collect()))
}

/// Returns an address as libp2p writes it, such as `/ip4/127.0.0.1/tcp/4001`.
pub(crate) fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// Takes apart `/ip4/IP/tcp/PORT`, `/ip6/IP/tcp/PORT` or `/dns/NAME/tcp/PORT`, whatever peer is named behind it.
pub(crate) fn host_and_port(address: &Multiaddr) -> Option<(String, u16)> {
    let mut parts = address.iter();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => ip.to_string(),
        Protocol::Ip6(ip) => ip.to_string(),
        Protocol::Dns(name) => name.into_owned(),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else {
        return None;
    };
    parts
        .all(|part| matches!(part, Protocol::P2p(_)))
        .then_some((host, port))
}
