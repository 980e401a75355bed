//! Clients that want nothing but a place, more of them than there are places, and an output that nobody reads.

use crate::load::Connection;
use crate::process::{Server, WATCHDOG};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

/// Opens a connection, and sends this much of a request.
fn hold(server: &Server, sent: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).expect("the system listens");
    stream.set_read_timeout(Some(WATCHDOG)).expect("not zero");
    stream.write_all(sent).expect("sent");
    stream
}

#[test]
fn clients_that_ask_for_nothing_do_not_keep_others_out() {
    let server = Server::start(&["--warm-up", "0", "--connections", "4", "--idle", "200"]);
    let mut held: Vec<_> = [
        &b""[..],
        b"GET / HTT",
        b"PRI * HTTP/2.0\r\n",
        // A connection of HTTP/2 without a stream.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ]
    .map(|sent| hold(&server, sent))
    .into();
    // All places are taken; this one waits in the system's queue.
    assert_eq!(server.get("/healthz").0, 200);
    for stream in &mut held {
        // Goodbye, or none, and then the end.
        stream.read_to_end(&mut Vec::new()).expect("it was closed");
    }
    server.signal("TERM");
    server.exit().assert_clean(1);
}

#[test]
fn a_connection_is_closed_when_it_has_been_idle_and_not_while_it_is_answered() {
    let server = Server::start(&["--warm-up", "0", "--idle", "1000"]);
    let ready = server.wait_ready();
    let mut connection = Connection::open(&server.address).expect("it listens");
    // Longer than a connection may be idle, even if that is measured from the last look but one.
    let answer = connection.get("/work?ms=2500").expect("an answer");
    assert_eq!((answer.status, answer.closes), (200, false));
    assert!(connection.is_closed());
    server.signal("TERM");
    server.exit().assert_clean(ready + 1);
}

#[test]
fn a_drain_goes_on_when_nobody_reads_the_output() {
    let server = Server::start_unheard(&["--warm-up", "0", "--linger", "60000"]);
    server.wait_ready();
    let mut connection = Connection::open(&server.address).expect("it listens");
    assert_eq!(connection.get("/work").expect("an answer").status, 200);
    // The report of a stall goes to the errors.
    assert_eq!(server.get("/work?block=200").0, 200);
    server.signal("TERM");
    while TcpStream::connect(&server.address).is_ok() {
        thread::yield_now();
    }
    // The port is closed; who is in is still answered.
    let answer = connection.get("/work").expect("an answer");
    assert_eq!((answer.status, answer.closes), (200, true));
    assert_eq!(server.exit().code, Some(0));
}
