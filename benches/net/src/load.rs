//! The load generator: one thread over the system's queue of events, requests and answers made before.

use crate::serve::{LARGE, SMALL};
use mio::net::{TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq)]
pub enum Request {
    Small,
    Large,
    Echo,
}

impl Request {
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Request::Small => b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
            Request::Large => b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n",
            Request::Echo => &[b'e'; 64],
        }
    }

    fn body(self) -> &'static [u8] {
        match self {
            Request::Small => SMALL,
            Request::Large => LARGE,
            Request::Echo => &[b'e'; 64],
        }
    }
}

/// One connection, and the answer that it has so far.
pub struct Connection {
    pub stream: TcpStream,
    answer: Vec<u8>,
    /// How long an answer is; learned from the first.
    whole: usize,
    request: Request,
}

impl Connection {
    pub fn open(address: SocketAddr, request: Request) -> Connection {
        let stream = std::net::TcpStream::connect(address).expect("the server accepts");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_nonblocking(true).expect("nonblocking");
        Connection {
            stream: TcpStream::from_std(stream),
            answer: Vec::new(),
            whole: 0,
            request,
        }
    }

    pub fn send(&mut self) {
        let request = self.request.bytes();
        let sent = self.stream.write(request).expect("the server reads");
        assert_eq!(sent, request.len(), "a request fits the socket's buffer");
    }

    /// Reads what is there; `true` once an answer is whole. Panics at a wrong one.
    pub fn receive(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => panic!("the server closed a connection"),
                Ok(read) => self.answer.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => panic!("{error}"),
            }
            let body = self.request.body();
            if self.whole == 0 {
                self.whole = match self.request {
                    Request::Echo => body.len(),
                    _ => match self.answer.windows(4).position(|w| w == b"\r\n\r\n") {
                        Some(head) => head + 4 + body.len(),
                        None => continue,
                    },
                };
            }
            if self.answer.len() < self.whole {
                continue;
            }
            assert_eq!(self.answer.len(), self.whole, "one answer a request");
            assert!(self.answer.ends_with(body), "a wrong answer");
            let http = self.request != Request::Echo;
            assert!(!http || self.answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
            self.answer.clear();
            return true;
        }
    }
}

/// Connections that ask again as soon as they have their answer.
pub struct Load {
    poll: Poll,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

impl Load {
    /// Opens so many connections and asks once on each, a few at a time: the system's queue of those
    /// that wait to be accepted is short.
    pub fn connect(address: SocketAddr, count: usize, request: Request) -> Load {
        const AT_ONCE: usize = 64;
        let mut all = Load {
            poll: Poll::new().expect("a queue of events"),
            connections: Vec::with_capacity(count),
            buffer: vec![0; 1 << 16],
        };
        while all.connections.len() < count {
            let more = AT_ONCE.min(count - all.connections.len());
            let mut some = Load::open(address, more, request);
            some.rounds(None);
            for mut connection in some.connections {
                let (registry, at) = (all.poll.registry(), all.connections.len());
                some.poll
                    .registry()
                    .deregister(&mut connection.stream)
                    .and_then(|()| {
                        registry.register(&mut connection.stream, Token(at), Interest::READABLE)
                    })
                    .expect("registered");
                all.connections.push(connection);
            }
        }
        all
    }

    fn open(address: SocketAddr, count: usize, request: Request) -> Load {
        let poll = Poll::new().expect("a queue of events");
        let mut connections: Vec<_> = (0..count)
            .map(|_| Connection::open(address, request))
            .collect();
        for (at, connection) in connections.iter_mut().enumerate() {
            poll.registry()
                .register(&mut connection.stream, Token(at), Interest::READABLE)
                .expect("registered");
        }
        Load {
            poll,
            connections,
            buffer: vec![0; 1 << 16],
        }
    }

    /// Runs for so long; how many requests were answered. Every request that was sent is awaited.
    pub fn run(&mut self, length: Duration) -> u64 {
        self.rounds(Some(Instant::now() + length))
    }

    fn rounds(&mut self, until: Option<Instant>) -> u64 {
        let mut events = Events::with_capacity(1024);
        let (mut answered, mut open) = (0, self.connections.len());
        self.connections.iter_mut().for_each(Connection::send);
        while open > 0 {
            let patience = Some(Duration::from_secs(10));
            self.poll.poll(&mut events, patience).expect("polled");
            assert!(!events.is_empty(), "{open} answers are missing");
            let over = until.is_none_or(|at| Instant::now() >= at);
            for event in &events {
                let connection = &mut self.connections[event.token().0];
                if !connection.receive(&mut self.buffer) {
                    continue;
                }
                answered += 1;
                if over {
                    open -= 1;
                } else {
                    connection.send();
                }
            }
        }
        answered
    }
}

/// A connection for each request, so many at once.
pub fn churn(address: SocketAddr, at_once: usize, length: Duration) -> u64 {
    let until = Instant::now() + length;
    let mut answered = 0;
    while Instant::now() < until {
        answered += Load::open(address, at_once, Request::Small).rounds(None);
    }
    answered
}

/// Datagrams that are sent again when they come back.
pub fn datagrams(address: SocketAddr, count: usize, length: Duration) -> u64 {
    let mut poll = Poll::new().expect("a queue of events");
    let mut sockets: Vec<UdpSocket> = (0..count)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0".parse().expect("an address"));
            let socket = socket.expect("bound");
            socket.connect(address).expect("connected");
            socket
        })
        .collect();
    for (at, socket) in sockets.iter_mut().enumerate() {
        poll.registry()
            .register(socket, Token(at), Interest::READABLE)
            .expect("registered");
        socket.send(&(at as u64).to_le_bytes()).expect("sent");
    }
    let mut events = Events::with_capacity(1024);
    let until = Instant::now() + length;
    let (mut answered, mut open) = (0, count);
    let mut buffer = [0; 64];
    while open > 0 {
        let patience = Some(Duration::from_secs(10));
        poll.poll(&mut events, patience).expect("polled");
        assert!(!events.is_empty(), "{open} datagrams are missing");
        let over = Instant::now() >= until;
        for event in &events {
            let at = event.token().0;
            while let Ok(read) = sockets[at].recv(&mut buffer) {
                assert_eq!(
                    buffer[..read],
                    (at as u64).to_le_bytes(),
                    "a stranger's datagram"
                );
                answered += 1;
                if over {
                    open -= 1;
                } else {
                    sockets[at].send(&buffer[..read]).expect("sent");
                }
            }
        }
    }
    answered
}
