//! The load generator: threads over the system's queue of events. Requests are bytes made before, and
//! each answer is checked where it was read to.

use crate::serve::{LARGE, SMALL};
use mio::net::{TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Registry, Token};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long an answer may take before the run fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections that use one local address: fewer than a local address has ports.
const AN_ADDRESS: usize = 20_000;

/// The number of threads that the load is made with.
pub static THREADS: OnceLock<usize> = OnceLock::new();

#[derive(Clone, Copy, PartialEq)]
pub enum Request {
    Small,
    Large,
    /// As `Small`, and the server is to close the connection.
    Last,
    Echo,
}

/// A request with the headers that clients send.
macro_rules! get {
    ($path:literal, $connection:literal) => {
        concat!(
            "GET ",
            $path,
            " HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: load/1.0\r\nAccept: */*\r\nConnection: ",
            $connection,
            "\r\n\r\n"
        )
        .as_bytes()
    };
}

impl Request {
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Request::Small => get!("/", "keep-alive"),
            Request::Large => get!("/large", "keep-alive"),
            Request::Last => get!("/", "close"),
            Request::Echo => &[b'e'; 64],
        }
    }

    fn body(self) -> &'static [u8] {
        match self {
            Request::Small | Request::Last => SMALL,
            Request::Large => LARGE,
            Request::Echo => &[b'e'; 64],
        }
    }
}

/// When a run ends: the requests that were sent by then are still awaited.
#[derive(Clone, Copy)]
pub enum Until {
    Passed(Duration),
    /// So many requests on each connection.
    Each(u64),
}

/// Where an answer stands.
#[derive(PartialEq)]
enum Answer {
    Partial,
    Whole,
    Closed,
}

/// One connection, and the answer that it has so far.
pub struct Connection {
    pub stream: TcpStream,
    partial: Vec<u8>,
    /// How long an answer is; learned from the first.
    whole: usize,
    request: Request,
    left: u64,
}

impl Connection {
    /// The `n`th connection; each block of them has a local address of its own.
    pub fn open(address: SocketAddr, request: Request, n: usize) -> Connection {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket: is RLIMIT_NOFILE high enough?");
        if n >= AN_ADDRESS {
            let local = Ipv4Addr::new(127, 0, 0, 2 + (n / AN_ADDRESS) as u8);
            let local = SocketAddr::from((local, 0));
            socket.bind(&local.into()).expect("a loopback address");
        }
        socket.connect(&address.into()).expect("the server accepts");
        socket.set_tcp_nodelay(true).expect("nodelay");
        socket.set_nonblocking(true).expect("nonblocking");
        Connection {
            stream: TcpStream::from_std(socket.into()),
            partial: Vec::new(),
            whole: 0,
            request,
            left: 0,
        }
    }

    fn register(&mut self, registry: &Registry, at: usize) {
        registry
            .register(&mut self.stream, Token(at), Interest::READABLE)
            .expect("registered");
    }

    pub fn send(&mut self) {
        let request = self.request.bytes();
        let sent = self.stream.write(request).expect("the server reads");
        assert_eq!(sent, request.len(), "a request fits the socket's buffer");
    }

    /// Whether these bytes are one right answer, to the last byte. Panics at a wrong one.
    fn check(whole: &mut usize, request: Request, answer: &[u8]) -> bool {
        let body = request.body();
        if *whole == 0 {
            *whole = match request {
                Request::Echo => body.len(),
                _ => match answer.windows(4).position(|w| w == b"\r\n\r\n") {
                    Some(head) => head + 4 + body.len(),
                    None => return false,
                },
            };
        }
        if answer.len() < *whole {
            return false;
        }
        assert_eq!(answer.len(), *whole, "one answer a request");
        assert!(answer.ends_with(body), "a wrong answer");
        let http = request != Request::Echo;
        assert!(!http || answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        true
    }

    /// Reads what is there; `true` once an answer is whole. Panics at a wrong one.
    pub fn receive(&mut self, buffer: &mut [u8]) -> bool {
        match self.read(buffer) {
            Answer::Closed => panic!("the server closed a connection"),
            answer => answer == Answer::Whole,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Answer {
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Answer::Closed,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Answer::Partial,
                Err(error) => panic!("{error}"),
            };
            let whole = if self.partial.is_empty() {
                Self::check(&mut self.whole, self.request, &buffer[..read])
            } else {
                false
            };
            if whole {
                return Answer::Whole;
            }
            self.partial.extend_from_slice(&buffer[..read]);
            if Self::check(&mut self.whole, self.request, &self.partial) {
                self.partial.clear();
                return Answer::Whole;
            }
        }
    }
}

/// The connections of one thread.
struct Part {
    poll: Poll,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

impl Part {
    fn new() -> Part {
        Part {
            poll: Poll::new().expect("a queue of events"),
            connections: Vec::new(),
            buffer: vec![0; 1 << 17],
        }
    }

