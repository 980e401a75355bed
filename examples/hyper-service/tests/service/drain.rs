//! A drain under load: SIGTERM comes while clients of all kinds are busy, and no request is lost.

use crate::load::{Connection, Counts, Load};
use crate::process::{self, Server};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

/// Answers that each load has to have before the signal comes.
const BEFORE: u64 = 300;

/// Waits until the load is under way, sends SIGTERM, and returns the counts.
fn drain_under(server: &Server, load: Load) -> Counts {
    while load.answered.load(Relaxed) < BEFORE {
        thread::sleep(Duration::from_millis(1));
    }
    server.signal("TERM");
    load.join()
}

#[test]
fn clients_that_keep_their_connections_lose_nothing() {
    // A client that is slow to send its next request is not cut off.
    let server = Server::start(&["--warm-up", "0", "--linger", "60000"]);
    let ready = server.wait_ready();
    let counts = drain_under(&server, Load::keep_alive(&server.address, 16));
    server.exit().assert_clean(ready + counts.answered);
    // Each request that was sent has its whole answer, also those that were sent after the signal.
    assert_eq!(counts.sent, counts.answered, "{counts:?}");
    assert!(counts.answered >= BEFORE, "{counts:?}");
    // Each client was asked to leave, came back, and was refused by the system.
    assert_eq!(counts.refused, 16, "{counts:?}");
}

#[test]
fn clients_with_a_connection_for_each_request_lose_nothing_that_was_read() {
    let server = Server::start(&["--warm-up", "0"]);
    let ready = server.wait_ready();
    let counts = drain_under(&server, Load::one_each(&server.address, 16));
    // The program has read as many requests as have their answers.
    server.exit().assert_clean(ready + counts.answered);
    // The system may have taken a connection at the moment at which the port was closed. Such a request was
    // never read, and its client got a reset instead of an answer.
    assert_eq!(counts.sent, counts.answered + counts.unread, "{counts:?}");
    assert_eq!(counts.refused, 16, "{counts:?}");
}

#[test]
fn streams_of_http_2_lose_nothing_that_was_read() {
    let server = Server::start(&["--warm-up", "0"]);
    let ready = server.wait_ready();
    let counts = drain_under(&server, Load::streams(&server.address, 4, 8));
    server.exit().assert_clean(ready + counts.answered);
    // A stream that the client opened after the server's goodbye, which was on its way, is refused by number.
    assert_eq!(counts.sent, counts.answered + counts.unread, "{counts:?}");
}

#[test]
fn clients_that_were_not_accepted_yet_are_served() {
    // Each thread of the runtime has a worker to block.
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get());
    let server = Server::start(&["--warm-up", "0", "--workers", &threads.to_string()]);
    let (mut requests, address) = (server.wait_ready(), server.address.clone());
    requests += server.wait_workers();
    thread::scope(|scope| {
        let get = |target: &'static str| {
            let address = &address;
            scope.spawn(move || process::get(address, target).0)
        };
        let mut clients: Vec<_> = (0..threads).map(|_| get("/work?block=4000")).collect();
        let mut blocked = BTreeSet::new();
        while blocked.len() < threads {
            // `shop/workers/worker-1 #17 has been in one poll for 50.1ms, …`
            let line = server.error_line();
            blocked.insert(line.split(' ').next().map(str::to_owned));
        }
        // Nobody runs that could close the port, and nobody who could accept: the system connects these clients.
        // The cancellation is in a queue of tasks already, and is seen before the sockets are looked at.
        server.signal("TERM");
        let late: Vec<_> = (0..8)
            .map(|_| Connection::open(&address).expect("the system listens"))
            .collect();
        clients.extend(late.into_iter().map(|mut connection| {
            scope.spawn(move || connection.get("/work").map_or(0, |answer| answer.status))
        }));
        for client in clients {
            assert_eq!(client.join().expect("no panic"), 200);
            requests += 1;
        }
    });
    server.exit().assert_clean(requests);
}

#[test]
fn a_long_request_is_answered_and_the_workers_stay_until_then() {
    let server = Server::start(&["--warm-up", "0", "--workers", "1"]);
    let (mut requests, address) = (server.wait_ready(), server.address.clone());
    thread::scope(|scope| {
        // Together they take twice as long as an idle connection has: the second waits for the first in the
        // queue of the one worker.
        let long = || process::get(&address, "/work?ms=1000");
        let clients = [scope.spawn(long), scope.spawn(long)];
        requests += 2;
        loop {
            requests += 1;
            // Both were read, besides all that were sent from here.
            if server.read() == requests {
                break;
            }
        }
        server.signal("TERM");
        assert_eq!(server.line(), "draining");
        for client in clients {
            let (status, said) = client.join().expect("no panic");
            assert_eq!(status, 200, "{said}");
            assert!(said.contains(" done by worker-1: "), "{said}");
        }
    });
    server.exit().assert_clean(requests);
}

#[test]
fn a_connection_between_two_requests_is_asked_to_leave_and_not_cut() {
    let server = Server::start(&["--warm-up", "0", "--linger", "60000"]);
    let ready = server.wait_ready();
    let mut idle = Connection::open(&server.address).expect("it listens");
    assert!(!idle.get("/work").expect("an answer").closes);
    server.signal("TERM");
    assert_eq!(server.line(), "draining");
    // It has no request under way, and the drain has begun; its next request is answered all the same.
    let answer = idle.get("/work").expect("an answer");
    assert_eq!((answer.status, answer.closes), (200, true));
    assert!(idle.is_closed());
    server.exit().assert_clean(ready + 2);
}

#[test]
fn an_idle_connection_does_not_hold_up_the_drain() {
    let server = Server::start(&["--warm-up", "0"]);
    let ready = server.wait_ready();
    let mut idle = Connection::open(&server.address).expect("it listens");
    idle.get("/work").expect("answered");
    let began = std::time::Instant::now();
    server.signal("TERM");
    server.exit().assert_clean(ready + 1);
    assert!(
        began.elapsed() < Duration::from_secs(7),
        "{:?}",
        began.elapsed()
    );
    assert!(idle.is_closed());
}