    /// Runs to the end; how many requests were answered.
    fn run(&mut self, until: Until) -> u64 {
        let mut events = Events::with_capacity(1024);
        let (mut answered, mut open) = (0, self.connections.len());
        let (end, each) = match until {
            Until::Passed(length) => (Some(Instant::now() + length), u64::MAX),
            Until::Each(requests) => (None, requests),
        };
        for connection in &mut self.connections {
            connection.left = each - 1;
            connection.send();
        }
        while open > 0 {
            self.poll.poll(&mut events, Some(PATIENCE)).expect("polled");
            assert!(!events.is_empty(), "{open} answers are missing");
            let over = end.is_some_and(|at| Instant::now() >= at);
            for event in &events {
                let connection = &mut self.connections[event.token().0];
                if !connection.receive(&mut self.buffer) {
                    continue;
                }
                answered += 1;
                if over || connection.left == 0 {
                    open -= 1;
                } else {
                    connection.left -= 1;
                    connection.send();
                }
            }
        }
        answered
    }
}

/// Connections that ask again as soon as they have their answer, shared out over the threads.
pub struct Load {
    parts: Vec<Part>,
}

impl Load {
    /// Opens so many connections and asks once on each, a few at a time: the system's queue of those
    /// that wait to be accepted is short.
    pub fn connect(address: SocketAddr, count: usize, request: Request) -> Load {
        const AT_ONCE: usize = 64;
        let threads = THREADS.get().copied().unwrap_or(1).min(count);
        let mut parts: Vec<Part> = (0..threads).map(|_| Part::new()).collect();
        let mut opened = 0;
        while opened < count {
            let part = &mut parts[opened * threads / count];
            let before = std::mem::take(&mut part.connections);
            let more = AT_ONCE.min(count - opened);
            for at in 0..more {
                let mut connection = Connection::open(address, request, opened + at);
                connection.register(part.poll.registry(), at);
                part.connections.push(connection);
            }
            part.run(Until::Each(1));
            let (new, mut all) = (std::mem::take(&mut part.connections), before);
            for mut connection in new {
                let registry = part.poll.registry();
                let (stream, token) = (&mut connection.stream, Token(all.len()));
                registry
                    .reregister(stream, token, Interest::READABLE)
                    .expect("registered");
                all.push(connection);
            }
            part.connections = all;
            opened += more;
        }
        Load { parts }
    }

    /// How many requests were answered, all of them right.
    pub fn run(&mut self, until: Until) -> u64 {
        if let [part] = &mut self.parts[..] {
            return part.run(until);
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .parts
                .iter_mut()
                .map(|part| scope.spawn(move || part.run(until)))
                .collect();
            let answered = threads.into_iter().map(|thread| thread.join());
            answered.map(|n| n.expect("the load runs")).sum()
        })
    }
}

/// A connection for each request, so many at once; the server closes it, and a new one takes its place.
pub fn churn(address: SocketAddr, at_once: usize, length: Duration) -> u64 {
    let mut poll = Poll::new().expect("a queue of events");
    let registry = poll.registry().try_clone().expect("one more");
    let open = |at: usize| {
        let mut connection = Connection::open(address, Request::Last, 0);
        connection.register(&registry, at);
        connection.send();
        connection
    };
    // One that was closed is dropped at once: the system may still have an event for it.
    let mut all: Vec<_> = (0..at_once).map(|at| Some((open(at), false))).collect();
    let (mut answered, mut left) = (0, at_once);
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 1 << 12];
    let end = Instant::now() + length;
    while left > 0 {
        poll.poll(&mut events, Some(PATIENCE)).expect("polled");
        assert!(!events.is_empty(), "{left} answers are missing");
        for event in &events {
            let at = event.token().0;
            let Some((connection, has_answer)) = &mut all[at] else {
                continue;
            };
            let mut answer = connection.read(&mut buffer);
            if answer == Answer::Whole {
                assert!(!*has_answer, "one answer a request");
                *has_answer = true;
                answer = connection.read(&mut buffer);
            }
            if answer == Answer::Closed {
                assert!(*has_answer, "closed without an answer");
                answered += 1;
                all[at] = None;
                if Instant::now() < end {
                    all[at] = Some((open(at), false));
                } else {
                    left -= 1;
                }
            }
        }
    }
    answered
}

/// Datagrams that are sent again when they come back.
pub fn datagrams(address: SocketAddr, count: usize, until: Until) -> u64 {
    let mut poll = Poll::new().expect("a queue of events");
    let (end, each) = match until {
        Until::Passed(length) => (Some(Instant::now() + length), u64::MAX),
        Until::Each(requests) => (None, requests),
    };
    let mut sockets: Vec<(UdpSocket, u64)> = (0..count)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0".parse().expect("an address"));
            let socket = socket.expect("bound");
            socket.connect(address).expect("connected");
            (socket, each)
        })
        .collect();
    for (at, (socket, left)) in sockets.iter_mut().enumerate() {
        poll.registry()
            .register(socket, Token(at), Interest::READABLE)
            .expect("registered");
        socket.send(&(at as u64).to_le_bytes()).expect("sent");
        *left -= 1;
    }
    let mut events = Events::with_capacity(1024);
    let (mut answered, mut open) = (0, count);
    let mut buffer = [0; 64];
    while open > 0 {
        poll.poll(&mut events, Some(PATIENCE)).expect("polled");
        assert!(!events.is_empty(), "{open} datagrams are missing");
        let over = end.is_some_and(|at| Instant::now() >= at);
        for event in &events {
            let at = event.token().0;
            let (socket, left) = &mut sockets[at];
            while let Ok(read) = socket.recv(&mut buffer) {
                let ours = (at as u64).to_le_bytes();
                assert_eq!(buffer[..read], ours, "a stranger's datagram");
                answered += 1;
                if over || *left == 0 {
                    open -= 1;
                } else {
                    *left -= 1;
                    socket.send(&buffer[..read]).expect("sent");
                }
            }
        }
    }
    answered
}
